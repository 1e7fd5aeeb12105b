"""How long `%load_ext kernelkit` keeps a fresh kernel, with the engine up and when it has to start it.

The time is taken inside a real ipykernel, around the magic; each repeat has two new kernels and a new home.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.benchmarks import figures, machine
from tests.benchmarks.project import project

NAME = "load_ext"
UP_MS = 150.0
STARTING_MS = 1_000.0
_CELL = """
import time as _time
_began = _time.perf_counter()
get_ipython().run_line_magic("load_ext", "kernelkit")
_took = _time.perf_counter() - _began
import json as _json
_heavy = sorted({name.partition(".")[0] for name in __import__("sys").modules} & {"ipywidgets", "pydantic", "duckdb"})
print(_json.dumps({"s": _took, "connected": kk.engine.is_running, "loaded": _heavy}))
"""


def measure(repeats: int = 10) -> dict[str, Any]:
    """Milliseconds of both, and what they had loaded."""
    starting: list[float] = []
    up: list[float] = []
    loaded: list[str] = []
    for _ in range(repeats):
        with project(NAME) as ours:
            for times in (starting, up):
                found = _load(ours.folder)
                assert found["connected"], "the extension has not attached"
                times.append(found["s"])
                loaded = found["loaded"]
    found_up, found_starting = figures.latencies(up), figures.latencies(starting)
    return figures.line(
        NAME,
        found_up["p50"],
        "ms",
        f"<= {UP_MS:g} (engine up), <= {STARTING_MS:g} (starting it)",
        found_up["p50"] <= UP_MS and found_starting["p50"] <= STARTING_MS,
        {"engine_up_ms": found_up, "starting_ms": found_starting, "loaded": loaded},
        packages=("ipykernel", "ipython"),
    )


def _load(folder: Path) -> dict[str, Any]:
    variables = {
        **os.environ,
        "KERNELKIT_HOME": str(folder / ".kernelkit"),
        "PYTHONPATH": str(machine.REPOSITORY),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    manager = KernelManager(kernel_name="python3", transport="ipc", ip=str(folder / "kernel"))
    manager.start_kernel(env=variables, cwd=str(folder))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        _run(client, "pass")
        time.sleep(0.2)  # until the kernel has nothing of its own start left to do
        found: dict[str, Any] = json.loads(_run(client, _CELL))
        return found
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _run(client: BlockingKernelClient, code: str) -> str:
    texts: list[str] = []

    def heard(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            texts.append(message["content"]["text"])

    reply = client.execute_interactive(code, timeout=60, output_hook=heard)
    content = reply["content"]
    assert content["status"] == "ok", content.get("traceback")
    return "".join(texts)


if __name__ == "__main__":
    sys.exit(figures.main(measure))
