"""What bodies and clients do about waits and tokens in a history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelkit.engine import commands as c
from kernelkit.models.value import Value
from kernelkit.models.wait import Wait
from kernelkit.wire import messages as m
from tests.simulation import streaming
from tests.simulation.book import micros
from tests.simulation.worker import Body, SimWorker

if TYPE_CHECKING:
    from tests.simulation.world import World

NAMES = ("invoice", "deploy")
KEYS = ("", "", "once")
SCHEMA = '{"type":"string"}'


def body_acts(world: World, worker: SimWorker, body: Body) -> None:
    """One thing that a body does about waits; a suspended one does nothing, or is woken by nobody knows what."""
    random, chance = world.random, world.random.random()
    if body.suspended:
        run = world.host.state.runs.get(body.run_id)
        if chance < 0.03 and run is not None and run.fence == body.fence and run.suspended_at and not body.stopping:
            world.facts.note("woken body ended")
            if random.random() < 0.5:
                worker.succeed(body)
            else:
                worker.fail(body, retry=True, out_of_memory=False)
    elif body.waits and chance < 0.6:
        if random.random() < 0.6:
            streaming.body_appends(world, worker, body)
        worker.suspend(body)
    elif body.waits and chance < 0.68:
        worker.drop_wait(body)
    elif random.random() < 0.06:
        streaming.body_appends(world, worker, body)
    elif chance < 0.78:
        worker.wait(body, random_wait(world, body))
    elif chance < 0.86:
        body.ops += 1
        op = f"step:{random.randrange(3)}"
        worker.report(body, m.KeepStep(op, value_of(world)))
    elif chance < 0.93:
        worker.operate(body, random_token(world, f"token:{body.fence}:{body.ops}"))
    else:
        worker.operate(body, random_completion(world, f"complete:{body.fence}:{body.ops}"))


def client_acts(world: World) -> None:
    """Make or complete a token."""
    body = random_token(world, "") if world.random.random() < 0.4 else random_completion(world, "")
    world.host.try_take(c.ChangeToken(body))


def complete_all(world: World) -> None:
    """The world is to quieten: nobody waits for ever."""
    for token in list(world.host.state.tokens.values()):
        if token.is_open and token.kind == "token":
            world.host.take(c.ChangeToken(m.CompleteToken(token.id, value_of(world))))
    streaming.feed_all(world)


def random_wait(world: World, body: Body) -> m.OpenWait:
    random = world.random
    op = world.new_id("wait")
    until = world.now + micros(random.choice((0.0, 1.0, 5.0, 60.0, 600.0)))
    if random.random() < 0.15:
        return streaming.random_stream_wait(world, body, op)
    kind = random.random()
    if kind < 0.25:
        return m.OpenWait(op, Wait("duration", until), world.new_id("token"), random.choice(KEYS), 30.0)
    if kind < 0.55:
        timeout = until if random.random() < 0.4 else 0
        return m.OpenWait(op, Wait("token", timeout, token=any_token(world)), world.new_id("token"))
    later = [run_id for run_id in world.book.runs if run_id > body.run_id]  # never in a circle
    children = [run_id for run_id in later if run_id in world.book.runs[body.run_id].children]
    pool = children or later or ["run_unknown"]
    count = random.randint(1, 3)
    runs = tuple(sorted({random.choice(pool) for _ in range(count)}))
    return m.OpenWait(op, Wait("task" if len(runs) == 1 else "batch", runs=runs))


def any_token(world: World) -> str:
    """Mostly one that is there, else a name."""
    known = [token.id for token in world.host.state.tokens.values() if token.kind == "token"]
    return world.random.choice(known[-6:]) if known and world.random.random() < 0.7 else world.random.choice(NAMES)


def random_token(world: World, op: str) -> m.MakeToken:
    timeout = world.random.choice((0.0, 0.0, 2.0, 60.0))
    token_id = world.new_id("token")
    asked = SCHEMA if token_id[-1] in "369" else ""
    return m.MakeToken(token_id, op, timeout_s=timeout, key=world.random.choice(KEYS), key_ttl=20.0, schema=asked)


def random_completion(world: World, op: str) -> m.CompleteToken:
    token = any_token(world)
    known = world.host.state.token(token)
    if known is not None and not known.is_open:
        world.facts.note("token completed twice")
    value = value_of(world)
    new_id = world.new_id("token")
    if known is not None and known.is_open and known.schema and new_id[-1] in "02468":
        world.facts.note("answer that does not fit")
        value = Value(text="17", size=2)
    return m.CompleteToken(token, value, new_id, op)


def value_of(world: World) -> Value:
    text = f'"{world.new_id("value")}"'
    return Value(text=text, size=len(text))
