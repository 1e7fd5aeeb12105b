"""What follows from a command: events, or a refusal. Pure: state, command, `now` and a roll in; events out.

`decide` answers one command. `step` is how every driver (daemon, test engine, simulation) uses it: decide, apply, then
start whoever may start now, so that a finish and the dispatch it allows are events of one commit.
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import assert_never

import msgspec

from kernelkit.clock import MICROS, to_datetime
from kernelkit.engine import commands as c
from kernelkit.engine import schedules
from kernelkit.engine.apply import apply
from kernelkit.engine.attempts import (
    decide_ended_worker,
    decide_report,
    decide_unbegun_worker,
    decide_undelivered,
    run_of,
)
from kernelkit.engine.bulk import abort_bulk, advance_bulk, start_bulk
from kernelkit.engine.machines import with_machines_checked
from kernelkit.engine.placement import next_dispatch
from kernelkit.engine.queues import (
    Intake,
    decide_override,
    decide_pause,
    names,
    unknown_queue,
)
from kernelkit.engine.sameness import Finder, decide_reset, first_moment
from kernelkit.engine.state import LiveRun, State
from kernelkit.engine.streams import appended_by_client
from kernelkit.engine.waits import complete_token, due_waits, let_go, make_token, waits_over
from kernelkit.errors import (
    DuplicateTaskError,
    InvalidOptionError,
    KernelKitError,
    PayloadTooLargeError,
    RunOverError,
    UnknownTaskError,
    from_wire,
)
from kernelkit.models import event as ev
from kernelkit.models.batch import BatchError, BatchRecord
from kernelkit.models.error import Error
from kernelkit.models.run import FINAL, RunStatus
from kernelkit.models.task import MAX_ATTEMPTS, Owner, TaskSpec, TaskVersion
from kernelkit.models.value import MAX_METADATA_BYTES, MAX_PAYLOAD_BYTES
from kernelkit.rules.limits import check_queue_name, check_tags
from kernelkit.wire.messages import ChildTrigger, MakeToken, TriggerItem

MAX_BATCH = 1_000

OfItem = ev.RunTriggered | ev.RunDebounced | ev.TriggerAnswered | ev.RunCanceled


class Change(msgspec.Struct, frozen=True, gc=False):
    """One applied event, its place in the log, and the run it was about."""

    seq: int
    event: ev.AnyEvent
    run: LiveRun | None


def step(state: State, command: c.Command, capacity: c.Capacity, now: int, roll: c.Roll) -> list[Change]:
    """Carry out `command` on `state`: the changes made, in order. A refusal raises and changes nothing."""
    command = with_machines_checked(command, capacity)
    changes = [_change(state, event) for event in decide(state, command, now, roll, capacity.queue_size)]
    if isinstance(command, c.Tick):  # after the runs' own timers: one that has just ended is in no schedule's way
        changes += [_change(state, event) for event in list(_slots_due(state, now))]
    while events := waits_over(state, now) or let_go(state, capacity, now):
        changes.extend(_change(state, event) for event in events)
    while events := next_dispatch(state, capacity, now, roll):
        changes.extend(_change(state, event) for event in events)
    return changes


def _change(state: State, event: ev.AnyEvent) -> Change:
    run = apply(state, event)
    return Change(state.seq, event, run)


def decide(
    state: State, command: c.Command, now: int, roll: c.Roll, queue_size: int | None = None
) -> Sequence[ev.AnyEvent]:
    """The events of `command`; raises a `KernelKitError` when it is refused."""
    match command:
        case c.TriggerRuns():
            return _trigger(state, command, now, queue_size)
        case c.TakeReport():
            if isinstance(command.body, ChildTrigger):
                return _child_trigger(state, command, command.body, now, queue_size)
            return decide_report(state, command, now, roll)
        case c.ChangeToken():
            if isinstance(command.body, MakeToken):
                return list(make_token(state, command.body, now))
            return list(complete_token(state, command.body, now))
        case c.AppendStream():
            return appended_by_client(state, command.body, now)
        case c.CancelRun():
            return list(_cancel(state, command.run_id, command.reason, now))
        case c.StartBulk():
            return start_bulk(state, command, now)
        case c.AdvanceBulk():
            return advance_bulk(state, command, now, _cancel, _again(state, queue_size))
        case c.AbortBulk():
            return abort_bulk(state, command, now)
        case c.RescheduleRun():
            return _reschedule(state, command, now)
        case c.ResetKey():
            return decide_reset(state, command, now)
        case c.PauseQueue():
            return decide_pause(state, command, now)
        case c.OverrideQueue():
            return decide_override(state, command, now)
        case c.DefineTask():
            return [*_define(state, command, now), *schedules.own(state, command.spec, now)]
        case c.SaveSchedule():
            return schedules.save(state, command, now)
        case c.SwitchSchedule():
            return schedules.switch(state, command, now)
        case c.DeleteSchedule():
            return schedules.delete(state, command, now)
        case c.RunSchedule():
            return [_fired(state, fire, now, queue_size) for fire in schedules.run_now(state, command, now)]
        case c.WorkerAppeared():
            if command.worker_id not in state.workers:
                return ()
            return (ev.WorkerRunning(now, command.worker_id, command.pid, command.started_at, command.boot_id),)
        case c.WorkerEnded():
            return decide_ended_worker(state, command, now, roll)
        case c.WorkerNeverBegan():
            return decide_unbegun_worker(state, command, now)
        case c.AttemptNeverArrived():
            return decide_undelivered(state, command, now)
        case c.RetireWorker():
            worker = state.workers.get(command.worker_id)
            return () if worker is None or worker.retired else (ev.WorkerRetired(now, command.worker_id),)
        case c.Tick():
            return list(_due(state, now))
        case _:
            assert_never(command)


# ---- tasks -------------------------------------------------------------------------------------------------------


def _define(state: State, command: c.DefineTask, now: int) -> Sequence[ev.AnyEvent]:
    spec = command.spec
    if spec.queue:
        check_queue_name(spec.queue)
    known = state.tasks.get(spec.id)
    if known is not None and not command.replace:
        _refuse_clash(known.spec, spec, command.connected)
    if known is not None and known.spec == spec:
        return ()
    if known is not None and known.spec.fingerprint == spec.fingerprint:
        return (ev.TaskDefined(now, TaskVersion(known.number, spec, now)),)
    waiting = [state.runs[run_id] for run_id in sorted(state.undefined.get(spec.id, ()))]
    return (
        ev.TaskDefined(now, TaskVersion(_next_number(state, spec.id, now), spec, now)),
        *[_version_found(run, spec, now) for run in waiting],
    )


def _version_found(run: LiveRun, spec: TaskSpec, now: int) -> ev.VersionFound:
    awaited = run.awaited or ()
    machine = spec.machine if "machine" in awaited else run.machine
    return ev.VersionFound(
        now,
        run.id,
        queue=spec.queue_name if "queue" in awaited else run.queue,
        isolation="process" if machine else spec.isolation,
        tags=spec.tags if "tags" in awaited else run.tags,
        ttl=spec.ttl if "ttl" in awaited else run.ttl,
        max_duration=spec.max_duration if "max_duration" in awaited else run.max_duration,
        machine=machine,
    )


def _refuse_clash(known: TaskSpec, spec: TaskSpec, connected: frozenset[str]) -> None:
    if known.owner == spec.owner:
        if spec.explicit_id and _name(known) != _name(spec):
            raise DuplicateTaskError(
                f"The id {spec.id!r} already belongs to the function {known.function!r} "
                f"({known.where or known.owner}); {spec.function!r} cannot take it. "
                "Give one of them another id=, or pass replace=True.",
                task_id=spec.id,
            )
    elif str(known.owner) in connected:
        raise DuplicateTaskError(
            f"The id {spec.id!r} is owned by {known.owner}, which is connected; {spec.owner} defines it too. "
            "Give one of them another id=, or pass replace=True to take it over.",
            task_id=spec.id,
        )


def _name(spec: TaskSpec) -> str:
    """The function's own name, without the class or function it was defined in."""
    return spec.function.rpartition(".")[2]


def _next_number(state: State, task_id: str, now: int) -> str:
    day = to_datetime(now).strftime("%Y%m%d")
    numbers = state.numbers.get(task_id, ())
    today = sum(1 for number in numbers if number.startswith(day + "."))
    return f"{day}.{today + 1}"


# ---- runs --------------------------------------------------------------------------------------------------------


def _trigger(state: State, command: c.TriggerRuns, now: int, queue_size: int | None = None) -> list[ev.AnyEvent]:
    if command.made is not None:
        return []
    if len(command.items) > MAX_BATCH:
        raise InvalidOptionError(f"A batch has at most {MAX_BATCH:,} items; this one has {len(command.items):,}.")
    items = {item.run_id: item for item in command.items}.values()  # an id makes one run, also within a batch
    fresh = [
        item
        for item in items
        if item.run_id not in state.runs and item.run_id not in command.known and item.run_id not in state.answers
    ]
    if not fresh:
        return []
    parent = _parent(state, command)
    if command.batch_id:
        return _batch(state, fresh, now, command.batch_id, parent, queue_size)
    return _made(state, fresh, now, parent, queue_size)


def _made(
    state: State,
    items: Sequence[TriggerItem],
    now: int,
    parent: LiveRun | None = None,
    queue_size: int | None = None,
) -> list[ev.AnyEvent]:
    """The runs of items that are no batch."""
    finder = _finder(state, now, parent)
    queues = Intake(state, items, queue_size)
    used: set[str] = set()
    events: list[ev.AnyEvent] = []
    for item in items:
        first, *rest = _of_item(state, item, now, finder, batch_id=None, parent=parent, queues=queues)
        events += (first, *rest)
        if isinstance(first, ev.RunTriggered):
            used.add(item.queue)
    return [*queues.changes(now, used), *events]


def _finder(state: State, now: int, parent: LiveRun | None) -> Finder:
    return Finder(state, now, doomed=parent is not None and parent.status in FINAL)


def _of_item(
    state: State,
    item: TriggerItem,
    now: int,
    finder: Finder,
    *,
    batch_id: str | None,
    parent: LiveRun | None,
    queues: Intake,
) -> list[OfItem]:
    """A new run, with its end if its parent is over; else what says which earlier run the item means."""
    if item.key is not None or item.debounce is not None:
        _check(item)
        answer = finder.find(item, _spec(state, item).isolation)
        if answer is not None:
            return [answer]
    triggered = _triggered(state, item, now, batch_id=batch_id, parent=parent, queues=queues)
    finder.note(item)
    return [triggered] if parent is None else [triggered, *_ended_with(parent, item.run_id, now)]


def _parent(state: State, command: c.TriggerRuns) -> LiveRun | None:
    """The run whose attempt started the process of the client that asks, such as the kernel of a notebook job."""
    if not command.parent_id:
        return None
    run = state.runs.get(command.parent_id)
    if run is None or run.fence != command.parent_fence:
        raise RunOverError(
            f"The attempt of {command.parent_id} that started this process is over, so it triggers nothing any more.",
            run_id=command.parent_id,
        )
    return run


def _ended_with(parent: LiveRun, run_id: str, now: int) -> Iterator[ev.RunCanceled]:
    """Of a run whose parent is over while its code has not stopped yet: what it still starts ends with it."""
    if parent.status in FINAL:
        how = "took longer than it may" if parent.status is RunStatus.TIMED_OUT else "was canceled"
        yield ev.RunCanceled(now, run_id, _with_parent(parent.id, how))


_MAKES_NO_RUN = frozenset({"queue_full"})
"""Refusals for which there is not even a failed run: it would grow what is full."""


def _batch(
    state: State,
    items: Sequence[TriggerItem],
    now: int,
    batch_id: str,
    parent: LiveRun | None,
    queue_size: int | None,
) -> list[ev.AnyEvent]:
    """The runs of a batch. An item that is refused becomes a failed run, or none; if all are, the first is raised."""
    events: list[ev.AnyEvent] = []
    run_ids: list[str] = []
    problems: list[BatchError] = []
    first: KernelKitError | None = None
    finder = _finder(state, now, parent)
    queues = Intake(state, items, queue_size)
    used: set[str] = set()
    for index, item in enumerate(items):
        try:
            first_event, *rest = _of_item(state, item, now, finder, batch_id=batch_id, parent=parent, queues=queues)
        except KernelKitError as refusal:
            first = first or refusal
            error = Error(name=type(refusal).__name__, message=refusal.message, code=refusal.code)
            run_id = "" if refusal.code in _MAKES_NO_RUN and parent is None else item.run_id
            problems.append(BatchError(index, item.task_id, error, run_id))
            if run_id:
                events.append(_refused(state, item, error, now, batch_id, parent))
            run_ids.append(run_id)
        else:
            events += (first_event, *rest)
            run_ids.append(first_event.run_id)
            if isinstance(first_event, ev.RunTriggered):
                used.add(item.queue)
    if first is not None and len(problems) == len(items):
        raise first
    record = BatchRecord(batch_id, now, tuple(run_ids), tuple(problems))
    return [*queues.changes(now, used), *events, ev.BatchMade(now, record)]


def _refused(
    state: State, item: TriggerItem, error: Error, now: int, batch_id: str, parent: LiveRun | None
) -> ev.RunRefused:
    version = state.tasks.get(item.task_id)
    return ev.RunRefused(
        now,
        item.run_id,
        item.task_id,
        item.queue or (version.spec.queue_name if version else f"task/{item.task_id}"),
        error,
        item.tags,
        item.metadata if len(item.metadata.encode()) <= MAX_METADATA_BYTES else "{}",
        parent_id=parent.id if parent else None,
        root_id=(parent.root_id or parent.id) if parent else None,
        depth=parent.depth + 1 if parent else 0,
        batch_id=batch_id,
        is_test=item.is_test or (parent is not None and parent.is_test),
    )


def _reschedule(state: State, command: c.RescheduleRun, now: int) -> Sequence[ev.AnyEvent]:
    if command.asked in state.answers:
        return ()
    run = state.runs.get(command.run_id)
    if run is None or run.status is not RunStatus.DELAYED:
        status = run.status if run is not None else "over"
        raise InvalidOptionError(
            f"Cannot reschedule a run that is not delayed: {command.run_id} is {status}.", run_id=command.run_id
        )
    moment = command.delay_until or now + round(command.delay_s * MICROS)
    return (ev.RunRescheduled(now, run.id, moment, command.asked),)


def _child_trigger(
    state: State, command: c.TakeReport, body: ChildTrigger, now: int, queue_size: int | None
) -> Sequence[ev.AnyEvent]:
    parent = run_of(state, command)
    if body.op in parent.ops:
        return ()
    if body.batch_id:
        made = ",".join([body.batch_id, *[item.run_id for item in body.items]])
        batch = _batch(state, body.items, now, body.batch_id, parent, queue_size)
        return [*batch, ev.OpDone(now, parent.id, body.op, made)]
    events = _made(state, body.items, now, parent, queue_size)
    events.append(ev.OpDone(now, parent.id, body.op, ",".join(["", *[item.run_id for item in body.items]])))
    return events


def _triggered(
    state: State,
    item: TriggerItem,
    now: int,
    *,
    batch_id: str | None,
    parent: LiveRun | None = None,
    queues: Intake,
    schedule_id: str | None = None,
    slot: int = 0,
) -> ev.RunTriggered:
    spec = _spec(state, item)
    _check(item)
    queue, delay_until = _queue(state, item, spec, queues), first_moment(item, now)
    if not delay_until:
        queues.take(queue)
    return ev.RunTriggered(
        at=now,
        run_id=item.run_id,
        task_id=item.task_id,
        queue=queue,
        isolation="process" if item.machine or spec.machine else spec.isolation,
        payload=item.payload,
        bundle=item.bundle,
        env_id=item.env_id,
        tags=item.tags or spec.tags,
        max_attempts=item.max_attempts,
        metadata=item.metadata,
        parent_id=parent.id if parent else None,
        root_id=(parent.root_id or parent.id) if parent else None,
        depth=parent.depth + 1 if parent else 0,
        batch_id=batch_id,
        concurrency_key=item.concurrency_key,
        priority=item.priority,
        delay_until=delay_until,
        ttl=spec.ttl if item.ttl is None else item.ttl,
        max_duration=spec.max_duration if item.max_duration is None else item.max_duration,
        is_test=item.is_test or (parent is not None and parent.is_test),
        is_replay=item.is_replay,
        machine=item.machine or spec.machine,
        key=item.key,
        debounce=item.debounce.key if item.debounce is not None else "",
        awaited=None if spec.id else _left_open(item),
        schedule_id=schedule_id,
        slot=slot,
    )


def _again(state: State, queue_size: int | None) -> Callable[[State, TriggerItem, int], ev.RunTriggered]:
    """What triggers the replays of one chunk: its earlier ones count as queued already."""
    return partial(_triggered, batch_id=None, queues=Intake(state, (), queue_size))


_UNDEFINED = TaskSpec("", "", Owner("kernel", ""), env_id="", bundle="", fingerprint="")
"""Stands for a task that nobody has defined yet."""


def _left_open(item: TriggerItem) -> tuple[str, ...]:
    """The options of a trigger that it leaves to the task's definition."""
    given = {
        "queue": bool(item.queue),
        "tags": bool(item.tags),
        "ttl": item.ttl is not None,
        "max_duration": item.max_duration is not None,
        "machine": bool(item.machine),
    }
    return tuple(name for name, is_given in given.items() if not is_given)


def _spec(state: State, item: TriggerItem) -> TaskSpec:
    """What is known of the item's task: nothing, where it may be defined later."""
    version = state.bundles.get(item.bundle) if item.bundle else state.tasks.get(item.task_id)
    if version is not None:
        return version.spec
    if item.allow_undefined and not item.bundle:
        return _UNDEFINED
    raise _unknown_task(state, item)


def _check(item: TriggerItem) -> None:
    """Refuse what no run may have."""
    if item.problem is not None:
        raise from_wire(item.problem)
    if item.payload.size > MAX_PAYLOAD_BYTES:
        raise PayloadTooLargeError(
            f"The payload of {item.task_id!r} has {item.payload.size:,} bytes of JSON; "
            f"the limit is {MAX_PAYLOAD_BYTES:,}. Write the data to a file and pass its path.",
            size=item.payload.size,
            limit=MAX_PAYLOAD_BYTES,
        )
    check_tags(item.tags)
    if len(item.metadata.encode()) > MAX_METADATA_BYTES:
        raise InvalidOptionError(f"metadata is over {MAX_METADATA_BYTES:,} bytes of JSON.")
    if item.max_attempts is not None and not 1 <= item.max_attempts <= MAX_ATTEMPTS:
        raise InvalidOptionError(f"max_attempts={item.max_attempts} is not between 1 and {MAX_ATTEMPTS}.")


def _fired(state: State, fire: schedules.Fire, now: int, queue_size: int | None = None) -> ev.RunTriggered:
    """The run of a schedule's slot. The clock's own slots are kept however long a queue is: they are no flood."""
    queues = Intake(state, (), queue_size)
    return _triggered(state, fire.item, now, batch_id=None, queues=queues, schedule_id=fire.schedule_id, slot=fire.slot)


def _queue(state: State, item: TriggerItem, spec: TaskSpec, queues: Intake) -> str:
    """The queue of a new run; one that nobody has made, nor makes here, is refused, as an unknown task is."""
    if not item.queue or item.queue in queues.made or item.queue in state.queues:
        return item.queue or (spec.queue_name if spec.id else f"task/{item.task_id}")
    known = names(state)
    if item.queue in known:
        return item.queue
    remedy = f"To make one, give queue=kk.Queue({item.queue!r}, concurrency_limit=n)."
    raise unknown_queue(check_queue_name(item.queue), known, remedy)


def _unknown_task(state: State, item: TriggerItem) -> UnknownTaskError:
    if item.bundle and item.task_id in state.tasks:
        return UnknownTaskError(
            f"The engine no longer keeps this older code of {item.task_id!r}. Run the cell that defines it again.",
            task_id=item.task_id,
            near=[],
        )
    near = difflib.get_close_matches(item.task_id, state.tasks, n=3)
    if near:
        hint = f"Did you mean {' or '.join(repr(name) for name in near)}?"
    elif state.tasks:
        hint = "kk.tasks.list() shows the tasks of this project."
    else:
        hint = "No task is defined yet: run the cell or import the module that defines it."
    return UnknownTaskError(
        f"There is no task {item.task_id!r} in this project. {hint}", task_id=item.task_id, near=near
    )


def _cancel(state: State, run_id: str, reason: str, now: int) -> Iterator[ev.AnyEvent]:
    """Cancel the run and every live run below it; what is already canceled stays as it is."""
    below = [(run_id, reason)]  # a list and no recursion: a chain of runs may be longer than a stack is deep
    while below:
        run_id, reason = below.pop()
        run = state.runs.get(run_id)
        if run is None:
            continue
        if run.status not in FINAL:
            yield ev.RunCanceled(now, run_id, reason)
        below += [(child, _with_parent(run_id)) for child in sorted(state.by_parent.get(run_id, ()), reverse=True)]


def _with_parent(run_id: str, how: str = "was canceled") -> str:
    return f"Parent {run_id} {how}"


# ---- time --------------------------------------------------------------------------------------------------------


def next_due(state: State) -> int | None:
    """The next moment at which `Tick` has something to do; drops timers that no longer matter."""
    if not (state.due or state.slots or state.turns.throttled or state.kept):
        return None
    moments = [at for at in (schedules.next_due(state), state.next_token_at()) if at is not None]
    while state.due:
        at, whose = state.due[0]
        if state.timer_of(whose) == at:
            moments.append(at)
            break
        heapq.heappop(state.due)
    return min(moments, default=None)


def _due(state: State, now: int) -> Iterator[ev.AnyEvent]:
    seen: set[str] = set()
    for at, whose in sorted(_over(state.due, now)):
        if state.timer_of(whose) != at or whose in seen:
            continue
        seen.add(whose)
        run = state.runs.get(whose)
        if run is None:
            yield ev.TokenTimedOut(now, whose)
        else:
            yield from _rung(run, now)


def _slots_due(state: State, now: int) -> Iterator[ev.AnyEvent]:
    for what in schedules.due(state, now):
        yield _fired(state, what, now) if isinstance(what, schedules.Fire) else what


def _over(timers: list[tuple[int, str]], now: int) -> Iterator[tuple[int, str]]:
    """Those of a heap whose moment has come: what lies below one that has not come has not come either."""
    places = [0]
    while places:
        place = places.pop()
        if place < len(timers) and timers[place][0] <= now:
            yield timers[place]
            places += (2 * place + 1, 2 * place + 2)


def _rung(run: LiveRun, now: int) -> Iterator[ev.AnyEvent]:
    """What the moment of a run's timer brings."""
    yield from due_waits(run, now)
    if run.status is RunStatus.DELAYED:
        yield ev.DelayOver(now, run.id)
    elif run.retry_at:
        yield ev.RetryDue(now, run.id)
    elif run.status is RunStatus.QUEUED and 0 < run.expires_at <= now:
        error = Error(
            name="Expired", message=f"Run expired because the TTL ({run.ttl:g} s) was reached", code="expired"
        )
        yield ev.RunFinished(now, run.id, RunStatus.EXPIRED, error=error)
    elif run.status is RunStatus.EXECUTING and run.fence and run.max_duration and run.times_out_at <= now:
        yield ev.RunTimedOut(now, run.id, run.fence)


def seconds_until(at: int, now: int) -> float:
    return max(0.0, (at - now) / MICROS)
