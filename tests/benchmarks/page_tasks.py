"""Which tasks kept a page's main thread busy, and whose scripts: read off a trace of Chromium's with its CPU samples.

A task's time on the wall counts what other processes took of the machine meanwhile; the CPU time of its thread does
not. Code of ours runs from `blob:` addresses and no other does; what it makes the browser do at once, such as layout
on `focus()`, is sampled below it and so counts as ours.
"""

from __future__ import annotations

import bisect
import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline", "disabled-by-default-v8.cpu_profiler"]
LONG_MS = 50.0


@dataclass(frozen=True)
class Task:
    """One task of the main thread, in milliseconds."""

    wall: float
    cpu: float
    share: float
    """Of its samples under functions of ours."""
    most: str
    """Where most samples fell: a function and the file of its script."""

    @property
    def ours(self) -> float:
        """CPU milliseconds in functions of ours and what they made the browser do at once."""
        return self.cpu * self.share


@contextlib.contextmanager
def traced(page: Page) -> Iterator[list[Task]]:
    """The tasks of more than 50 ms on the wall while the block is run; the list is filled at its end."""
    found: list[Task] = []
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=CATEGORIES)
    try:
        yield found
    finally:
        found.extend(long_tasks(json.loads(browser.stop_tracing())["traceEvents"]))


def long_tasks(events: list[dict[str, Any]]) -> list[Task]:
    """Those of the renderer whose main thread had most to do."""
    tasks = [event for event in events if event["name"] == "RunTask" and event["ph"] == "X"]
    mains = {
        (e["pid"], e["tid"]) for e in events if e["name"] == "thread_name" and e["args"]["name"] == "CrRendererMain"
    }
    busy = Counter((event["pid"], event["tid"]) for event in tasks)
    pid, tid = max(mains, key=lambda thread: busy[thread])
    mine = [event for event in events if event["pid"] == pid]
    started = next(event["ts"] for event in mine if event["name"] == "Profile" and event["tid"] == tid)
    times, stacks = _samples(mine, tid)
    found = []
    for task in tasks:
        if (task["pid"], task["tid"]) != (pid, tid) or task["dur"] < LONG_MS * 1e3:
            continue
        if task["ts"] <= started <= task["ts"] + task["dur"]:  # the tracing's own
            continue
        first, last = bisect.bisect_left(times, task["ts"]), bisect.bisect_right(times, task["ts"] + task["dur"])
        ours, most = 0.0, Counter[str]()
        for at in range(first, last):
            took = (times[at + 1] if at + 1 < last else task["ts"] + task["dur"]) - times[at]
            most[stacks[at][0]] += int(took)
            ours += took if stacks[at][1] else 0
        top = most.most_common(1)[0][0] if most else ""
        found.append(Task(task["dur"] / 1e3, task.get("tdur", 0) / 1e3, min(1.0, ours / task["dur"]), top))
    return found


def _samples(events: list[dict[str, Any]], tid: int) -> tuple[list[float], list[tuple[str, bool]]]:
    """When each sample was taken, its function, and whether one of ours had called that."""
    begun = next(event for event in events if event["name"] == "Profile" and event["tid"] == tid)
    chunks = [event for event in events if event["name"] == "ProfileChunk" and event["id"] == begun["id"]]
    at = float(begun["args"]["data"]["startTime"])
    nodes: dict[int, tuple[str, bool]] = {}
    times: list[float] = []
    stacks: list[tuple[str, bool]] = []
    for chunk in sorted(chunks, key=lambda event: float(event["ts"])):
        data = chunk["args"]["data"]
        profile = data.get("cpuProfile", {})
        for node in profile.get("nodes", []):
            frame = node["callFrame"]
            url = frame.get("url", "")
            is_ours = url.startswith("blob:") or nodes.get(node.get("parent", 0), ("", False))[1]
            nodes[node["id"]] = (f"{frame['functionName'] or '?'} {url[-30:]}".strip(), is_ours)
        for sample, delta in zip(profile.get("samples", []), data.get("timeDeltas", []), strict=False):
            at += delta
            times.append(at)
            stacks.append(nodes[sample])
    return times, stacks
