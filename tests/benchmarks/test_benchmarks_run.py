"""Each benchmark runs, small, and its line has what a record needs. No figure is judged here: machines differ."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.benchmarks import figures, machine
from tests.benchmarks.__main__ import BENCHMARKS

COMMON = {"name", "value", "unit", "target", "met", "command", "commit", "at", "python", "cpus", "disk", "loadavg"}


def run(name: str, *arguments: str) -> dict[str, Any]:
    """The one line that a benchmark prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-m", f"tests.benchmarks.{name}", *arguments],
        cwd=machine.REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(machine.REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    assert found.keys() >= COMMON
    assert found["name"] == name
    return found


def test_throughput_proves_what_it_measures(strace: str) -> None:
    found = run("throughput", "--items", "20", "--alternations", "1", "--warmups", "0")

    proofs = found["proofs"]
    assert proofs["engine_pid"] not in proofs["body_pids"]
    assert proofs["history_rows"] == proofs["runs_measured"] == 40
    assert proofs["read_back_after_kill_9"] == 40
    assert proofs["fdatasync"]["calls"] > 0
    assert found["peer_runs_per_s"].keys() == {"default polls", "short polls"}


def test_batch_reads_every_result_back_after_a_kill() -> None:
    found = run("batch", "--items", "20", "--rounds", "2", "--warmups", "1")

    assert found["proofs"]["batches_read_back_after_kill_9"] == found["known_ms"]["n"] == 2
    assert found["cpu_us_per_run"].keys() == {"client", "engine", "workers"}


def test_latency_says_what_made_the_slowest_slow() -> None:
    found = run("latency", "--runs", "10", "--warmups", "2")

    assert found["latency_ms"]["n"] == found["commit_alone_ms"]["n"] == 10
    assert found["commit_ms"]["p50"] > 0
    assert found["p99_cause"]
    assert all(slow["cause"] for slow in found["slowest"])


def test_load_ext_is_timed_in_kernels() -> None:
    found = run("load_ext", "--repeats", "1")

    assert found["engine_up_ms"]["n"] == found["starting_ms"]["n"] == 1


def test_idle_has_all_three_processes() -> None:
    found = run("idle", "--seconds", "1", "--settle", "0")

    assert found["pss_mb"].keys() == found["cpu_percent"].keys() == {"engine", "keeper", "worker"}
    assert all(found["pss_mb"].values())


def test_import_cost_names_what_should_not_be_loaded() -> None:
    found = run("import_cost", "--repeats", "2")

    assert found["unwanted_modules"] == []


def test_history_start_finds_the_runs_it_made() -> None:
    found = run("history_start", "--runs", "3000", "--repeats", "1")

    assert found["events"] == 9000
    assert found["after_kill_9_s"]["n"] == found["after_a_stop_s"]["n"] == 1


def test_notebook_job_is_timed_beside_plain_nbclient() -> None:
    found = run("notebook_job", "--repeats", "1")

    assert (found["plain_s"]["n"], found["cold_s"]["n"], found["warm_s"]["n"]) == (2, 1, 1)


def test_looking_asks_pages_and_queries() -> None:
    found = run("looking", "--runs", "3000", "--repeats", "2")

    assert len(found["pages_s"]) == 14
    assert found["queries_meanwhile"] >= 0


def test_schedules_count_every_fire() -> None:
    found = run("schedules", "--schedules", "200", "--minutes", "0")

    assert found["fires"]["200"] > found["fires"]["100"] > 0
    assert found["started_after_slot_ms"] is None


@pytest.mark.slow
def test_schedules_start_at_a_real_minute() -> None:
    found = run("schedules", "--schedules", "100", "--due", "5", "--minutes", "1")

    assert found["started_after_slot_ms"]["n"] == 5


def test_children_are_waited_for_inside_a_run() -> None:
    found = run("children", "--children", "20", "--rounds", "2", "--warmups", "1")

    assert found["waited_ms"]["n"] == 2
    assert found["proofs"]["body_pids"]


def test_suspended_runs_wait_again_after_a_kill() -> None:
    found = run("suspended", "--runs", "50", "--seconds", "1", "--settle", "0")

    assert found["kib_each"].keys() == {"engine", "workers"}
    assert found["waiting_after_kill_9_s"] > 0


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_a_limit(name: str) -> None:
    module = __import__(f"tests.benchmarks.{name}", fromlist=["NAME", "measure"])

    assert module.NAME == name
    assert module.__doc__


def test_percentiles_are_taken_from_among_the_values() -> None:
    assert figures.percentile([5, 1, 3], 0.5) == 3
    assert figures.latencies([0.001, 0.002])["max"] == 2.0


def test_queueing_shows_what_length_and_keys_cost() -> None:
    found = run("queueing", "--runs", "300", "--rounds", "1")

    assert found["us_per_run_by_length"].keys() == {"300"}
    assert found["us_per_run_by_keys"].keys() == {"10", "1000"}


@pytest.mark.slow
def test_cards_are_looked_at_in_a_browser(chromium: str) -> None:
    found = run("cards", "--runs", "3", "--seconds", "2", "--cards", "3")

    assert found["status_ms"]["n"] >= 3
    assert found["console_problems"] == []


@pytest.mark.slow
def test_a_tree_is_walked_about_in_a_browser(chromium: str) -> None:
    found = run("tree", "--runs", "300", "--keys", "7")

    assert found["rows_at_most"] > 0
    assert found["console_problems"] == []


def test_a_table_is_paged_in_a_browser(chromium: str) -> None:
    found = run("table", "--runs", "300", "--pages", "4")

    assert (found["older_ms"]["n"], found["newer_ms"]["n"], found["chip_ms"]["n"]) == (4, 2, 4)
    assert found["console_problems"] == []
