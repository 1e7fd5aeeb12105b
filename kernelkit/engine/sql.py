"""Answers `kk.sql`: what is live joins history for the time of one query.

Three steps: the statement is parsed on the query thread, the live rows it is about are gathered on the loop (some at a
time, so that nothing else waits), and the query runs on its thread again. Commits go on meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kernelkit.engine.core import Core
from kernelkit.engine.state import State
from kernelkit.models.run import RunStatus
from kernelkit.store.history import to_row
from kernelkit.store.query import Answer
from kernelkit.store.rows import HistoryRow
from kernelkit.wire.messages import Export, Exported, Sql, TableReply

AT_ONCE = 250  # live runs a turn of the loop: two or three milliseconds

Rows = list[tuple[Any, ...]]
Run = Callable[[Callable[[], Any], Callable[[Any], None]], None]
"""Calls the first function on the query thread and the second with its answer on the loop; refuses by itself."""

_RUN_VIEWS = frozenset({"runs", "attempts"})


def answer_sql(core: Core, asked: Sql, run: Run, reply: Callable[[TableReply], None]) -> None:
    """Have `reply` called with the answer."""

    def parsed(used: frozenset[str]) -> None:
        live: dict[str, Rows] = {}
        if "queues" in used:
            live["live_queues"] = _queues(core.state)
        if "schedules" in used:
            live["live_schedules"] = _schedules(core.state)
        if used & _RUN_VIEWS:
            core.flush_history(lambda: _gather(core, lambda rows: go(live | {"live": rows})))
        else:
            core.after_commit(lambda: go(live))

    def go(live: dict[str, Rows]) -> None:
        run(lambda: core.store.ask(asked.text, live, timeout_s=asked.timeout_s, limit=asked.limit), answered)

    def answered(answer: Answer) -> None:
        reply(TableReply(answer.columns, answer.types, answer.rows, answer.has_more))

    run(lambda: core.store.used_views(asked.text), parsed)


def export(core: Core, asked: Export, run: Run, reply: Callable[[Exported], None]) -> None:
    """Have `reply` called once the file is written."""
    where = asked.where.frozen(core.clock.now())

    def go(rows: Rows) -> None:
        run(lambda: core.store.export(where, {"live": rows}, asked.name, asked.kind), written)

    def written(made: tuple[Path, int]) -> None:
        reply(Exported(str(made[0]), made[1]))

    core.flush_history(lambda: _gather(core, go))


def _gather(core: Core, then: Callable[[Rows], None]) -> None:
    """Rows of `history`'s shape for all runs that are not there, over as many turns of the loop as it takes."""
    waiting = list(dict.fromkeys([*core.state.runs, *(row.run.id for row in core.ledger.rows())]))
    rows: Rows = []

    def some() -> None:
        for run_id in waiting[-AT_ONCE:]:
            row = _row(core, run_id)
            if row is not None:
                rows.append(to_row(row))
        del waiting[-AT_ONCE:]
        if waiting:
            core.soon(some)
        else:
            core.after_commit(lambda: then(rows))

    some()


def _row(core: Core, run_id: str) -> HistoryRow | None:
    live = core.state.runs.get(run_id)
    if live is None:
        return core.ledger.get(run_id)
    view = core.view(run_id, count_ahead=False)
    assert view is not None, "it is live"
    return HistoryRow(view, live.payload.ref, None, seq=0)


def _queues(state: State) -> Rows:
    executing: Counter[str] = Counter(state.runs[run_id].queue for run_id in state.holders)
    queued: Counter[str] = Counter()
    delayed: Counter[str] = Counter()
    for live in state.runs.values():
        if live.status is RunStatus.QUEUED and not live.holds_slot:
            queued[live.queue] += 1
        elif live.status is RunStatus.DELAYED:
            delayed[live.queue] += 1
    names = {version.spec.queue_name for version in state.tasks.values()}
    names |= state.queues.keys() | executing.keys() | queued.keys() | delayed.keys()
    return [(name, state.limit_of(name), executing[name], queued[name], delayed[name]) for name in sorted(names)]


def _schedules(state: State) -> Rows:
    """In the columns' order; what is not set is NULL."""
    return [
        (
            one.id,
            one.task_id,
            one.timing.cron,
            one.timing.timezone,
            one.kind,
            one.active,
            one.external_id or None,
            one.deduplication_key or None,
            one.timing.catch_up,
            one.timing.max_catch_up,
            one.timing.overlap,
            one.created_at,
            one.next_at or None,
            one.last_slot or None,
            one.last_run_id or None,
            one.last_status or None,
            one.fired,
            one.missed_count,
        )
        for one in state.schedules.values()
    ]
