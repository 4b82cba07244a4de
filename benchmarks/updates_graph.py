"""Graph requests: our server, and nginx with the same answer as a static file; at 10, 100 and 1,000 releases.

wrk asks over 32 connections, every request with another node id. Ours judges each node's wariness, counts it and
picks its answer; nginx reads no query. Both have one process for the work, hence one core at most. Seconds of CPU are
those of the server's processes, so they say what one core would do on a machine that is busy with other things.
"""

from __future__ import annotations

import os
import re
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Bench, Benchmark
from benchmarks.measure import Result
from benchmarks.roots import debian_root
from nestos.base.errors import StateError
from nestos.host import process
from nestos.host.toolbox import Toolbox
from nestos.updates import graph
from nestos.wire import graph as wire
from nestos.wire import releases
from nestos.wire.releases import Commit, IndexedRelease, Marks, ReleaseIndex, Rollout, UpdateMetadata

_COUNTS = (10, 100, 1000)
_CONNECTIONS, _SECONDS = 32, 5
_OURS_PORT, _STATUS_PORT, _NGINX_PORT = 18080, 19080, 18081
_BARRIER_EVERY = 10
_SCRIPT = """\
math.randomseed(os.time())
request = function()
  local id = string.format("%08x%08x%08x%08x", math.random(0, 2^31), math.random(0, 2^31), math.random(0, 2^31),
    math.random(0, 2^31))
  return wrk.format("GET", "/v1/graph?basearch=x86_64&stream=stable&os_version=13.1&os_checksum=ff&group=default"
    .. "&platform=qemu&node_uuid=" .. id)
end
"""
_NGINX = """\
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; open_file_cache max=100;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; default_type application/json;
    location = /v1/graph {{ root {folder}/www; }} }}
}}
"""
_SCALES = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, kw_only=True)
class Load:
    """What wrk found."""

    requests: int
    per_second: float
    p99_ms: float


def run(bench: Bench) -> Result:
    """Both servers in turns, for each number of releases."""
    root = debian_root(bench, "web", packages=("nginx-light", "wrk"))
    box = Toolbox(root.path, binds=[bench.folder], network=True)
    (bench.folder / "load.lua").write_text(_SCRIPT)
    sizes = {count: _prepare(bench.folder / str(count), count) for count in _COUNTS}
    for _ in bench.rounds():
        for count in _COUNTS:
            folder = bench.folder / str(count)
            with _running(_our_command(folder), _OURS_PORT, environment={"PYTHONHASHSEED": "0"}) as pid:
                _measure(bench, box, f"{count} releases, ours", port=_OURS_PORT, pid=pid)
            with _running(box.wrap(["nginx", "-c", folder / "nginx.conf"]), _NGINX_PORT, environment={}) as pid:
                _measure(bench, box, f"{count} releases, nginx", port=_NGINX_PORT, pid=pid)
    pairs = [
        (f"{count} releases, ours: {what}", f"{count} releases, nginx: {what}")
        for count in _COUNTS
        for what in ("requests a second", "CPU a request", "p99")
    ]
    answers = ", ".join(f"{count} releases {size / 1e3:.1f} kB" for count, size in sizes.items())
    notes = [
        f"wrk: {_CONNECTIONS} connections, {_SECONDS} s each, every request another node id.",
        f"Answers, not compressed: {answers}.",
        f"nginx {root.packages['nginx-light']} with a static file and one worker; ours with two rollouts under way.",
        "The load generator shares the machine: CPU a request is what compares; wall-clock figures depend on the load.",
    ]
    return bench.samples.result(pairs, notes=notes)


def metadata(count: int, *, now: int) -> tuple[ReleaseIndex, UpdateMetadata]:
    """A stream of ``count`` releases with a barrier at each tenth and rollouts of the newest two."""
    index = ReleaseIndex(
        stream="stable",
        releases=tuple(
            IndexedRelease(
                version=f"13.{number}.0",
                metadata_url=f"https://updates.example.org/prod/streams/stable/builds/13.{number}.0/release.json",
                commits=(Commit(architecture="x86_64", checksum=f"{number:064x}"),),
            )
            for number in range(count)
        ),
    )
    barriers = [
        Marks(version=one.version, barrier="https://updates.example.org/keys")
        for one in index.releases[_BARRIER_EVERY - 1 : -2 : _BARRIER_EVERY]
    ]
    rollouts = [
        Marks(version=one.version, rollout=Rollout(start_epoch=start, start_percentage=0.0, duration_minutes=2880))
        for one, start in zip(index.releases[-2:], (now - 86_400, now), strict=True)
    ]
    return index, UpdateMetadata(stream="stable", releases=(*barriers, *rollouts))


def parse_load(text: str) -> Load:
    """Reads what wrk prints. Raises ``StateError`` if there were errors, or figures are missing."""
    count = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", text)
    if not count or not rate or not tail or "Non-2xx" in text or "Socket errors" in text:
        raise StateError(f"wrk met errors or said something else:\n{text}")
    return Load(
        requests=int(count.group(1)),
        per_second=float(rate.group(1)),
        p99_ms=float(tail.group(1)) * _SCALES[tail.group(2)],
    )


def _prepare(folder: Path, count: int) -> int:
    """Metadata for ours, the answer as a file for nginx; its size."""
    now = int(time.time())
    index, updates = metadata(count, now=now)
    whole = wire.render(graph.build(index, updates, basearch="x86_64", is_oci=False).graph)
    for name, data in {
        "prod/streams/stable/releases.json": releases.render_index(index).encode(),
        "updates/stable.json": releases.render_updates(updates).encode(),
        "www/v1/graph": whole,
        "nginx.conf": _NGINX.format(folder=folder, port=_NGINX_PORT).encode(),
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return len(whole)


def _our_command(folder: Path) -> list[str]:
    program = [sys.executable, "-m", "nestos", "updates", "serve", f"--folder={folder}"]
    return [*program, "--address=127.0.0.1", f"--port={_OURS_PORT}", f"--status-port={_STATUS_PORT}"]


@contextmanager
def _running(command: list[str], port: int, *, environment: dict[str, str]) -> Iterator[int]:
    """A server that answers; its process id."""
    started = process.start(command, environment={"PYTHONPATH": os.pathsep.join(sys.path)} | environment)
    try:
        deadline = time.monotonic() + 30
        while not _answers(port):
            if started.poll() is not None or time.monotonic() > deadline:
                raise StateError(f"this server does not answer: {process.printable(command)}")
            time.sleep(0.1)
        yield started.pid
    finally:
        started.terminate()
        started.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/graph?stream=stable&basearch=x86_64", timeout=5):
            return True
    except OSError:
        return False


def _measure(bench: Bench, box: Toolbox, name: str, *, port: int, pid: int) -> None:
    address = f"http://127.0.0.1:{port}/"
    before = _cpu_seconds(pid)
    with bench.progress.stage(name):
        said = box(
            [
                *("wrk", "--threads=1", f"--connections={_CONNECTIONS}", f"--duration={_SECONDS}s", "--latency"),
                f"--script={bench.folder / 'load.lua'}",
                address,
            ]
        ).stdout
    load = parse_load(said)
    bench.samples.add(f"{name}: requests a second", load.per_second, unit="")
    bench.samples.add(f"{name}: p99", load.p99_ms, unit="ms")
    bench.samples.add(f"{name}: CPU a request", (_cpu_seconds(pid) - before) / load.requests * 1e6, unit="us")
    bench.samples.add(f"{name}: memory", sum(_resident(one) for one in _tree(pid)), unit="B")


def _tree(pid: int) -> list[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _cpu_seconds(pid: int) -> float:
    total = 0
    for one in _tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


BENCHMARK = Benchmark(
    name="updates-graph",
    summary="graph requests a second, p99 and CPU, beside the same answer as a static file on nginx",
    run=run,
    runs=3,
    minutes=3,
)
