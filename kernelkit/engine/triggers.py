"""What follows from a trigger: the runs of its items, alone or as a batch, by a client or by the code of a run.

An item need not make a run: one that was taken before makes nothing, and one with a key may mean a run of before
(`sameness.py`). In a batch a refused item hinders no other; outside of one it refuses them all.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernelkit.engine import commands as c
from kernelkit.engine.attempts import run_of
from kernelkit.engine.cancels import ended_with
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.newruns import check_item, new_run, spec_of
from kernelkit.engine.queues import Intake
from kernelkit.engine.sameness import Finder
from kernelkit.engine.state import State
from kernelkit.errors import InvalidOptionError, KernelKitError, RunOverError
from kernelkit.models import event as ev
from kernelkit.models.batch import BatchError, BatchRecord
from kernelkit.models.error import Error
from kernelkit.models.run import FINAL
from kernelkit.models.value import MAX_METADATA_BYTES
from kernelkit.wire.messages import ChildTrigger, TriggerItem

MAX_BATCH = 1_000

OfItem = ev.RunTriggered | ev.RunDebounced | ev.TriggerAnswered | ev.RunCanceled


def trigger(state: State, command: c.TriggerRuns, now: int, queue_size: int | None = None) -> list[ev.AnyEvent]:
    """What a client triggers; nothing of that which was taken before."""
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


def child_trigger(
    state: State, command: c.TakeReport, body: ChildTrigger, now: int, queue_size: int | None
) -> Sequence[ev.AnyEvent]:
    """What the code of a run triggers: children of that run."""
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


_MAKES_NO_RUN = frozenset({"queue_full"})
"""Refusals for which there is not even a failed run: it would grow what is full."""


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
        check_item(item)
        answer = finder.find(item, spec_of(state, item).isolation)
        if answer is not None:
            return [answer]
    triggered = new_run(state, item, now, batch_id=batch_id, parent=parent, queues=queues)
    finder.note(item)
    return [triggered] if parent is None else [triggered, *ended_with(parent, item.run_id, now)]


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
