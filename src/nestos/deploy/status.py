"""What a node is, runs and boots next: collected once, shown as text or as JSON.

The JSON is an interface: ``schema`` is 1, keys are only ever added within it. Its keys:

- ``booted``, ``next``: the slot that runs and the one that boots next (``a`` or ``b``). A slot whose ``state`` is
  ``locked`` holds a whole release and boots only once it is finalized.
- ``healthy``: whether this boot reached boot-complete.
- ``problem``: why the boot state could not be read, else empty.
- ``slots``: for ``a`` and ``b``: ``state``, ``tries``, ``booted``, ``next``, ``reason`` (why it is bad, else empty) and
  ``deployment`` (null where the slot holds none) with ``version``, ``commit``, ``ref``, ``timestamp``, ``root_hash``,
  ``kernel_digest``, ``kargs``, ``layered_commit`` (empty without layers), ``origin`` (what was asked for besides the
  release) and ``layers`` (what came of it).
- ``denied``: releases that failed here: ``version``, ``commit``, ``reason``, ``time``.
- ``failures``: boots that failed since the last one that completed: ``slot``, ``version``, ``boot_id``, ``cause``,
  ``reason``, ``time``.
- ``transaction``: who changes the node right now (``command``, ``pid``, ``since``), else null.
- ``update``: ``url`` and ``ref`` followed.
- ``usr``: ``none``, or ``transient`` (``apply-live``) or ``development`` (``usroverlay``) where the running /usr is not
  the slot's.
- ``live``: the packages that came into it without a restart, with their versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nestos.deploy import live_state
from nestos.deploy.live_state import Live
from nestos.deploy.node import Node, View
from nestos.deploy.records import BootFailure, Denial, Record
from nestos.deploy.transaction import Holder, holder
from nestos.slots.bootstate import BootState, Slot, SlotState
from nestos.wire import origin as origins
from nestos.wire.deployment import Deployment

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class SlotView:
    """One slot. ``deployment`` is none while the slot is empty or being written."""

    slot: Slot
    state: SlotState
    tries: int
    is_booted: bool
    is_next: bool
    deployment: Deployment | None
    reason: str

    @property
    def is_locked(self) -> bool:
        """True where it waits to be finalized."""
        return self.state is SlotState.LOCKED and not self.is_booted

    @property
    def is_staged(self) -> bool:
        """True where it holds a release that never booted and waits for it."""
        return self.is_locked or (self.is_next and not self.is_booted and self.state is SlotState.TRYING)


@dataclass(frozen=True, kw_only=True)
class Status:
    """The whole answer. ``problem`` is set when the boot state could not be read."""

    booted: Slot
    next: Slot
    healthy: bool
    slots: Mapping[Slot, SlotView]
    denied: tuple[Denial, ...]
    failures: tuple[BootFailure, ...]
    transaction: Holder | None
    url: str
    ref: str
    history: tuple[Record, ...]
    problem: str = ""
    usr: str = "none"
    live: Live | None = None


def collect(node: Node) -> Status:
    """Reads everything; a damaged boot state is reported in the status, not raised."""
    view = node.look()
    state = view.state or BootState(pointer=node.booted, booted=node.booted)
    records = node.records
    follows = state.pending or node.booted
    mark = records.running()
    return Status(
        booted=node.booted,
        next=follows,
        healthy=mark is not None and mark.boot_id == node.boot_id,
        slots={slot: _slot(node, view, state, slot=slot) for slot in Slot},
        denied=tuple(records.denied().values()),
        failures=tuple(records.boot_failures().values()),
        transaction=holder(node.lock),
        url=node.settings.update_url,
        ref=node.settings.update_ref or (view.follows.ref if view.running else ""),
        history=tuple(records.history()),
        problem=view.problem,
        usr=live_state.unlocked(node),
        live=live_state.live(node),
    )


def _slot(node: Node, view: View, state: BootState, *, slot: Slot) -> SlotView:
    status = state.of(slot)
    is_booted = slot is node.booted
    # While a slot is being written its record is still that of what it held before.
    known = is_booted or status.state not in {SlotState.EMPTY, SlotState.WRITING}
    deployment = view.deployments[slot] if known else None
    reason = ""
    if status.state is SlotState.BAD and deployment is not None:
        reason = node.records.reason_of(slot=str(slot), commit=deployment.commit)
    return SlotView(
        slot=slot,
        state=status.state,
        tries=status.tries,
        is_booted=is_booted,
        is_next=slot is (state.pending or node.booted),
        deployment=deployment,
        reason=reason,
    )


def document(status: Status) -> dict[str, Any]:
    """The JSON form."""
    return {
        "schema": SCHEMA,
        "booted": str(status.booted),
        "next": str(status.next),
        "healthy": status.healthy,
        "problem": status.problem,
        "slots": {str(slot): _slot_document(view) for slot, view in status.slots.items()},
        "denied": [asdict(denial) for denial in status.denied],
        "failures": [asdict(failure) for failure in status.failures],
        "transaction": asdict(status.transaction) if status.transaction else None,
        "update": {"url": status.url, "ref": status.ref},
        "usr": status.usr,
        "live": dict(status.live.packages) if status.live else {},
    }


def _slot_document(view: SlotView) -> dict[str, Any]:
    held = view.deployment
    wanted = ("version", "commit", "layered_commit", "ref", "timestamp", "root_hash", "kernel_digest")
    return {
        "state": str(view.state),
        "tries": view.tries,
        "booted": view.is_booted,
        "next": view.is_next,
        "reason": view.reason,
        "deployment": {name: getattr(held, name) for name in wanted}
        | {
            "kargs": list(held.kargs),
            "origin": origins.document(held.origin),
            "layers": origins.layers_document(held.layers),
        }
        if held
        else None,
    }


def text(status: Status, *, verbose: bool = False) -> str:
    """For people: the running slot first, marked with a dot."""
    lines = [f"State: {_doing(status)}"]
    if status.problem:
        lines.append(f"Problem: {status.problem}")
    source = f"{status.ref} from {status.url}" if status.url else "no repository (set [update] url)"
    lines.append(f"Updates: {source}")
    if status.usr != "none":
        lines.append(f"Until the restart: {_until_the_restart(status)}")
    lines.append("Slots:")
    for slot in (status.booted, status.booted.other):
        lines += _slot_lines(status.slots[slot], verbose=verbose)
    if status.denied:
        lines += ["Failed here, not tried again:"]
        lines += [f"  {denial.version} ({denial.commit[:12]}): {denial.reason}" for denial in status.denied]
    for failure in status.failures:
        lines.append(f"Failed boot of slot {failure.slot}, {failure.version}: {failure.reason}")
    if verbose:
        lines.append("History:")
        lines += [f"  {history_line(record)}" for record in status.history[-20:]]
    return "\n".join(lines)


def _until_the_restart(status: Status) -> str:
    packages = status.live.packages if status.live else {}
    named = [", ".join(f"{name} {version}" for name, version in sorted(packages.items()))] if packages else []
    return "; ".join(["/usr is writable"] * (status.usr == "development") + named) or "/usr has files of what is staged"


def _doing(status: Status) -> str:
    if status.transaction:
        return f"busy: {status.transaction}"
    if status.next is not status.booted:
        return f"idle; slot {status.next} boots next, restart to switch"
    if status.slots[status.booted.other].is_locked:
        return f"idle; slot {status.booted.other} is locked, finalize-deployment lets it boot"
    return "idle" if status.healthy else "this boot has not completed yet"


def _slot_lines(view: SlotView, *, verbose: bool) -> list[str]:
    mark = "●" if view.is_booted else " "
    held = view.deployment
    words = [str(view.state)]
    if view.state is SlotState.TRYING or verbose:
        words.append(f"{view.tries} tries left")
    if view.is_booted:
        words.append("running")
    if view.is_next and not view.is_booted:
        words.append("boots next")
    lines = [f"{mark} {view.slot}: {held.version if held else '-'} ({', '.join(words)})"]
    if view.state is SlotState.WRITING:
        lines.append(f"{'':>11}an update was interrupted while it wrote this slot; the next one starts it anew")
    facts = []
    if held:
        facts = [("commit", held.commit), ("branch", held.ref), ("made", held.timestamp), *_layer_facts(held)]
    if held and verbose:
        facts += [("root hash", held.root_hash), ("kernel", held.kernel_digest), ("arguments", " ".join(held.kargs))]
    if view.reason:
        facts.append(("reason", view.reason))
    return lines + [f"{name:>13}  {value}" for name, value in facts if value]


def _layer_facts(held: Deployment) -> list[tuple[str, str]]:
    origin, layers = held.origin, held.layers
    layered = [f"{name} {version}" for name, version in sorted(layers.added.items())]
    replaced = [f"{name} {old} -> {new}" for name, (old, new) in sorted(layers.replaced.items())]
    initramfs = ["made here"] if origin.initramfs.regenerate else []
    return [
        ("layered", ", ".join(layered)),
        ("in release", ", ".join(layers.inactive)),
        ("removed", ", ".join(f"{name} {version}" for name, version in sorted(layers.removed.items()))),
        ("replaced", ", ".join(replaced)),
        ("initramfs", ", ".join([*initramfs, *origin.initramfs.etc])),
        ("pinned", "yes" if origin.pinned else ""),
    ]


def history_line(record: Record) -> str:
    """One event, for people."""
    detail = f": {record.detail}" if record.detail else ""
    return f"{record.time}  {record.event:8}  slot {record.slot}  {record.version}{detail}"
