"""What is set for queues, what may be asked of them, and how they look from outside.

A queue has a record only where something is set for it; every task has a queue of its own without one. Its limit comes
from its definition (`limit`); an `override` holds in its place and survives every redefinition.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from kernelkit.clock import to_datetime
from kernelkit.engine import commands as c
from kernelkit.errors import InvalidOptionError, QueueFullError, UnknownQueueError
from kernelkit.models import event as ev
from kernelkit.models.queue import TASK_PREFIX, Concurrency, QueueInfo, QueueKey, RateLimit
from kernelkit.rules import rate
from kernelkit.rules.limits import MAX_CONCURRENCY, check_queue_name
from kernelkit.wire.messages import TriggerItem

if TYPE_CHECKING:
    from kernelkit.engine.state import State

KEYS_SHOWN = 100


class QueueRecord(msgspec.Struct, omit_defaults=True, gc=False):
    """What is set for one queue."""

    limit: int | None = None
    override: int | None = None
    overridden_at: int = 0
    paused: bool = False
    rate: RateLimit | None = None
    level: int = 0  # of the bucket of tokens at `level_at`, see `rules/rate.py`
    level_at: int = 0

    @property
    def current(self) -> int | None:
        return self.limit if self.override is None else self.override

    def set_rate(self, new: RateLimit | None, now: int) -> None:
        """Start with a full bucket, or carry over what was used of the former one."""
        if new == self.rate:
            return
        if new is not None:
            old = self.rate
            level = None if old is None else rate.filled(old, self.level, self.level_at, now)
            self.level = rate.full(new) if old is None or level is None else rate.refilled(old, level, new)
            self.level_at = now
        self.rate = new

    def has_token(self, now: int) -> bool:
        held = self.rate
        return held is None or rate.filled(held, self.level, self.level_at, now) >= rate.TOKEN

    def take_token(self, now: int) -> None:
        if self.rate is not None:
            self.level = rate.filled(self.rate, self.level, self.level_at, now) - rate.TOKEN
            self.level_at = now

    def next_token(self) -> int:
        """The moment from which there is a token; 0 without a rate."""
        return 0 if self.rate is None else rate.next_token(self.rate, self.level, self.level_at)


# ---- decisions ---------------------------------------------------------------------------------------------------


def decide_pause(state: State, command: c.PauseQueue, now: int) -> Sequence[ev.AnyEvent]:
    if command.queue:
        require(state, command.queue)
        was = state.is_paused(command.queue)
    else:
        was = state.paused
    if was == command.paused:
        return ()
    return (ev.QueuePaused(now, command.queue) if command.paused else ev.QueueResumed(now, command.queue),)


def decide_override(state: State, command: c.OverrideQueue, now: int) -> Sequence[ev.AnyEvent]:
    require(state, command.queue)
    record = state.queues.get(command.queue)
    known = None if record is None else record.override
    if command.limit is None and known is None:
        raise InvalidOptionError(
            f"The limit of queue {command.queue!r} is not overridden, so there is nothing to reset. "
            "kk.queues.set_concurrency(name, n) overrides it.",
            field="queue",
        )
    if command.limit is not None and not 0 <= command.limit <= MAX_CONCURRENCY:
        raise InvalidOptionError(
            f"The limit {command.limit} is not a whole number from 0 to {MAX_CONCURRENCY:,}.", field="limit"
        )
    if command.limit is not None and command.limit > command.most:
        raise InvalidOptionError(
            f"The limit {command.limit} is over that of the whole project, which is {command.most}. Set "
            "concurrency_limit in [tool.kernelkit.engine] of pyproject.toml first, and restart the engine.",
            field="limit",
        )
    return () if command.limit == known else (ev.QueueOverridden(now, command.queue, command.limit),)


class MadeQueue(msgspec.Struct, frozen=True, gc=False):
    """A queue that comes with a trigger."""

    limit: int | None
    rate: RateLimit | None


class Intake:
    """What the items of one call make of queues, and how many of them the queues still take.

    Raises `InvalidOptionError` for a name that will not do.
    """

    def __init__(self, state: State, items: Sequence[TriggerItem], size: int | None) -> None:
        self.made = {
            check_queue_name(item.queue): MadeQueue(item.queue_limit, item.queue_rate)
            for item in items
            if item.queue and (item.queue_limit is not None or item.queue_rate is not None)
        }
        self._state = state
        self._size = size
        self._coming: dict[str, int] = {}

    def changes(self, now: int, only: Collection[str] | None = None) -> Iterator[ev.AnyEvent]:
        """The events of what these queues change; what they do not say stays as it was."""
        for queue, new in self.made.items():
            if only is not None and queue not in only:
                continue
            known = self._state.queues.get(queue) or QueueRecord()
            if new.limit is not None and known.limit != new.limit:
                yield ev.QueueLimited(now, queue, new.limit)
            if new.rate is not None and known.rate != new.rate:
                yield ev.QueueRated(now, queue, new.rate)

    def take(self, queue: str) -> None:
        """One more run for it; raises `QueueFullError` when as many wait there as may."""
        if self._size is None:
            return
        coming = self._coming.get(queue, 0)
        queued = self._state.queued_of(queue) + coming
        if queued >= self._size:
            raise QueueFullError(
                f"Queue {queue!r} is full: {queued:,} {'run waits' if queued == 1 else 'runs wait'} in it, as many as "
                f"queue_size_limit allows. This one was not stored. Trigger again when some have started, or raise "
                "queue_size_limit in [tool.kernelkit.engine] of pyproject.toml and restart the engine.",
                queue=queue,
                queued=queued,
                limit=self._size,
            )
        self._coming[queue] = coming + 1


# ---- names -------------------------------------------------------------------------------------------------------


def names(state: State) -> set[str]:
    """Every queue of the project: of its tasks, made by a trigger, or with runs in it."""
    own = {version.spec.queue_name for version in state.tasks.values()}
    return own | state.queues.keys() | state.queued.keys() | {state.runs[run_id].queue for run_id in state.holders}


def require(state: State, queue: str) -> None:
    """Raise `UnknownQueueError` with near matches unless there is such a queue."""
    if queue in state.queues or queue in (known := names(state)):
        return
    raise unknown_queue(queue, known, "kk.queues.list() shows them all.")


def unknown_queue(queue: str, known: set[str], remedy: str) -> UnknownQueueError:
    """The error for a name that is no queue's; a task's id stands for the queue of its own."""
    near = difflib.get_close_matches(queue, known, n=1) or difflib.get_close_matches(TASK_PREFIX + queue, known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return UnknownQueueError(
        f"There is no queue {queue!r} in this project. {hint}{remedy}", field="queue", queue=queue, near=near
    )


# ---- as seen from outside ----------------------------------------------------------------------------------------


def queue_infos(state: State, now: int) -> tuple[QueueInfo, ...]:
    """All queues, by name."""
    running = _running(state)
    return tuple(_info(state, name, running.get(name, {}), now) for name in sorted(names(state)))


def queue_info(state: State, queue: str, now: int) -> QueueInfo:
    """One queue; raises `UnknownQueueError`."""
    require(state, queue)
    return _info(state, queue, _running(state).get(queue, {}), now)


def _running(state: State) -> dict[str, dict[str, int]]:
    """Slots in use by queue and key."""
    found: dict[str, dict[str, int]] = {}
    for run_id in state.holders:
        run = state.runs[run_id]
        keys = found.setdefault(run.queue, {})
        keys[run.concurrency_key] = keys.get(run.concurrency_key, 0) + 1
    return found


def _info(state: State, name: str, running: Mapping[str, int], now: int) -> QueueInfo:
    record = state.queues.get(name) or QueueRecord()
    queued = state.queued.get(name, {})
    order: Callable[[str], tuple[int, int, str]] = lambda key: (-len(queued.get(key, ())), -running.get(key, 0), key)  # noqa: E731
    keys = sorted(running.keys() | queued.keys(), key=order)
    # Ids sort by time: the lowest is found in a tenth of the time that it takes to look at every run.
    since = {key: state.runs[min(members)].queued_at for key, members in queued.items() if members}
    held_up = not record.has_token(max(now, state.clock))
    return QueueInfo(
        name=name,
        type="task" if name.startswith(TASK_PREFIX) else "custom",
        running=sum(running.values()),
        queued=state.queued_of(name),
        paused=record.paused,
        concurrency=Concurrency(
            record.current,
            record.limit,
            record.override,
            to_datetime(record.overridden_at) if record.override is not None else None,
        ),
        rate_limit=str(record.rate) if record.rate else None,
        next_start_at=to_datetime(record.next_token()) if held_up else None,
        keys=tuple(
            QueueKey(key, running.get(key, 0), len(queued.get(key, ())), _moment(since.get(key, 0)))
            for key in keys[:KEYS_SHOWN]
        ),
        key_count=len(keys),
        oldest_queued_at=_moment(min(since.values(), default=0)),
    )


def _moment(at: int) -> datetime | None:
    return to_datetime(at) if at else None
