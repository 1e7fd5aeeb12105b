"""What follows from what attempts say of their waits, and who goes on when something they wait for has come. Pure.

An attempt opens a wait, and when all its code does is wait it asks to be suspended: the run is WAITING and its slot is
free. Whatever it waits for then puts it back in its queue, once, at its old place. What a newcomer would get wrong: a
wish to be suspended may come when one of the waits is over already; then its result is on the way, and nothing follows.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from kernelkit.clock import MICROS
from kernelkit.engine import commands as c
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.errors import InvalidOptionError, OutputTooLargeError, UnknownTokenError
from kernelkit.models import event as ev
from kernelkit.models.run import FINAL, RunStatus
from kernelkit.models.value import MAX_PAYLOAD_BYTES, Value
from kernelkit.models.wait import Token, Wait
from kernelkit.rules.limits import check_question, check_tags
from kernelkit.wire import messages as m

TOKEN_ID = re.compile(r"waitpoint_[0-9a-hjkmnp-tv-z]{18}")
MAX_KEY = 2_048


# ---- reports of attempts ---------------------------------------------------------------------------------------------


def decide_wait_report(
    state: State, run: LiveRun, body: m.OpenWait | m.DropWait | m.Suspend | m.KeepStep, now: int
) -> Iterator[ev.AnyEvent]:
    """The events of a report about waiting."""
    match body:
        case m.OpenWait():
            if body.op not in run.waits and body.op not in run.done and run.status not in FINAL:
                yield from _open(state, run, body, now)
        case m.DropWait():
            if body.op in run.waits:
                yield ev.WaitDropped(now, run.id, body.op)
        case m.Suspend():
            if run.status is RunStatus.EXECUTING and body.ops and all(op in run.waits for op in body.ops):
                held = now + round(body.hold_for * MICROS) if run.isolation == "process" else 0
                yield ev.RunSuspended(now, run.id, run.fence, body.compute, body.calls, held)
        case m.KeepStep():
            if body.op not in run.steps:
                if body.value.size > MAX_PAYLOAD_BYTES:
                    raise OutputTooLargeError(
                        f"The result of a step is {body.value.size:,} bytes of JSON; at most {MAX_PAYLOAD_BYTES:,} are "
                        "kept. Write the data to a file and return its path.",
                        size=body.value.size,
                    )
                yield ev.StepKept(now, run.id, body.op, body.value)


def _open(state: State, run: LiveRun, body: m.OpenWait, now: int) -> Iterator[ev.AnyEvent]:
    wait = body.wait
    if wait.type == "token":
        token = state.token(wait.token)
        if token is None:
            token = _named(wait.token, body.new_id, now)
            yield ev.TokenMade(now, token)
        wait = Wait("token", wait.until, token=token.id, shown=token.name or wait.shown)
    elif body.key:
        # Sent again, it finds what it made, also when the key's time is over by now.
        found = state.tokens.get(body.new_id) or _by_key(state, "duration", body.key, now)
        if found is None:
            found = Token(
                body.new_id,
                now,
                kind="duration",
                timeout_at=wait.until,
                key=body.key,
                key_expires_at=_expiry(body.key_ttl, now),
            )
            yield ev.TokenMade(now, found)
        wait = Wait("duration", 0, token=found.id)
    elif wait.runs and state.answers:  # a trigger under a key that was held was answered with another run
        runs = [answer.run_id if (answer := state.answers.get(i)) else i for i in wait.runs]
        wait = replace(wait, runs=tuple(runs))
    yield ev.WaitOpened(now, run.id, body.op, wait)


# ---- after every command ---------------------------------------------------------------------------------------------


def waits_over(state: State, now: int) -> Sequence[ev.AnyEvent]:
    """An event for each wait that misses nothing any more: its runs have ended, or its token has."""
    if not state.waiting.complete:
        return ()
    return [_over(state, run_id, op, now) for run_id, op in state.waiting.complete]


def _over(state: State, run_id: str, op: str, now: int) -> ev.WaitOver:
    wait = state.runs[run_id].waits[op]
    if wait.type != "token":
        return ev.WaitOver(now, run_id, op)
    token = state.tokens.get(wait.token)
    if token is None or token.status != "COMPLETED":
        return ev.WaitOver(now, run_id, op, timed_out=True)
    return ev.WaitOver(now, run_id, op, token.value)


def let_go(state: State, capacity: c.Capacity, now: int) -> Sequence[ev.AnyEvent]:
    """The events that end the process which was held longest, when there are more than may be held."""
    if len(state.held) <= capacity.held:
        return ()
    return park(state.runs[next(iter(state.held))], now)


def park(run: LiveRun, now: int) -> Sequence[ev.AnyEvent]:
    """The suspended attempt leaves its worker, which is of no further use."""
    return (ev.AttemptParked(now, run.id, run.fence, run.worker_id), ev.WorkerRetired(now, run.worker_id))


def due_waits(run: LiveRun, now: int) -> Iterator[ev.AnyEvent]:
    """What the passing of time means for a run's waits, and for the process that it keeps meanwhile."""
    for op, wait in run.waits.items():
        if wait.until and wait.until <= now:
            yield ev.WaitOver(now, run.id, op, timed_out=wait.type != "duration")
    if run.held_until and run.held_until <= now and run.fence:
        yield from park(run, now)


# ---- tokens ----------------------------------------------------------------------------------------------------------


def make_token(state: State, body: m.MakeToken, now: int) -> Iterator[ev.AnyEvent]:
    """A new token, or none when its key has one already."""
    if body.token_id in state.tokens or body.token_id in state.aliases:
        return
    check_tags(body.tags)
    check_question(body.question, body.context)
    if body.schema:
        _answers().check_schema(body.schema)
    if len(body.key) > MAX_KEY:
        raise InvalidOptionError(f"idempotency_key is over {MAX_KEY:,} characters.", field="idempotency_key")
    known = _by_key(state, "token", body.key, now) if body.key else None
    if known is not None:
        yield ev.TokenAliased(now, body.token_id, known.id)
        return
    yield ev.TokenMade(
        now,
        Token(
            body.token_id,
            now,
            name=body.name,
            tags=body.tags,
            timeout_at=body.timeout_at or (now + round(body.timeout_s * MICROS) if body.timeout_s else 0),
            key=body.key,
            key_expires_at=_expiry(body.key_ttl, now),
            question=body.question,
            context=body.context,
            schema=body.schema,
        ),
    )


def complete_token(state: State, body: m.CompleteToken, now: int, by: str = "") -> Iterator[ev.AnyEvent]:
    """The first completion counts; a name that nobody has used yet makes its token."""
    if body.value.size > MAX_PAYLOAD_BYTES:
        raise OutputTooLargeError(
            f"The data of a token has {body.value.size:,} bytes of JSON; at most {MAX_PAYLOAD_BYTES:,} are kept.",
            size=body.value.size,
        )
    token = state.token(body.token)
    if token is None:
        token = _named(body.token, body.new_id, now)
        yield ev.TokenMade(now, token)
    if token.is_open:
        if token.schema:
            _answers().check_answer(token.schema, body.value.text or "null", token.id)
        value = replace(body.value, text=None) if body.value.ref else body.value
        yield ev.TokenCompleted(now, token.id, value, by or body.by)


def _answers() -> Any:  # the module; it needs pydantic, which an engine whose tokens ask for nothing does without
    return importlib.import_module("kernelkit.rules.answers")


def unknown_token(token: str) -> UnknownTokenError:
    return UnknownTokenError(
        f"There is no token {token!r} in this project. kk.tokens.list() shows the latest ones.", token=token
    )


def _named(name: str, new_id: str, now: int) -> Token:
    if TOKEN_ID.fullmatch(name):
        raise unknown_token(name)
    if not 0 < len(name) <= MAX_KEY:
        raise InvalidOptionError(f"The name of a token is a text of 1 to {MAX_KEY:,} characters.", field="token")
    return Token(new_id, now, name=name)


def _by_key(state: State, kind: str, key: str, now: int) -> Token | None:
    found = state.tokens.get(state.waiting.by_key.get((kind, key), ""))
    return None if found is None or 0 < found.key_expires_at <= now else found


def _expiry(ttl: float, now: int) -> int:
    return now + round(ttl * MICROS) if ttl else 0


def shown_value(value: Value | None) -> Value | None:
    """A value as lists show it: large ones are left out."""
    return None if value is None or value.text is None else value


def matching(tokens: Iterable[Token], asked: m.ListTokens) -> list[Token]:
    """The tokens that a list asks for, newest first."""
    found = [
        token
        for token in tokens
        if token.kind == "token"
        and (not asked.status or token.status in asked.status)
        and (not asked.tag or any(tag in token.tags for tag in asked.tag))
        and (not asked.key or token.key == asked.key)
    ]
    return sorted(found, key=lambda token: token.id, reverse=True)
