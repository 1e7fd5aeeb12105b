"""What is asked of the engine about one run or batch: handles, the verbs of `kk.runs` and views all ask so."""

from __future__ import annotations

from datetime import datetime

from kernelkit import ids
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.run_options import delay_of
from kernelkit.durations import Duration
from kernelkit.errors import InvalidDurationError
from kernelkit.models.run import Run
from kernelkit.rules.limits import check_reason
from kernelkit.wire.messages import BatchReply, Cancel, Reschedule, Retrieve, RetrieveBatch, RetryNow, RunReply


def retrieve_run(caller: Caller, run_id: str, *, related: bool = False) -> Run:
    """The run of that id, with its relations where they are asked for; raises `UnknownRunError`."""
    reply = caller.call(Retrieve(run_id, related))
    assert isinstance(reply, RunReply)
    return reply.run


def cancel_run(caller: Caller, run_id: str, reason: str) -> Run:
    """Cancel, and the run as it is then; raises `UnknownRunError`."""
    reply = caller.call(Cancel(run_id, reason=check_reason(reason)))
    assert isinstance(reply, RunReply)
    return reply.run


def reschedule_run(caller: Caller, run_id: str, delay: Duration | datetime) -> Run:
    """Move a delayed run to another moment, and the run as it is then."""
    if delay is None:
        raise InvalidDurationError("delay=None is no moment to move the run to.", field="delay")
    delay_s, delay_until = delay_of(delay)
    reply = caller.call(Reschedule(run_id, delay_s, delay_until, ids.make_id("ask")))
    assert isinstance(reply, RunReply)
    return reply.run


def retry_run_now(caller: Caller, run_id: str) -> Run:
    """End a run's backoff, and the run as it is then."""
    reply = caller.call(RetryNow(run_id, ids.make_id("ask")))
    assert isinstance(reply, RunReply)
    return reply.run


def retrieve_batch(caller: Caller, batch_id: str) -> BatchReply:
    """A batch and its runs in the order of its items; raises `UnknownRunError` when there is none of that id."""
    found = caller.call(RetrieveBatch(batch_id))
    assert isinstance(found, BatchReply)
    return found
