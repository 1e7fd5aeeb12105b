"""Triggers that mean a run which is there already: who holds a key, and which delayed run takes pushes.

`Finder` is for deciding and looks only; the functions below are for `apply.py` and change state. What a newcomer would
get wrong: two items of one command may mean each other, so a `Finder` also knows what its own command is about to make.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kernelkit.clock import MICROS
from kernelkit.engine import commands as c
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.errors import UnknownKeyError
from kernelkit.models import event as ev
from kernelkit.models.batch import BatchRecord
from kernelkit.models.run import RunStatus
from kernelkit.models.sameness import Answer, HeldKey, KeyUse, Match
from kernelkit.models.task import Isolation
from kernelkit.rules.dedupe import FREEING, digest_of, may_push, pushed_to
from kernelkit.wire.messages import ResetKey, Triggered, TriggerItem

KEPT_ANSWERS = 10_000
"""A request is sent again after its connection was lost: within seconds, and while an engine is down none are added."""


class _Delayed(NamedTuple):
    """What a push needs to know of the run that takes it."""

    run_id: str
    created_at: int
    delay_until: int
    payload_ref: str


class Finder:
    """Which items of one command mean a run that is there already.

    `doomed`: whatever the command makes is canceled at once, so it takes no pushes.
    """

    def __init__(self, state: State, now: int, *, doomed: bool = False) -> None:
        self._state = state
        self._now = now
        self._doomed = doomed
        self._keys: dict[bytes, str] = {}  # held by runs that this command makes
        self._delayed: dict[tuple[str, str], _Delayed | None] = {}  # made, or pushed, by this command

    def find(self, item: TriggerItem, isolation: Isolation) -> ev.TriggerAnswered | ev.RunDebounced | None:
        """The event by which a run of before answers the item; None when it makes its own, to be noted then."""
        digest = b"" if item.key is None else digest_of(item.task_id, item.key.hash)
        holder = self._keys.get(digest) or holder_of(self._state, digest, self._now)
        if holder is not None:
            return ev.TriggerAnswered(self._now, holder, item.run_id)
        pushed = self._pushed(item, isolation)
        if digest and pushed is not None:
            self._keys[digest] = pushed.run_id
        return pushed

    def note(self, item: TriggerItem) -> None:
        """The item makes a run, which others of the command may mean."""
        if item.key is None and item.debounce is None:
            return
        if item.key is not None:
            self._keys[digest_of(item.task_id, item.key.hash)] = item.run_id
        until = first_moment(item, self._now)
        if item.debounce is not None and until:
            place = (item.task_id, item.debounce.key)
            made = _Delayed(item.run_id, self._now, until, item.payload.ref or "")
            self._delayed[place] = None if self._doomed else made

    def _pushed(self, item: TriggerItem, isolation: Isolation) -> ev.RunDebounced | None:
        rule = item.debounce
        if rule is None:
            return None
        place = (item.task_id, rule.key)
        target = self._delayed[place] if place in self._delayed else _target(self._state, place)
        if target is None or not may_push(target.created_at, self._now, rule.delay_s, rule.max_delay_s):
            return None
        until = pushed_to(target.delay_until, self._now, rule.delay_s)
        self._delayed[place] = target._replace(delay_until=until)
        if not rule.trailing:
            return ev.RunDebounced(self._now, target.run_id, item.run_id, until, key=item.key)
        self._delayed[place] = _Delayed(target.run_id, target.created_at, until, item.payload.ref or "")
        return ev.RunDebounced(
            at=self._now,
            run_id=target.run_id,
            asked=item.run_id,
            delay_until=until,
            key=item.key,
            trailing=True,
            payload=item.payload,
            bundle=item.bundle,
            env_id=item.env_id,
            isolation=isolation,
            tags=item.tags or None,
            max_attempts=item.max_attempts,
            metadata=None if item.metadata == "{}" else item.metadata,
            max_duration=item.max_duration,
            machine=item.machine,
            replaced_ref=target.payload_ref,
        )


def first_moment(item: TriggerItem, now: int) -> int:
    """When a new run of the item leaves its delay; 0 = it has none."""
    if item.delay_until:
        return item.delay_until
    seconds = item.delay_s or (item.debounce.delay_s if item.debounce is not None else 0.0)
    return now + round(seconds * MICROS) if seconds else 0


def holder_of(state: State, digest: bytes, now: int) -> str | None:
    """The run for which a key stands now, None when the next trigger makes one."""
    held = state.keys.get(digest)
    if held is None or held.freed or held.until <= max(state.clock, now):
        return None
    return held.run_id


def _target(state: State, place: tuple[str, str]) -> _Delayed | None:
    run = state.runs.get(state.debounced.get(place, ""))
    return None if run is None else _Delayed(run.id, run.created_at, run.delay_until, run.payload.ref or "")


def decide_reset(state: State, request: c.ResetKey | ResetKey, now: int) -> Sequence[ev.AnyEvent]:
    """The key is taken back; raises `UnknownKeyError` when no run of the task has it."""
    if request.asked in state.answers:
        return ()
    held = state.keys.get(digest_of(request.task_id, request.hash))
    if held is None or held.until <= max(state.clock, now):
        raise UnknownKeyError(
            f"No run of {request.task_id!r} holds the idempotency key {request.text or request.hash!r}. A key is held "
            "from the trigger that gives it until its time is over; inside a run, a text is a key of that run alone.",
            task_id=request.task_id,
        )
    return (ev.KeyCleared(now, request.task_id, request.hash, request.asked),)


def matches(state: State, items: Sequence[TriggerItem]) -> tuple[Match, ...]:
    """Those of the items that were answered with runs of before."""
    return tuple(
        Match(item.run_id, answer.run_id, answer.is_cached)
        for item in items
        if (answer := state.answers.get(item.run_id)) is not None
    )


def triggered(state: State, items: Sequence[TriggerItem], batch: BatchRecord | None) -> Triggered:
    """What to say to whoever triggered these items, now that they are taken; `batch` is what became of a batch."""
    found = {match.asked: match for match in matches(state, items)}
    run_ids = tuple([item.run_id for item in items]) if batch is None else batch.run_ids
    errors = () if batch is None else batch.errors
    if not found:
        return Triggered(run_ids, errors)
    if batch is None:
        run_ids = tuple(found[item.run_id].run_id if item.run_id in found else item.run_id for item in items)
    cached = tuple(place for place, item in enumerate(items) if item.run_id in found and found[item.run_id].is_cached)
    return Triggered(run_ids, errors, cached)


# ---- for apply.py ------------------------------------------------------------------------------------------------


def hold_key(state: State, run: LiveRun, key: KeyUse) -> None:
    """The run holds the key from now on; now and then those whose time is over are dropped."""
    digest = digest_of(run.task_id, key.hash)
    state.keys[digest] = HeldKey(run.id, state.clock + round(key.ttl_s * MICROS))
    run.keys = run.keys or []
    run.keys.append(digest)
    if len(state.keys) >= state.sweep_keys_at:
        state.keys = {digest: held for digest, held in state.keys.items() if held.until > state.clock}
        state.sweep_keys_at = 2 * len(state.keys) + 1_000


def free_key(state: State, run: LiveRun, status: RunStatus) -> None:
    """The run has ended so: it may no longer stand for its key."""
    if run.keys and status in FREEING:
        for digest in run.keys:
            held = state.keys.get(digest)
            if held is not None and held.run_id == run.id:
                held.freed = True


def clear_key(state: State, event: ev.KeyCleared) -> None:
    state.keys.pop(digest_of(event.task_id, event.hash), None)


def take_pushes(state: State, run: LiveRun) -> None:
    """The delayed run is where triggers with its debounce key go; no earlier one is any more."""
    before = state.runs.get(state.debounced.get((run.task_id, run.debounce), ""))
    if before is not None:
        before.takes_pushes = False
    run.takes_pushes = True
    state.debounced[run.task_id, run.debounce] = run.id


def take_no_pushes(state: State, run: LiveRun) -> None:
    """The run is no longer delayed."""
    if run.takes_pushes:
        run.takes_pushes = False
        del state.debounced[run.task_id, run.debounce]


def remember(state: State, asked: str, answer: Answer) -> None:
    """Keep what a request was answered with, for when it is sent again."""
    if asked:
        state.answers[asked] = answer
        if len(state.answers) > 2 * KEPT_ANSWERS:
            state.answers = dict(list(state.answers.items())[-KEPT_ANSWERS:])
