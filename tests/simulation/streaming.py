"""What bodies and clients do about streams in a history, and what must hold of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from kernelkit.engine import commands as c
from kernelkit.models import event as ev
from kernelkit.models.run import FINAL
from kernelkit.models.wait import Wait
from kernelkit.wire import messages as m
from tests.simulation.book import micros
from tests.simulation.laws import EventLaw, broken, terminal_is_final
from tests.simulation.sameness_laws import a_request_acts_once
from tests.simulation.worker import Body, SimWorker

if TYPE_CHECKING:
    from tests.simulation.client import Client
    from tests.simulation.world import World

INPUT = "in/orders"
STREAMS = ("out/tokens", "out/tokens", INPUT)


def body_appends(world: World, worker: SimWorker, body: Body) -> None:
    """A body adds values to a stream, sometimes of another run."""
    random = world.random
    target: Literal["self", "parent", "root"] = random.choice(("self", "self", "self", "parent", "root"))
    other = random.choice(list(world.book.runs)) if random.random() < 0.1 else ""
    stream = random.choice(STREAMS)
    op = f"stream:{other or target}:{stream}"
    first = body.sent.get(op, 0)
    _append(worker, body, m.AppendStream(stream, (), other, target, op, first), random.randint(1, 3))


def appends_again(world: World, worker: SimWorker, body: Body) -> None:
    """A body that is called again comes to what it had appended, and perhaps goes on at once."""
    op, count = body.again.popitem()
    _, whose, stream = op.split(":")
    target: Literal["self", "parent", "root"] = "self"
    match whose:
        case "self" | "parent" | "root":
            target, other = whose, ""
        case _:
            other = whose
    world.facts.note("values appended by a body that is called again")
    _append(worker, body, m.AppendStream(stream, (), other, target, op, 0), count + world.random.randint(0, 2))


def _append(worker: SimWorker, body: Body, what: m.AppendStream, count: int) -> None:
    numbers = range(what.first, what.first + count)
    body.sent[what.op] = numbers.stop
    worker.operate(body, replace(what, chunks=tuple(f'"{body.run_id} {number}"' for number in numbers)))


def random_stream_wait(world: World, body: Body, op: str) -> m.OpenWait:
    """For one of the next values of an input stream, which may be there already."""
    random = world.random
    until = world.now + micros(random.choice((1.0, 60.0))) if random.random() < 0.4 else 0
    length = world.book.streams.get((body.run_id, INPUT), 0)
    index = random.choice((0, length, length, length + 1))
    return m.OpenWait(op, Wait("stream", until, stream=INPUT, index=index))


def client_appends(client: Client) -> None:
    """Mostly to a run that waits for it; seldom to one that is over."""
    world, random = client.world, client.world.random
    waiting = [entry.id for entry in world.book.live.values() if any(w.stream for w in entry.waits.values())]
    pool = waiting if waiting and random.random() < 0.6 else list(world.host.state.runs)
    if not pool or random.random() < 0.1:
        pool = list(world.book.runs) or ["run_unknown"]
    stream = INPUT if random.random() < 0.8 else "out/tokens"
    chunks = tuple(f'"{number}"' for number in range(random.randint(1, 2)))
    client.send(c.AppendStream(m.AppendStream(stream, chunks, random.choice(pool), asked=world.new_id("ask"))))


def feed_all(world: World) -> None:
    """The world is to quieten: whoever waits for a value gets it."""
    for entry in list(world.book.live.values()):
        for wait in list(entry.waits.values()):
            if wait.stream and entry.status not in FINAL:
                missing = wait.index + 1 - world.book.streams.get((entry.id, wait.stream), 0)
                if missing > 0:
                    body = m.AppendStream(wait.stream, ("0",) * missing, entry.id, asked=world.new_id("ask"))
                    world.host.take(c.AppendStream(body))


# ---- laws --------------------------------------------------------------------------------------------------------


def streams_only_grow(world: World, event: ev.StreamAppended) -> None:
    """What is appended stands right behind what was there."""
    length = world.book.streams.get((event.run_id, event.stream), 0)
    if event.first != length or event.count < 1:
        broken(streams_only_grow, f"{event} where there were {length}")


def an_attempt_appends_each_value_once(world: World, event: ev.StreamAppended) -> None:
    """Of an attempt's append exactly those values are new that it had not appended before."""
    command = world.host.command
    if not isinstance(command, c.TakeReport):
        return
    assert isinstance(command.body, m.AppendStream)
    body, writer = command.body, world.book.runs[command.run_id]
    upto = body.first + len(body.chunks)
    before = writer.sent.get(body.op, 0)
    fresh = upto - max(before, body.first)
    if (event.writer, event.op, event.upto, event.count) != (command.run_id, body.op, upto, fresh):
        broken(an_attempt_appends_each_value_once, f"{event} for {body} after {before}")


def values_go_where_they_were_sent(world: World, event: ev.StreamAppended) -> None:
    """The stream is that of the run which the append named."""
    command = world.host.command
    assert isinstance(command, c.TakeReport | c.AppendStream)
    assert isinstance(command.body, m.AppendStream)
    body = command.body
    wanted = body.run_id
    if isinstance(command, c.TakeReport) and not wanted:
        entry = world.book.runs[command.run_id]
        wanted = entry.parent or entry.id if body.target == "parent" else entry.id
        while body.target == "root" and (parent := world.book.runs[wanted].parent):
            wanted = parent
    if (event.run_id, event.stream) != (world.book.same.answered.get(wanted) or wanted, body.stream):
        broken(values_go_where_they_were_sent, f"{event} for {body}")


def streams_of_ended_runs_rest(world: World, event: ev.StreamAppended) -> None:
    """Nobody but its own code, which has not stopped, adds to the streams of a run that has ended."""
    entry, command = world.book.runs[event.run_id], world.host.command
    others = isinstance(command, c.AppendStream) or bool(
        isinstance(command, c.TakeReport)
        and isinstance(command.body, m.AppendStream)
        and command.body.run_id not in ("", command.run_id)
    )
    if others and entry.status in FINAL:
        broken(streams_of_ended_runs_rest, f"{event} of {entry}")


STREAM_LAWS: dict[type[ev.Event], tuple[EventLaw, ...]] = {
    ev.StreamAppended: (
        terminal_is_final,
        streams_only_grow,
        an_attempt_appends_each_value_once,
        values_go_where_they_were_sent,
        streams_of_ended_runs_rest,
        a_request_acts_once,
    ),
}
