"""Statistics, and the one JSON line a benchmark prints."""

from __future__ import annotations

import argparse
import inspect
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tests.benchmarks import machine


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share (0 to 1) of `values` lies, taken from among them.

    >>> percentile([1, 2, 3, 4], 0.5)
    3
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Minimum, median and maximum.

    >>> spread([3, 1, 2])
    {'min': 1, 'median': 2, 'max': 3, 'n': 3}
    """
    low, middle, high = min(values), statistics.median(values), max(values)
    return {"min": round(low, digits), "median": round(middle, digits), "max": round(high, digits), "n": len(values)}


def latencies(seconds: Sequence[float]) -> dict[str, float]:
    """Percentiles in milliseconds."""
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(percentile(seconds, share) * 1e3, 3) for name, share in shares.items()} | {"n": len(seconds)}


def line(
    name: str,
    value: float,
    unit: str,
    target: str,
    met: bool,
    details: dict[str, Any],
    *,
    packages: Sequence[str] = (),
    command: str = "",
) -> dict[str, Any]:
    """A benchmark's result with everything that belongs beside it."""
    head = {"name": name, "value": value, "unit": unit, "target": target, "met": met}
    return {**head, "command": command or f"python -m tests.benchmarks.{name}", **details, **machine.facts(*packages)}


def main(measure: Callable[..., dict[str, Any]], arguments: Sequence[str] | None = None) -> int:
    """Run `measure`, whose whole-numbered parameters are options of the command line, and print its line."""
    parser = argparse.ArgumentParser(description=inspect.getdoc(inspect.getmodule(measure)))
    for parameter in inspect.signature(measure).parameters.values():
        parser.add_argument(f"--{parameter.name.replace('_', '-')}", type=int, default=parameter.default)
    given = vars(parser.parse_args(arguments))
    found = measure(**given)
    shown = [f"--{name.replace('_', '-')} {value}" for name, value in given.items()]
    found["command"] = " ".join([found["command"], *shown])
    print(json.dumps(found, ensure_ascii=False), flush=True)
    sys.stdout.flush()
    return 0
