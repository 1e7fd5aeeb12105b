"""Batches as rows of `batches`, and rows as batches again."""

from __future__ import annotations

from typing import Any

import msgspec

from kernelkit.models.batch import BatchError, BatchRecord
from kernelkit.store.rows import BatchRow

_encode = msgspec.json.Encoder().encode
_decode_errors = msgspec.json.Decoder(tuple[BatchError, ...]).decode


def batch_key(batch_id: str) -> int:
    """The first eight characters of an id behind `batch_`, as a number: see `history.sort_key`."""
    return int.from_bytes(batch_id[6:14].encode("ascii", "replace").ljust(8, b"\0"), "big")


def batch_row(batch: BatchRecord, seq: int) -> BatchRow:
    """The row of a batch that event `seq` has made."""
    errors = _encode(batch.errors).decode() if batch.errors else "[]"
    return BatchRow(batch.id, batch.created_at, list(batch.run_ids), errors, seq, batch_key(batch.id))


def to_batch(row: tuple[Any, ...]) -> BatchRecord:  # any SQL value
    """The batch of a row `id, created_at, run_ids, errors`."""
    batch_id, created_at, run_ids, errors = row
    return BatchRecord(batch_id, created_at, tuple(run_ids), _decode_errors(errors))
