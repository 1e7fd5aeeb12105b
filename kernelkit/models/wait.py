"""What a run may wait for without executing, and what came of it.

A `Wait` is one durable wait of an attempt, known by its op key; a `Done` is a finished one, kept until the attempt ends
so that its result can be handed out again. `Waiting` is how a person sees an open one. A newcomer would get wrong that
a wait belongs to an attempt and a token to the project: a token outlives every run that waits for it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from kernelkit.models.value import Value

WaitType = Literal["duration", "token", "task", "batch", "stream"]
TokenStatus = Literal["WAITING", "COMPLETED", "TIMED_OUT"]


class Wait(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One open wait. It is over at `until` (0 = never) at the latest, with its token, with the last of its runs, or
    when the stream has that value."""

    type: WaitType
    until: int = 0
    token: str = ""
    runs: tuple[str, ...] = ()
    batch: str = ""
    shown: str = ""  # the name by which a person knows it: the child's task, the token's name, the stream's
    stream: str = ""  # key of an input stream of the run itself …
    index: int = 0  # … and which value of it


class Done(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A finished wait. `value` is what its token was completed with."""

    wait: Wait
    value: Value | None = None
    timed_out: bool = False


class Token(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Something that somebody completes from outside, once. Moments in microseconds, 0 = none.

    `kind` "duration" is no person's token: it is the moment that waits with the same idempotency key share.
    """

    id: str
    created_at: int
    status: TokenStatus = "WAITING"
    kind: Literal["token", "duration"] = "token"
    name: str = ""
    tags: tuple[str, ...] = ()
    timeout_at: int = 0
    completed_at: int = 0
    key: str = ""
    key_expires_at: int = 0
    value: Value | None = None
    question: str = ""  # what a person is asked
    context: str = ""  # what they need to know to answer, a JSON object
    schema: str = ""  # JSON Schema of the answer; "": any JSON value
    completed_by: str = ""  # a run, or who calls from outside

    @property
    def is_open(self) -> bool:
        return self.status == "WAITING"


class Waiting(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One thing that a run waits for now: `type`, and whichever of the others that type has."""

    type: WaitType
    until: datetime | None = None  # the end of a duration, the timeout of a wait for a token
    token_id: str | None = None
    run_id: str | None = None
    batch_id: str | None = None
    shown: str = ""
    left: int = 0  # runs that have not ended

    def __str__(self) -> str:
        match self.type:
            case "duration":
                return "time" if self.until is None else f"time, until {self.until:%Y-%m-%d %H:%M:%S} UTC"
            case "token":
                named = f"token {self.shown or self.token_id}"
                return named if self.until is None else f"{named}, until {self.until:%Y-%m-%d %H:%M:%S} UTC at most"
            case "task":
                return f"run {self.run_id}" + (f" of {self.shown}" if self.shown else "")
            case "batch":
                return f"{self.left} {'run' if self.left == 1 else 'runs'} of batch {self.batch_id}"
            case _:
                named = f"stream {self.shown}"
                return named if self.until is None else f"{named}, until {self.until:%Y-%m-%d %H:%M:%S} UTC at most"
