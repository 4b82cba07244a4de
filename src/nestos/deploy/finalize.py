"""Letting a locked release boot: the second half of a transaction whose first half was written under a lock.

A locked release is whole and verified in its slot, and no boot takes it, not even after a power cut: it waits there,
over restarts too, until it is finalized, given up, or written over. Whoever may restart the node, and when (an update
agent), finalizes it.
"""

from __future__ import annotations

from nestos.base.errors import InputError, StateError
from nestos.deploy.node import Node, View
from nestos.deploy.passive import Taken
from nestos.deploy.records import Event
from nestos.slots import install
from nestos.slots.bootstate import Slot
from nestos.slots.disk import EtcReport
from nestos.slots.etc import OverlayEtc
from nestos.wire.deployment import Deployment


def finalize(node: Node, *, checksum: str, allow_unlocked: bool) -> Taken:
    """Makes the locked release boot next; ``checksum`` (of the release or of its tree with layers) must be its own.

    One that boots next already needs nothing: that is an error only where no checksum says that it is the one meant,
    unless ``allow_unlocked``. The empty ``checksum`` takes whatever is staged. The caller holds the lock. Raises
    ``StateError`` where nothing is staged, another release is, or the running version was not judged good.
    """
    view = node.look()
    slot, staged = _staged(view)
    if checksum and checksum not in (staged.commit, staged.checksum):
        raise StateError(f"expected was {checksum}, staged is {staged.commit}, {staged.version}", kind="mismatch")
    if view.require_state().locked is None:
        if not checksum and not allow_unlocked:
            raise StateError(
                f"{staged.version} in slot {slot} is not locked: it boots next already",
                hint="to restart into it all the same, name its checksum or say --allow-unlocked",
                kind="unlocked",
            )
        return Taken(version=staged.version, slot=slot, etc=EtcReport(), layers=staged.layers)
    defaults = node.defaults_of(staged)
    if not defaults.is_dir():
        raise StateError(
            f"the default /etc of {staged.version} is lost, so its /etc cannot be brought up to date",
            hint="give it up (cleanup --pending) and deploy it again",
        )
    etc = OverlayEtc(node.folder / "etc", old_default=node.root.join("/usr/etc"), new_default=defaults)
    with node.machine.disk(etc) as disk:
        done = install.finalize(disk, booted=node.booted, tries=node.settings.boot_tries)
    node.note(Event.FINALIZED, slot, staged)
    return Taken(version=staged.version, slot=slot, etc=done.etc, layers=staged.layers)


def lock(node: Node) -> Taken:
    """Keeps what is staged from booting until it is finalized. The caller holds the lock."""
    view = node.look()
    slot, staged = _staged(view)
    if view.require_state().locked is None:
        with node.machine.environment() as environment:
            install.lock(environment, booted=node.booted)
        node.note(Event.LOCKED, slot, staged)
    return Taken(version=staged.version, slot=slot, etc=EtcReport(), layers=staged.layers, is_locked=True)


def require_meant(checksum: str, *, allow_missing: bool) -> None:
    """Raises ``InputError`` where the words of the command leave open which release is meant."""
    if checksum and allow_missing:
        raise InputError("give the checksum or --allow-missing-checksum, not both")
    if not checksum and not allow_missing:
        raise InputError("which release? give the checksum that is expected, or say --allow-missing-checksum")


def _staged(view: View) -> tuple[Slot, Deployment]:
    slot = view.require_state().staged
    held = view.deployments[slot] if slot else None
    if slot is None or held is None:
        raise StateError("no release is staged", hint="a rollback needs no finalizing: restart")
    return slot, held
