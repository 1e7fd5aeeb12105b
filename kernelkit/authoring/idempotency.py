"""`kk.idempotency_keys`: keys that make a trigger happen once, and the options that use them.

What a newcomer would get wrong: a key is limited to the run that uses it unless it says otherwise, so that two runs of
one task never answer for each other; outside a run there is nothing to limit it to, and it holds for the project.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from kernelkit import ids
from kernelkit.authoring import caller as callers
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.scope import scope as current
from kernelkit.durations import to_seconds
from kernelkit.errors import InvalidDurationError, InvalidOptionError
from kernelkit.models.sameness import KeyScope, KeyUse
from kernelkit.rules.dedupe import DEFAULT_KEY_TTL_S, MAX_KEY_LENGTH
from kernelkit.rules.limits import check_text
from kernelkit.wire.messages import ResetKey

SCOPES = get_args(KeyScope)

Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key as `kk.idempotency_keys.create` makes it: what it was made of, how far it reaches, and its hash.

    >>> IdempotencyKeys().create(["order", "17"]).text
    'order-17'
    """

    hash: str
    text: str
    scope: KeyScope

    def at(self, index: int) -> IdempotencyKey:
        """The key of one item of a batch that was given this key."""
        return IdempotencyKey(_hash(self.hash, str(index)), f"{self.text}-{index}", self.scope)

    def __str__(self) -> str:
        return self.hash


@dataclass(frozen=True, slots=True)
class KeyOption:
    """The option `idempotency_key`: a key, or the parts of one, which is made where the trigger is."""

    parts: Parts = ()
    key: IdempotencyKey | None = None

    def at(self, index: int) -> KeyOption:
        """The same for one item of a batch."""
        return KeyOption((*self.parts, str(index))) if self.key is None else KeyOption(key=self.key.at(index))

    def use(self, ttl_s: float | None) -> KeyUse:
        """The key for a trigger that is made here and now."""
        key = self.key or _make(self.parts, "run")
        return KeyUse(key.hash, DEFAULT_KEY_TTL_S if ttl_s is None else ttl_s, key.text, key.scope)


def key_option(given: Any) -> KeyOption | None:
    """The option as given; raises `InvalidOptionError` for what is no key."""
    if given is None:
        return None
    if isinstance(given, IdempotencyKey):
        return KeyOption(key=given)
    return KeyOption(_parts(given, "idempotency_key"))


def ttl_option(given: Any) -> float | None:
    """The option `idempotency_key_ttl` in seconds; raises `InvalidDurationError`."""
    if given is None:
        return None
    seconds = to_seconds(given, field="idempotency_key_ttl")
    if not seconds:
        raise InvalidDurationError(
            f"idempotency_key_ttl={given!r} is no time at all. Leave the key out to make a run each time.",
            field="idempotency_key_ttl",
        )
    return seconds


class IdempotencyKeys:
    """Keys that make a trigger happen once.

    key = kk.idempotency_keys.create(f"payment-{order_id}")
    charge.options(idempotency_key=key, idempotency_key_ttl="24h").trigger(order_id)
    kk.idempotency_keys.reset("charge", key)
    """

    def __init__(self, caller: Caller | None = None) -> None:
        self._caller = caller

    def create(self, key: str | Iterable[str], *, scope: KeyScope = "run") -> IdempotencyKey:
        """A key of a text, or of several, which are joined by `-`.

        `scope` is how far it reaches: the `run` around this call, with all its attempts; this `attempt`; or `global`,
        the whole project. Outside a run all three are the project. Raises `InvalidOptionError`.
        """
        return _make(_parts(key, "key"), _scope(scope))

    def reset(
        self,
        task: Any,
        key: str | Iterable[str] | IdempotencyKey,
        *,
        scope: KeyScope | None = None,
        parent_run_id: str | None = None,
        attempt_number: int | None = None,
    ) -> None:
        """Take a key back: the next trigger of the task with it makes a new run.

        `task` is a task or its id. A text means what it means in a trigger at this place. To name from outside a key
        that a run has made, give `scope="run"` with that run's `parent_run_id`, or `scope="attempt"` with its
        `attempt_number` as well. Raises `UnknownKeyError` when no run of the task holds the key.
        """
        caller = self._caller or callers.current()
        made = key if isinstance(key, IdempotencyKey) else _remade(key, scope, parent_run_id, attempt_number)
        caller.call(ResetKey(_task_id(task), made.hash, made.text, asked=ids.make_id("ask")))

    def __repr__(self) -> str:
        return "<kk.idempotency_keys: create(text, scope=…), reset(task, key)>"


def _make(parts: Parts, scope: KeyScope) -> IdempotencyKey:
    around = current.get()
    if around is None or scope == "global":
        return IdempotencyKey(_hash(*parts), "-".join(parts), "global")
    suffix = [around.start.run_id]
    if scope == "attempt":
        suffix.append(str(around.start.attempt))
    return IdempotencyKey(_hash(*parts, *suffix), "-".join(parts), scope)


def _remade(
    key: str | Iterable[str], scope: KeyScope | None, parent_run_id: str | None, attempt_number: int | None
) -> IdempotencyKey:
    """The key that was made of the same text elsewhere."""
    parts = _parts(key, "key")
    if scope is not None:
        _scope(scope)
    if parent_run_id is None:
        if attempt_number is not None or (scope in ("run", "attempt") and current.get() is None):
            raise InvalidOptionError(
                f"scope={scope!r} outside a run needs the run that made the key: give parent_run_id="
                f"{' and attempt_number=' if scope == 'attempt' else ''}. A key made outside a run has the scope "
                "'global'.",
                field="parent_run_id",
            )
        return _make(parts, scope or "run")
    if scope == "global" or (scope == "attempt") != (attempt_number is not None):
        raise InvalidOptionError(
            "parent_run_id= names a key of scope 'run', or with attempt_number= one of scope 'attempt'; "
            f"scope={scope!r} and attempt_number={attempt_number!r} do not go together with it.",
            field="scope",
        )
    suffix = (parent_run_id,) if attempt_number is None else (parent_run_id, str(attempt_number))
    return IdempotencyKey(_hash(*parts, *suffix), "-".join(parts), scope or "run")


def _hash(*parts: str) -> str:
    """As Trigger.dev's SDK makes it, so that both mean the same run by the same words."""
    return hashlib.sha256("-".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _parts(given: Any, field: str) -> Parts:
    parts: Parts = ()
    if isinstance(given, str):
        parts = (given,)
    elif isinstance(given, list | tuple) and all(isinstance(part, str) for part in given):
        parts = tuple(given)
    length = len("-".join(parts))
    if not parts or not all(parts) or length > MAX_KEY_LENGTH:
        what = f"has {length:,} characters" if length > MAX_KEY_LENGTH else f"is {given!r}"
        raise InvalidOptionError(
            f"{field} {what}. Give a text of 1 to {MAX_KEY_LENGTH:,} characters, a list of texts, or what "
            "kk.idempotency_keys.create returns.",
            field=field,
        )
    for part in parts:
        check_text(part, field)
    return parts


def _scope(given: Any) -> KeyScope:
    if given not in SCOPES:
        raise InvalidOptionError(f"scope={given!r} is not one of {', '.join(SCOPES)}.", field="scope")
    found: KeyScope = given
    return found


def _task_id(given: Any) -> str:
    named = given if isinstance(given, str) else getattr(given, "id", None)
    if not isinstance(named, str) or not named:
        raise InvalidOptionError(f"task={given!r} is neither a task nor the id of one.", field="task")
    return named


idempotency_keys = IdempotencyKeys()
