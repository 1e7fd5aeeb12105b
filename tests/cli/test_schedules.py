"""`kernelkit schedules` and `service` as a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernelkit.config import Home
from tests.cli.conftest import KernelKit

JOBS = """
import kernelkit as kk

@kk.task(cron="0 0 1 1 *", timezone="Asia/Tokyo")
async def yearly() -> str:
    return "done"

@kk.task
async def remind(external_id: str = "") -> str:
    return external_id
"""


@pytest.fixture
def defined(home: Home, tmp_path: Path) -> Path:
    """A project whose tasks the engine knows."""
    (tmp_path / "jobs.py").write_text(JOBS)
    command = [sys.executable, "-c", "import jobs; jobs.yearly.register(); jobs.remind.register()"]
    environment = {**os.environ, "KERNELKIT_HOME": str(home.path)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=100)
    return tmp_path


def test_schedules_are_made_shown_paused_run_and_deleted(kernelkit: KernelKit, defined: Path) -> None:
    made = json.loads(
        kernelkit("schedules", "create", "remind", "0 9 * * 1-5", "--key", "a", "--external-id", "u1", "--json")
    )
    shown = kernelkit("schedules")

    assert (made["cron"], made["description"], made["kind"]) == (
        "0 9 * * 1-5",
        "At 09:00, Monday through Friday",
        "IMPERATIVE",
    )
    assert "yearly" in shown
    assert made["id"] in shown
    assert "2 schedules" in shown
    assert "nothing fires until an engine runs" in shown
    assert kernelkit("schedules", "pause", made["id"]).splitlines()[1].startswith("off  remind")
    assert json.loads(kernelkit("schedules", "show", made["id"], "--json"))["next_at"] is None
    assert json.loads(kernelkit("schedules", "resume", made["id"], "--json"))["active"] is True
    assert kernelkit("schedules", "run", made["id"]).startswith("run_")
    assert "Deleted" in kernelkit("schedules", "delete", made["id"])
    assert [one["task_id"] for one in json.loads(kernelkit("schedules", "list", "--json"))] == ["yearly"]


def test_what_will_not_do_is_said_in_words(kernelkit: KernelKit, defined: Path) -> None:
    wrong = [
        (("create", "remind", "* * * * * *", "--key", "a"), "it has 6 fields"),
        (("create", "remind", "@daily", "--key", "a", "--timezone", "Asia/Tokio"), "Did you mean 'Asia/Tokyo'"),
        (("create", "remnd", "@daily", "--key", "a"), "Did you mean 'remind'"),
        (("show", "sched_nothing"), "There is no schedule 'sched_nothing'"),
    ]
    for line, words in wrong:
        assert words in kernelkit("schedules", *line, wanted=1)


def test_a_stopped_engine_is_said_to_fire_nothing(kernelkit: KernelKit, defined: Path) -> None:
    kernelkit("down")

    said = kernelkit("schedules", wanted=1)

    assert "kernelkit up" in said
