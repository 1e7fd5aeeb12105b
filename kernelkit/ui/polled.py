"""What the panels have in common: a picture that is asked for anew every so often, and clicks that change something.

Queues, schedules and the engine push nothing, so their panels ask. They ask only while a browser says now and then that
it shows them (`widgets/panel.js`), for nobody tells the kernel that an output was cleared; and they start no engine:
without one they keep what was known. A click is answered in the next view, by its number.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from kernelkit.authoring.caller import Caller
from kernelkit.errors import EngineUnavailableError, KernelKitError
from kernelkit.ui import words
from kernelkit.ui.faces import Bundle
from kernelkit.ui.silence import has_engine
from kernelkit.wire.discovery import is_locked

UNSEEN_AFTER_S = 60.0  # the browser says three times as often that it looks
SAME_FOR_S = 10.0  # then an unchanged view is sent again, with the moment of which it is true
_DONE: dict[str, Any] = {"to": 0, "ok": True, "text": ""}


class Polled:
    """A `Source` of `ui/live_view.py`. Subclasses say how to `ask`, what to show, and what a click does (`act`)."""

    is_over = False

    def __init__(self, caller: Caller | None) -> None:
        """`caller` is connected to its engine before each `ask`; None where `ask` sees to that."""
        self._reached = caller
        self.wake = threading.Event()
        self.urgent = threading.Event()
        self._seen_at = time.monotonic()
        self._must_read = False
        self._answer = _DONE
        self._is_away = False
        self._lasting: dict[str, Any] = {}
        self._sent: dict[str, Any] = {}
        self._sent_at = 0.0

    # ---- for subclasses --------------------------------------------------------------------------------------------

    def ask(self) -> None:
        """Ask the engine; raises `KernelKitError`."""
        raise NotImplementedError

    def open(self) -> None:
        """Before it is first shown; raises where there is nothing to show without an engine."""
        self.ask()

    def shown(self) -> dict[str, Any]:
        """The view, as JSON values."""
        raise NotImplementedError

    def bundle(self) -> Bundle:
        raise NotImplementedError

    def act(self, content: dict[str, Any]) -> str:
        """Do what a click asks and return what to say of it, on a thread of its own; raises `KernelKitError`."""
        raise NotImplementedError

    # ---- ui/live_view.py's Source ----------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        return not self._is_away

    def read(self) -> None:
        """Ask, if anybody looks."""
        if not self._must_read and time.monotonic() - self._seen_at > UNSEEN_AFTER_S:
            return
        self._must_read = False
        try:
            if self._reached is not None:
                reach(self._reached)
            self.ask()
            self._is_away = False
        except EngineUnavailableError:
            self._is_away = True

    def view(self) -> dict[str, Any]:
        """What was sent before, while nothing but its moment has changed: then nothing is sent."""
        shown = {**self.shown(), "answer": self._answer}
        lasting = {name: value for name, value in shown.items() if not name.startswith("as_of")}
        if lasting != self._lasting or time.monotonic() - self._sent_at > SAME_FOR_S:
            self._lasting, self._sent, self._sent_at = lasting, shown, time.monotonic()
        return self._sent

    def reread(self) -> None:
        self._must_read = True
        self.wake.set()

    def asked(self, content: dict[str, Any]) -> None:
        was_unseen = time.monotonic() - self._seen_at > UNSEEN_AFTER_S
        self._seen_at = time.monotonic()
        number = content.get("n")
        if isinstance(number, int):
            told: Callable[[], None] = lambda: self._act(content, number)  # noqa: E731
            threading.Thread(target=told, name="kernelkit-click", daemon=True).start()
        elif was_unseen:
            self.wake.set()

    def close(self) -> None:
        """Nothing is held."""

    def _act(self, content: dict[str, Any], number: int) -> None:
        try:
            answer = {"to": number, "ok": True, "text": self.act(content)}
        except KernelKitError as problem:
            answer = {"to": number, "ok": False, "text": words.clean(str(problem))[:500], **self.problem(problem)}
        self._answer = answer
        self.wake.set()
        self.urgent.set()

    def problem(self, problem: KernelKitError) -> dict[str, Any]:
        """What else to say of a refusal."""
        return {}


def reach(caller: Caller) -> None:
    """Be connected to an engine that runs, without starting one; raises `EngineUnavailableError`."""
    connect = getattr(caller, "connect", None)
    if connect is None or has_engine(caller):
        return
    if not is_locked(caller.home):  # else a client that waits for an engine to come back would wait here as well
        raise EngineUnavailableError(f"No engine runs for {caller.home.path}.")
    connect(start=False)


def named(content: dict[str, Any], key: str) -> str:
    """A text out of a click; what a browser sends is taken for nothing more than it says."""
    value = content.get(key)
    if not isinstance(value, str) or not value:
        raise KernelKitError(f"The click named no {key}.")
    return value
