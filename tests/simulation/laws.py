"""What must hold of every event in every history, each law a function with a sentence.

These laws see the book *before* the event is written in it, so that they judge the decision by what was known when it
was taken. What must hold between events is in `standing_laws.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from kernelkit.engine import commands as c
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from kernelkit.rules.lifecycle import allows
from kernelkit.wire import messages as m
from tests.simulation.book import micros, share

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
        case ev.RunTimedOut():
            after = RunStatus.TIMED_OUT
        case ev.AttemptFailed(keeps_slot=True):
            after = RunStatus.EXECUTING
        case ev.DelayOver() if _entry(world, event).awaits:
            after = RunStatus.PENDING_VERSION
        case ev.RunSuspended():
            after = RunStatus.WAITING
        case ev.RunResumed():
            after = RunStatus.DEQUEUED
        case ev.RunRescheduled():
            after = RunStatus.DELAYED
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


def runs_are_what_was_asked_for(world: World, event: ev.RunTriggered) -> None:
    """A run has the options of its trigger, else those of its task; a test's children are tests."""
    asked, state = world.asked[event.run_id], world.host.state
    if event.awaited is not None:
        return  # its task is to come: see `pending_laws.py`
    spec = (state.bundles[asked.bundle] if asked.bundle else state.tasks[asked.task_id]).spec
    parent = world.book.runs.get(event.parent_id or "")
    delay_s = asked.delay_s or (asked.debounce.delay_s if asked.debounce is not None else 0.0)
    expected = (
        asked.queue or spec.queue_name,
        asked.concurrency_key,
        asked.priority,
        asked.delay_until or (event.at + micros(delay_s) if delay_s else 0),
        spec.ttl if asked.ttl is None else asked.ttl,
        spec.max_duration if asked.max_duration is None else asked.max_duration,
        asked.is_test or (parent is not None and parent.is_test),
        asked.key,
        asked.debounce.key if asked.debounce is not None else "",
    )
    got = (event.queue, event.concurrency_key, event.priority, event.delay_until, event.ttl, event.max_duration)
    if (*got, event.is_test, event.key, event.debounce) != expected:
        broken(runs_are_what_was_asked_for, f"{event} for {asked}")


def a_process_triggers_for_the_attempt_that_started_it(world: World, event: ev.RunTriggered) -> None:
    """What a process triggers is a child of the run whose attempt started it, and only while that is current."""
    told = world.process_of.get(event.run_id)
    if told is None:
        return
    run_id, fence = told
    parent = world.host.state.runs.get(run_id)
    if event.parent_id != run_id or parent is None or parent.fence != fence:
        broken(a_process_triggers_for_the_attempt_that_started_it, f"{event} by {told}")


def machines_are_what_was_asked_for(world: World, event: ev.RunTriggered) -> None:
    """A run has the machine of its trigger, else of its task, and with one a process of its own."""
    asked, state = world.asked[event.run_id], world.host.state
    if event.awaited is not None:
        return  # its task is to come: see `pending_laws.py`
    spec = (state.bundles[asked.bundle] if asked.bundle else state.tasks[asked.task_id]).spec
    machine = asked.machine or spec.machine
    if (event.machine, event.isolation) != (machine, "process" if machine else spec.isolation):
        broken(machines_are_what_was_asked_for, f"{event} for {asked}")


def a_stopping_run_has_no_new_children(world: World, event: ev.RunTriggered) -> None:
    """A child that a canceled or timed-out run still triggers is canceled in the same step (checked after it)."""
    parent = world.book.runs.get(event.parent_id or "")
    if parent is not None and (parent.canceled or parent.timed_out):
        world.must_be_canceled.add(event.run_id)


def an_op_key_acts_once(world: World, event: ev.OpDone) -> None:
    """A call of an attempt is carried out once under its op key, however often it is sent."""
    entry = _entry(world, event)
    if (entry.ended_attempts, event.op) in entry.ops:
        broken(an_op_key_acts_once, event)


# ---- time ------------------------------------------------------------------------------------------------------------


def delays_are_waited_out(world: World, event: ev.DelayOver) -> None:
    """A delayed run enters its queue at its moment, not before."""
    entry = _entry(world, event)
    if entry.status is not RunStatus.DELAYED or event.at < entry.delay_until:
        broken(delays_are_waited_out, f"{event} while {entry}")


def only_delayed_runs_are_rescheduled(world: World, event: ev.RunRescheduled) -> None:
    """A run gets another moment only while it waits for one, and the one that was asked for."""
    entry, command = _entry(world, event), world.host.command
    assert isinstance(command, c.RescheduleRun)
    moment = command.delay_until or event.at + micros(command.delay_s)
    if entry.status is not RunStatus.DELAYED or event.delay_until != moment:
        broken(only_delayed_runs_are_rescheduled, f"{event} while {entry}")


def runs_expire_in_their_queue(world: World, event: ev.RunFinished) -> None:
    """A run expires when its time to live in the queue is over, and only if it was never dispatched."""
    entry = _entry(world, event)
    if event.status is not RunStatus.EXPIRED:
        return
    never_dispatched = entry.locked is None and entry.status is RunStatus.QUEUED
    if not never_dispatched or not entry.ttl or event.at < entry.queued_at + micros(entry.ttl):
        broken(runs_expire_in_their_queue, f"{event} while {entry}")


def attempts_time_out_at_their_moment(world: World, event: ev.RunTimedOut) -> None:
    """An attempt times out once it has run as long as it may, counted from its own start."""
    entry = _entry(world, event)
    if not entry.max_duration or not entry.began_at or event.at < entry.began_at + micros(entry.max_duration):
        broken(attempts_time_out_at_their_moment, f"{event} while {entry}")


def a_timed_out_run_is_never_retried(world: World, event: Any) -> None:
    """No attempt follows one that timed out, however that one ends."""
    if _entry(world, event).timed_out:
        broken(a_timed_out_run_is_never_retried, event)


# ---- dispatch --------------------------------------------------------------------------------------------------------


def nothing_is_dispatched_twice(world: World, event: ev.RunDispatched) -> None:
    """Each dispatch has a fence of its own, and a run has one live attempt at most."""
    entry = _entry(world, event)
    if event.fence in world.book.fences or entry.fence or entry.canceled or event.resumes != bool(entry.suspended_at):
        broken(nothing_is_dispatched_twice, f"{event} while {entry}")


def attempts_are_counted(world: World, event: ev.RunDispatched) -> None:
    """Attempts are numbered one by one and never more than the run may have."""
    entry = _entry(world, event)
    if event.attempt != entry.ended_attempts + 1 or event.attempt > event.max_attempts:
        broken(attempts_are_counted, f"{event} after {entry.ended_attempts} attempts")


def retries_wait_for_their_moment(world: World, event: ev.RunDispatched | ev.RetryDue) -> None:
    """No attempt follows before the moment of its retry unless somebody asks for it, and that moment comes once."""
    entry, command = _entry(world, event), world.host.command
    if isinstance(event, ev.RetryDue):
        is_asked = isinstance(command, c.RetryNow) and command.run_id == event.run_id
        if not entry.retry_at or (event.at < entry.retry_at and not is_asked):
            broken(retries_wait_for_their_moment, f"{event} while due at {entry.retry_at}")
    elif entry.retry_at:
        broken(retries_wait_for_their_moment, f"{event} while due at {entry.retry_at}")


def queues_keep_their_limits(world: World, event: ev.RunDispatched) -> None:
    """No run starts in a queue, or in its copy for a concurrency key, whose slots are all in use."""
    entry = _entry(world, event)
    if not entry.kept and world.book.is_full(entry.slots):
        broken(queues_keep_their_limits, f"{entry.slots} is full, and {event}")


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


def queues_keep_their_size(world: World, event: ev.RunTriggered) -> None:
    """A trigger makes no queue longer than the setting allows; only slots of schedules are not asked."""
    size = world.capacity.queue_size
    if size is None or event.delay_until or isinstance(world.host.command, c.Tick):
        return
    queued = sum(
        1 for other in world.book.live.values() if other.status is RunStatus.QUEUED and other.queue == event.queue
    )
    if queued >= size:
        broken(queues_keep_their_size, f"{queued} are queued, and {event}")


def paused_queues_start_nothing(world: World, event: ev.RunDispatched | ev.RunResumed) -> None:
    """No run leaves a paused queue, nor any queue of a paused project."""
    entry, book = _entry(world, event), world.book
    if not entry.kept and (book.paused or book.queue(entry.queue).paused):
        broken(paused_queues_start_nothing, event)


def rates_are_never_exceeded(world: World, event: ev.RunDispatched) -> None:
    """Over any time a queue starts no more attempts than its bucket holds and than have come into it."""
    queue, now = world.book.queue(_entry(world, event).queue), max(world.book.clock, event.at)
    if queue.rate is None or event.resumes:
        return
    for number, start in enumerate(queue.starts):
        if len(queue.starts) - number + 1 > queue.rate.count + (now - start) * queue.per_micro:
            broken(rates_are_never_exceeded, f"{queue.starts[number:]} and {event}")


def no_key_starves(world: World, event: ev.RunDispatched | ev.RunResumed) -> None:
    """While a queue, or its copy for a key, holds no slot and could start a run, no other starts two."""
    entry, book = _entry(world, event), world.book
    if entry.kept:
        return
    others = {other.slots for other in book.startable(world.capacity.exclusive, max(book.clock, event.at))}
    for slots in others - {other.slots for other in book.holders()} - {entry.slots}:
        passed = book.passed.setdefault(slots, set())
        if entry.slots in passed:
            broken(no_key_starves, f"{slots} was passed over twice by {entry.slots}: {event}")
        passed.add(entry.slots)


def lanes_go_by_their_order(world: World, event: ev.RunDispatched | ev.RunResumed) -> None:
    """Of the runs of one queue and key that need one kind of worker, the one starts first that came first, priority
    counted as time."""
    entry = _entry(world, event)
    if entry.kept:
        return
    book, moment = world.book, max(world.book.clock, event.at)
    for other in book.ready():
        if other.same_copy(entry) and other.order < entry.order and book.may_start(other, moment):
            broken(lanes_go_by_their_order, f"{event} before {other}")


def workers_are_what_attempts_need(world: World, event: ev.RunDispatched) -> None:
    """An attempt goes to a living worker of its kind and environment; an exclusive one has no other."""
    worker = world.book.workers.get(event.worker_id)
    entry = _entry(world, event)
    if worker is None or worker.retired or (worker.isolation, worker.env_id) != (entry.isolation, event.env_id):
        broken(workers_are_what_attempts_need, f"{event} on {worker}")
    capacity = world.capacity
    there = ("", 0.0, 0) if worker.machine is None else (worker.machine.name, worker.machine.cpu, worker.machine.memory)
    if there != (entry.machine, *share(entry.machine, capacity.cpu, capacity.memory)):
        broken(workers_are_what_attempts_need, f"{entry.machine!r} of {event} on {worker}")
    if worker.isolation == "process" and any(
        other.fence and other.worker == event.worker_id for other in world.book.live.values()
    ):
        broken(workers_are_what_attempts_need, f"{event} on a worker that is in use")


def the_host_is_not_promised_twice(world: World, event: ev.RunDispatched) -> None:
    """Runs with machines start only where vCPUs and memory are left for them."""
    entry, host = _entry(world, event), (world.capacity.cpu, world.capacity.memory)
    if entry.kept or not entry.machine:
        return
    (cpu, memory), (more_cpu, more_memory) = world.book.promised(*host), share(entry.machine, *host)
    if cpu + more_cpu > host[0] or memory + more_memory > host[1]:
        broken(the_host_is_not_promised_twice, f"{entry.machine} for {event} beside {cpu} vCPU, {memory} bytes")


def machines_go_by_their_turn(world: World, event: ev.RunDispatched | ev.RunResumed) -> None:
    """No run with a machine passes one whose turn came before and whose queue lets it start: none starves."""
    entry = _entry(world, event)
    if entry.kept or not entry.machine:
        return
    book, moment = world.book, max(world.book.clock, event.at)
    for other in book.ready():
        if other.machine and book.turn(other) < book.turn(entry) and book.may_start(other, moment):
            broken(machines_go_by_their_turn, f"{event} before {other}")


def out_of_memory_changes_the_machine(world: World, event: ev.AttemptFailed) -> None:
    """After running out of memory a run goes to the machine that its policy names, through its queue."""
    entry = _entry(world, event)
    expected = entry.larger if _ran_out(world) else ""
    if event.machine != expected or (expected and event.keeps_slot):
        broken(out_of_memory_changes_the_machine, f"{event} of {entry}")


def _ran_out(world: World) -> bool:
    match world.host.command:
        case c.TakeReport(body=m.Failed(out_of_memory=True)) | c.WorkerEnded(out_of_memory=True):
            return True
        case _:
            return False


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
            never_again = not failed.retry
        case _:
            never_again = False
    if isinstance(event, ev.RunFinished) and event.status is RunStatus.EXPIRED:
        return
    if _ran_out(world):
        never_again = entry.larger in ("", entry.machine)
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
    ev.RunTriggered: (
        a_run_id_is_used_once,
        machines_are_what_was_asked_for,
        a_process_triggers_for_the_attempt_that_started_it,
        runs_are_what_was_asked_for,
        a_stopping_run_has_no_new_children,
        queues_keep_their_size,
    ),
    ev.RunRescheduled: (terminal_is_final, only_delayed_runs_are_rescheduled, moves_follow_the_lifecycle),
    ev.DelayOver: (terminal_is_final, delays_are_waited_out, moves_follow_the_lifecycle),
    ev.OpDone: (terminal_is_final, an_op_key_acts_once),
    ev.MetadataChanged: (terminal_is_final,),
    ev.TagsAdded: (terminal_is_final,),
    ev.RunDispatched: (
        terminal_is_final,
        a_timed_out_run_is_never_retried,
        moves_follow_the_lifecycle,
        nothing_is_dispatched_twice,
        attempts_are_counted,
        retries_wait_for_their_moment,
        queues_keep_their_limits,
        the_project_keeps_its_limits,
        paused_queues_start_nothing,
        rates_are_never_exceeded,
        no_key_starves,
        lanes_go_by_their_order,
        workers_are_what_attempts_need,
        retries_keep_their_version,
        the_host_is_not_promised_twice,
        machines_go_by_their_turn,
    ),
    ev.DispatchUndone: (
        terminal_is_final,
        a_timed_out_run_is_never_retried,
        moves_follow_the_lifecycle,
        news_come_under_the_current_fence,
        slots_return_when_code_has_stopped,
    ),
    ev.AttemptStarted: (terminal_is_final, news_come_under_the_current_fence),
    ev.AttemptFailed: (
        terminal_is_final,
        a_timed_out_run_is_never_retried,
        moves_follow_the_lifecycle,
        news_come_under_the_current_fence,
        slots_return_when_code_has_stopped,
        runs_fail_when_their_attempts_are_spent,
        out_of_memory_changes_the_machine,
    ),
    ev.RetryDue: (terminal_is_final, retries_wait_for_their_moment),
    ev.RunFinished: (
        terminal_is_final,
        moves_follow_the_lifecycle,
        slots_return_when_code_has_stopped,
        the_winner_is_the_current_attempt,
        runs_expire_in_their_queue,
        runs_fail_when_their_attempts_are_spent,
        metadata_counts_every_op,
    ),
    ev.RunCanceled: (terminal_is_final, moves_follow_the_lifecycle, metadata_counts_every_op),
    ev.RunTimedOut: (
        terminal_is_final,
        news_come_under_the_current_fence,
        moves_follow_the_lifecycle,
        attempts_time_out_at_their_moment,
        metadata_counts_every_op,
    ),
    ev.AttemptStopped: (
        terminal_is_final,
        news_come_under_the_current_fence,
        slots_return_when_code_has_stopped,
        metadata_counts_every_op,
    ),
}
