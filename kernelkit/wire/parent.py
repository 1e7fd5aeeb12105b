"""The attempt that started this process, told by a variable: what a client here triggers is a child of its run.

The kernel of a notebook job is such a process, and so is whatever it starts. Workers of other tasks do not inherit it:
variables of this prefix are left out of every environment, and of an engine's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from kernelkit.wire.messages import LiveAttempt

PARENT_VARIABLE = "KERNELKIT_WORKER_ATTEMPT"


def as_variable(run_id: str, fence: str, attempt: int) -> dict[str, str]:
    """The variable for a process that an attempt starts.

    >>> as_variable("run_1", "f1", 2)
    {'KERNELKIT_WORKER_ATTEMPT': 'run_1 f1 2'}
    """
    return {PARENT_VARIABLE: f"{run_id} {fence} {attempt}"}


def parent_attempt(variables: Mapping[str, str] = os.environ) -> LiveAttempt | None:
    """The attempt that started this process, None where none did.

    >>> parent_attempt({"KERNELKIT_WORKER_ATTEMPT": "run_1 f1 2"}).fence
    'f1'
    >>> parent_attempt({}) is None
    True
    """
    match variables.get(PARENT_VARIABLE, "").split():
        case [run_id, fence, attempt] if attempt.isdigit():
            return LiveAttempt(run_id, fence, int(attempt))
        case _:
            return None
