"""A run shown in a notebook: its live card while it goes on, its static face once it has ended.

`cards` are those of this process; what is published here is told apart by the display id that Jupyter was given.
`CardOpener` is how a tree, a table or a replay opens a card below itself.
"""

from __future__ import annotations

import contextvars
import uuid
from typing import TYPE_CHECKING, Any

from kernelkit.authoring import caller as callers
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.result import Result
from kernelkit.authoring.runcalls import retrieve_run
from kernelkit.errors import KernelKitError
from kernelkit.models.run import Run
from kernelkit.ui import clicks, hosts
from kernelkit.ui.card_acts import CardActs
from kernelkit.ui.faces import Bundle, static_bundle, terminal, unreadable
from kernelkit.ui.feed import LiveCard, last_streams
from kernelkit.ui.live import LiveCards
from kernelkit.ui.live_view import views
from kernelkit.ui.replacements import Replacements, publish

if TYPE_CHECKING:
    from kernelkit.ui.widget import RunWidget

cards = LiveCards()
"""The live cards of this process. They hang on the process and not on a cell or a shell, because their thread does."""

replacements = Replacements((cards.settle, views().settle))


def show_run(handle: RunHandle[Any]) -> None:
    """Show a handle's run: live while it goes on, else as it ended."""
    shell = hosts.shell_where(hosts.is_kernel)
    try:
        caller = handle._caller_now()
        run = handle._now()
    except KernelKitError as error:
        publish(unreadable(handle, error), uuid.uuid4().hex, update=False)
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
    card = LiveCard(run, replacements.of(display_id, shell), cell, execution)
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
    return static_bundle(cards.view(run, caller=_caller()), **terminal())


def run_handle_bundle(handle: RunHandle[Any]) -> Bundle:
    try:
        caller, run = handle._caller_now(), handle._now()
    except KernelKitError as error:
        return unreadable(handle, error)
    streams = last_streams(caller, run.id) if run.is_completed else ()
    return static_bundle(cards.view(run, caller=caller, streams=streams), **terminal())


def result_bundle(result: Result[Any]) -> Bundle:
    """How the run ended."""
    return run_bundle(result.run)


def _caller() -> Caller | None:
    """Of whoever looks; only whose project it is counts."""
    try:
        return callers.current()
    except KernelKitError:
        return None
