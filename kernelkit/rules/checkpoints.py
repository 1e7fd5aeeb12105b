"""Which results a resumed attempt is given, and in which order. Pure.

A resumed attempt calls its body again and hands out what its durable operations came to. Waits are handed out in the
order in which they were over, so that code which waits for several things at once goes the same way again. Code that
calls one thing after another is checked strictly: its next call has to be the next of the list.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Literal


class Diverged(Exception):
    """`expected` is the op key that the body did not come back to."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


class Checkpoints:
    """The checkpoints of one attempt.

    >>> points = Checkpoints(["wait:a:1", "wait:b:1"], ["wait:c:1"])
    >>> points.claim("wait:b:1", alone=False), points.next_ready()
    ('over', None)
    >>> points.claim("wait:a:1", alone=False), points.next_ready(), points.next_ready()
    ('over', 'wait:a:1', 'wait:b:1')
    >>> points.claim("wait:c:1", alone=True), points.claim("wait:d:1", alone=True)
    ('open', 'new')
    """

    def __init__(self, over: Iterable[str] = (), open_: Iterable[str] = ()) -> None:
        self._over = deque(over)  # not handed out yet, in their order
        self._known = set(self._over)
        self._open = set(open_)
        self._claimed: set[str] = set()

    def claim(self, op: str, *, alone: bool) -> Literal["over", "open", "new"]:
        """The body has come to the wait `op`; raises `Diverged`. `alone`: it does one thing after another."""
        if op in self._known:
            if alone and self._over and self._over[0] != op:
                raise Diverged(self._over[0])
            self._claimed.add(op)
            return "over"
        self.check(alone=alone)
        if op in self._open:
            self._open.discard(op)
            return "open"
        return "new"

    def check(self, *, alone: bool) -> None:
        """The body does something that it had not done before: then nothing may be left to hand out."""
        if alone and self._over:
            raise Diverged(self._over[0])

    def next_ready(self) -> str | None:
        """The wait whose result is handed out next, once the body has come to it; None while it has not."""
        if not self._over or self._over[0] not in self._claimed:
            return None
        return self._over.popleft()

    @property
    def missed(self) -> str | None:
        """A wait that was over and that the body has not come back to."""
        return self._over[0] if self._over else None
