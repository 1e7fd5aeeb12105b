"""Engines that are mistaken about which triggers mean one run: keys, debounce, requests sent again.

Made as those of `mutants.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from kernelkit.engine import apply as applying
from kernelkit.engine import sameness
from kernelkit.engine.folds import ends, notes, triggers
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from kernelkit.models.sameness import Answer, HeldKey, KeyUse
from kernelkit.rules import dedupe
from tests.simulation.mutants import Mutant, Patch, handle


def key_not_held(patch: Patch) -> None:
    """Whoever gives a key does not hold it."""
    patch.setattr(triggers, "hold_key", lambda state, run, key: None)


def key_freed_by_any_end(patch: Patch) -> None:
    """A run that completed, or was canceled, lets its key go."""
    patch.setattr(sameness, "FREEING", frozenset(RunStatus))
    before = applying._HANDLERS[ev.RunCanceled]

    def canceled(state: State, event: ev.RunCanceled) -> LiveRun | None:
        run = before(state, event)
        if run is not None:
            sameness.free_key(state, run, RunStatus.FAILED)
        return run

    handle(patch, ev.RunCanceled, canceled)


def key_kept_by_failure(patch: Patch) -> None:
    """A run that failed stands for its key for ever."""
    patch.setattr(ends, "free_key", lambda state, run, status: None)


def key_kept_by_a_time_out(patch: Patch) -> None:
    """A run that took too long keeps its key."""
    patch.setattr(sameness, "FREEING", dedupe.FREEING - {RunStatus.TIMED_OUT})


def key_of_a_merged_trigger_not_held(patch: Patch) -> None:
    """The key of a trigger that was merged into a delayed run does not stand for that run."""
    before = sameness.hold_key

    def hold_key(state: State, run: LiveRun, key: KeyUse) -> None:
        if key == run.key:
            before(state, run, key)

    patch.setattr(triggers, "hold_key", hold_key)


def keys_of_all_tasks_are_one(patch: Patch) -> None:
    """The key of one task stands for another's run."""
    patch.setattr(sameness, "digest_of", lambda task_id, key_hash: dedupe.digest_of("", key_hash))


def key_without_end(patch: Patch) -> None:
    """The time of a key is never over."""
    before = sameness.holder_of
    patch.setattr(
        sameness,
        "holder_of",
        lambda state, digest, now: (
            before(state, digest, now)
            or (held.run_id if (held := state.keys.get(digest)) is not None and not held.freed else None)
        ),
    )


def key_by_the_machines_clock(patch: Patch) -> None:
    """A clock that is set back makes the time of a key longer, also after it was over."""

    def hold_key(state: State, run: LiveRun, key: KeyUse) -> None:
        digest = dedupe.digest_of(run.task_id, key.hash)
        state.keys[digest] = HeldKey(run.id, run.created_at + round(key.ttl_s * 1_000_000))
        run.keys = [*(run.keys or ()), digest]

    patch.setattr(triggers, "hold_key", hold_key)


def reset_forgotten(patch: Patch) -> None:
    """A key that was taken back still stands for its run."""
    patch.setattr(triggers, "clear_key", lambda state, event: None)


def items_of_one_batch_do_not_see_each_other(patch: Patch) -> None:
    """Two items with one key, or one debounce key, make two runs."""
    before = sameness.Finder.find

    def find(self: sameness.Finder, *asked: object) -> object:
        self._keys.clear()
        self._delayed.clear()
        return before(self, *asked)  # type: ignore[arg-type]  # handed on as it came

    patch.setattr(sameness.Finder, "find", find)


def keys_lost_with_a_snapshot(patch: Patch) -> None:
    """A snapshot leaves the keys out."""
    _without(patch, lambda state: state.keys.clear())


def answers_lost_with_a_snapshot(patch: Patch) -> None:
    """A snapshot leaves the answers out."""
    _without(patch, lambda state: state.answers.clear())


def _without(patch: Patch, drop: Callable[[State], None]) -> None:
    before = State.load.__func__  # type: ignore[attr-defined]  # a bound class method has one

    def load(cls: type[State], data: bytes) -> State:
        state: State = before(cls, data)
        drop(state)
        return state

    patch.setattr(State, "load", classmethod(load))


def answers_not_remembered(patch: Patch) -> None:
    """A request that is sent again, after its answer was lost, acts again."""

    def remember(state: State, asked: str, answer: Answer) -> None:
        state.answers = {asked: answer} if asked else {}

    for room in (triggers, notes):
        patch.setattr(room, "remember", remember)


def push_to_an_earlier_moment(patch: Patch) -> None:
    """A shorter delay makes the run due earlier than it was."""
    patch.setattr(sameness, "pushed_to", lambda due, now, delay_s: dedupe.pushed_to(0, now, delay_s))


def push_without_end(patch: Patch) -> None:
    """However long a run has been pushed, it is pushed on."""
    patch.setattr(sameness, "may_push", lambda created_at, now, delay_s, max_delay_s: True)


def longest_delay_from_now(patch: Patch) -> None:
    """The longest delay is counted from the push."""
    patch.setattr(
        sameness,
        "may_push",
        lambda created_at, now, delay_s, max_delay_s: dedupe.may_push(now, now, delay_s, max_delay_s),
    )


def push_forgets_timer(patch: Patch) -> None:
    """The new moment of a pushed run is noted, but no timer is set for it."""
    before = applying._HANDLERS[ev.RunDebounced]

    def debounced(state: State, event: ev.RunDebounced) -> LiveRun | None:
        set_timer, state.set_timer = state.set_timer, lambda run: None  # type: ignore[method-assign]  # for a moment
        try:
            return before(state, event)
        finally:
            state.set_timer = set_timer  # type: ignore[method-assign]  # as above

    handle(patch, ev.RunDebounced, debounced)


def leading_push_overwrites(patch: Patch) -> None:
    """Every push gives the run its own code and tags."""
    before = applying._HANDLERS[ev.RunDebounced]

    def debounced(state: State, event: ev.RunDebounced) -> LiveRun | None:
        run = before(state, event)
        if run is not None and not event.trailing:
            run.tags = event.tags or ()
            run.bundle = event.bundle
        return run

    handle(patch, ev.RunDebounced, debounced)


def queued_run_takes_pushes(patch: Patch) -> None:
    """A run that has left its delay is pushed all the same."""
    for room in (triggers, ends):
        patch.setattr(room, "take_no_pushes", lambda state, run: None)


def earlier_run_takes_pushes(patch: Patch) -> None:
    """The run that could be pushed no further still takes the pushes."""
    before = sameness.take_pushes

    def take_pushes(state: State, run: LiveRun) -> None:
        if (run.task_id, run.debounce) not in state.debounced:
            before(state, run)

    patch.setattr(triggers, "take_pushes", take_pushes)


SAMENESS_MUTANTS = (
    Mutant(key_not_held, {"a_key_has_one_live_run"}),
    Mutant(key_freed_by_any_end, {"a_key_has_one_live_run"}),
    Mutant(key_kept_by_failure, {"a_key_answers_with_its_run"}),
    Mutant(key_kept_by_a_time_out, {"a_key_answers_with_its_run"}),
    Mutant(key_of_a_merged_trigger_not_held, {"a_key_has_one_live_run"}),
    Mutant(keys_of_all_tasks_are_one, {"a_key_answers_with_its_run"}),
    Mutant(key_without_end, {"a_key_answers_with_its_run"}),
    Mutant(key_by_the_machines_clock, {"a_key_has_one_live_run"}),
    Mutant(reset_forgotten, {"a_key_answers_with_its_run", "a_key_is_cleared_while_it_is_held"}),
    Mutant(items_of_one_batch_do_not_see_each_other, {"a_key_has_one_live_run", "a_debounce_key_has_one_delayed_run"}),
    Mutant(keys_lost_with_a_snapshot, {"snapshots_lose_nothing"}),
    Mutant(answers_lost_with_a_snapshot, {"snapshots_lose_nothing"}),
    Mutant(answers_not_remembered, {"a_request_acts_once"}),
    Mutant(push_to_an_earlier_moment, {"pushes_go_to_the_delayed_run"}),
    Mutant(push_without_end, {"pushes_go_to_the_delayed_run"}),
    Mutant(longest_delay_from_now, {"pushes_go_to_the_delayed_run"}),
    Mutant(push_forgets_timer, {"timers_are_set", "snapshots_lose_nothing"}),
    Mutant(leading_push_overwrites, {"the_book_agrees", "runs_start_with_the_code_that_counts"}),
    Mutant(
        queued_run_takes_pushes, {"pushes_go_to_the_delayed_run", "an_error_of_the_engine", "snapshots_lose_nothing"}
    ),
    Mutant(
        earlier_run_takes_pushes,
        {"a_debounce_key_has_one_delayed_run", "pushes_go_to_the_delayed_run", "an_error_of_the_engine"},
    ),
)
