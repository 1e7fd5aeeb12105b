"""How an attempt's error is kept: enough to show it, and to raise it again elsewhere."""

from __future__ import annotations

import msgspec


class Frame(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One line of a traceback. `own` marks the reader's own cells and files, not libraries or KernelKit."""

    file: str
    line: int
    function: str
    source: str = ""
    own: bool = False
    before: str = ""  # the source line above, for the card's excerpt
    after: str = ""


class Error(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What went wrong in an attempt: `name` is the exception's class, `code` a KernelKit error's stable code.

    `traceback` is the text Python would print, at most 50 frames; `frames` the same, taken apart.
    """

    name: str
    message: str
    code: str = ""
    traceback: str = ""
    frames: tuple[Frame, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name
