"""One new run: what its trigger, the definition of its task and the project together say of it.

An item's own word goes before that of its task. Where nobody has defined the task yet, options stay open (`awaited`)
until somebody does (`definitions.py`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial

from kernelkit.engine import schedules
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.queues import Intake, names, unknown_queue
from kernelkit.engine.sameness import first_moment
from kernelkit.engine.state import State
from kernelkit.errors import InvalidOptionError, PayloadTooLargeError, UnknownTaskError, from_wire
from kernelkit.models import event as ev
from kernelkit.models.task import MAX_ATTEMPTS, Owner, TaskSpec
from kernelkit.models.value import MAX_METADATA_BYTES, MAX_PAYLOAD_BYTES
from kernelkit.rules.limits import check_queue_name, check_tags
from kernelkit.wire.messages import TriggerItem


def new_run(
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
    """The event that makes the item's run; raises a `KernelKitError` when there may be none."""
    spec = spec_of(state, item)
    check_item(item)
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


def again(state: State, queue_size: int | None) -> Callable[[State, TriggerItem, int], ev.RunTriggered]:
    """What triggers the replays of one chunk: its earlier ones count as queued already."""
    return partial(new_run, batch_id=None, queues=Intake(state, (), queue_size))


def fired(state: State, fire: schedules.Fire, now: int, queue_size: int | None = None) -> ev.RunTriggered:
    """The run of a schedule's slot. The clock's own slots are kept however long a queue is: they are no flood."""
    queues = Intake(state, (), queue_size)
    return new_run(state, fire.item, now, batch_id=None, queues=queues, schedule_id=fire.schedule_id, slot=fire.slot)


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


def spec_of(state: State, item: TriggerItem) -> TaskSpec:
    """What is known of the item's task: nothing, where it may be defined later."""
    version = state.bundles.get(item.bundle) if item.bundle else state.tasks.get(item.task_id)
    if version is not None:
        return version.spec
    if item.allow_undefined and not item.bundle:
        return _UNDEFINED
    raise _unknown_task(state, item)


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


def check_item(item: TriggerItem) -> None:
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


def _queue(state: State, item: TriggerItem, spec: TaskSpec, queues: Intake) -> str:
    """The queue of a new run; one that nobody has made, nor makes here, is refused, as an unknown task is."""
    if not item.queue or item.queue in queues.made or item.queue in state.queues:
        return item.queue or (spec.queue_name if spec.id else f"task/{item.task_id}")
    known = names(state)
    if item.queue in known:
        return item.queue
    remedy = f"To make one, give queue=kk.Queue({item.queue!r}, concurrency_limit=n)."
    raise unknown_queue(check_queue_name(item.queue), known, remedy)
