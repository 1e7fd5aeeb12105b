"""The static faces of everything but a single run, as of now: what a terminal, an export or a list of results shows.

Looking starts no engine. Where nothing can be read, what there is to say about that is shown instead.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kernelkit.authoring.batchhandle import BatchHandle
from kernelkit.authoring.logs import RunLogs
from kernelkit.authoring.queues import Queues, QueueTable
from kernelkit.authoring.runs import Page
from kernelkit.authoring.schedule import Schedule, ScheduleTable
from kernelkit.authoring.schedules import Schedules
from kernelkit.authoring.table import Table
from kernelkit.authoring.task import Task
from kernelkit.authoring.timeline import RunTimeline
from kernelkit.authoring.token import Token, TokenList
from kernelkit.authoring.tree import RunTree
from kernelkit.client.client import Client
from kernelkit.client.engine import EngineControl
from kernelkit.errors import KernelKitError
from kernelkit.models.run import Run
from kernelkit.rules.run_filters import in_words
from kernelkit.ui import engine_panel, queues, schedules, sql_table, table, task_line, tokens, words
from kernelkit.ui.batch_source import BatchSource
from kernelkit.ui.faces import Bundle, terminal, unreadable
from kernelkit.ui.logs_source import LogsSource
from kernelkit.ui.timeline_source import TimelineSource
from kernelkit.ui.tree_faces import tree_html, tree_text
from kernelkit.ui.tree_source import TreeSource
from kernelkit.wire.discovery import is_locked
from kernelkit.wire.messages import EngineStatus


def tree_bundle(tree: RunTree) -> Bundle:
    """The tree as it is now, failures first."""
    source = TreeSource(tree)
    try:
        source.read()
    except KernelKitError as error:
        return unreadable(tree, error)
    drawn = source.tree(failures=True, max_rows=200)
    return {"text/plain": tree_text(drawn, **terminal()), "text/html": tree_html(drawn)}


def timeline_bundle(shown: RunTimeline) -> Bundle:
    """The timeline as it is now."""
    source = TimelineSource(shown)
    try:
        source.read()
        return source.bundle(**terminal())
    except KernelKitError as error:
        return unreadable(shown, error)


def logs_bundle(shown: RunLogs) -> Bundle:
    """The last lines, as they are now."""
    source = LogsSource(shown)
    try:
        source.load()
    except KernelKitError as error:
        return unreadable(shown, error)
    return source.bundle(**terminal())


def batch_bundle(handle: BatchHandle[Any]) -> Bundle:
    """Counts and the first failures, as of now."""
    try:
        source = BatchSource(handle)
        source.read()
    except KernelKitError as error:
        return unreadable(handle, error)
    return source.bundle(**terminal())


def page_bundle(page: Page) -> Bundle:
    """A page of `kk.runs.list`, with what was asked for."""
    told = [in_words(page.asked)]
    told += [f"id before {page.asked.after}"] if page.asked.after else []
    told += [f"id after {page.asked.before}"] if page.asked.before else []
    return runs_bundle(page.runs, total=page.total, has_more=page.has_more, filters=", ".join(filter(None, told)))


def runs_bundle(runs: tuple[Run, ...], *, total: int, has_more: bool, filters: str = "") -> Bundle:
    """One page of runs, newest first."""
    view = table.runs_table(
        runs, total=total, has_more=has_more, now=datetime.now(UTC), zone=words.local_zone(), filters=filters
    )
    return {"text/plain": table.table_text(view, **terminal()), "text/html": table.table_html(view)}


def queues_bundle(shown: QueueTable) -> Bundle:
    """The project's queues as they are now."""
    view = queues.queues_table(shown, paused=shown.paused, now=datetime.now(UTC), zone=words.local_zone())
    return {"text/plain": queues.queues_text(view, **terminal()), "text/html": queues.queues_html(view)}


def all_queues_bundle(shown: Queues) -> Bundle:
    """`kk.queues` itself."""
    try:
        return queues_bundle(shown.list())
    except KernelKitError as error:
        return unreadable(shown, error)


def schedules_bundle(shown: ScheduleTable, note: str = "") -> Bundle:
    """The project's schedules, with `note` below, or that no engine runs."""
    view = schedules.schedules_table(
        [one.known for one in shown], now=datetime.now(UTC), zone=words.local_zone(), note=note or _asleep(shown)
    )
    return {"text/plain": schedules.schedules_text(view, **terminal()), "text/html": schedules.schedules_html(view)}


def all_schedules_bundle(shown: Schedules) -> Bundle:
    """`kk.schedules` itself."""
    try:
        return schedules_bundle(shown.list())
    except KernelKitError as error:
        return unreadable(shown, error)


def schedule_bundle(shown: Schedule) -> Bundle:
    """One schedule, as a table of one."""
    return schedules_bundle(ScheduleTable([shown]))


def _asleep(shown: ScheduleTable) -> str:
    """A table may be looked at long after the engine that it came from was stopped."""
    homes = {one._caller.home for one in shown if isinstance(one._caller, Client)}  # a test engine always runs
    return schedules.ASLEEP if any(not is_locked(home) for home in homes) else ""


def token_bundle(token: Token) -> Bundle:
    """A token as it is now."""
    try:
        token.status  # noqa: B018  # asks the engine unless it has ended
        seen = token.seen
    except KernelKitError as error:
        return unreadable(token, error)
    assert seen is not None
    row = tokens.token_row(seen, now=datetime.now(UTC), zone=words.local_zone())
    return {"text/plain": tokens.token_text(row, **terminal()), "text/html": tokens.token_html(row)}


def tokens_bundle(shown: TokenList) -> Bundle:
    """A page of `kk.tokens.list`."""
    view = tokens.tokens_table(
        [token.seen for token in shown if token.seen is not None],
        now=datetime.now(UTC),
        zone=words.local_zone(),
        total=shown.total,
        has_more=shown.has_more,
    )
    return {"text/plain": tokens.tokens_text(view, **terminal()), "text/html": tokens.tokens_html(view)}


def table_bundle(shown: Table) -> Bundle:
    """The answer of a query."""
    return {"text/plain": repr(shown), "text/html": sql_table.table_html(shown)}


def task_bundle(task: Task[..., Any]) -> Bundle:
    """A task in three lines."""
    view = task_line.task_view(task)
    return {"text/plain": task_line.task_text(view, **terminal()), "text/html": task_line.task_html(view)}


def engine_bundle(status: EngineStatus, **_: Any) -> Bundle:
    """A running engine's panel."""
    view = engine_panel.engine_view(status, now=datetime.now(UTC), zone=words.local_zone())
    return {"text/plain": engine_panel.engine_text(view, **terminal()), "text/html": engine_panel.engine_html(view)}


def engine_control_bundle(control: EngineControl) -> Bundle:
    """`kk.engine`: its panel, or that it is away. Looking starts nothing."""
    try:
        return engine_bundle(control.status())
    except KernelKitError:
        return engine_away_bundle(str(control.home.path), was_stopped=control.was_stopped)


def engine_away_bundle(home: str, *, was_stopped: bool) -> Bundle:
    """The panel when no engine answers."""
    view = engine_panel.engine_away(home, was_stopped=was_stopped)
    return {"text/plain": engine_panel.engine_text(view, **terminal()), "text/html": engine_panel.engine_html(view)}
