"""Which slot boots: the GRUB environment block, and the transitions of slots as one table.

Pure: bytes in, values out. ``choose`` is what ``grub.cfg`` does in its own language; everything else is what the
running system may do. The table is the only place where a transition is allowed; ``nestos.slots.diagram`` draws
it and the crash sweep runs it. Who reads and writes the block on a disk is ``nestos.slots.install``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum

from nestos.base.errors import InputError, StateError
from nestos.slots import environment

MAXIMUM_TRIES = 3
DEFAULT_TRIES = 2


class Slot(StrEnum):
    """One of the two system partitions."""

    A = "a"
    B = "b"

    @property
    def other(self) -> Slot:
        """The slot that is not this one."""
        return Slot.B if self is Slot.A else Slot.A

    @property
    def partition_label(self) -> str:
        """The GPT label of the slot's partition."""
        return f"root-{self}"

    @property
    def boot_folder(self) -> str:
        """The slot's folder on the boot partition, relative to its root."""
        return f"slot-{self}"


class SlotState(StrEnum):
    """What is known about the content of a slot."""

    EMPTY = "empty"
    WRITING = "writing"
    LOCKED = "locked"
    TRYING = "trying"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, kw_only=True)
class SlotStatus:
    """The state of one slot and how many more boots it may attempt before it reaches boot-complete (0 to 3)."""

    state: SlotState = SlotState.EMPTY
    tries: int = 0

    @property
    def is_eligible(self) -> bool:
        """True if GRUB may boot the slot without a last resort."""
        return self.state in {SlotState.TRYING, SlotState.GOOD} and self.tries > 0


@dataclass(frozen=True, kw_only=True)
class BootState:
    """The content of the environment block.

    ``pointer`` is the slot tried first; ``booted`` what GRUB chose last, which is the running slot (none: GRUB has not
    booted yet); ``unknown`` holds the variables of others, kept as they are.
    """

    pointer: Slot = Slot.A
    booted: Slot | None = None
    a: SlotStatus = field(default_factory=SlotStatus)
    b: SlotStatus = field(default_factory=SlotStatus)
    unknown: tuple[tuple[str, str], ...] = ()

    def of(self, slot: Slot) -> SlotStatus:
        """The status of ``slot``."""
        return self.a if slot is Slot.A else self.b

    def with_status(self, slot: Slot, status: SlotStatus) -> BootState:
        """The same with ``slot`` in ``status``."""
        return replace(self, a=status) if slot is Slot.A else replace(self, b=status)

    @property
    def pending(self) -> Slot | None:
        """The slot that the next boot will try although another one runs: a staged release or a requested rollback."""
        if self.pointer is self.booted or not self.of(self.pointer).is_eligible:
            return None
        return self.pointer

    @property
    def locked(self) -> Slot | None:
        """The slot that holds a whole release which does not boot before it is finalized."""
        held = (slot for slot in Slot if slot is not self.booted and self.of(slot).state is SlotState.LOCKED)
        return next(held, None)

    @property
    def staged(self) -> Slot | None:
        """The slot of a release that never booted and waits for it: locked, or the next to boot."""
        pending = self.pending
        return pending if pending and self.of(pending).state is SlotState.TRYING else self.locked


def fresh(slot: Slot = Slot.A) -> BootState:
    """The state of a newly written disk whose only content is in ``slot``."""
    full = SlotStatus(state=SlotState.GOOD, tries=MAXIMUM_TRIES)
    return BootState(pointer=slot).with_status(slot, full)


def parse(block: bytes) -> BootState:
    """Reads an environment block the way ``grub.cfg`` does: a word it does not know is as good as none.

    Raises ``StateError`` (kind ``environment``) where GRUB's ``load_env`` would refuse the block.
    """
    variables = environment.parse(block)

    def slot(name: str) -> Slot | None:
        value = variables.pop(name, "")
        return Slot(value) if value in {"a", "b"} else None

    def status(slot: Slot) -> SlotStatus:
        word, number = variables.pop(f"{slot}_state", ""), variables.pop(f"{slot}_tries", "")
        state = SlotState(word) if word in set(SlotState) else SlotState.EMPTY
        return SlotStatus(state=state, tries=int(number) if number in {"0", "1", "2", "3"} else 0)

    pointer, booted = slot("boot") or Slot.A, slot("booted")
    a, b = status(Slot.A), status(Slot.B)
    return BootState(pointer=pointer, booted=booted, a=a, b=b, unknown=tuple(variables.items()))


def render(state: BootState) -> bytes:
    """The block for ``state``: 1024 bytes, our variables within the first 512, so that one sector decides.

    Variables of others that do not fit are dropped, the last first: booting must never fail for their sake.
    """
    ours = {"boot": str(state.pointer)}
    for slot in Slot:
        status = state.of(slot)
        ours |= {f"{slot}_state": str(status.state), f"{slot}_tries": str(status.tries)}
    if state.booted is not None:
        ours["booted"] = str(state.booted)
    others = list(state.unknown)
    while others:
        try:
            return environment.render(ours, others=dict(others))
        except StateError:
            others.pop()
    return environment.render(ours)


class Event(StrEnum):
    """What can happen to a slot. The value is the word used in the diagram."""

    WRITE = "write"
    STAGE = "stage"
    LOCK = "lock"
    FINALIZE = "finalize"
    DROP = "drop"
    JUDGE_GOOD = "judge good"
    JUDGE_BAD = "judge bad"
    RETURN = "return"
    SPEND = "spend a try"
    EXPIRE = "no tries left"
    REFILL = "refill"


class Guard(StrEnum):
    """A condition on the whole state; the value completes the sentence "only if ..."."""

    IS_BOOTED = "the slot is the booted one"
    IS_PASSIVE = "the slot is not the booted one"
    BOOTED_IS_GOOD = "the booted slot was judged good"
    OTHER_IS_GOOD = "the other slot was judged good"
    HAS_TRIES = "it has tries left"
    NO_TRIES = "it has no tries left"


class Tries(StrEnum):
    """What becomes of the slot's tries."""

    NONE = "0"
    GIVEN = "as configured"
    FULL = "3"
    ONE_LESS = "one less"


class Pointer(StrEnum):
    """Where the boot pointer goes, in the same sector write."""

    STAYS = "stays"
    TO_SLOT = "to the slot"
    TO_OTHER = "to the other slot"
    TO_SLOT_UNLESS_PENDING = "to the slot, unless the other awaits its boot"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row: ``event`` takes a slot from any of ``origins`` to ``result`` (none: the state stays)."""

    event: Event
    actor: str
    origins: tuple[SlotState, ...]
    result: SlotState | None
    tries: Tries
    pointer: Pointer
    guards: tuple[Guard, ...]


_EMPTY, _WRITING, _LOCKED, _TRYING, _GOOD, _BAD = SlotState

TABLE: tuple[Rule, ...] = (
    Rule(
        event=Event.WRITE,
        actor="nestos",
        origins=(_EMPTY, _WRITING, _LOCKED, _TRYING, _GOOD, _BAD),
        result=_WRITING,
        tries=Tries.NONE,
        pointer=Pointer.TO_OTHER,
        guards=(Guard.IS_PASSIVE, Guard.BOOTED_IS_GOOD),
    ),
    Rule(
        event=Event.STAGE,
        actor="nestos",
        origins=(_WRITING,),
        result=_TRYING,
        tries=Tries.GIVEN,
        pointer=Pointer.TO_SLOT,
        guards=(Guard.IS_PASSIVE, Guard.BOOTED_IS_GOOD),
    ),
    Rule(
        # The word is one that GRUB does not know, so it neither tries nor revives the slot: to it the slot is empty.
        event=Event.LOCK,
        actor="nestos",
        origins=(_WRITING, _TRYING),
        result=_LOCKED,
        tries=Tries.NONE,
        pointer=Pointer.TO_OTHER,
        guards=(Guard.IS_PASSIVE, Guard.BOOTED_IS_GOOD),
    ),
    Rule(
        event=Event.FINALIZE,
        actor="nestos",
        origins=(_LOCKED,),
        result=_TRYING,
        tries=Tries.GIVEN,
        pointer=Pointer.TO_SLOT,
        guards=(Guard.IS_PASSIVE, Guard.BOOTED_IS_GOOD),
    ),
    Rule(
        event=Event.DROP,
        actor="nestos",
        origins=(_LOCKED, _TRYING),
        result=_EMPTY,
        tries=Tries.NONE,
        pointer=Pointer.TO_OTHER,
        guards=(Guard.IS_PASSIVE, Guard.OTHER_IS_GOOD),
    ),
    Rule(
        # From empty, locked and bad too: such a slot runs as the last resort or by hand, and has now proved itself.
        event=Event.JUDGE_GOOD,
        actor="nestos",
        origins=(_EMPTY, _LOCKED, _TRYING, _GOOD, _BAD),
        result=_GOOD,
        tries=Tries.FULL,
        pointer=Pointer.TO_SLOT_UNLESS_PENDING,
        guards=(Guard.IS_BOOTED,),
    ),
    Rule(
        event=Event.JUDGE_BAD,
        actor="nestos",
        origins=(_LOCKED, _TRYING, _GOOD, _BAD),
        result=_BAD,
        tries=Tries.NONE,
        pointer=Pointer.STAYS,
        guards=(Guard.OTHER_IS_GOOD,),
    ),
    Rule(
        event=Event.RETURN,
        actor="nestos",
        origins=(_GOOD,),
        result=_GOOD,
        tries=Tries.FULL,
        pointer=Pointer.TO_SLOT,
        guards=(),
    ),
    Rule(
        event=Event.SPEND,
        actor="GRUB",
        origins=(_TRYING, _GOOD),
        result=None,
        tries=Tries.ONE_LESS,
        pointer=Pointer.STAYS,
        guards=(Guard.HAS_TRIES,),
    ),
    Rule(
        event=Event.EXPIRE,
        actor="GRUB",
        origins=(_TRYING,),
        result=_BAD,
        tries=Tries.NONE,
        pointer=Pointer.STAYS,
        guards=(Guard.NO_TRIES,),
    ),
    Rule(
        event=Event.REFILL,
        actor="GRUB",
        origins=(_GOOD,),
        result=_GOOD,
        tries=Tries.FULL,
        pointer=Pointer.STAYS,
        guards=(Guard.NO_TRIES,),
    ),
)

_RULES = {rule.event: rule for rule in TABLE}


def _holds(guard: Guard, state: BootState, slot: Slot) -> bool:
    match guard:
        case Guard.IS_BOOTED:
            return state.booted is slot
        case Guard.IS_PASSIVE:
            return state.booted is slot.other
        case Guard.BOOTED_IS_GOOD:
            return state.booted is not None and state.of(state.booted).state is SlotState.GOOD
        case Guard.OTHER_IS_GOOD:
            return state.of(slot.other).state is SlotState.GOOD
        case Guard.HAS_TRIES:
            return state.of(slot).tries > 0
        case Guard.NO_TRIES:
            return state.of(slot).tries == 0


def apply(state: BootState, event: Event, slot: Slot, *, tries: int = DEFAULT_TRIES) -> BootState:
    """The state after ``event`` on ``slot``; raises ``StateError`` for a pair that the table does not allow."""
    rule, status = _RULES[event], state.of(slot)
    if status.state not in rule.origins:
        raise StateError(f"slot {slot} is {status.state}: it cannot be taken through “{event}”")
    for guard in rule.guards:
        if not _holds(guard, state, slot):
            raise StateError(f"“{event}” of slot {slot} is refused: it is allowed only if {guard}")
    if not 1 <= tries <= MAXIMUM_TRIES:
        raise InputError(f"a new slot gets 1 to {MAXIMUM_TRIES} tries, not {tries}")
    left = {Tries.NONE: 0, Tries.GIVEN: tries, Tries.FULL: MAXIMUM_TRIES, Tries.ONE_LESS: status.tries - 1}[rule.tries]
    after = state.with_status(slot, SlotStatus(state=rule.result or status.state, tries=left))
    match rule.pointer:
        case Pointer.TO_SLOT:
            return replace(after, pointer=slot)
        case Pointer.TO_OTHER:
            return replace(after, pointer=slot.other)
        case Pointer.TO_SLOT_UNLESS_PENDING if state.pending is None:
            return replace(after, pointer=slot)
        case _:
            return after


def writing(state: BootState, slot: Slot) -> BootState:
    """``slot`` is about to be overwritten: not bootable from here on, and the pointer is on the running slot."""
    return apply(state, Event.WRITE, slot)


def staged(state: BootState, slot: Slot, *, tries: int = DEFAULT_TRIES) -> BootState:
    """``slot`` is whole and verified: it boots next, at most ``tries`` times before it must prove itself."""
    return apply(state, Event.STAGE, slot, tries=tries)


def locked(state: BootState, slot: Slot) -> BootState:
    """``slot`` is whole and verified, and does not boot before it is finalized; the running slot boots next."""
    return apply(state, Event.LOCK, slot)


def finalized(state: BootState, slot: Slot, *, tries: int = DEFAULT_TRIES) -> BootState:
    """The locked release in ``slot`` boots next, as one that was staged without a lock."""
    return apply(state, Event.FINALIZE, slot, tries=tries)


def good(state: BootState, booted: Slot) -> BootState:
    """The running slot reached boot-complete; the slot it fell back from, if any, is recorded as bad.

    A staged release or requested rollback that waits for its reboot keeps the pointer, so that judging the running
    slot twice undoes nothing.
    """
    fallback = fallen_back(state, booted)
    state = apply(replace(state, booted=booted), Event.JUDGE_GOOD, booted)
    return apply(state, Event.JUDGE_BAD, fallback.slot) if fallback else state


def bad(state: BootState, slot: Slot) -> BootState:
    """``slot`` failed. Refused when the other one is not good: a node keeps its last good slot."""
    return apply(state, Event.JUDGE_BAD, slot)


def dropped(state: BootState, slot: Slot) -> BootState:
    """A staged release is given up before its boot; the running slot boots next."""
    return apply(state, Event.DROP, slot)


def rollback(state: BootState) -> BootState:
    """The pointer goes to the other good slot. What it left is given up if it was not judged good.

    A locked release is given up, and the running one stays. Raises ``StateError`` where the other slot is not good.
    """
    left, target = state.pointer, state.pointer.other
    if target is state.locked:
        return apply(state, Event.DROP, target)
    if state.of(target).state is not SlotState.GOOD:
        raise StateError(
            f"there is nothing to roll back to: slot {target} is {state.of(target).state}",
            hint="deploy a version instead, or wait until the running one reached boot-complete",
        )
    after = apply(state, Event.RETURN, target)
    if state.of(left).state is SlotState.TRYING:
        event = Event.JUDGE_BAD if state.booted is left else Event.DROP
        after = apply(after, event, left)
    return after


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """The slot that should have been running and is not. ``was_good``: it had been judged good before."""

    slot: Slot
    was_good: bool


def fallen_back(state: BootState, booted: Slot) -> Fallback | None:
    """What the running slot stands in for, judged before ``good``: none when the pointer's slot runs or is pending."""
    slot = state.pointer
    status = state.of(slot)
    if slot is booted or status.is_eligible or status.state in {SlotState.EMPTY, SlotState.WRITING, SlotState.LOCKED}:
        return None
    return Fallback(slot=slot, was_good=status.state is SlotState.GOOD)


def choose(state: BootState, *, unloadable: Collection[Slot] = ()) -> tuple[Slot, BootState]:
    """GRUB's choice and what it saves before it boots.

    The pointer's slot first, then the other: one that is trying or good and has tries left spends one and boots; one
    that is trying with none left becomes bad. If there is none, a good slot (pointer first) gets its tries back. If
    none is good, the pointer's slot boots as it is: there is never a dead menu.

    A slot in ``unloadable``, whose kernel GRUB could not load in this same boot, has lost its tries and is passed over.
    Raises ``StateError`` when both are: GRUB then starts the machine again.
    """
    order = (state.pointer, state.pointer.other)
    for slot in unloadable:
        state = state.with_status(slot, replace(state.of(slot), tries=0))
    for slot in order:
        status = state.of(slot)
        if status.is_eligible:
            return slot, replace(apply(state, Event.SPEND, slot), booted=slot)
        if status.state is SlotState.TRYING:
            state = apply(state, Event.EXPIRE, slot)
    for slot in order:
        if state.of(slot).state is SlotState.GOOD and slot not in unloadable:
            return slot, replace(apply(state, Event.REFILL, slot), booted=slot)
    for slot in order:
        if slot not in unloadable:
            return slot, replace(state, booted=slot)
    raise StateError("GRUB can load neither slot")
