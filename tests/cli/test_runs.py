"""Tasks of a module, triggered, looked at and canceled from the command line: a real engine and real workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernelkit.config import Home
from tests.cli.conftest import KernelKit

JOBS = """
import asyncio
import kernelkit as kk

@kk.task(tags=["sums"])
async def add(a: int, b: int) -> int:
    print(f"adding {a} and {b}")
    return a + b

@kk.task
async def wait_for_ever() -> None:
    await asyncio.Event().wait()

@kk.task(retry=None)
def divide(a: int, b: int) -> float:
    return a / b

@kk.task(retry=kk.Retry(max_attempts=2, min_timeout="1h", max_timeout="1h"))
async def call_service() -> str:
    if kk.ctx.attempt.number == 1:
        raise ConnectionError("the service is down")
    return "it is back"

if __name__ == "__main__":
    for task in (add, wait_for_ever, divide, call_service):
        task.register()
"""


@pytest.fixture
def jobs(home: Home, tmp_path: Path) -> Path:
    """A module with tasks, which the engine knows."""
    module = tmp_path / "jobs.py"
    module.write_text(JOBS)
    environment = os.environ | {"KERNELKIT_HOME": str(home.path)}
    subprocess.run([sys.executable, str(module)], check=True, env=environment, timeout=60)
    return module


@pytest.mark.usefixtures("jobs")
def test_a_task_is_listed_triggered_waited_for_and_its_log_is_read(kernelkit: KernelKit) -> None:
    listed = json.loads(kernelkit("tasks", "--json"))
    assert [task["id"] for task in listed] == ["add", "call-service", "divide", "wait-for-ever"]
    assert listed[0]["json_schema"]["required"] == ["a", "b"]

    run = json.loads(kernelkit("trigger", "add", "a=2", "b=3", "--tag", "by-hand", "--wait", "--json"))

    assert (run["status"], run["output"], run["payload"]) == ("COMPLETED", 5, {"a": 2, "b": 3})
    assert run["tags"] == ["by-hand"]  # those of the task are for runs that give none
    assert "adding 2 and 3" in kernelkit("logs", run["id"])
    assert "✓ add" in kernelkit("runs", run["id"])
    assert run["id"] in kernelkit("runs", "--task", "add", "--tag", "by-hand", "--status", "completed")
    assert json.loads(kernelkit("runs", "--task", "divide", "--json")) == {
        "runs": [],
        "has_more": False,
        "has_previous": False,
        "total": 0,
    }


@pytest.mark.usefixtures("jobs")
def test_waiting_for_a_run_that_fails_ends_with_1_and_shows_the_error(kernelkit: KernelKit) -> None:
    told = kernelkit("trigger", "divide", "-", "--wait", wanted=1, said='{"a": 1, "b": 0}')

    assert "Failed" in told and "ZeroDivisionError" in told


@pytest.mark.usefixtures("jobs")
def test_a_wait_that_takes_too_long_leaves_the_run_alone_and_a_cancel_ends_it(kernelkit: KernelKit) -> None:
    told = kernelkit("trigger", "wait-for-ever", "--wait", "--timeout", "0.5", wanted=1)
    run_id = told.split()[0]
    assert json.loads(kernelkit("runs", run_id, "--json"))["status"] in ("QUEUED", "DEQUEUED", "EXECUTING")

    assert "canceled" in kernelkit("cancel", run_id)
    assert "canceled" in kernelkit("cancel", run_id)
    assert json.loads(kernelkit("runs", run_id, "--json"))["status"] == "CANCELED"


@pytest.mark.usefixtures("jobs")
def test_a_run_between_two_attempts_is_retried_and_one_that_is_over_refused(kernelkit: KernelKit) -> None:
    run_id = kernelkit("trigger", "call-service").strip()
    _until(kernelkit, run_id, lambda run: run["retry_at"] is not None)

    told = kernelkit("retry", "run_nowhere", run_id, wanted=1)

    assert "Cannot retry run_nowhere now" in told
    assert f"{run_id}: its next attempt waits no longer" in told
    _until(kernelkit, run_id, lambda run: run["status"] == "COMPLETED")
    assert "kk.runs.replay" in kernelkit("retry", run_id, "--json", wanted=1)


def _until(kernelkit: KernelKit, run_id: str, condition: Callable[[dict[str, Any]], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition(json.loads(kernelkit("runs", run_id, "--json"))):
        assert time.monotonic() < deadline


@pytest.mark.usefixtures("jobs")
def test_a_run_that_is_waited_for_survives_a_restart_of_the_engine(home: Home, kernelkit: KernelKit) -> None:
    run_id = kernelkit("trigger", "wait-for-ever").strip()
    _until(kernelkit, run_id, lambda run: run["status"] == "EXECUTING")

    kernelkit("restart")

    run = json.loads(kernelkit("runs", run_id, "--json"))
    assert (run["status"], len(run["attempts"])) == ("EXECUTING", 1)
    kernelkit("cancel", run_id)


@pytest.mark.usefixtures("jobs")
def test_a_misspelt_task_is_refused_with_the_name_it_might_have_been(kernelkit: KernelKit) -> None:
    assert "divide" in kernelkit("trigger", "devide", "a=1", wanted=1)


@pytest.mark.usefixtures("jobs")
def test_history_is_asked_in_sql(kernelkit: KernelKit) -> None:
    kernelkit("trigger", "add", "a=2", "b=3", "--wait")

    asked = "select task_id, output::int as output, created_at from runs where status = 'COMPLETED' limit 1"
    found = json.loads(kernelkit("sql", asked, "--json"))
    assert (found["columns"], found["rows"][0][:2]) == (["task_id", "output", "created_at"], ["add", 5])
    assert kernelkit("sql", asked.replace(", created_at", ""), "--csv") == "task_id,output\nadd,5\n"
    assert "(1 row)" in kernelkit("sql", asked)
    assert "Did you mean 'runs'" in kernelkit("sql", "from rnus", wanted=1)
    assert "statements" in kernelkit("sql", "select 1; select 2", wanted=1)


@pytest.mark.usefixtures("jobs")
def test_runs_are_written_to_files(kernelkit: KernelKit, tmp_path: Path) -> None:
    kernelkit("trigger", "add", "a=2", "b=3", "--wait")
    file = tmp_path / "out.csv"

    told = json.loads(kernelkit("export", str(file), "--status", "completed", "--json"))
    assert (told["runs"], told["file"]) == (1, str(file))
    head, row = file.read_text().splitlines()
    assert head.startswith("id,task_id,status") and ",add,COMPLETED," in row
    assert "--force" in kernelkit("export", str(file), wanted=2)
    assert "out.csv: 0 runs" in kernelkit("export", str(file), "--task", "divide", "--force")
    assert "ends in none of" in kernelkit("export", str(tmp_path / "out.xlsx"), wanted=2)
    assert "does not exist" in kernelkit("export", str(tmp_path / "no" / "out.csv"), wanted=2)
