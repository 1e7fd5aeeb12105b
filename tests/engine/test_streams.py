"""Appends decided, and readers answered when there is something to say."""

from __future__ import annotations

from typing import cast

import pytest

from kernelkit.engine import commands as c
from kernelkit.errors import InvalidOptionError, RunOverError, StreamFullError
from kernelkit.models import event as ev
from kernelkit.models.stream import MAX_CHUNKS, MAX_STREAM_BYTES, MAX_STREAMS, StreamLength
from kernelkit.models.value import Value
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from tests.engine.desk import Desk
from tests.engine.samples import Engine, item

OUT = "out/tokens"


def append(*chunks: str, stream: str = OUT, op: str = "stream:self:out/tokens", first: int = 0) -> m.AppendStream:
    return m.AppendStream(stream, chunks, op=op, first=first)


def running() -> Engine:
    engine = Engine()
    engine.trigger("run_1")
    engine.start("run_1")
    return engine


def test_of_an_append_that_comes_again_only_what_is_new_is_taken() -> None:
    engine = running()

    engine.report("run_1", append("1", "2"))
    assert engine.report("run_1", append("1", "2")) == []
    engine.report("run_1", append("1", "2", "3", "4"))

    last = engine.last(ev.StreamAppended)
    assert (last.first, last.count, last.upto) == (2, 2, 4)
    assert engine.run("run_1").streams[OUT] == StreamLength(4, 4)


def test_another_attempt_begins_its_count_anew_and_goes_on_behind() -> None:
    engine = running()
    engine.report("run_1", append("1", "2"))
    engine.fail("run_1")
    engine.pass_time(60)
    engine.start("run_1")

    engine.report("run_1", append("1"))

    assert engine.last(ev.StreamAppended).first == 2


def test_a_stream_and_a_run_have_limits() -> None:
    engine = running()
    run = engine.run("run_1")
    run.streams = {OUT: StreamLength(1, MAX_STREAM_BYTES - 2)}

    engine.report("run_1", append("12"))
    with pytest.raises(StreamFullError, match="a stream holds 314,572,800"):
        engine.report("run_1", append("12", "3", op="another"))
    with pytest.raises(InvalidOptionError, match="At most 10,000 values"):
        engine.report("run_1", append(*["1"] * (MAX_CHUNKS + 1), op="many"))
    with pytest.raises(InvalidOptionError, match="is no stream"):
        engine.report("run_1", append("1", stream="tokens", op="odd"))
    run.streams = {f"out/{number}": StreamLength() for number in range(MAX_STREAMS)}
    with pytest.raises(StreamFullError, match="1,000 streams"):
        engine.report("run_1", append("1", stream="out/new", op="new"))


def test_a_client_cannot_append_to_a_canceled_run_whose_code_has_not_stopped() -> None:
    engine = running()
    engine.take(c.CancelRun("run_1", "Canceled by user"))

    with pytest.raises(RunOverError):
        engine.take(c.AppendStream(m.AppendStream("in/orders", ("1",), "run_1", asked="ask_1")))
    engine.report("run_1", append("1"))
    assert engine.run("run_1").streams[OUT].count == 1


def do(desk: Desk, command: c.Command) -> None:
    desk.core.take(command)
    desk.settle()


def replies(desk: Desk) -> list[m.Reply]:
    """What has come since this was asked the last time."""
    found: list[m.Reply] = desk.client.of(m.Reply)
    desk.client.sent.clear()
    return found


def chunks(desk: Desk) -> m.StreamChunks:
    (reply,) = replies(desk)
    assert isinstance(reply.body, m.StreamChunks)
    return reply.body


def test_a_reader_is_answered_once_there_is_something(desk: Desk) -> None:
    do(desk, c.TriggerRuns((item("run_1"),)))
    desk.ask(m.ReadStream("run_1", OUT, 0, wait_s=20.0))
    desk.answer_reads()
    assert replies(desk) == []

    do(desk, c.AppendStream(m.AppendStream(OUT, ('"a"', '"b"'), "run_1", asked="ask_1")))
    desk.answer_reads()
    assert chunks(desk) == m.StreamChunks(('"a"', '"b"'), 2, is_over=False)

    desk.ask(m.ReadStream("run_1", OUT, 2, wait_s=20.0))
    do(desk, c.CancelRun("run_1", "Canceled by user"))
    assert replies(desk) == [], "its code has not stopped: it may still append"
    desk.report("run_1", m.Stopped(desk.clock.now()))
    desk.settle()
    desk.answer_reads()
    assert chunks(desk) == m.StreamChunks((), 2, is_over=True)


def test_a_reader_that_has_gone_is_forgotten(desk: Desk) -> None:
    do(desk, c.TriggerRuns((item("run_1"),)))
    desk.ask(m.ReadStream("run_1", OUT, 0, wait_s=20.0))
    assert desk.core.listened == {"run_1"}

    desk.requests.forget(cast(Channel, desk.client))

    assert desk.core.listened == set()


def test_who_asks_for_a_token_is_told_when_it_is_answered(desk: Desk) -> None:
    do(desk, c.ChangeToken(m.MakeToken("waitpoint_1")))
    desk.ask(m.RetrieveToken("waitpoint_1", 20.0, "WAITING", 0))
    assert replies(desk) == []

    desk.ask(m.CompleteToken("waitpoint_1", _value("true"), by="a terminal"))

    told = [reply.body for reply in replies(desk)]
    assert len(told) == 2, "the one who asked before, and the one who answered"
    assert all(isinstance(each, m.TokenReply) and each.token.completed_by == "a terminal" for each in told)


def _value(text: str) -> Value:
    return Value(text=text, size=len(text))
