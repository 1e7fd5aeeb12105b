"""Asking for a replay: a new run with what an earlier one was triggered with.

What is copied the engine looks up itself, in the run; only what is to be different is sent.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from kernelkit import ids
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.payloads import encode_payload
from kernelkit.authoring.run_options import RunOptions, run_options
from kernelkit.authoring.signature import Signature
from kernelkit.models.run import Run
from kernelkit.models.value import NULL
from kernelkit.wire.messages import Replay, RunReply, TriggerItem


class Same:
    """The payload as it was: None is a payload as well."""

    def __repr__(self) -> str:
        return "<the same payload>"


SAME = Same()

_SENT = tuple(
    each.name for each in dataclasses.fields(RunOptions) if each.name in TriggerItem.__struct_fields__
)  # options that a trigger carries under the same name


def replay_run(
    caller: Caller,
    run_id: str,
    payload: Any,
    options: dict[str, Any],
    task_id: str = "",
    signature: Signature | None = None,
) -> Run:
    """Make the new run and return it; raises `UnknownRunError`, `UnknownTaskError` and `PayloadError`."""
    checked = run_options(**options)
    value = NULL if isinstance(payload, Same) else encode_payload(task_id or run_id, payload, signature)
    sent: dict[str, Any] = {name: getattr(checked, name) for name in _SENT}  # of any type
    given = {name for name in checked.given if name in _SENT} | (set() if payload is SAME else {"payload"})
    key = checked.idempotency_key
    item = TriggerItem(
        run_id=ids.make_id("run"),
        task_id=task_id,
        payload=value,
        key=None if key is None else key.use(checked.idempotency_key_ttl),
        **sent,
    )
    made = caller.call(Replay(run_id, item, tuple(sorted(given))))
    assert isinstance(made, RunReply)
    return made.run
