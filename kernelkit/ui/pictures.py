"""What is shown live of more than one run, or of what is no run: trees, tables, batches, logs, panels and forms.

Each `show_…` makes the source of its picture and hands it to `show_source`, which publishes it and keeps it up to date
(`live_view.py`). Where no widget would be looked at they raise NotImplementedError, and the bundle is shown.
"""

from __future__ import annotations

import contextvars
import math
import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from kernelkit.authoring import caller as callers
from kernelkit.authoring.batchhandle import BatchHandle
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.logs import RunLogs
from kernelkit.authoring.queues import Queues
from kernelkit.authoring.runs import Page, Runs
from kernelkit.authoring.schedules import Schedules
from kernelkit.authoring.task import Task
from kernelkit.authoring.timeline import RunTimeline
from kernelkit.authoring.token import Token
from kernelkit.authoring.tree import RunTree
from kernelkit.client.engine import EngineControl
from kernelkit.errors import KernelKitError
from kernelkit.ui import hosts
from kernelkit.ui.batch_source import BatchSource
from kernelkit.ui.engine_source import EVERY_S as ENGINE_EVERY_S
from kernelkit.ui.engine_source import EngineSource
from kernelkit.ui.faces import unreadable
from kernelkit.ui.live_view import LiveView, Source, views
from kernelkit.ui.logs_source import PACE_S as LOGS_PACE_S
from kernelkit.ui.logs_source import LogsSource
from kernelkit.ui.polled import Polled
from kernelkit.ui.queues_source import EVERY_S as QUEUES_EVERY_S
from kernelkit.ui.queues_source import QueuesSource
from kernelkit.ui.replacements import publish
from kernelkit.ui.run_cards import CardOpener, replacements
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
from kernelkit.ui.tree_source import TreeSource

if TYPE_CHECKING:
    from kernelkit.ui.view_widget import ViewWidget


class _Openable(Protocol):
    def open(self) -> None: ...


S = TypeVar("S", bound=_Openable)


def show_tree(tree: RunTree) -> None:
    """Show a run tree: live while any of its runs goes on, else as it ended."""
    source = TreeSource(tree)
    source.open_timeline = partial(contextvars.copy_context().run, show_timeline, tree.timeline())
    _show_runs(tree, source, "tree.js")


def show_timeline(timeline: RunTimeline) -> None:
    """Show a timeline: live while any of its runs goes on, else as it was."""
    _show_runs(timeline, TimelineSource(timeline), "timeline.js")


def _show_runs(shown: object, source: RunsSource, module: str) -> None:
    shell = hosts.shell_where(hosts.is_kernel)
    source.open_card = CardOpener(source.caller, shell)
    if _opened(shown, lambda: source) is not None:
        show_source(source, module, shell)


def show_batch(handle: BatchHandle[Any]) -> None:
    """Show a batch: every item live while any of them goes on, else counts and failures."""
    shell = hosts.shell_where(hosts.is_kernel)
    source = _opened(handle, lambda: BatchSource(handle, CardOpener(handle._caller_now(), shell)))
    if source is not None:
        show_source(source, "batch.js", shell)


def show_page(page: Page) -> None:
    """Show a page of runs: live where a person looks, else as it is."""
    shell = hosts.shell_where(hosts.is_looked_at)
    source = _opened(page, lambda: TableSource(page, CardOpener(page.caller, shell)))
    if source is not None:
        show_source(source, "table.js", shell, pace_s=TABLE_PACE_S)


def show_logs(shown: RunLogs) -> None:
    """Show what a run wrote: a viewer where a person looks, else the last lines. It does not end with the run."""
    shell = hosts.shell_where(hosts.is_looked_at)
    source = _opened(shown, lambda: LogsSource(shown))
    widget = None if source is None else show_source(source, "logs.js", shell, pace_s=LOGS_PACE_S)
    if source is not None and widget is not None:
        source.send = lambda content, pieces: widget.send(content, pieces)


def show_token(token: Token) -> None:
    """Ask a person: live in a kernel while the token is open."""
    seen = token.seen
    if seen is not None and not seen.is_open:
        raise NotImplementedError  # it has its static face
    caller = token._caller or callers.current()
    show_panel(token, lambda: TokenSource(token, caller), "token.js", TOKEN_EVERY_S, ends=True)


def show_task(task: Task[..., Any]) -> None:
    """Show a task with its form; looking at it starts no engine."""
    caller = callers.current()
    source = TaskSource(task, caller, CardOpener(caller, hosts.shell()))
    source.open_table = partial(contextvars.copy_context().run, _show_runs_of, task, caller)
    show_panel(task, lambda: source, "task.js", TASK_EVERY_S)


def _show_runs_of(task: Task[..., Any], caller: Caller) -> None:
    show_page(Runs(caller).list(task=task.id))


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


def show_panel(shown: object, made: Callable[[], Polled], module: str, every_s: float, *, ends: bool = False) -> None:
    """Show what is asked for again and again; without an engine what there is to say instead."""
    shell = hosts.shell_where(hosts.is_kernel if ends else hosts.is_looked_at)
    source = _opened(shown, made)
    if source is not None:
        show_source(source, module, shell, every_s=every_s)


def _opened(shown: object, made: Callable[[], S]) -> S | None:
    """The source of a picture, ready to be drawn; None where nothing could be read, and that has been said instead."""
    try:
        source = made()
        source.open()
    except KernelKitError as error:
        publish(unreadable(shown, error), uuid.uuid4().hex, update=False)
        return None
    return source


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
    replace = replacements.of(display_id, shell)
    views().add(LiveView(source, widget, replace, every_s=every_s, pace_s=pace_s), cell, execution)
    return widget


def _view_widget_class() -> type[ViewWidget]:
    from kernelkit.ui.view_widget import ViewWidget

    return ViewWidget
