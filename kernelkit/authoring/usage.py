"""`kk.usage`: what the run around this code has used so far, and what a part of it uses.

Compute is time on the clock while the run's code executes, not processor time. What a newcomer would get wrong: memory
belongs to a process, and a shared worker's is no single run's, so there it is None.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kernelkit.authoring.scope import current_scope
from kernelkit.clock import MICROS
from kernelkit.models.run import Usage


@dataclass(slots=True)
class Measured:
    """A measured part of a run: `compute_s` is set when its block has ended."""

    compute_s: float = 0.0


class UsageHelpers:
    """Compute time and memory of the current run.

    kk.usage.current().total_compute_s
    with kk.usage.measure() as parsing:
        parse(rows)
    kk.metadata.set("parsing", parsing.compute_s)
    """

    __slots__ = ()

    def current(self) -> Usage:
        """Compute of this attempt and of all attempts until now, and peak memory; a finished run has `run.usage`."""
        scope = current_scope("kk.usage.current()")
        so_far = scope.compute(scope.now())
        return Usage(
            attempt_compute_s=so_far / MICROS,
            total_compute_s=(scope.start.compute_before + so_far) / MICROS,
            peak_memory=None if scope.peak_memory is None else scope.peak_memory(),
        )

    @contextmanager
    def measure(self) -> Iterator[Measured]:
        """Measure the compute time of a block, also when it fails."""
        scope = current_scope("kk.usage.measure()")
        began, part = scope.now(), Measured()
        try:
            yield part
        finally:
            part.compute_s = max(0, scope.now() - began) / MICROS

    def __repr__(self) -> str:
        return "<kk.usage of the current run>"


usage = UsageHelpers()
