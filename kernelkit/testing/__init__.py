"""For those who test their own tasks: `from kernelkit.testing import engine`, or the pytest fixture `kk_engine`."""

from __future__ import annotations

from kernelkit.testing.engine import RealEngine, VirtualEngine, engine

__all__ = ["RealEngine", "VirtualEngine", "engine"]
