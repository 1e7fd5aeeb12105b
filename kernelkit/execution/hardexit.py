"""`os._exit` in a process that many runs share: it ends the run that calls it, and none of its neighbours.

Forked children still leave by it, and so does the worker itself. What a newcomer would get wrong: this is courtesy, not
a wall; C code ends the process all the same, and then every run in it is told so.
"""

from __future__ import annotations

import os
import posix
from typing import NoReturn

from kernelkit.authoring.scope import scope


class HardExit(SystemExit):
    """What `os._exit` raises in a body, so that no `except Exception` of a person's keeps the body alive."""


def soften_exit() -> None:
    """Have `os._exit` raise `HardExit` wherever a run is found around it, in this process from now on."""
    real, here = os._exit, os.getpid()

    def leave(status: int) -> NoReturn:
        if scope.get() is None or os.getpid() != here:
            real(status)
        raise HardExit(status)

    os._exit = posix._exit = leave  # a body that imported the name alone got it from `posix`
