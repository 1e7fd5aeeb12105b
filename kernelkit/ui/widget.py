"""The run card as a widget: one view, sent whole when it changes, and a few words back.

Imported only when a card is shown in a kernel, because ipywidgets and anywidget take a while. It holds no history:
the view is at most 8 kB, and the static HTML and plain text are sent along with the first display for hosts without
widgets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import msgspec
import traitlets

from kernelkit.ui import assets, hosts, words
from kernelkit.ui.live import Bundle, static_bundle
from kernelkit.ui.view import RunCard

MIME = "application/vnd.jupyter.widget-view+json"
MESSAGE_BYTES = 8000
_HARDER = ((120, 500, 200, 1000, 2000), (60, 150, 60, 300, 0))  # bytes of name, line, value, message, traceback


def live_view(card: RunCard) -> dict[str, Any]:
    """The view as JSON values in at most 8 kB: long texts are cut harder than in the static face."""
    view: dict[str, Any] = {}
    for limits in _HARDER:
        view = msgspec.to_builtins(_cut_harder(card, *limits))
        if len(msgspec.json.encode(view)) <= MESSAGE_BYTES:
            break
    return view


def _cut_harder(card: RunCard, name: int, line: int, value: int, message: int, traceback: int) -> RunCard:
    replace = msgspec.structs.replace
    output, error = card.output, card.error
    if output is not None:
        output = replace(output, flat="")
    if error is not None:
        frames = tuple(
            replace(
                frame,
                place=_cut(frame.place, name),
                source=_cut(frame.source, value),
                before=_cut(frame.before, value),
                after=_cut(frame.after, value),
            )
            for frame in error.frames
        )
        kept = error.traceback[-traceback:] if traceback else ""
        error = replace(error, message=_cut(error.message, message), traceback=kept, frames=frames)
    return replace(
        card,
        task=_cut(card.task, name),
        payload="",
        queue=_cut(card.queue, name),
        reason=tuple(replace(bit, text=_cut(bit.text, line)) for bit in card.reason),
        logs=tuple(replace(row, text=_cut(row.text, line)) for row in card.logs),
        metadata=tuple(replace(pair, value=_cut(pair.value, value)) for pair in card.metadata),
        output=output,
        error=error,
    )


def _cut(text: str, limit: int) -> str:
    shown, is_cut = words.cut_block(text, max_bytes=limit, max_lines=1)
    return shown + "…" if is_cut else shown


class RunWidget(anywidget.AnyWidget):
    """One live card. Painted from the cards' own thread; traits may be set on any."""

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    view = traitlets.Dict().tag(sync=True)
    link = traitlets.Dict().tag(sync=True)  # how the kernel stands to the engine
    answer = traitlets.Dict().tag(sync=True)  # what became of the last click
    beat = traitlets.Int(0).tag(sync=True)  # a silent card tells the reader that the kernel is gone

    def __init__(self, card: RunCard, *, cancel: Callable[[int], None]) -> None:
        self._card = card
        self._cancel = cancel
        super().__init__(
            _esm=assets.module("card.js"),
            _css=assets.style("tokens.css", "card.css"),
            view=live_view(card),
            link={"state": "live"},
            answer={},
        )
        if self.comm is not None:
            hosts.answer_while_busy(self.comm)
        self.on_msg(self._heard)

    def _heard(self, _widget: object, content: object, _buffers: object) -> None:
        """A click. It may come on any thread, so it is only passed on."""
        if isinstance(content, dict) and content.get("do") == "cancel" and isinstance(content.get("n"), int):
            self._cancel(content["n"])

    # ---- ui/live.py's Widget ---------------------------------------------------------------------------------------

    def paint(self, card: RunCard) -> None:
        self._card = card
        with self.hold_sync():
            self.view = live_view(card)
            self.link = {"state": "live"}

    def heartbeat(self, *, silent_since: float | None) -> None:
        with self.hold_sync():
            self.beat += 1
            self.link = {"state": "live"} if silent_since is None else {"state": "silent", "since": silent_since * 1000}

    def answered(self, to: int, *, ok: bool, text: str) -> None:
        self.answer = {"to": to, "ok": ok, "text": words.clean(text)[:500]}

    def close(self) -> None:
        """Take the model away, and its layout, which ipywidgets would keep for good."""
        layout = self.layout
        super().close()
        if layout is not None:
            layout.close()

    def bundle(self) -> Bundle:
        """All three faces, for the first display."""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {**static_bundle(self._card), MIME: view}

    def _repr_mimebundle_(self, **_: object) -> tuple[Bundle, dict[str, Any]]:
        return self.bundle(), {}
