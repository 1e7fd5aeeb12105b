"""Batches too large for one message, kept aside until they are sealed.

Nothing of an unsealed batch is stored; it is dropped when its client has been gone for 60 s, and a client that dials in
again sends it again from the start.
"""

from __future__ import annotations

from kernelkit.errors import InvalidOptionError, PayloadTooLargeError
from kernelkit.wire.messages import BatchPart, BatchSeal, TriggerItem

MAX_BYTES = 256 * 1024 * 1024
KEPT_S = 60.0


class OpenBatches:
    """Parts by batch id; an item sent twice counts once, by its place in the batch."""

    def __init__(self) -> None:
        self._items: dict[str, dict[int, TriggerItem]] = {}
        self._bytes: dict[str, int] = {}
        self._touched: dict[str, float] = {}

    def add(self, part: BatchPart, now: float) -> None:
        items = self._items.setdefault(part.batch_id, {})
        for place, item in enumerate(part.items, start=part.offset):
            if place not in items:
                self._bytes[part.batch_id] = self._bytes.get(part.batch_id, 0) + item.payload.size
            items[place] = item
        self._touched[part.batch_id] = now
        if self._bytes.get(part.batch_id, 0) > MAX_BYTES:
            self._bytes[part.batch_id] = MAX_BYTES + 1
            items.clear()

    def seal(self, seal: BatchSeal) -> tuple[TriggerItem, ...]:
        """All items in order; raises when some are missing or there were too many bytes."""
        items = self._items.pop(seal.batch_id, {})
        size = self._bytes.pop(seal.batch_id, 0)
        self._touched.pop(seal.batch_id, None)
        if size > MAX_BYTES:
            raise PayloadTooLargeError(
                f"The payloads of the batch are over {MAX_BYTES // 2**20} MiB together. Trigger it in several batches.",
                limit=MAX_BYTES,
            )
        if set(items) != set(range(seal.count)):
            raise InvalidOptionError(
                f"The batch {seal.batch_id} was sealed with {len(items)} of {seal.count} items. Send it again.",
                batch_id=seal.batch_id,
            )
        return tuple(items[place] for place in range(seal.count))

    def touch(self, now: float) -> None:
        """Drop what has not grown for 60 s."""
        for batch_id in [batch_id for batch_id, at in self._touched.items() if now - at > KEPT_S]:
            self._items.pop(batch_id, None)
            self._bytes.pop(batch_id, None)
            self._touched.pop(batch_id, None)
