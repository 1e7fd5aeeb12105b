"""Proves from outside what became of a project's runs.

Trusts no engine: it reads what the clients were told, what the bodies wrote, and the database file itself, which it
opens read-only once the engine has gone. It imports nothing of ours, so that it cannot share a mistake.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import duckdb


@dataclass
class Told:
    """What a client knows of a run: its number was the payload, `output` what it was given (None: not waited for)."""

    run_id: str
    number: int
    output: int | None = None


@dataclass
class Body:
    """What one run's bodies wrote: the fence and pid of each start and each end, in order."""

    starts: list[tuple[str, int]] = field(default_factory=list)
    ends: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class Report:
    """The findings; `wrong` is empty when every law holds."""

    runs: int = 0
    dispatches: int = 0
    restarted: list[str] = field(default_factory=list)  # runs with more than one start of a body
    wrong: list[str] = field(default_factory=list)


def read_bodies(notes: list[list[str]]) -> dict[str, Body]:
    """Lines `start|end <run id> <fence> <pid>` by run."""
    bodies: dict[str, Body] = defaultdict(Body)
    for what, run_id, fence, pid in (line for line in notes if line[0] in ("start", "end")):
        (bodies[run_id].starts if what == "start" else bodies[run_id].ends).append((fence, int(pid)))
    return bodies


def audit(
    database: Path, told: list[Told], notes: list[list[str]], *, lost_pids: frozenset[int] = frozenset()
) -> Report:
    """Compare the three. Bodies may start twice only where a process of `lost_pids` had the first."""
    report = Report(runs=len(told))
    with duckdb.connect(str(database), read_only=True) as connection:
        history = connection.execute("SELECT id, status, output, attempts FROM history").fetchall()
        log = connection.execute("SELECT seq, kind, run_id, body FROM log ORDER BY seq").fetchall()
    _check_log_has_no_hole([seq for seq, *_ in log], report)
    rows = Counter(run_id for run_id, *_ in history)
    events: dict[str, list[tuple[str, dict[str, object]]]] = defaultdict(list)
    for _, kind, run_id, body in log:
        if run_id.startswith("run_"):  # else it is of a batch, a token or the engine
            events[run_id].append((kind, json.loads(body)))
    report.dispatches = sum(kind == "RunDispatched" for _, kind, *_ in log)
    ended = {run_id: (status, output, json.loads(attempts)) for run_id, status, output, attempts in history}
    bodies = read_bodies(notes)
    for run_id in [run_id for run_id, count in rows.items() if count != 1]:
        report.wrong.append(f"{run_id}: {rows[run_id]} rows in history")
    for run_id in events.keys() - ended.keys():
        report.wrong.append(f"{run_id}: was triggered and is stuck or lost: {[kind for kind, _ in events[run_id]]}")
    for run_id in bodies.keys() - ended.keys():
        report.wrong.append(f"{run_id}: a body ran and history has no run")
    for one in told:
        _check(one, ended, events[one.run_id], bodies[one.run_id], report, lost_pids)
    return report


def _check_log_has_no_hole(seqs: list[int], report: Report) -> None:
    if seqs != list(range(1, len(seqs) + 1)):
        report.wrong.append("the log has a hole or a double")


def _check(
    one: Told,
    ended: dict[str, tuple[str, str | None, list[dict[str, object]]]],
    events: list[tuple[str, dict[str, object]]],
    body: Body,
    report: Report,
    lost_pids: frozenset[int],
) -> None:
    def wrong(words: str) -> None:
        report.wrong.append(f"{one.run_id}: {words}; events {[kind for kind, _ in events]}; bodies {body}")

    if one.run_id not in ended:
        wrong("acknowledged, and not in history")
        return
    status, output, attempts = ended[one.run_id]
    kinds = [kind for kind, _ in events]
    fences = [str(event["fence"]) for kind, event in events if kind == "RunDispatched"]
    if kinds.count("RunTriggered") != 1 or kinds.count("RunFinished") != 1 or kinds[-1] != "RunFinished":
        wrong("does not have one beginning and one end")
    if status != "COMPLETED" or output is None or json.loads(output) != 2 * one.number:
        wrong(f"ended as {status} with {output}, not with {2 * one.number}")
    if one.output is not None and one.output != 2 * one.number:
        wrong(f"its client was given {one.output}")
    if [attempt["status"] for attempt in attempts].count("COMPLETED") != 1:
        wrong(f"has not one winning attempt: {attempts}")
    if len(set(fences)) != len(fences):
        wrong("a fence was given twice")
    if not fences or [fence for fence, _ in body.ends].count(fences[-1]) != 1:
        wrong(f"the body under the winning fence {fences[-1:]} did not end once")
    for fence, pid in body.starts:
        if fence not in fences:
            wrong(f"a body ran under the fence {fence}, which was never dispatched")
        elif fence != fences[-1] and pid not in lost_pids:
            wrong(f"the body of process {pid} was started, and then again, though its worker was never lost")
    if len(body.starts) > 1:
        report.restarted.append(one.run_id)
