"""What a click on a run's card asks for, done on a thread of its own and answered to the card by the click's number.

A click comes on a thread that must not wait: the kernel's own, or the one that the messages of widgets come on. What is
done is the business of the engine and of `card_acts.py`; here it is only carried there and its end brought back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from kernelkit.authoring.artifacts import artifacts_of
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.token import complete_with_text
from kernelkit.errors import KernelKitError
from kernelkit.ui import words
from kernelkit.ui.card_acts import CardActs
from kernelkit.ui.feed import LiveCard
from kernelkit.ui.refusals import FieldError, field_errors
from kernelkit.wire.messages import Cancel

DOWNLOADED_BYTES = 100_000_000


def cancel(card: LiveCard, caller: Caller, number: int) -> None:
    """Ask for the run's cancel."""
    _begin("kernelkit-cancel", card, number, lambda: caller.call(Cancel(card.run.id)))


def complete(card: LiveCard, caller: Caller, number: int, token: str, text: str) -> None:
    """Answer the token that the run waits for."""
    _begin("kernelkit-answer", card, number, lambda: complete_with_text(caller, token, text))


def act(card: LiveCard, acts: CardActs, number: int, what: str) -> None:
    """Do one of the other acts of a card."""
    _begin("kernelkit-act", card, number, lambda: acts.do(what, card.widget))


def fetch(card: LiveCard, caller: Caller, number: int, name: str) -> None:
    """Hand the browser one of the run's files, as it is now."""

    def hand() -> None:
        found = artifacts_of(caller.home, card.run.id)[name]
        if found.size > DOWNLOADED_BYTES:
            raise KernelKitError(f"{name} is large, {words.size(found.size)}. It lies at {found.path}.")
        data = found.read_bytes()
        if card.widget is not None:
            card.widget.hand(name, data)

    _begin("kernelkit-file", card, number, hand)


def _begin(name: str, card: LiveCard, number: int, does: Callable[[], object]) -> None:
    threading.Thread(target=_do, args=(card, number, does), name=name, daemon=True).start()


def _do(card: LiveCard, number: int, does: Callable[[], object]) -> None:
    try:
        said = does()
        ok, told, errors = True, said if isinstance(said, str) else "", list[FieldError]()
    except (KernelKitError, OSError) as error:
        ok, told, errors = False, str(error), field_errors(error)
    widget = card.widget
    if widget is not None:
        widget.answered(number, ok=ok, text=told, errors=errors)
