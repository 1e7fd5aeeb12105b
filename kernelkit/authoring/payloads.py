"""Payloads as they are sent: JSON text of a bounded size, checked against the task where it is known."""

from __future__ import annotations

from typing import Any

from kernelkit import jsonvalues
from kernelkit.authoring.signature import Signature
from kernelkit.errors import PayloadTooLargeError
from kernelkit.models.value import MAX_PAYLOAD_BYTES, NULL, Value


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
