"""The run card as a widget: one view, sent whole when it changes, and a few words back.

It holds no history:
the view is at most 8 kB, and the static HTML and plain text are sent along with the first display for hosts without
widgets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import traitlets

from kernelkit.ui import assets, words
from kernelkit.ui.card_acts import Inside
from kernelkit.ui.faces import Bundle, static_bundle
from kernelkit.ui.parts import models
from kernelkit.ui.refusals import FieldError
from kernelkit.ui.token_card import Asked
from kernelkit.ui.view import RunCard
from kernelkit.ui.view_widget import MIME, ViewWidget

__all__ = ["MIME", "RunWidget", "live_view"]
MESSAGE_BYTES = 8000
PIECE = 4_000_000  # bytes of a file in one message, well below what a Jupyter server lets through
SAVED_BYTES = 3600  # of one that stays: a saved notebook keeps it, with what draws it, in 30 kB
_HARDER = (
    (120, 500, 200, 1000, 2000),
    (120, 300, 120, 600, 700),
    (60, 150, 60, 300, 0),
)  # bytes of name, line, value, message, traceback


def live_view(card: RunCard, asked: Asked | None = None) -> dict[str, Any]:
    """The view as JSON values in at most 8 kB, and 3.6 where the run has ended: long texts are cut harder than in the
    static face."""
    view: dict[str, Any] = {}
    most = SAVED_BYTES if card.is_final else MESSAGE_BYTES
    for limits in _HARDER:
        view = msgspec.to_builtins(_cut_harder(card, *limits))
        if len(msgspec.json.encode(view)) <= most:
            break
    if asked is not None:
        view["asked"] = msgspec.to_builtins(asked)
    return view


def _cut_harder(card: RunCard, name: int, line: int, value: int, message: int, traceback: int) -> RunCard:
    replace = msgspec.structs.replace
    output, error, job = card.output, card.error, card.job
    if job is not None:
        job = replace(
            job,
            source="\n".join(words.cut_line(text, line) for text in job.source.split("\n")),
            output=words.cut_line(job.output, value),
            parameters=tuple(replace(each, value=words.cut_line(each.value, value)) for each in job.parameters),
        )
    if output is not None:
        output = replace(output, flat="")
    if error is not None:
        frames = tuple(
            replace(
                frame,
                place=words.cut_line(frame.place, name),
                source=words.cut_line(frame.source, value),
                before=words.cut_line(frame.before, value),
                after=words.cut_line(frame.after, value),
            )
            for frame in error.frames
        )
        kept = error.traceback[-traceback:] if traceback else ""
        error = replace(error, message=words.cut_line(error.message, message), traceback=kept, frames=frames)
    return replace(
        card,
        task=words.cut_line(card.task, name),
        payload="",
        queue=words.cut_line(card.queue, name),
        reason=tuple(replace(bit, text=words.cut_line(bit.text, line)) for bit in card.reason),
        logs=tuple(replace(row, text=words.cut_line(row.text, line)) for row in card.logs),
        metadata=tuple(replace(pair, value=words.cut_line(pair.value, value)) for pair in card.metadata),
        output=output,
        error=error,
        job=job,
        files=tuple(replace(file, path="") for file in card.files),
    )


class RunWidget(ViewWidget):
    """One live card."""

    answer = traitlets.Dict().tag(sync=True)  # what became of the last click

    def __init__(
        self,
        card: RunCard,
        *,
        cancel: Callable[[int], None],
        complete: Callable[[int, str, str], None] | None = None,
        fetch: Callable[[int, str], None] | None = None,
        act: Callable[[int, str], None] | None = None,
    ) -> None:
        """`complete` is given the number of a click, a token's id and the JSON to answer it with; `fetch` a number and
        the name of a file; `act` a number and which of the other acts (`ui/card_acts.py`) is meant."""
        self._card = card
        self._cancel = cancel
        self._complete = complete
        self._fetch = fetch
        self._act = act
        super().__init__("card.js", live_view(card), self._clicked, answer={})
        self._form = models((assets.forms(),))

    def _clicked(self, content: dict[str, Any]) -> None:
        match content:
            case {"do": "cancel", "n": int(number)}:
                self._cancel(number)
            case {"do": "complete", "n": int(number), "id": str(token), "data": str(text)} if self._complete:
                self._complete(number, token, text)
            case {"do": "fetch", "n": int(number), "name": str(name)} if self._fetch:
                self._fetch(number, name)
            case {"do": "act", "n": int(number), "what": str(what)} if self._act:
                self._act(number, what)

    # ---- ui/feed.py's Widget ---------------------------------------------------------------------------------------

    def paint(self, card: RunCard, asked: Asked | None = None) -> None:
        self._card = card
        if asked is not None and self._form:  # from now on it is kept with the card in a saved notebook
            self.parts = [*self.parts, *self._form]
            self._form = []
        super().paint(live_view(card, asked))

    def answered(self, to: int, *, ok: bool, text: str, errors: Sequence[FieldError] = ()) -> None:
        self.answer = {"to": to, "ok": ok, "text": words.clean(text)[:500], "errors": list(errors)}

    def tell(self, inside: Inside) -> None:
        """Sent and not kept: a saved notebook has no use for it."""
        self.send({"inside": msgspec.to_builtins(inside)})

    def hand(self, name: str, data: bytes) -> None:
        for start in range(0, max(1, len(data)), PIECE):
            self.send({"file": name, "is_last": start + PIECE >= len(data)}, [data[start : start + PIECE]])

    def bundle(self) -> Bundle:
        """All three faces, for the first display."""
        return self.with_faces(static_bundle(self._card))

    def _repr_mimebundle_(self, **_: object) -> tuple[Bundle, dict[str, Any]]:
        return self.bundle(), {}
