"""What follows from an append to a stream. Pure; what is appended lies beside the log (`streamdesk.py` reads it).

Values of an attempt are numbered by the attempt, so that what is reported again, after a lost reply or when a resumed
body comes to it once more, is told from what is new. What a newcomer would get wrong: another attempt begins at 0
again, and what it appends comes behind what the one before had.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernelkit.engine import commands as c
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.errors import InvalidOptionError, RunOverError, StreamFullError
from kernelkit.models import event as ev
from kernelkit.models.run import FINAL
from kernelkit.models.stream import (
    IN,
    MAX_CHUNKS,
    MAX_STREAM_BYTES,
    MAX_STREAMS,
    OUT,
    StreamLength,
    name_of_key,
)
from kernelkit.rules.streams import check_chunk
from kernelkit.store.rows import PartRow
from kernelkit.wire import messages as m

_NONE = StreamLength()


def appended_by_client(state: State, body: m.AppendStream, now: int) -> Sequence[ev.AnyEvent]:
    """The event of a client's append; none where the engine has it already."""
    if body.asked in state.answers:
        return ()
    run = _live(state, body.run_id)
    if run.status in FINAL:
        raise run_over(run.id)
    size = _checked(run, body, body.chunks)
    length = run.streams.get(body.stream, _NONE)
    return (ev.StreamAppended(now, run.id, body.stream, length.count, len(body.chunks), size, asked=body.asked),)


def appended_by_attempt(state: State, writer: LiveRun, body: m.AppendStream, now: int) -> Sequence[ev.AnyEvent]:
    """The event of an attempt's append, to its own run's stream or another's, of what of it is new."""
    upto = body.first + len(body.chunks)
    fresh = body.chunks[max(0, writer.sent.get(body.op, 0) - body.first) :]
    if not fresh:
        return ()
    run = _target(state, writer, body)
    size = _checked(run, body, fresh)
    length = run.streams.get(body.stream, _NONE)
    return (ev.StreamAppended(now, run.id, body.stream, length.count, len(fresh), size, writer.id, body.op, upto),)


def new_chunks(body: m.AppendStream, event: ev.StreamAppended) -> tuple[str, ...]:
    """The values of an append that its event is about: the last ones."""
    return body.chunks[len(body.chunks) - event.count :]


def part_row(command: c.Command, event: ev.StreamAppended) -> PartRow:
    """The values of an append as they lie in the store."""
    assert isinstance(command, c.AppendStream | c.TakeReport)
    assert isinstance(command.body, m.AppendStream)
    body = "[" + ",".join(new_chunks(command.body, event)) + "]"
    return PartRow(event.run_id, event.stream, event.first, event.count, event.at, body)


def run_over(run_id: str) -> RunOverError:
    return RunOverError(
        f"The run {run_id} is over, so nothing is added to its streams any more. What is in them can still be read.",
        run_id=run_id,
    )


def _live(state: State, run_id: str) -> LiveRun:
    answer = state.answers.get(run_id)
    run = state.runs.get(answer.run_id if answer is not None and answer.run_id else run_id)
    if run is None:
        raise run_over(run_id)
    return run


def _target(state: State, writer: LiveRun, body: m.AppendStream) -> LiveRun:
    if body.run_id and body.run_id != writer.id:
        run = _live(state, body.run_id)
        if run.status in FINAL:
            raise run_over(run.id)
        return run
    wanted = {"parent": writer.parent_id, "root": writer.root_id}.get("self" if body.run_id else body.target)
    return _live(state, wanted or writer.id)


def _checked(run: LiveRun, body: m.AppendStream, chunks: Sequence[str]) -> int:
    """The bytes of what is appended; raises what is wrong with it."""
    name = name_of_key(body.stream)
    if not name or not body.stream.startswith((OUT, IN)):
        raise InvalidOptionError(f"{body.stream!r} is no stream.", field="stream")
    if len(chunks) > MAX_CHUNKS:
        raise InvalidOptionError(f"At most {MAX_CHUNKS:,} values are appended at once, not {len(chunks):,}.")
    sizes = [check_chunk(body.stream, chunk) for chunk in chunks]
    length = run.streams.get(body.stream)
    if length is None and len(run.streams) >= MAX_STREAMS:
        raise StreamFullError(f"The run {run.id} has {MAX_STREAMS:,} streams; it can have no more.", run_id=run.id)
    total = sum(sizes) + (length.size if length is not None else 0)
    if total > MAX_STREAM_BYTES:
        raise StreamFullError(
            f"The stream {name!r} of {run.id} would have {total:,} bytes of JSON; a stream holds {MAX_STREAM_BYTES:,}. "
            "Write large amounts to a file and append where it is.",
            size=total,
            limit=MAX_STREAM_BYTES,
            run_id=run.id,
        )
    return sum(sizes)
