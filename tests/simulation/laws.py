"""What must hold in every history, each law a function with a sentence.

Laws of events see the book *before* the event is written in it, so that they judge the decision by what was known when
it was taken; laws of the state look at the engine's memory after a step; laws of the end look at the quieted world.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from kernelkit.engine import commands as c
from kernelkit.engine.decide import next_due
from kernelkit.engine.placement import queued_reason
from kernelkit.engine.state import LiveRun, State
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from kernelkit.rules.lifecycle import allows
from kernelkit.wire import messages as m
from tests.simulation.comparing import difference, fields_of, indexes_of

if TYPE_CHECKING:
    from tests.simulation.book import Entry
    from tests.simulation.world import World


class BrokenLaw(AssertionError):
    """A law was broken; `law` is its function's name."""

    def __init__(self, law: str, words: str) -> None:
        super().__init__(f"{law}: {words}")
        self.law = law


def broken(law: Callable[..., None], words: object) -> NoReturn:
    raise BrokenLaw(law.__name__, f"{(law.__doc__ or '').strip()} Here: {words}")


# Each law of an event takes the one event class it is listed under; a dict cannot say that in types.
EventLaw = Callable[["World", Any], None]


def _entry(world: World, event: Any) -> Entry:  # any event of a run
    return world.book.runs[event.run_id]


# ---- every event of a run ------------------------------------------------------------------------------------------


def terminal_is_final(world: World, event: Any) -> None:
    """Nothing happens to a run after its end."""
    if _entry(world, event).ended:
        broken(terminal_is_final, event)


def moves_follow_the_lifecycle(world: World, event: Any) -> None:
    """A status changes only as the table of moves allows."""
    before = _entry(world, event).status
    match event:
        case ev.RunDispatched():
            after = RunStatus.DEQUEUED
        case ev.RunCanceled():
            after = RunStatus.CANCELED
        case ev.RunFinished():
            after = event.status
        case _:
            after = RunStatus.QUEUED
    if not allows(before, after):
        broken(moves_follow_the_lifecycle, f"{before} to {after} by {event}")


def news_come_under_the_current_fence(world: World, event: Any) -> None:
    """What is told of an attempt is told under the run's current fence."""
    if event.fence != _entry(world, event).fence or not event.fence:
        broken(news_come_under_the_current_fence, event)


# ---- beginnings ------------------------------------------------------------------------------------------------------


def a_run_id_is_used_once(world: World, event: ev.RunTriggered) -> None:
    """A run id makes one run, however often it is sent."""
    if event.run_id in world.book.runs:
        broken(a_run_id_is_used_once, event)


def a_canceled_run_has_no_new_children(world: World, event: ev.RunTriggered) -> None:
    """A child that a canceled run still triggers is canceled in the same step (checked after it)."""
    parent = world.book.runs.get(event.parent_id or "")
    if parent is not None and parent.canceled:
        world.must_be_canceled.add(event.run_id)


def an_op_key_acts_once(world: World, event: ev.OpDone) -> None:
    """A call of an attempt is carried out once under its op key, however often it is sent."""
    entry = _entry(world, event)
    if (entry.fence, event.op) in entry.ops:
        broken(an_op_key_acts_once, event)


# ---- dispatch --------------------------------------------------------------------------------------------------------


def nothing_is_dispatched_twice(world: World, event: ev.RunDispatched) -> None:
    """Each dispatch has a fence of its own, and a run has one live attempt at most."""
    entry = _entry(world, event)
    if event.fence in world.book.fences or entry.fence or entry.canceled:
        broken(nothing_is_dispatched_twice, f"{event} while {entry}")


def attempts_are_counted(world: World, event: ev.RunDispatched) -> None:
    """Attempts are numbered one by one and never more than the run may have."""
    entry = _entry(world, event)
    if event.attempt != entry.ended_attempts + 1 or event.attempt > event.max_attempts:
        broken(attempts_are_counted, f"{event} after {entry.ended_attempts} attempts")


def retries_wait_for_their_moment(world: World, event: ev.RunDispatched | ev.RetryDue) -> None:
    """No attempt follows before the moment of its retry, and that moment comes once."""
    entry = _entry(world, event)
    if isinstance(event, ev.RetryDue):
        if not entry.retry_at or event.at < entry.retry_at:
            broken(retries_wait_for_their_moment, f"{event} while due at {entry.retry_at}")
    elif entry.retry_at:
        broken(retries_wait_for_their_moment, f"{event} while due at {entry.retry_at}")


def queues_keep_their_limits(world: World, event: ev.RunDispatched) -> None:
    """No run starts in a queue whose slots are all in use."""
    entry = _entry(world, event)
    limit = world.book.limits.get(entry.queue)
    used = sum(1 for other in world.book.holders() if other.queue == entry.queue)
    if not entry.kept and limit is not None and used >= limit:
        broken(queues_keep_their_limits, f"{used} of {limit} in {entry.queue}, and {event}")


def the_project_keeps_its_limits(world: World, event: ev.RunDispatched) -> None:
    """No run starts over the project's limit, nor over the capacity for exclusive attempts."""
    entry = _entry(world, event)
    holders = world.book.holders()
    exclusive = sum(1 for other in holders if other.isolation == "process")
    if entry.kept:
        return
    if len(holders) >= world.capacity.attempts:
        broken(the_project_keeps_its_limits, f"{len(holders)} holders, and {event}")
    if entry.isolation == "process" and exclusive >= world.capacity.exclusive:
        broken(the_project_keeps_its_limits, f"{exclusive} exclusive holders, and {event}")


def lanes_are_first_in_first_out(world: World, event: ev.RunDispatched) -> None:
    """Of the runs of one queue that need one kind of worker, the oldest starts first."""
    entry = _entry(world, event)
    if entry.kept:
        return
    for other in world.book.live.values():
        same = other.queue == entry.queue and other.isolation == entry.isolation
        if same and other.is_ready and not other.kept and other.order < entry.order:
            broken(lanes_are_first_in_first_out, f"{event} before {other}")


def workers_are_what_attempts_need(world: World, event: ev.RunDispatched) -> None:
    """An attempt goes to a living worker of its kind and environment; an exclusive one has no other."""
    worker = world.book.workers.get(event.worker_id)
    entry = _entry(world, event)
    if worker is None or worker.retired or (worker.isolation, worker.env_id) != (entry.isolation, event.env_id):
        broken(workers_are_what_attempts_need, f"{event} on {worker}")
    if worker.isolation == "process" and any(
        other.fence and other.worker == event.worker_id for other in world.book.live.values()
    ):
        broken(workers_are_what_attempts_need, f"{event} on a worker that is in use")


def retries_keep_their_version(world: World, event: ev.RunDispatched) -> None:
    """Version, code and environment are those of the run's first dispatch."""
    locked = _entry(world, event).locked
    if locked is not None and locked != (event.version, event.bundle, event.env_id):
        broken(retries_keep_their_version, f"{event} after {locked}")


# ---- ends ------------------------------------------------------------------------------------------------------------


def slots_return_when_code_has_stopped(world: World, event: Any) -> None:
    """An attempt is over only when its code has been seen to stop."""
    fence = _entry(world, event).fence
    if fence and fence in world.living:
        broken(slots_return_when_code_has_stopped, f"{event} while its body runs")


def the_winner_is_the_current_attempt(world: World, event: ev.RunFinished) -> None:
    """A completed run has the output of its current attempt, which did end so."""
    entry = _entry(world, event)
    if event.status is RunStatus.COMPLETED:
        output = json.loads(event.output.text or "null") if event.output else None
        if output != entry.fence or world.outcomes.get(entry.fence) != "succeeded":
            broken(the_winner_is_the_current_attempt, f"{event} under {entry.fence}")


def runs_fail_when_their_attempts_are_spent(world: World, event: ev.RunFinished | ev.AttemptFailed) -> None:
    """A run fails for good when its attempts are spent or its error says never again, and only then."""
    entry = _entry(world, event)
    match world.host.command:
        case c.TakeReport(body=m.Failed() as failed):
            never_again = failed.out_of_memory or not failed.retry
        case c.WorkerEnded() as worker:
            never_again = worker.out_of_memory
        case _:
            never_again = False
    spent = never_again or entry.ended_attempts + 1 >= entry.max_attempts
    if isinstance(event, ev.AttemptFailed):
        if spent:
            broken(runs_fail_when_their_attempts_are_spent, f"{event} goes on")
    elif event.status is RunStatus.SYSTEM_FAILURE:
        if entry.unbegun < 2:
            broken(runs_fail_when_their_attempts_are_spent, f"{event} after {entry.unbegun} failed starts")
    elif event.status is not RunStatus.COMPLETED and not spent:
        broken(runs_fail_when_their_attempts_are_spent, f"{event} at attempt {entry.ended_attempts + 1}")


def metadata_counts_every_op(world: World, event: Any) -> None:
    """Metadata shows each increment of the run once."""
    entry = _entry(world, event)
    if json.loads(entry.metadata).get("n", 0) != entry.increments:
        broken(metadata_counts_every_op, f"{entry.metadata} after {entry.increments} increments")


EVENT_LAWS: dict[type[ev.Event], tuple[EventLaw, ...]] = {
    ev.RunTriggered: (a_run_id_is_used_once, a_canceled_run_has_no_new_children),
    ev.OpDone: (terminal_is_final, an_op_key_acts_once),
    ev.MetadataChanged: (terminal_is_final,),
    ev.TagsAdded: (terminal_is_final,),
    ev.RunDispatched: (
        terminal_is_final,
        moves_follow_the_lifecycle,
        nothing_is_dispatched_twice,
        attempts_are_counted,
        retries_wait_for_their_moment,
        queues_keep_their_limits,
        the_project_keeps_its_limits,
        lanes_are_first_in_first_out,
        workers_are_what_attempts_need,
        retries_keep_their_version,
    ),
    ev.DispatchUndone: (
        terminal_is_final,
        moves_follow_the_lifecycle,
        news_come_under_the_current_fence,
        slots_return_when_code_has_stopped,
    ),
    ev.AttemptStarted: (terminal_is_final, news_come_under_the_current_fence),
    ev.AttemptFailed: (
        terminal_is_final,
        news_come_under_the_current_fence,
        slots_return_when_code_has_stopped,
        runs_fail_when_their_attempts_are_spent,
    ),
    ev.RetryDue: (terminal_is_final, retries_wait_for_their_moment),
    ev.RunFinished: (
        terminal_is_final,
        moves_follow_the_lifecycle,
        slots_return_when_code_has_stopped,
        the_winner_is_the_current_attempt,
        runs_fail_when_their_attempts_are_spent,
        metadata_counts_every_op,
    ),
    ev.RunCanceled: (terminal_is_final, moves_follow_the_lifecycle, metadata_counts_every_op),
    ev.AttemptStopped: (
        terminal_is_final,
        news_come_under_the_current_fence,
        slots_return_when_code_has_stopped,
        metadata_counts_every_op,
    ),
}


# ---- after every step ------------------------------------------------------------------------------------------------


def cancels_reach_the_children(world: World) -> None:
    """When a run is canceled, so is every live run below it, in the same step."""
    for run_id in world.must_be_canceled:
        if not world.book.runs[run_id].ended and not world.book.runs[run_id].canceled:
            broken(cancels_reach_the_children, f"{run_id} goes on")
    world.must_be_canceled.clear()


def no_run_that_could_start_is_left_standing(world: World, state: State) -> None:
    """After a step every queued run waits for something that it can name."""
    heads: dict[tuple[str, str], LiveRun] = {}
    for run in state.runs.values():
        if run.is_ready:
            first = heads.setdefault((run.queue, run.isolation), run)
            if run.order < first.order:
                heads[run.queue, run.isolation] = run
    for run in heads.values():
        reason = queued_reason(state, run, world.capacity)
        if not reason or reason == "about to start":
            broken(no_run_that_could_start_is_left_standing, f"{run.id} says {reason!r}")


def timers_are_set(world: World, state: State) -> None:
    """The next timer is the earliest retry of all."""
    moments = [run.retry_at for run in state.runs.values() if run.retry_at]
    if next_due(state) != (min(moments) if moments else None):
        broken(timers_are_set, f"{next_due(state)} of {sorted(moments)}")


def slots_are_held_by_who_holds_them(world: World, state: State) -> None:
    """The holders of slots are the runs with a live attempt or a kept slot, and no others."""
    expected = {entry.id for entry in world.book.holders()}
    if state.holders != expected:
        broken(slots_are_held_by_who_holds_them, f"{state.holders} is not {expected}")


STEP_LAWS: tuple[Callable[[World, State], None], ...] = (
    slots_are_held_by_who_holds_them,
    timers_are_set,
    no_run_that_could_start_is_left_standing,
)


# ---- now and then, after a crash, and at the end ---------------------------------------------------------------------


def snapshots_lose_nothing(world: World, state: State) -> None:
    """A state that was written down and read again is equal, down to its indexes."""
    again = State.load(state.dump())
    if fields_of(again) != fields_of(state):
        broken(snapshots_lose_nothing, difference(fields_of(state), fields_of(again)))
    if indexes_of(again) != indexes_of(state):
        broken(snapshots_lose_nothing, difference(indexes_of(state), indexes_of(again)))


def queued_runs_say_why(world: World, state: State) -> None:
    """Every queued run has a reason, and the number of runs it names as ahead of it is right."""
    waiting = [entry for entry in world.book.live.values() if entry.status is RunStatus.QUEUED]
    for entry in waiting:
        reason = queued_reason(state, state.runs[entry.id], world.capacity) or ""
        lane = (entry.queue, entry.isolation)
        ahead = sum(
            1
            for other in waiting
            if other.is_ready and (other.queue, other.isolation) == lane and other.order < entry.order
        )
        said = f", {ahead} {'run' if ahead == 1 else 'runs'} ahead" if ahead else " in use"
        if not reason or (entry.is_ready and not reason.endswith((said, said.replace("in use", "executing")))):
            broken(queued_runs_say_why, f"{entry.id} says {reason!r}, {ahead} are ahead")


def the_book_agrees(world: World, state: State) -> None:
    """The engine's memory says of every run what the log says."""
    book = world.book
    told = {
        entry.id: (entry.status, entry.fence, entry.holds, entry.retry_at, entry.metadata)
        for entry in book.live.values()
    }
    known = {run.id: (run.status, run.fence, run.holds_slot, run.retry_at, run.metadata) for run in state.runs.values()}
    if told != known:
        broken(the_book_agrees, difference(told, known))


def the_log_folds_to_the_state(world: World, state: State) -> None:
    """The log from its first event on, folded anew, gives the state."""
    again = world.disk.refold()
    if fields_of(again) != fields_of(state):
        broken(the_log_folds_to_the_state, difference(fields_of(state), fields_of(again)))


NOW_AND_THEN: tuple[Callable[[World, State], None], ...] = (
    snapshots_lose_nothing,
    queued_runs_say_why,
    the_book_agrees,
)


def the_quiet_world_is_empty(world: World, state: State) -> None:
    """When the world has quieted no run is stuck and no slot is held."""
    if state.runs or state.holders or state.by_worker or state.kept:
        broken(the_quiet_world_is_empty, f"{list(state.runs.values())[:3]}, holders {state.holders}")


def acknowledged_runs_end_once(world: World, state: State) -> None:
    """Every acknowledged run ends exactly once."""
    for run_id in world.acknowledged:
        entry = world.book.runs.get(run_id)
        if entry is None or entry.ends != 1:
            broken(acknowledged_runs_end_once, f"{run_id}: {entry}")


AT_THE_END = (the_quiet_world_is_empty, acknowledged_runs_end_once, the_log_folds_to_the_state, *NOW_AND_THEN)
