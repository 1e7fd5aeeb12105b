"""Payloads and batches on their way to the engine.

A small batch is one message; a large one goes in parts that the engine keeps aside until the seal, so that no
connection is held up and no message is larger than a frame. Either all runs of a batch are made, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from kernelkit import ids, jsonvalues
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.handle import BatchHandle, RunHandle, ids_in_order
from kernelkit.authoring.run_options import NO_OPTIONS, Item, RunOptions
from kernelkit.authoring.signature import Signature
from kernelkit.errors import InvalidOptionError, PayloadError, PayloadTooLargeError
from kernelkit.models.value import MAX_PAYLOAD_BYTES, NULL, Value
from kernelkit.wire.messages import BatchPart, BatchSeal, Trigger, TriggerItem

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

    __slots__ = ("options", "payload", "pinned", "signature", "task_id")

    def __init__(self, task_id: str, payload: Value, options: RunOptions, signature: Signature | None) -> None:
        self.task_id = task_id
        self.payload = payload
        self.options = options
        self.signature = signature
        self.pinned = LATEST

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
            concurrency_key=options.concurrency_key,
            priority=options.priority,
            delay_s=options.delay_s,
            delay_until=options.delay_until,
            ttl=options.ttl,
            max_duration=options.max_duration,
            is_test=options.is_test,
        )


def encode_payload(task_id: str, payload: Any, signature: Signature | None) -> Value:
    """The payload as it is sent, checked against the task's parameters where they are known.

    Raises `PayloadNotSerializableError`, `PayloadTooLargeError` and `PayloadValidationError`.
    """
    if payload is None:
        value = NULL
    else:
        text = jsonvalues.encode(payload, what=f"the payload of {task_id}")
        size = len(text) if text.isascii() else len(text.encode())
        if size > MAX_PAYLOAD_BYTES:
            raise PayloadTooLargeError(
                f"The payload of {task_id!r} has {size:,} bytes of JSON; the limit is {MAX_PAYLOAD_BYTES:,}. "
                "Write the data to a file and pass its path.",
                size=size,
                limit=MAX_PAYLOAD_BYTES,
            )
        value = Value(text=text, size=size)
    if signature is not None:
        signature.check(value.text or "null")
    return value


def send_one(caller: Caller, order: Order) -> RunHandle[Any]:
    """Make the run; returns once it is on disk."""
    run_id = ids.make_id("run")
    caller.call(Trigger((order.item(run_id),)))
    return RunHandle(run_id, order.task_id, caller=caller, signature=order.signature)


def items_of(items: Iterable[Any]) -> Iterator[tuple[Any, RunOptions]]:
    """Payload and options of each batch item: an item is a payload unless it is a `kk.Item`."""
    for item in items:
        yield (item.payload, item.options) if isinstance(item, Item) else (item, NO_OPTIONS)


def numbered(items: list[Any], order_of: Callable[[Any], Order]) -> list[Order]:
    """An order per item; an item that will not do is named by its place."""
    if len(items) > MAX_ITEMS:
        raise InvalidOptionError(
            f"A batch has at most {MAX_ITEMS:,} items; this one has {len(items):,}. Send it in several batches.",
            field="items",
        )
    orders = []
    for index, item in enumerate(items):
        try:
            orders.append(order_of(item))
        except PayloadError as problem:
            raise type(problem)(f"Item {index} of the batch: {problem.message}", **problem.facts, index=index) from None
    return orders


def send_batch(caller: Caller, orders: list[Order]) -> BatchHandle[Any]:
    """Make all the runs or none; returns once they are on disk. An empty batch is complete and sends nothing."""
    batch_id = ids.make_id("batch")
    if not orders:
        return BatchHandle(batch_id, (), caller=caller)
    items = tuple(order.item(run_id) for order, run_id in zip(orders, ids_in_order(len(orders)), strict=True))
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
        caller.call(Trigger(items, batch_id=batch_id))
    else:
        for start, end in _parts(sizes):
            caller.call(BatchPart(batch_id, start, items[start:end]))
        caller.call(BatchSeal(batch_id, len(items)))
    handles: list[RunHandle[Any]] = [  # `RunHandle[Any](…)` would cost as much again
        RunHandle(item.run_id, item.task_id, caller=caller, signature=order.signature)
        for item, order in zip(items, orders, strict=True)
    ]
    return BatchHandle(batch_id, handles, caller=caller)


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
