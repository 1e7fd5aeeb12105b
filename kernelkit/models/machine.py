"""Machine presets: how many vCPUs and how much memory an attempt may use.

A preset is a promise between runs of one host, not a machine of its own: its memory is a cap and is reserved, its vCPUs
are reserved, and libraries are told how many threads to start. GB are counted in powers of two, as by the kernel.
"""

from __future__ import annotations

import difflib

import msgspec

from kernelkit.errors import InvalidOptionError

GIB = 2**30


class Machine(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """`cpu` in vCPUs, `memory` in bytes. One that was clamped to its host keeps the preset's name."""

    name: str
    cpu: float
    memory: int

    def clamped(self, cpu: float, memory: int) -> Machine:
        """This machine on a host that has no more than that.

        >>> PRESETS["large-1x"].clamped(2, 4 * GIB)
        Machine(name='large-1x', cpu=2, memory=4294967296)
        """
        if self.cpu <= cpu and self.memory <= memory:
            return self
        return Machine(self.name, min(self.cpu, cpu), min(self.memory, memory))

    @property
    def threads(self) -> int:
        """How many threads a library should start on it."""
        return max(1, int(self.cpu))


PRESETS = {
    name: Machine(name, cpu, round(gib * GIB))
    for name, cpu, gib in (
        ("micro", 0.25, 0.25),
        ("small-1x", 0.5, 0.5),
        ("small-2x", 1, 1),
        ("medium-1x", 1, 2),
        ("medium-2x", 2, 4),
        ("large-1x", 4, 8),
        ("large-2x", 8, 16),
    )
}


def in_gib(size: int) -> str:
    """
    >>> in_gib(2 * GIB), in_gib(GIB // 4), in_gib(300 * 2**20)
    ('2', '0.25', '0.29')
    """
    return f"{size / GIB:.2f}".rstrip("0").rstrip(".")


def told(machine: Machine) -> str:
    """
    >>> told(PRESETS["small-1x"])
    '0.5 vCPU and 0.5 GiB'
    """
    return f"{machine.cpu:g} vCPU and {in_gib(machine.memory)} GiB"


def check_preset(given: object, field: str) -> str:
    """The name of a preset; raises `InvalidOptionError` that knows its neighbours.

    >>> check_preset("micro", "machine")
    'micro'
    """
    if isinstance(given, str) and given in PRESETS:
        return given
    near = difflib.get_close_matches(given, PRESETS, n=1) if isinstance(given, str) else []
    hint = f"Did you mean {near[0]!r}? " if near else ""
    known = ", ".join(f"{machine.name} ({told(machine)})" for machine in PRESETS.values())
    raise InvalidOptionError(
        f"{field}={given!r} is not a machine preset. {hint}The presets are: {known}.", field=field, near=near
    )
