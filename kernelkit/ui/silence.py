"""Whether what is shown can still change: since when its engine has been silent, once that is long enough to tell.

A live view says so itself with its heartbeat, because a picture that stands still looks just like one that is true.
An engine that starts again is away for a second or so; nobody is told of that.
"""

from __future__ import annotations

import time

from kernelkit.authoring.caller import Caller

AFTER_S = 3.0


def has_engine(caller: Caller) -> bool:
    """A client knows whether it has an engine; any other caller counts as connected."""
    return bool(getattr(caller, "is_connected", True))


class Silence:
    """Of one view. It only knows of the moments at which it is asked.

    >>> silence = Silence()
    >>> silence.since(is_connected=True), silence.since(is_connected=False)
    (None, None)
    """

    def __init__(self) -> None:
        self._lost_at: float | None = None

    def since(self, *, is_connected: bool) -> float | None:
        """Since when there is no engine, in epoch seconds, once that is too long; None while all is well."""
        now = time.time()
        self._lost_at = None if is_connected else self._lost_at or now
        return self._lost_at if self._lost_at is not None and now - self._lost_at > AFTER_S else None
