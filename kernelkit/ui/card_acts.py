"""What a run's card does besides Cancel: Replay, tree, timeline and log viewer below it, the payload inside.

Made while the cell is executed: what is opened later stands in the output of that cell. What a newcomer would get
wrong: a click may come on any thread, also while a cell computes, and two of them at once.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from kernelkit.authoring.caller import Caller
from kernelkit.authoring.logs import RunLogs, logs_request
from kernelkit.authoring.replaying import SAME, replay_run
from kernelkit.authoring.runcalls import reschedule_run, retrieve_run, retry_run_now
from kernelkit.authoring.timeline import RunTimeline
from kernelkit.authoring.tree import RunTree
from kernelkit.errors import KernelKitError
from kernelkit.models.run import Run
from kernelkit.ui.value import Output, value_view
from kernelkit.wire.messages import PauseQueue

LINES = 1000
_SHOWN_BYTES, _SHOWN_LINES = 4_000, 200


class Inside(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry of "More" shows inside the card; `code` gives the whole of it."""

    what: str
    value: Output
    code: str


class Place(Protocol):
    """Where a value is shown or handed out: the widget of the card."""

    def tell(self, inside: Inside) -> None: ...
    def hand(self, name: str, data: bytes) -> None: ...


class CardActs:
    """The acts of one card. Each returns what is said of it, and raises `KernelKitError`."""

    def __init__(self, caller: Caller, run: Run, show: Callable[[Any], object], open_card: Callable[[str], object]):
        """`show` displays a tree, a timeline or logs as the end of a cell would; `open_card` the card of a run."""
        self._caller, self._run = caller, run
        self._show, self._open_card = show, open_card
        self._context = contextvars.copy_context()
        self._opened: set[str] = set()
        self._lock = threading.Lock()  # a context is entered by one thread at a time

    def do(self, what: str, place: Place | None) -> str:
        """Do what a button or an entry of the menu is called."""
        run_id = self._run.id
        match what:
            case "replay":
                made = replay_run(self._caller, run_id, SAME, {})
                self._open_card(made.id)
                return f"Replayed as {made.id}; its card stands below."
            case "resume":
                self._caller.call(PauseQueue(self._run.queue, paused=False))
                return ""  # the reason changes by itself
            case "retry":
                retry_run_now(self._caller, run_id)
                return ""
            case "start":
                reschedule_run(self._caller, run_id, 0)
                return ""
            case "tree":  # of all that belongs together, whichever run of it the card shows
                return self._open("run tree", lambda: RunTree(self._caller, self._run.root_id or run_id))
            case "timeline":
                return self._open("timeline", lambda: RunTimeline(self._caller, run_id))
            case "logs":
                return self._open("log", lambda: RunLogs(self._caller, logs_request(run_id, LINES, (), None)))
            case "payload" if place is not None:
                run = retrieve_run(self._caller, run_id)
                value = value_view(run.payload_json, run.payload_size, max_bytes=_SHOWN_BYTES, max_lines=_SHOWN_LINES)
                place.tell(Inside(what=what, value=value, code=f'kk.runs.retrieve("{run_id}").payload'))
                return ""
            case "payload file" | "output file" if place is not None:
                run = retrieve_run(self._caller, run_id)
                text = run.payload_json if what == "payload file" else run.output_json
                place.hand(f"{run_id}-{what.split()[0]}.json", (text or "null").encode())
                return ""
        raise KernelKitError(f"The card of a run knows no {what!r}.")

    def _open(self, name: str, made: Callable[[], object]) -> str:
        """Show it below the card, once."""
        with self._lock:
            if name in self._opened:
                return f"The {name} stands below."
            self._context.run(self._show, made())
            self._opened.add(name)
            return ""
