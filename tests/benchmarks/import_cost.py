"""What `import kernelkit` costs a plain script, in fresh interpreters, and what it does not load.

The package's names are loaded when they are first used, so the time until a task is defined and a client is made is
taken as well, because a quick import that only puts the work off would be no gain; it has no limit of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks import figures, machine

NAME = "import_cost"
LIMIT_MS = 250.0
UNWANTED = {"IPython", "ipywidgets", "starlette"}
_SCRIPT = """
import sys, time, json
began = time.perf_counter()
import kernelkit as kk
imported = time.perf_counter() - began
@kk.task
async def noop(n: int) -> int:
    return n
defined = time.perf_counter() - began
kk.Client
made = time.perf_counter() - began
print(json.dumps({"import": imported, "task": defined, "client": made,
                  "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


def measure(repeats: int = 15) -> dict[str, Any]:
    """Milliseconds of the import, and until a task is defined and a client could be made."""
    with machine.scratch(NAME) as folder:
        script = folder / "script.py"
        script.write_text(_SCRIPT)
        _run(script)  # writes the byte code
        found = [_run(script) for _ in range(repeats)]
    unwanted = sorted(UNWANTED & {module for each in found for module in each["modules"]})
    imported = figures.latencies([each["import"] for each in found])
    client = figures.latencies([each["client"] for each in found])
    return figures.line(
        NAME,
        imported["p50"],
        "ms",
        f"<= {LIMIT_MS:g}; none of {', '.join(sorted(UNWANTED))}",
        imported["p50"] <= LIMIT_MS and not unwanted,
        {
            "import_ms": imported,
            "until_a_task_is_defined_ms": figures.latencies([each["task"] for each in found]),
            "until_the_client_is_loaded_ms": client,
            "unwanted_modules": unwanted,
        },
    )


def _run(script: Path) -> dict[str, Any]:
    variables = {**os.environ, "PYTHONPATH": str(machine.REPOSITORY), "KERNELKIT_HOME": str(script.parent / "home")}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60, env=variables
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(figures.main(measure))
