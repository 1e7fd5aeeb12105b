"""Triggers inside a run that may mean an earlier run: what is known of their answers.

A trigger inside a run returns before the engine has taken it, under an id of its own. Where an idempotency key or a
debounce may answer it, that id is only a name for the run, until the engine says which run it is.
"""

from __future__ import annotations

import asyncio

from kernelkit.authoring.scope import Scope
from kernelkit.errors import KernelKitError
from kernelkit.models.sameness import Match


class Asked:
    """One such trigger: `scope` is its attempt, `number` that of the report which carries it."""

    __slots__ = ("_asked", "_number", "_scope")

    def __init__(self, scope: Scope, asked: str, number: int | None) -> None:
        self._scope = scope
        self._asked = asked
        self._number = number

    @property
    def is_answered(self) -> bool:
        return self._number is None or not self._scope.is_open(self._number)

    @property
    def match(self) -> Match | None:
        """The earlier run that answered it, once it is answered; None: it made its own."""
        return (self._scope.matches or {}).get(self._asked)

    def wait(self) -> bool:
        """Wait for the answer where this thread may be blocked, and say whether it is there now."""
        if not self.is_answered and not _is_on_loop():
            self._scope.settled(self._number).wait_sync()
            self._scope.check()
        return self.is_answered

    async def answered(self) -> None:
        """Return once it is answered; raises what an earlier call of the run was refused with."""
        if not self.is_answered:
            await self._scope.settled(self._number).wait()
        self._scope.check()

    def refuse(self, what: str) -> KernelKitError:
        return KernelKitError(
            f"Inside an async task {what} is not known before the engine has answered. "
            "Write `await run.stored()` first."
        )


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
