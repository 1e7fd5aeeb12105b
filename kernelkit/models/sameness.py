"""What makes two triggers mean one run: idempotency keys and debounce, and how such a trigger was answered.

Made where a trigger is written, decided by the engine. What a newcomer would get wrong: `hash` is what counts, and it
already has the run or attempt in it to which the key is limited; `text` and `scope` are only shown.
"""

from __future__ import annotations

from typing import Literal

import msgspec

KeyScope = Literal["run", "attempt", "global"]


class KeyUse(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The idempotency key of a trigger; within one task, a key that is held stands for the run that holds it."""

    hash: str
    ttl_s: float  # from when the engine takes the trigger that makes the run
    text: str = ""  # as its author wrote it
    scope: KeyScope = "global"


class DebounceUse(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Triggers of one task with the same `key` become one run, `delay_s` after the last of them."""

    key: str
    delay_s: float
    trailing: bool = False  # the last trigger's data counts, else the first's
    max_delay_s: float | None = None  # no push beyond this, counted from the run's creation


class HeldKey(msgspec.Struct, omit_defaults=True, array_like=True, gc=False):
    """The run that an idempotency key stands for."""

    run_id: str
    until: int  # by `State.clock`
    freed: bool = False  # the run ended in a way that lets the next trigger make another


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True, gc=False):
    """How a request was answered that made nothing new: with this run, of before."""

    run_id: str
    is_cached: bool = False  # by its idempotency key


class Match(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A trigger that asked for the run `asked` was answered with another."""

    asked: str
    run_id: str
    is_cached: bool = False
