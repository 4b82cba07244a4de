"""A node that its agent updates: from a release to the next, back from a bad one, and away from a withdrawn one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from nestos.lab.scenario import Lab, scenario
from nestos.wire.report import Outcome
from tests.scenarios.fleet_servers import Releases, lending, serving
from tests.scenarios.node import TEST_REF, UPDATE_SECONDS, Node
from tests.scenarios.updating import READY, resumed, slot

_POLL_SECONDS = 5.0
_TOLD_SECONDS = 180.0
_INTERVAL_SECONDS = 15
_CONFIG = """
[agent.timing]
steady_interval_secs = {interval}
[cincinnati]
base_url = "{updates}"
[updates]
strategy = "fleet_lock"
restart = "{restart}"
[updates.fleet_lock]
base_url = "{locks}"
[updates.report]
enabled = true
[updates.trust]
base_url = "{trust}"
"""


def until(lab: Lab, ask: Callable[[], Any], what: str, *, seconds: float) -> Any:
    """What ``ask`` answers once it is true."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        lab.check(time.monotonic() < end, f"{what} did not come in {seconds:.0f} s")
        lab.sleep(_POLL_SECONDS)
    return answer


def explained(node: Node) -> dict[str, Any]:
    """What ``nestos agent explain --json`` says."""
    found = json.loads(node.output("nestos agent explain --json"))
    assert isinstance(found, dict)
    return found


@scenario("fleet", minutes=14, needs=READY, tags=["long"])
def the_agent_updates_a_node(lab: Lab) -> None:
    """The agent takes v2 alone, is back from a bad release and tells it, and drops one that is withdrawn."""
    node, repository, known = resumed(lab)
    releases = Releases(lab.folder)
    trust = lab.server(releases.folder.public)
    v1, v2, bad, gone = (known[name] for name in ("v1", "v2", "unhealthy", "panic"))

    def follow(ref: str, *, restart: str = "now") -> None:
        text = f"[update]\nurl = {repository.guest_url}\nref = {ref}\n[boot]\ntries = 1\n"
        node.write("/etc/nestos/nestos.conf.d/90-scenario.conf", text)
        config = _CONFIG.format(
            interval=_INTERVAL_SECONDS, updates=updates, locks=locks, trust=trust.guest_url, restart=restart
        )
        node.write("/etc/nestos/agent.d/90-scenario.toml", config)
        node.write("/etc/nestos/trust/root.json", releases.root)
        node.run("systemctl restart nestos-agent")

    with serving(releases) as updates, lending(lab.folder) as (locks, store):
        with lab.step("v2, by the agent alone"):
            before = node.boot_id()
            releases.offer(v1["version"], commit=v1["commit"])
            releases.offer(v2["version"], commit=v2["commit"])
            follow(TEST_REF)
            node.wait_back_on(v2["version"], unlike=before, timeout_seconds=UPDATE_SECONDS)
            told = until(lab, lambda: releases.reports, "a report", seconds=_TOLD_SECONDS)
            lab.check(told[0].outcome is Outcome.UPDATED, f"the node reports {told[0]}")
            lab.check((told[0].before, told[0].after) == (v1["version"], v2["version"]), f"the node reports {told[0]}")
            lab.check(not store.holders(), f"the slot is still lent: {store.holders()}")
            lab.facts["agent_rss_kib"] = int(
                node.output("grep VmRSS /proc/$(systemctl show -P MainPID nestos-agent)/status").split()[1]
            )
        with lab.step("a bad release: back by itself, denied, told"):
            before = node.boot_id()
            follow(bad["ref"])
            releases.offer(bad["version"], commit=bad["commit"])
            status = node.wait_back_on(v2["version"], unlike=before, timeout_seconds=UPDATE_SECONDS)
            lab.check(bad["version"] in {item["version"] for item in status["denied"]}, "it is not denied")
            until(lab, lambda: len(releases.reports) > 1, "a report", seconds=_TOLD_SECONDS)
            last = releases.reports[-1]
            lab.check(last.outcome is Outcome.ROLLED_BACK, f"the node reports {last}")
            lab.check("the database does not answer" in last.reason, f"the node reports {last}")
            until(lab, lambda: bad["version"] in explained(node)["ignored"], "the reason", seconds=_TOLD_SECONDS)
            lab.check(not store.holders(), f"the slot is still lent: {store.holders()}")
        with lab.step("a staged release is withdrawn"):
            follow(gone["ref"], restart="next")
            releases.offer(gone["version"], commit=gone["commit"])

            def pending() -> bool:
                return bool(slot(node.status(), "other")["next"])

            until(lab, pending, "the staged release", seconds=UPDATE_SECONDS)
            releases.withdraw(gone["version"])
            until(lab, lambda: not pending(), "the drop", seconds=_TOLD_SECONDS)
        lab.check(releases.refused == [], f"reports were refused: {releases.refused}")
