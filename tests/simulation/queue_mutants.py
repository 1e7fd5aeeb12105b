"""Engines that are mistaken about queues: pauses, overrides, sizes, rates and turns. Made as those of `mutants.py`."""

from __future__ import annotations

from msgspec.structs import replace

from kernelkit.engine import apply as applying
from kernelkit.engine import reasons
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.queues import Intake, QueueRecord
from kernelkit.engine.state import State
from kernelkit.engine.turns import Turns
from kernelkit.models import event as ev
from kernelkit.models.queue import RateLimit
from tests.simulation.mutants import Mutant, Patch, handle


def pause_holds_nothing_up(patch: Patch) -> None:
    """A paused queue goes on."""
    patch.setattr(State, "is_paused", lambda state, queue: False)
    patch.setattr(State, "may_start", State.has_token)


def project_pause_ignored(patch: Patch) -> None:
    """Pausing the project is noted, and that is all."""
    patch.setattr(State, "paused", property(lambda state: False, lambda state, paused: None), raising=False)


def resume_wakes_nobody(patch: Patch) -> None:
    """A resumed queue stands aside until something else happens to it."""
    patch.setattr(State, "queue_changed", lambda state, queue: None)


def override_lost_by_a_redefinition(patch: Patch) -> None:
    """Defining a task again takes the override of its queue away."""
    before = applying._HANDLERS[ev.TaskDefined]

    def defined(state: State, event: ev.TaskDefined) -> LiveRun | None:
        record = state.queues.get(event.version.spec.queue_name)
        if record is not None:
            record.override = None
        return before(state, event)

    handle(patch, ev.TaskDefined, defined)


def override_forgotten_by_limits(patch: Patch) -> None:
    """The queue's own limit holds although it is overridden."""
    patch.setattr(QueueRecord, "current", property(lambda record: record.limit))


def size_not_asked_for(patch: Patch) -> None:
    """Queues grow without bounds."""
    patch.setattr(Intake, "take", lambda intake, queue: None)


def size_without_the_batch(patch: Patch) -> None:
    """Only what stands in a queue counts, not what a batch brings."""
    before = Intake.take

    def take(intake: Intake, queue: str) -> None:
        intake._coming.clear()
        before(intake, queue)

    patch.setattr(Intake, "take", take)


def tokens_not_taken(patch: Patch) -> None:
    """A rate limit lets everybody through."""
    patch.setattr(State, "take_token", lambda state, queue: None)


def tokens_come_back_at_once(patch: Patch) -> None:
    """Setting the same rate again fills the bucket."""
    before = applying._HANDLERS[ev.TaskDefined]

    def defined(state: State, event: ev.TaskDefined) -> LiveRun | None:
        record = state.queues.get(event.version.spec.queue_name)
        if record is not None:
            record.rate = None
        return before(state, event)

    handle(patch, ev.TaskDefined, defined)


def tokens_lost_by_a_snapshot(patch: Patch) -> None:
    """A new engine begins with full buckets."""
    before = State.load.__func__  # type: ignore[attr-defined]  # a bound class method has one

    def load(cls: type[State], data: bytes) -> State:
        state: State = before(cls, data)
        for record in state.queues.values():
            held, record.rate = record.rate, None
            record.set_rate(held, state.clock)
        return state

    patch.setattr(State, "load", classmethod(load))


def no_timer_for_tokens(patch: Patch) -> None:
    """Nothing rings when a token comes."""
    patch.setattr(State, "next_token_at", lambda state: None)


def kept_run_needs_no_token(patch: Patch) -> None:
    """A retry that kept its slot goes past the rate limit."""
    patch.setattr(State, "has_token", lambda state, queue, moment: True)


def rate_counted_by_the_day(patch: Patch) -> None:
    """Tokens come too late: a throttled queue waits on although there is one."""
    before = QueueRecord.has_token

    def has_token(record: QueueRecord, now: int) -> bool:
        slow = record.rate and RateLimit(record.rate.count, "d")
        return before(replace(record, rate=slow), now)

    patch.setattr(QueueRecord, "has_token", has_token)


def turns_by_order_alone(patch: Patch) -> None:
    """Who has been served lately goes first again, as long as it is the oldest."""

    def take_turn(state: State, run: LiveRun) -> None:
        state.dequeue(run)

    patch.setattr(State, "take_turn", take_turn)


def turns_by_name(patch: Patch) -> None:
    """Copies go by the alphabet."""
    before = Turns._settle

    def settle(turns: Turns) -> None:
        state = turns._state
        since, state.since = state.since, dict.fromkeys(state.since, 0)
        before(turns)
        state.since = since

    patch.setattr(Turns, "_settle", settle)


def reason_of_the_queue_only(patch: Patch) -> None:
    """A run whose queue has room says that it is about to start."""
    before = reasons._queue
    patch.setattr(reasons, "_holds_up", lambda state, run, capacity: before(state, run))


QUEUE_MUTANTS = (
    Mutant(pause_holds_nothing_up, {"paused_queues_start_nothing"}),
    Mutant(project_pause_ignored, {"paused_queues_start_nothing", "the_book_agrees", "queued_runs_say_why"}),
    Mutant(
        resume_wakes_nobody,
        {"no_run_that_could_start_is_left_standing", "no_key_starves", "machines_go_by_their_turn"},
    ),
    Mutant(
        override_lost_by_a_redefinition,
        {
            "queues_keep_their_limits",
            "no_run_that_could_start_is_left_standing",
            "the_book_agrees",
            "queued_runs_say_why",
        },
    ),
    Mutant(
        override_forgotten_by_limits,
        {
            "queues_keep_their_limits",
            "no_run_that_could_start_is_left_standing",
            "timers_are_set",
            "queued_runs_say_why",
        },
    ),
    Mutant(size_not_asked_for, {"queues_keep_their_size"}),
    Mutant(size_without_the_batch, {"queues_keep_their_size"}),
    Mutant(tokens_not_taken, {"rates_are_never_exceeded", "no_run_that_could_start_is_left_standing"}),
    Mutant(tokens_come_back_at_once, {"rates_are_never_exceeded", "timers_are_set", "the_book_agrees"}),
    Mutant(tokens_lost_by_a_snapshot, {"snapshots_lose_nothing"}),
    Mutant(no_timer_for_tokens, {"timers_are_set", "the_quiet_world_is_empty"}),
    Mutant(kept_run_needs_no_token, {"rates_are_never_exceeded"}),
    Mutant(rate_counted_by_the_day, {"no_run_that_could_start_is_left_standing", "timers_are_set", "no_key_starves"}),
    Mutant(turns_by_order_alone, {"no_key_starves", "machines_go_by_their_turn"}),
    Mutant(turns_by_name, {"no_key_starves", "machines_go_by_their_turn"}),
    Mutant(reason_of_the_queue_only, {"queued_runs_say_why"}),
)
