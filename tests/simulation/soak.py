"""Many more histories than `make test` has time for: `python -m tests.simulation.soak --histories 20000 --seed 100000`.

Goes on after a failing seed, says how to see it again, and ends with 1 if there was one.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.facts import Density
from tests.simulation.histories import BrokenHistory, run_history

SAY_EVERY = 500


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.soak")
    parser.add_argument("--histories", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=100_000, help="of the first history; the tests use the low ones")
    options = parser.parse_args(argv)
    density, failures, began = Density(), 0, time.monotonic()
    for count, seed in enumerate(range(options.seed, options.seed + options.histories), start=1):
        try:
            density.add(run_history(seed).facts)
        except BrokenHistory as broken:
            failures += 1
            sys.stdout.write(f"{broken}\n")
        if count % SAY_EVERY == 0 or count == options.histories:
            spent = time.monotonic() - began
            sys.stdout.write(f"{count:,} histories, {density.events:,} events, {failures} failures, {spent:.0f} s\n")
            sys.stdout.flush()
    for fact in sorted(density.having):
        sys.stdout.write(f"  in {density.share(fact):4.0%} of histories: {fact}\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
