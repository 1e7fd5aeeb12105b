"""Says what runs, handles, batches, pages and the engine look like when they are shown; `install` hooks it into
IPython.

`authoring` keeps the registry and knows none of this. A run that has not ended gets a live card in a kernel;
everything else, and every terminal, gets the static face and the text. Whatever goes wrong on the way, something is
shown.
"""

from __future__ import annotations

import contextvars
import math
import shutil
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from kernelkit.authoring import caller as callers
from kernelkit.authoring import display
from kernelkit.authoring.batchhandle import BatchHandle
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.logs import RunLogs
from kernelkit.authoring.queues import Queues, QueueTable
from kernelkit.authoring.result import Result
from kernelkit.authoring.runcalls import retrieve_run
from kernelkit.authoring.runs import Page, Runs
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
from kernelkit.ui import (
    clicks,
    engine_panel,
    hosts,
    html,
    queues,
    schedules,
    sql_table,
    table,
    task_line,
    text,
    tokens,
    words,
)
from kernelkit.ui.batch_source import BatchSource
from kernelkit.ui.card_acts import CardActs
from kernelkit.ui.engine_source import EVERY_S as ENGINE_EVERY_S
from kernelkit.ui.engine_source import EngineSource
from kernelkit.ui.faces import Bundle, static_bundle
from kernelkit.ui.feed import LiveCard, last_streams
from kernelkit.ui.live import LiveCards
from kernelkit.ui.live_view import LiveView, Source, views
from kernelkit.ui.logs_source import PACE_S as LOGS_PACE_S
from kernelkit.ui.logs_source import LogsSource
from kernelkit.ui.polled import Polled
from kernelkit.ui.queues_source import EVERY_S as QUEUES_EVERY_S
from kernelkit.ui.queues_source import QueuesSource
from kernelkit.ui.replacements import Replacements, publish
from kernelkit.ui.runs_source import RunsSource
from kernelkit.ui.schedules_source import EVERY_S as SCHEDULES_EVERY_S
from kernelkit.ui.schedules_source import SchedulesSource
from kernelkit.ui.table_source import PACE_S as TABLE_PACE_S
from kernelkit.ui.table_source import TableSource
from kernelkit.ui.task_source import EVERY_S as TASK_EVERY_S
from kernelkit.ui.task_source import TaskSource
from kernelkit.ui.timeline_source import TimelineSource
from kernelkit.ui.token_source import EVERY_S as TOKEN_EVERY_S
from kernelkit.ui.token_source import TokenSource
from kernelkit.ui.tree_faces import tree_html, tree_text
from kernelkit.ui.tree_source import TreeSource
from kernelkit.wire.discovery import is_locked
from kernelkit.wire.messages import EngineStatus

if TYPE_CHECKING:
    from kernelkit.ui.view_widget import ViewWidget
    from kernelkit.ui.widget import RunWidget

cards = LiveCards()
"""The live cards of this process. They hang on the process and not on a cell or a shell, because their thread does."""

_replacements = Replacements((cards.settle, views().settle))


def install(shell: hosts.Shell | None = None) -> None:
    """Register all faces, and in IPython those of plain values; calling it again changes nothing."""
    display.register(RunHandle, run_handle_bundle, show=show_run)
    display.register(Result, result_bundle)
    display.register(BatchHandle, batch_bundle, show=show_batch)
    display.register(Page, page_bundle, show=show_page)
    display.register(RunLogs, logs_bundle, show=show_logs)
    display.register(ScheduleTable, schedules_bundle)
    display.register(QueueTable, queues_bundle)
    display.register(Queues, all_queues_bundle, show=show_queues)
    display.register(Schedules, all_schedules_bundle, show=show_schedules)
    display.register(Schedule, schedule_bundle)
    display.register(Token, token_bundle, show=show_token)
    display.register(TokenList, tokens_bundle)
    display.register(Table, table_bundle)
    display.register(RunTree, tree_bundle, show=show_tree)
    display.register(RunTimeline, timeline_bundle, show=show_timeline)
    display.register(Task, task_bundle, show=show_task)
    display.register(EngineControl, engine_control_bundle, show=show_engine)
    shell = shell or hosts.shell()
    if shell is not None:
        formatter = shell.display_formatter.mimebundle_formatter
        formatter.for_type(Run, run_bundle)
        formatter.for_type(EngineStatus, engine_bundle)


# ---- runs --------------------------------------------------------------------------------------------------------


def show_run(handle: RunHandle[Any]) -> None:
    """Show a handle's run: live while it goes on, else as it ended."""
    shell = hosts.shell()
    if not hosts.is_kernel(shell):
        raise NotImplementedError  # a terminal prints the bundle's text
    try:
        caller = handle._caller_now()
        run = handle._now()
    except KernelKitError as error:
        publish(_unreadable(handle, error), uuid.uuid4().hex, update=False)
        return
    show_live(run, caller, shell)


def show_live(
    run: Run,
    caller: Caller,
    shell: hosts.Shell,
    display_id: str = "",
    *,
    update: bool = False,
    opened: bool = False,
) -> LiveCard | None:
    """Publish the card of `run` and, unless it has ended, keep it up to date until it has.

    With `update` it takes the place of what has that `display_id`. One that a person has `opened` is a widget after the
    run's end too, for Replay and what "More" opens; what a cell shows is to last, in exports without a network as well.
    """
    display_id = display_id or uuid.uuid4().hex
    streams = last_streams(caller, run.id) if run.is_completed else ()
    view = cards.view(run, caller=caller, streams=streams)
    if run.is_completed and not opened:
        publish(static_bundle(view), display_id, update=update)
        return None
    cell, execution = hosts.executing_cell(shell)
    card = LiveCard(run, _replacements.of(display_id, shell), cell, execution)
    acts = CardActs(caller, run, _display, CardOpener(caller, shell))
    widget = _widget_class()(
        view,
        cancel=lambda number: clicks.cancel(card, caller, number),
        complete=lambda number, token, text: clicks.complete(card, caller, number, token, text),
        fetch=lambda number, name: clicks.fetch(card, caller, number, name),
        act=lambda number, what: clicks.act(card, acts, number, what),
    )
    card.widget = widget
    publish(widget.bundle(), display_id, update=update)
    cards.add(card, caller, streams)
    return card


class CardOpener:
    """Shows the card of a run below another picture, in the output of the cell that showed that; one at a time.

    Made while the cell is executed: what is published later is told apart by the context of that moment.
    """

    def __init__(self, caller: Caller, shell: hosts.Shell) -> None:
        self._caller, self._shell = caller, shell
        self._context = contextvars.copy_context()
        self._display_id = ""
        self._card: LiveCard | None = None

    def __call__(self, run_id: str) -> None:
        run = retrieve_run(self._caller, run_id, related=True)
        if self._card is not None:
            cards.drop(self._card)
        update = bool(self._display_id)
        self._display_id = self._display_id or uuid.uuid4().hex
        self._card = self._context.run(self._show, run, update)

    def _show(self, run: Run, update: bool) -> LiveCard | None:
        return show_live(run, self._caller, self._shell, self._display_id, update=update, opened=True)


def _view_widget_class() -> type[ViewWidget]:
    from kernelkit.ui.view_widget import ViewWidget

    return ViewWidget


def _widget_class() -> type[RunWidget]:
    """Imported here because ipywidgets and anywidget take a tenth of a second that only a card needs."""
    from kernelkit.ui.widget import RunWidget

    return RunWidget


def _display(shown: Any) -> None:
    """As if it stood at the end of the cell."""
    from IPython.display import display as show  # optional package: only kernels publish

    show(shown)  # type: ignore[no-untyped-call]  # IPython has none


def run_bundle(run: Run, **_: Any) -> Bundle:
    """The static face and the text of a snapshot."""
    return static_bundle(cards.view(run, caller=_caller()), **_terminal())


def _caller() -> Caller | None:
    """Of whoever looks; only whose project it is counts."""
    try:
        return callers.current()
    except KernelKitError:
        return None


def result_bundle(result: Result[Any]) -> Bundle:
    """How the run ended."""
    return run_bundle(result.run)


def _terminal() -> dict[str, Any]:
    """Width and character set for the text face: a terminal's own, or 80 columns where a notebook keeps the text."""
    if hosts.is_kernel(hosts.shell()):
        return {}
    return {"width": min(text.WIDTH, shutil.get_terminal_size().columns), "ascii": text.wants_ascii()}


def run_handle_bundle(handle: RunHandle[Any]) -> Bundle:
    try:
        caller, run = handle._caller_now(), handle._now()
    except KernelKitError as error:
        return _unreadable(handle, error)
    streams = last_streams(caller, run.id) if run.is_completed else ()
    return static_bundle(cards.view(run, caller=caller, streams=streams), **_terminal())


def _unreadable(shown: object, error: KernelKitError) -> Bundle:
    told = f"{shown!r}\n{words.clean_block(str(error))}"
    return {"text/plain": told, "text/html": f"<pre>{html.esc(told)}</pre>"}


# ---- trees -------------------------------------------------------------------------------------------------------


def show_tree(tree: RunTree) -> None:
    """Show a run tree: live while any of its runs goes on, else as it ended."""
    source = TreeSource(tree)
    source.open_timeline = partial(contextvars.copy_context().run, show_timeline, tree.timeline())
    _show_runs(tree, source, "tree.js")


def _show_runs(shown: object, source: RunsSource, module: str) -> None:
    shell = hosts.shell()
    if not hosts.is_kernel(shell):
        raise NotImplementedError  # a terminal prints the bundle's text
    source.open_card = CardOpener(source.caller, shell)
    try:
        source.open()
    except KernelKitError as error:
        publish(_unreadable(shown, error), uuid.uuid4().hex, update=False)
        return
    show_source(source, module, shell)


def show_source(
    source: Source,
    module: str,
    shell: hosts.Shell,
    *,
    every_s: float = math.inf,
    pace_s: float | None = None,
) -> ViewWidget | None:
    """Publish a picture of `source` and, unless nothing will change, keep it up to date by the widget returned."""
    display_id = uuid.uuid4().hex
    if source.is_over:
        source.close()
        publish(source.bundle(), display_id, update=False)
        return None
    widget = _view_widget_class()(module, source.view(), source.asked)
    publish(widget.with_faces(source.bundle()), display_id, update=False)
    cell, execution = hosts.executing_cell(shell)
    replace = _replacements.of(display_id, shell)
    views().add(LiveView(source, widget, replace, every_s=every_s, pace_s=pace_s), cell, execution)
    return widget


def tree_bundle(tree: RunTree) -> Bundle:
    """The tree as it is now, failures first."""
    source = TreeSource(tree)
    try:
        source.read()
    except KernelKitError as error:
        return _unreadable(tree, error)
    drawn = source.tree(failures=True, max_rows=200)
    return {"text/plain": tree_text(drawn, **_terminal()), "text/html": tree_html(drawn)}


def show_timeline(timeline: RunTimeline) -> None:
    """Show a timeline: live while any of its runs goes on, else as it was."""
    _show_runs(timeline, TimelineSource(timeline), "timeline.js")


def timeline_bundle(shown: RunTimeline) -> Bundle:
    """The timeline as it is now."""
    source = TimelineSource(shown)
    try:
        source.read()
        return source.bundle(**_terminal())
    except KernelKitError as error:
        return _unreadable(shown, error)


# ---- panels ------------------------------------------------------------------------------------------------------


def show_queues(shown: Queues) -> None:
    """Show the queues panel, live in a kernel."""
    show_panel(shown, lambda: QueuesSource(shown._caller or callers.current()), "queues.js", QUEUES_EVERY_S)


def show_schedules(shown: Schedules, task: str = "", note: str = "") -> None:
    """Show the schedules panel, of one task where it is named; `note` stands below it."""
    made = lambda: SchedulesSource(shown._caller or callers.current(), task=task, note=note)  # noqa: E731
    show_panel(shown, made, "schedules.js", SCHEDULES_EVERY_S)


def show_engine(control: EngineControl) -> None:
    """Show the engine's panel; looking starts none."""
    show_panel(control, lambda: EngineSource(control), "engine.js", ENGINE_EVERY_S)


def show_task(task: Task[..., Any]) -> None:
    """Show a task with its form; looking at it starts no engine."""
    caller = callers.current()
    source = TaskSource(task, caller, CardOpener(caller, hosts.shell()))
    source.open_table = partial(contextvars.copy_context().run, _show_runs_of, task, caller)
    show_panel(task, lambda: source, "task.js", TASK_EVERY_S)


def _show_runs_of(task: Task[..., Any], caller: Caller) -> None:
    show_page(Runs(caller).list(task=task.id))


def show_panel(shown: object, made: Callable[[], Polled], module: str, every_s: float, *, ends: bool = False) -> None:
    """Show what is asked for again and again; without an engine what there is to say instead."""
    shell = hosts.shell()
    if not (hosts.is_kernel(shell) if ends else hosts.is_looked_at(shell)):
        raise NotImplementedError  # the bundle is shown
    try:
        source = made()
        source.open()
    except KernelKitError as error:
        publish(_unreadable(shown, error), uuid.uuid4().hex, update=False)
        return
    show_source(source, module, shell, every_s=every_s)


# ---- many runs ---------------------------------------------------------------------------------------------------


def show_page(page: Page) -> None:
    """Show a page of runs: live where a person looks, else as it is."""
    shell = hosts.shell()
    if not hosts.is_looked_at(shell):
        raise NotImplementedError  # the bundle is shown
    source = TableSource(page, CardOpener(page.caller, shell))
    try:
        source.open()
    except KernelKitError as error:
        publish(_unreadable(page, error), uuid.uuid4().hex, update=False)
        return
    show_source(source, "table.js", shell, pace_s=TABLE_PACE_S)


def show_logs(shown: RunLogs) -> None:
    """Show what a run wrote: a viewer where a person looks, else the last lines. It does not end with the run."""
    shell = hosts.shell()
    if not hosts.is_looked_at(shell):
        raise NotImplementedError  # the bundle is shown
    source = LogsSource(shown)
    try:
        source.open()
    except KernelKitError as error:
        publish(_unreadable(shown, error), uuid.uuid4().hex, update=False)
        return
    widget = show_source(source, "logs.js", shell, pace_s=LOGS_PACE_S)
    if widget is not None:
        source.send = lambda content, pieces: widget.send(content, pieces)


def logs_bundle(shown: RunLogs) -> Bundle:
    """The last lines, as they are now."""
    source = LogsSource(shown)
    try:
        source.load()
    except KernelKitError as error:
        return _unreadable(shown, error)
    return source.bundle(**_terminal())


# ---- the rest ----------------------------------------------------------------------------------------------------


def show_batch(handle: BatchHandle[Any]) -> None:
    """Show a batch: every item live while any of them goes on, else counts and failures."""
    shell = hosts.shell()
    if not hosts.is_kernel(shell):
        raise NotImplementedError  # a terminal prints the bundle's text
    try:
        source = BatchSource(handle, CardOpener(handle._caller_now(), shell))
        source.open()
    except KernelKitError as error:
        publish(_unreadable(handle, error), uuid.uuid4().hex, update=False)
        return
    show_source(source, "batch.js", shell)


def batch_bundle(handle: BatchHandle[Any]) -> Bundle:
    """Counts and the first failures, as of now."""
    try:
        source = BatchSource(handle)
        source.read()
    except KernelKitError as error:
        return _unreadable(handle, error)
    return source.bundle(**_terminal())


def runs_bundle(runs: tuple[Run, ...], *, total: int, has_more: bool, filters: str = "") -> Bundle:
    """One page of runs, newest first."""
    view = table.runs_table(
        runs, total=total, has_more=has_more, now=datetime.now(UTC), zone=words.local_zone(), filters=filters
    )
    return {"text/plain": table.table_text(view, **_terminal()), "text/html": table.table_html(view)}


def page_bundle(page: Page) -> Bundle:
    """A page of `kk.runs.list`, with what was asked for."""
    told = [in_words(page.asked)]
    told += [f"id before {page.asked.after}"] if page.asked.after else []
    told += [f"id after {page.asked.before}"] if page.asked.before else []
    return runs_bundle(page.runs, total=page.total, has_more=page.has_more, filters=", ".join(filter(None, told)))


def queues_bundle(shown: QueueTable) -> Bundle:
    """The project's queues as they are now."""
    view = queues.queues_table(shown, paused=shown.paused, now=datetime.now(UTC), zone=words.local_zone())
    return {"text/plain": queues.queues_text(view, **_terminal()), "text/html": queues.queues_html(view)}


def all_queues_bundle(shown: Queues) -> Bundle:
    """`kk.queues` itself."""
    try:
        return queues_bundle(shown.list())
    except KernelKitError as error:
        return _unreadable(shown, error)


def all_schedules_bundle(shown: Schedules) -> Bundle:
    """`kk.schedules` itself."""
    try:
        return schedules_bundle(shown.list())
    except KernelKitError as error:
        return _unreadable(shown, error)


def schedules_bundle(shown: ScheduleTable, note: str = "") -> Bundle:
    """The project's schedules, with `note` below, or that no engine runs."""
    view = schedules.schedules_table(
        [one.known for one in shown], now=datetime.now(UTC), zone=words.local_zone(), note=note or _asleep(shown)
    )
    return {"text/plain": schedules.schedules_text(view, **_terminal()), "text/html": schedules.schedules_html(view)}


def _asleep(shown: ScheduleTable) -> str:
    """A table may be looked at long after the engine that it came from was stopped."""
    homes = {one._caller.home for one in shown if isinstance(one._caller, Client)}  # a test engine always runs
    return schedules.ASLEEP if any(not is_locked(home) for home in homes) else ""


def schedule_bundle(shown: Schedule) -> Bundle:
    """One schedule, as a table of one."""
    return schedules_bundle(ScheduleTable([shown]))


def show_token(token: Token) -> None:
    """Ask a person: live in a kernel while the token is open."""
    seen = token.seen
    if seen is not None and not seen.is_open:
        raise NotImplementedError  # it has its static face
    caller = token._caller or callers.current()
    show_panel(token, lambda: TokenSource(token, caller), "token.js", TOKEN_EVERY_S, ends=True)


def token_bundle(token: Token) -> Bundle:
    """A token as it is now."""
    try:
        token.status  # noqa: B018  # asks the engine unless it has ended
        seen = token.seen
    except KernelKitError as error:
        return _unreadable(token, error)
    assert seen is not None
    row = tokens.token_row(seen, now=datetime.now(UTC), zone=words.local_zone())
    return {"text/plain": tokens.token_text(row, **_terminal()), "text/html": tokens.token_html(row)}


def tokens_bundle(shown: TokenList) -> Bundle:
    """A page of `kk.tokens.list`."""
    view = tokens.tokens_table(
        [token.seen for token in shown if token.seen is not None],
        now=datetime.now(UTC),
        zone=words.local_zone(),
        total=shown.total,
        has_more=shown.has_more,
    )
    return {"text/plain": tokens.tokens_text(view, **_terminal()), "text/html": tokens.tokens_html(view)}


def table_bundle(shown: Table) -> Bundle:
    """The answer of a query."""
    return {"text/plain": repr(shown), "text/html": sql_table.table_html(shown)}


def task_bundle(task: Task[..., Any]) -> Bundle:
    """A task in three lines."""
    view = task_line.task_view(task)
    return {"text/plain": task_line.task_text(view, **_terminal()), "text/html": task_line.task_html(view)}


def engine_bundle(status: EngineStatus, **_: Any) -> Bundle:
    """A running engine's panel."""
    view = engine_panel.engine_view(status, now=datetime.now(UTC), zone=words.local_zone())
    return {"text/plain": engine_panel.engine_text(view, **_terminal()), "text/html": engine_panel.engine_html(view)}


def engine_control_bundle(control: EngineControl) -> Bundle:
    """`kk.engine`: its panel, or that it is away. Looking starts nothing."""
    try:
        return engine_bundle(control.status())
    except KernelKitError:
        return engine_away_bundle(str(control.home.path), was_stopped=control.was_stopped)


def engine_away_bundle(home: str, *, was_stopped: bool) -> Bundle:
    """The panel when no engine answers."""
    view = engine_panel.engine_away(home, was_stopped=was_stopped)
    return {"text/plain": engine_panel.engine_text(view, **_terminal()), "text/html": engine_panel.engine_html(view)}
