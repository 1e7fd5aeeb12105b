"""`kernelkit queues` as a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from kernelkit.config import Home
from tests.cli.conftest import KernelKit

JOBS = """
import kernelkit as kk

@kk.task(queue=kk.Queue("mail", concurrency_limit=5, rate_limit="100/m"))
async def send(to: str) -> str:
    return to
"""


def test_queues_are_shown_paused_limited_and_let_go_again(kernelkit: KernelKit, home: Home, tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(JOBS)
    environment = {**os.environ, "KERNELKIT_HOME": str(home.path)}
    define = [sys.executable, "-c", "import jobs; jobs.send.register()"]
    subprocess.run(define, cwd=tmp_path, env=environment, check=True, timeout=100)

    assert "mail" in kernelkit("queues") and "100/m" in kernelkit("queues", "list")
    assert "paused" in kernelkit("queues", "pause", "mail")
    told = json.loads(kernelkit("queues", "set", "mail", "2", "--json"))["queues"][0]
    assert (told["paused"], told["concurrency"]["current"], told["concurrency"]["base"]) == (True, 2, 5)

    kernelkit("restart")
    (kept,) = [one for one in json.loads(kernelkit("queues", "--json"))["queues"] if one["name"] == "mail"]
    assert (kept["paused"], kept["concurrency"]["override"], kept["rate_limit"]) == (True, 2, "100/m")
    assert "open" in kernelkit("queues", "resume", "mail")
    assert "0 of 5" in kernelkit("queues", "reset", "mail")
    assert "The project is paused" in kernelkit("queues", "pause", "--all")
    assert "paused" not in kernelkit("queues", "resume", "--all")

    assert "mail" in kernelkit("queues", "pause", "mial", wanted=1)  # the near match
    assert "--all" in kernelkit("queues", "pause", wanted=2)
    assert "not overridden" in kernelkit("queues", "reset", "mail", wanted=1)
