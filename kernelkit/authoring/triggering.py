"""Payloads and batches on their way to the engine.

A small batch is one message; a large one goes in parts that the engine keeps aside until the seal, so that no
connection is held up and no message is larger than a frame. What does not fit its task is refused here, before anything
is sent; an item that only the engine can refuse, or that is too large, fails alone and hinders no other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from kernelkit import ids
from kernelkit.authoring.batchhandle import BatchHandle
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.pending import Pending, PendingResult
from kernelkit.authoring.result import Result
from kernelkit.authoring.run_options import NO_OPTIONS, Item, RunOptions
from kernelkit.authoring.signature import Signature
from kernelkit.errors import InvalidOptionError, PayloadError, PayloadTooLargeError, to_wire
from kernelkit.models.value import Value
from kernelkit.wire.messages import BatchPart, BatchSeal, Trigger, Triggered, TriggerItem

MAX_ITEMS = 1_000
MAX_BATCH_BYTES = 256_000_000
PART_BYTES = 768 * 1024


class Pinned(NamedTuple):
    """The code and captured globals of a run, and the surroundings it is given."""

    bundle: str
    env_id: str


LATEST = Pinned("", "")
"""Nothing is pinned: a run takes what is the task's latest at its first start."""


class Order:
    """One run to ask for: which task, what payload, which options, and what it is pinned to."""

    __slots__ = ("options", "payload", "pinned", "problem", "signature", "task_id")

    def __init__(self, task_id: str, payload: Value, options: RunOptions, signature: Signature | None) -> None:
        self.task_id = task_id
        self.payload = payload
        self.options = options
        self.signature = signature
        self.pinned = LATEST
        self.problem: dict[str, Any] | None = None
        """What is wrong with it already, as `errors.to_wire` tells it: it becomes a failed run of its batch."""

    def item(self, run_id: str) -> TriggerItem:
        options = self.options
        return TriggerItem(
            run_id=run_id,
            task_id=self.task_id,
            payload=self.payload,
            bundle=self.pinned.bundle,
            env_id=self.pinned.env_id,
            tags=options.tags,
            max_attempts=options.max_attempts,
            metadata=options.metadata,
            queue=options.queue,
            queue_limit=options.queue_limit,
            queue_rate=options.queue_rate,
            concurrency_key=options.concurrency_key,
            priority=options.priority,
            delay_s=options.delay_s,
            delay_until=options.delay_until,
            ttl=options.ttl,
            max_duration=options.max_duration,
            is_test=options.is_test,
            allow_undefined=options.allow_undefined,
            problem=self.problem,
            machine=options.machine,
            key=None if options.idempotency_key is None else options.idempotency_key.use(options.idempotency_key_ttl),
            debounce=options.debounce,
        )


def send_one(caller: Caller, order: Order) -> RunHandle[Any]:
    """Make the run; returns once it is on disk."""
    item = order.item(ids.make_id("run"))
    if item.key is None and order.options.idempotency_key_ttl is not None:
        raise InvalidOptionError(
            "idempotency_key_ttl is given without an idempotency_key, whose time it would be.",
            field="idempotency_key_ttl",
        )
    made = caller.call(Trigger((item,)))
    assert isinstance(made, Triggered)
    return _handle(caller, order, item, made.run_ids[0], is_cached=bool(made.cached))


def _handle(caller: Caller, order: Order, item: TriggerItem, run_id: str, *, is_cached: bool) -> RunHandle[Any]:
    handle: RunHandle[Any] = RunHandle(  # `RunHandle[Any](…)` would cost as much again
        run_id, order.task_id, caller=caller, signature=order.signature, is_cached=is_cached
    )
    if caller.inside_run and (item.key is not None or item.debounce is not None):
        handle.answered_later(item.run_id)
    return handle


def items_of(items: Iterable[Any], options: RunOptions) -> list[tuple[Any, RunOptions]]:
    """Payload and options of each item of a batch with `options`: an item is a payload unless it is a `kk.Item`."""
    return [
        (item.payload, options.for_item(index, item.options))
        if isinstance(item, Item)
        else (item, options.for_item(index, NO_OPTIONS))
        for index, item in enumerate(listed(items))
    ]


def listed(items: Iterable[Any]) -> list[Any]:
    """The items of a batch, of any iterable but those that are one payload themselves; at most 1,000."""
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
        raise InvalidOptionError(
            f"A batch takes a list of items, not one {type(items).__name__}. For a single run use trigger(…).",
            field="items",
        )
    found = list(items)
    if len(found) > MAX_ITEMS:
        raise InvalidOptionError(
            f"A batch has at most {MAX_ITEMS:,} items; this one has {len(found):,}. Send it in several batches.",
            field="items",
        )
    return found


T = TypeVar("T")
ItemT = TypeVar("ItemT")


def numbered(
    items: list[ItemT], order_of: Callable[[ItemT], Order], *, empty: Callable[[ItemT], Order] | None = None
) -> list[Order]:
    """An order per item. Those that do not fit their task are refused together, each named by its place.

    An item that is too large becomes the order that `empty` makes of it, marked as such.
    """
    orders: list[Order] = []
    refused: dict[int, PayloadError] = {}
    too_large: dict[int, PayloadError] = {}
    for index, item in enumerate(items):
        try:
            orders.append(order_of(item))
        except PayloadTooLargeError as problem:
            too_large[index] = problem
            if empty is not None:
                order = empty(item)
                order.problem = to_wire(problem)
                orders.append(order)
        except PayloadError as problem:
            refused[index] = problem
    if refused:
        raise _refusal(refused, len(items))
    if too_large and (empty is None or len(too_large) == len(items)):
        raise _refusal(too_large, len(items))
    return orders


def _refusal(problems: dict[int, PayloadError], count: int) -> PayloadError:
    """One error for all items that will not do, of the kind of the first."""
    index, first = next(iter(problems.items()))
    facts = first.facts | {"index": index, "items": {str(place): each.message for place, each in problems.items()}}
    if len(problems) == 1:
        return type(first)(f"Item {index} of the batch: {first.message}", **facts)
    told = [f"Item {place}: {each.message}" for place, each in list(problems.items())[:_TOLD]]
    if len(problems) > _TOLD:
        told.append(f"… and {len(problems) - _TOLD} more.")
    words = "\n".join(told)
    return type(first)(
        f"{len(problems)} of the {count} items of the batch will not do; none was triggered.\n{words}", **facts
    )


_TOLD = 10


def send_batch(caller: Caller, orders: list[Order]) -> BatchHandle[Any]:
    """Make the runs; returns once they are on disk. An empty batch is complete and sends nothing."""
    batch_id = ids.make_id("batch")
    if not orders:
        return BatchHandle(batch_id, (), caller=caller)
    items = tuple(order.item(run_id) for order, run_id in zip(orders, _ids_in_order(len(orders)), strict=True))
    sizes = [item.payload.size + len(item.metadata) + 200 for item in items]
    total = sum(sizes)
    if total > MAX_BATCH_BYTES:
        raise PayloadTooLargeError(
            f"The batch has {total:,} bytes in all; the limit is {MAX_BATCH_BYTES:,}. Send it in several batches, or "
            "write the data to files and pass their paths.",
            size=total,
            limit=MAX_BATCH_BYTES,
        )
    if total <= PART_BYTES or caller.inside_run:
        made = caller.call(Trigger(items, batch_id=batch_id))
    else:
        for start, end in _parts(sizes):
            caller.call(BatchPart(batch_id, start, items[start:end]))
        made = caller.call(BatchSeal(batch_id, len(items)))
    assert isinstance(made, Triggered)
    cached = frozenset(made.cached)
    handles = [
        _handle(caller, order, item, run_id, is_cached=place in cached)
        for place, (run_id, order, item) in enumerate(zip(made.run_ids, orders, items, strict=True))
        if run_id
    ]
    return BatchHandle(made.batch_id or batch_id, handles, errors=made.errors, caller=caller)


def triggered_and_awaited(told: str, send: Callable[[], RunHandle[T]]) -> PendingResult[T]:
    """Make a run and wait for its end, once that is awaited."""
    return PendingResult(told, send, lambda timeout: send().result(timeout))


def batch_and_awaited(told: str, send: Callable[[], BatchHandle[T]]) -> Pending[list[Result[T]]]:
    """The same for a batch. An empty one has no results, and sends nothing."""
    return Pending(told, send, lambda timeout: send().result(timeout))


def _parts(sizes: list[int]) -> Iterator[tuple[int, int]]:
    """Ranges of at most `PART_BYTES` each, or of one item.

    >>> list(_parts([10, PART_BYTES, 20, 30]))
    [(0, 1), (1, 2), (2, 4)]
    """
    start, held = 0, 0
    for index, size in enumerate(sizes):
        if index > start and held + size > PART_BYTES:
            yield start, index
            start, held = index, 0
        held += size
    yield start, len(sizes)


def _ids_in_order(count: int) -> list[str]:
    """Run ids that sort in the order of the list."""
    now_ms = time.time_ns() // 1_000_000
    start = int.from_bytes(os.urandom(6), "big") % (2**45 - count)
    return [ids.make_id("run", now_ms=now_ms, entropy=start + index) for index in range(count)]
