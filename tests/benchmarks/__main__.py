"""All benchmarks, one JSON line each: `python -m tests.benchmarks [NAME …] [--record FOLDER]`.

With `--record` the lines are also kept, one file a benchmark, for a record under `docs/measurements/`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.benchmarks import machine

BENCHMARKS = (
    "throughput",
    "batch",
    "latency",
    "load_ext",
    "idle",
    "import_cost",
    "history_start",
    "notebook_job",
    "looking",
    "queueing",
    "schedules",
    "children",
    "suspended",
    "cards",
    "front_end",
    "tree",
    "table",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHMARKS)}")
    parser.add_argument("--record", type=Path, help="folder for NAME.jsonl")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}")
    failed = 0
    for name in options.names or BENCHMARKS:  # each in a process of its own, as they would disturb one another
        done = subprocess.run(
            [sys.executable, "-m", f"tests.benchmarks.{name}"],
            cwd=machine.REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        failed += done.returncode != 0
        print(done.stdout, end="", flush=True)
        if options.record is not None and done.returncode == 0:
            options.record.mkdir(parents=True, exist_ok=True)
            (options.record / f"{name}.jsonl").write_text(done.stdout)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
