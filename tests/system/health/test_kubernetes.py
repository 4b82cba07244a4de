"""The health check for nodes of a Kubernetes cluster, as it is, with programs that answer as told."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestos.host.process import Completed, run

SCRIPT = Path(__file__).parents[3] / "src/nestos/dist/health.d/wanted.d/20-kubernetes-ready"


class Node:
    """Its kubelet is enabled, answers at the second question, and is called ready by the cluster at the second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "kubelet.conf"
        self.config.touch()
        again = f'echo x >>{folder}/$1; [ "$(wc -l <{folder}/$1)" -ge 2 ]'
        self.program("later", again)
        self.program("systemctl", "exit 0")
        self.program("python3", f"{folder}/later kubelet")
        self.program("kubectl", f"{folder}/later cluster && echo True || echo Unknown")
        self.program("sleep", "exit 0")

    def program(self, name: str, text: str) -> None:
        (self.folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.folder / name).chmod(0o755)

    def check(self) -> Completed:
        environment = {"PATH": f"{self.folder}:/usr/bin:/bin", "NESTOS_KUBECONFIG": str(self.config)}
        return run(["sh", SCRIPT], environment=environment, timeout_seconds=60)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_it_waits_for_the_kubelet_and_then_for_the_cluster(node: Node) -> None:
    first, second = node.check().stdout.splitlines()
    assert first == "the kubelet does not answer at 127.0.0.1:10248"
    assert second.startswith("the cluster does not call the node ")


@pytest.mark.parametrize("missing", ["config", "unit"])
def test_a_node_of_no_cluster_passes_at_once(node: Node, missing: str) -> None:
    if missing == "config":
        node.config.unlink()
    else:
        node.program("systemctl", "exit 1")
    assert node.check().stdout == ""
    assert not (node.folder / "kubelet").exists()
