from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from nestos.base.errors import InputError, StateError
from nestos.slots import bootstate
from nestos.slots.bootstate import TABLE, BootState, Event, Guard, Slot, SlotState, SlotStatus

A, B = Slot.A, Slot.B
ALL_STATUSES = [SlotStatus(state=state, tries=tries) for state in SlotState for tries in range(4)]


def state_of(pointer: str, a: str, b: str, booted: str = "a") -> BootState:
    """From words such as ``good3``."""

    def status(word: str) -> SlotStatus:
        return SlotStatus(state=SlotState(word[:-1]), tries=int(word[-1]))

    return BootState(pointer=Slot(pointer), booted=Slot(booted) if booted else None, a=status(a), b=status(b))


def words(state: BootState) -> str:
    return f"{state.pointer} {state.a.state}{state.a.tries} {state.b.state}{state.b.tries}"


def every_state() -> list[BootState]:
    return [
        BootState(pointer=pointer, booted=booted, a=a, b=b)
        for pointer, booted, a, b in itertools.product(Slot, (None, A, B), ALL_STATUSES, ALL_STATUSES)
    ]


def test_every_state_survives_being_written_and_read() -> None:
    for state in every_state():
        assert bootstate.parse(bootstate.render(state)) == state


def test_what_decides_lies_within_the_first_sector() -> None:
    for state in every_state():
        assert bootstate.render(state)[512:] == b"#" * 512


def test_variables_of_others_are_kept_and_never_share_a_sector_with_ours() -> None:
    state = replace(state_of("a", "good3", "empty0"), unknown=(("next_entry", "b"), ("odd", "back\\slash")))
    block = bootstate.render(state)
    assert bootstate.parse(block) == state
    assert block[511:512] == b"\n"
    assert b"next_entry" not in block[:512]


def test_variables_of_others_that_do_not_fit_are_dropped_for_ours() -> None:
    state = replace(state_of("a", "good3", "empty0"), unknown=(("kept", "1"), ("huge", "x" * 600)))
    assert bootstate.parse(bootstate.render(state)).unknown == (("kept", "1"),)


def test_words_that_grub_would_not_know_read_as_none() -> None:
    block = b"# GRUB Environment Block\nboot=c\na_state=great\na_tries=9\nbooted=\nb_state=good\nb_tries=2\n"
    state = bootstate.parse(block.ljust(1024, b"#"))
    assert words(state) == "a empty0 good2"
    assert state.booted is None


@pytest.mark.parametrize("block", [b"", b"#" * 1024, b"# GRUB Environment Block\n".ljust(1023, b"#")])
def test_a_damaged_block_is_an_error_of_its_own_kind(block: bytes) -> None:
    with pytest.raises(StateError) as caught:
        bootstate.parse(block)
    assert caught.value.kind == "environment"


def test_a_pair_is_allowed_exactly_if_the_table_lists_it() -> None:
    rules = {rule.event: rule for rule in TABLE}
    assert set(rules) == set(Event)
    for state, event, slot in itertools.product(every_state(), Event, Slot):
        rule = rules[event]
        expected = state.of(slot).state in rule.origins and all(holds(guard, state, slot) for guard in rule.guards)
        try:
            bootstate.apply(state, event, slot)
            allowed = True
        except StateError:
            allowed = False
        assert allowed is expected, (words(state), event, slot)


def holds(guard: Guard, state: BootState, slot: Slot) -> bool:
    """The guards once more, from their sentences."""
    booted_is_good = state.booted is not None and state.of(state.booted).state == "good"
    return {
        "the slot is the booted one": state.booted == slot,
        "the slot is not the booted one": state.booted == slot.other,
        "the booted slot was judged good": booted_is_good,
        "the other slot was judged good": state.of(slot.other).state == "good",
        "it has tries left": state.of(slot).tries > 0,
        "it has no tries left": state.of(slot).tries == 0,
    }[str(guard)]


def test_no_transition_loses_the_last_good_slot_or_touches_what_is_not_ours() -> None:
    for state, event, slot in itertools.product(every_state(), Event, Slot):
        before = replace(state, unknown=(("theirs", "1"),))
        try:
            after = bootstate.apply(before, event, slot)
        except StateError:
            continue
        had = any(before.of(it).state is SlotState.GOOD for it in Slot)
        has = any(after.of(it).state is SlotState.GOOD for it in Slot)
        assert has or not had, (words(before), event, slot)
        assert after.unknown == before.unknown
        assert after.of(slot.other) == before.of(slot.other)


ILLEGAL_WRITES = {
    "the running slot": (state_of("a", "good3", "good3"), A),
    "the fallback before the running version was judged": (state_of("b", "good3", "trying1", booted="b"), A),
    "anything before a boot": (state_of("a", "good3", "empty0", booted=""), B),
}


@pytest.mark.parametrize(("state", "slot"), ILLEGAL_WRITES.values(), ids=ILLEGAL_WRITES.keys())
def test_writing_is_refused(state: BootState, slot: Slot) -> None:
    with pytest.raises(StateError):
        bootstate.writing(state, slot)


def test_an_update_goes_through_writing_and_trying_to_good() -> None:
    state = bootstate.writing(state_of("a", "good2", "good3"), B)
    assert words(state) == "a good2 writing0"
    state = bootstate.staged(state, B, tries=2)
    assert words(state) == "b good2 trying2"
    slot, state = bootstate.choose(state)
    assert (slot, words(state)) == (B, "b good2 trying1")
    assert words(bootstate.good(state, B)) == "b good2 good3"


@pytest.mark.parametrize("tries", [0, 4])
def test_a_new_slot_gets_one_to_three_tries(tries: int) -> None:
    with pytest.raises(InputError):
        bootstate.staged(state_of("a", "good3", "writing0"), B, tries=tries)


def test_writing_takes_the_pointer_from_a_staged_version() -> None:
    assert words(bootstate.writing(state_of("b", "good3", "trying2"), B)) == "a good3 writing0"


PENDING = {
    "staged": state_of("b", "good1", "trying2"),
    "rollback requested": state_of("b", "good1", "good3"),
}


@pytest.mark.parametrize("state", PENDING.values(), ids=PENDING.keys())
def test_judging_the_running_slot_again_does_not_undo_what_waits_for_the_reboot(state: BootState) -> None:
    after = bootstate.good(state, A)
    assert after.pointer is B
    assert after.of(B) == state.of(B)
    assert after.of(A) == SlotStatus(state=SlotState.GOOD, tries=3)
    assert bootstate.fallen_back(state, A) is None


FALLBACKS = {
    "a release that never proved itself": (state_of("b", "good2", "bad0"), False),
    "a good slot that was damaged": (state_of("b", "good2", "good0"), True),
}


@pytest.mark.parametrize(("state", "was_good"), FALLBACKS.values(), ids=FALLBACKS.keys())
def test_after_a_fallback_the_failed_slot_is_bad_and_the_pointer_stays_here(state: BootState, was_good: bool) -> None:
    fallback = bootstate.fallen_back(state, A)
    assert fallback == bootstate.Fallback(slot=B, was_good=was_good)
    assert words(bootstate.good(state, A)) == "a good3 bad0"
    assert bootstate.fallen_back(bootstate.good(state, A), A) is None


ROLLBACKS = {
    "to the good one": ("a good3 good1", "a", "b good3 good3"),
    "and forth again before the reboot": ("b good1 good3", "a", "a good3 good3"),
    "takes a staged version back": ("b good1 trying2", "a", "a good3 empty0"),
    "from a version that did not prove itself": ("b good1 trying1", "b", "a good3 bad0"),
}


@pytest.mark.parametrize(("before", "booted", "after"), ROLLBACKS.values(), ids=ROLLBACKS.keys())
def test_rollback(before: str, booted: str, after: str) -> None:
    pointer, a, b = before.split()
    assert words(bootstate.rollback(state_of(pointer, a, b, booted))) == after


@pytest.mark.parametrize("other", ["empty0", "writing0", "bad0", "trying1"])
def test_there_is_no_rollback_to_what_was_not_judged_good(other: str) -> None:
    with pytest.raises(StateError, match="nothing to roll back to"):
        bootstate.rollback(state_of("a", "good3", other))


def test_the_last_good_slot_cannot_be_called_bad() -> None:
    with pytest.raises(StateError):
        bootstate.bad(state_of("a", "good3", "bad0"), A)


CHOICES = {
    "the pointer's": ("b good3 trying2", "b", "b good3 trying1"),
    "the other when tries are spent": ("b good3 trying0", "a", "b good2 bad0"),
    "the other when it is being written": ("b good3 writing0", "a", "b good2 writing0"),
    "a good one spends a try too": ("a good1 good3", "a", "a good0 good3"),
    "the other good one when they are spent": ("a good0 good3", "b", "a good0 good2"),
    "the pointer's good one again when none has tries": ("a good0 good0", "a", "a good3 good0"),
    "a good one rather than nothing": ("b good0 bad0", "a", "b good3 bad0"),
    "the pointer's as it is when none is good": ("b bad0 writing0", "b", "b bad0 writing0"),
}


@pytest.mark.parametrize(("before", "slot", "after"), CHOICES.values(), ids=CHOICES.keys())
def test_grub_chooses(before: str, slot: str, after: str) -> None:
    pointer, a, b = before.split()
    chosen, state = bootstate.choose(state_of(pointer, a, b))
    assert (chosen, state.booted, words(state)) == (slot, slot, after)


UNLOADABLE = {
    "the other spends a try": ("b good3 trying2", B, "a", "b good2 bad0"),
    "a good one that is passed over stays good": ("b good3 good3", B, "a", "b good2 good0"),
    "even what is bad": ("a good3 bad0", A, "b", "a good0 bad0"),
}


@pytest.mark.parametrize(("before", "broken", "slot", "after"), UNLOADABLE.values(), ids=UNLOADABLE.keys())
def test_grub_passes_over_what_it_cannot_load(before: str, broken: Slot, slot: str, after: str) -> None:
    pointer, a, b = before.split()
    chosen, state = bootstate.choose(state_of(pointer, a, b), unloadable=[broken])
    assert (chosen, words(state)) == (slot, after)


def test_there_is_always_a_slot_to_boot() -> None:
    for state in every_state():
        slot, after = bootstate.choose(state)
        good = [it for it in Slot if state.of(it).state is SlotState.GOOD]
        if good:
            assert after.of(slot).state in {SlotState.GOOD, SlotState.TRYING}
        assert after.booted is slot


def test_a_release_that_never_proves_itself_ends_on_the_good_one_and_stays_there() -> None:
    state = bootstate.staged(state_of("a", "good3", "writing0"), B, tries=2)
    booted = []
    for _ in range(6):
        slot, state = bootstate.choose(state)
        booted.append(str(slot))
        if slot is A:
            state = bootstate.good(state, A)
    assert "".join(booted) == "bbaaaa"
    assert words(state) == "a good3 bad0"


def test_a_slot_that_was_being_written_is_never_judged_good() -> None:
    with pytest.raises(StateError):
        bootstate.good(state_of("a", "writing0", "good3"), A)
