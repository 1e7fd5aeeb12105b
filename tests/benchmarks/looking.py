"""How soon a page of runs, and the answer of a query, comes from a home with a million finished runs.

The home is that of `history_start`. Each list is asked through a client, so the time has the socket and the decoding in
it. Beside a query in a loop, the latency of triggering a run is measured again: queries must not hold commits up.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from kernelkit.client.client import Client
from kernelkit.models.run import Run
from tests.benchmarks import figures
from tests.benchmarks.bodies import noop, payload
from tests.benchmarks.history_start import BEHIND, fill
from tests.benchmarks.project import Project, project

NAME = "looking"
LIMIT_S = 0.15
TRIGGERS = 200


def measure(runs: int = 1_000_000, repeats: int = 15) -> dict[str, Any]:
    """Seconds for pages by several filters, the worst median being the figure; queries and triggers beside them."""
    with project(NAME) as ours:
        noop.trigger(**payload(0)).result(timeout=60)
        ours.down()
        fill(ours.home, runs, behind=min(BEHIND, runs // 2))
        ours.client.close()
        fresh = Project(ours.folder)
        ours.client = client = fresh.client
        fresh.home.down_mark.unlink(missing_ok=True)
        with client.use():
            noop.trigger(**payload(0)).result(timeout=120)
            pages = {name: _timed(ask, repeats) for name, ask in _pages(client).items()}
            queries = {name: _timed(partial(client.sql, text), 5) for name, text in QUERIES.items()}
            alone = _triggers(client)
            beside, asked = _beside_a_query(client)
    worst = max(each["median"] for each in pages.values())
    return figures.line(
        NAME,
        worst,
        "s for a page",
        f"<= {LIMIT_S:g}",
        worst <= LIMIT_S,
        {
            "pages_s": pages,
            "queries_s": queries,
            "trigger_ms": alone,
            "trigger_beside_queries_ms": beside,
            "queries_meanwhile": asked,
            "runs": runs,
        },
    )


QUERIES = {
    "count_by_status": "select status, count(*) from runs group by all",
    "p95_by_hour": "select date_trunc('hour', created_at) h, quantile_cont(duration, 0.95) from runs group by all",
    "newest_100": "select * from runs order by id desc limit 100",
    "attempts_by_status": "select status, count(*) from attempts group by all",
    "payloads_of_a_day": "select sum((payload->>'n')::bigint) from runs where created_at > now() - interval 1 day",
}


def _pages(client: Client) -> dict[str, Callable[[], object]]:
    middle = _nth(client, 0.5)
    oldest = _nth(client, 0.001)
    asked: dict[str, dict[str, Any]] = {
        "newest_25": {},
        "newest_100": {"limit": 100},
        "failed": {"status": "failed", "limit": 100},
        "task_and_status": {"task": "noop", "status": ["failed", "crashed"]},
        "tag_of_nobody": {"tag": "nobody's"},
        "queue_of_nobody": {"queue": "none"},
        "children_of_one": {"parent": middle.id},
        "version": {"version": middle.version, "limit": 100},
        "last_7_days": {"period": "7d", "status": "failed"},
        "a_day_in_the_middle": {"created_to": middle.created_at, "status": "failed"},
        "after_the_middle": {"after": middle.id, "limit": 100},
        "before_the_middle": {"before": middle.id, "limit": 100},
        "before_the_oldest": {"before": oldest.id, "limit": 100, "status": "failed"},
        "no_tests": {"is_test": False, "limit": 100},
    }
    return {name: partial(client.runs.list, **given) for name, given in asked.items()}


def _nth(client: Client, share: float) -> Run:
    (count,) = client.sql("select count(*) from runs").rows[0]
    ((run_id,),) = client.sql(f"select id from runs order by id limit 1 offset {int(count * share)}").rows
    return client.runs.retrieve(run_id)


def _timed(ask: Callable[[], object], repeats: int) -> dict[str, float]:
    ask()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - began)
    return figures.spread(taken, 4)


def _triggers(client: Client) -> dict[str, float]:
    with client.use():
        taken = []
        for n in range(TRIGGERS):
            began = time.perf_counter()
            noop.trigger(**payload(n))
            taken.append(time.perf_counter() - began)
    return figures.latencies(taken)


def _beside_a_query(client: Client) -> tuple[dict[str, float], int]:
    """Triggers while another thread asks one heavy query after another."""
    stop = threading.Event()
    asked = 0

    def ask() -> None:
        nonlocal asked
        while not stop.is_set():
            client.sql(QUERIES["p95_by_hour"])
            asked += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        return _triggers(client), asked
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(figures.main(measure))
