"""Reads what runs did when, off the log, which keeps every moment for as long as the run is kept."""

from __future__ import annotations

from collections.abc import Callable

from kernelkit.errors import InvalidOptionError
from kernelkit.models.span import Span
from kernelkit.rules.spans import KINDS, spans_of
from kernelkit.store.store import Store
from kernelkit.wire.messages import GetSpans

MAX_RUNS = 1_000
EVENTS = 2_000
"""Of each run the newest so many: a run that waits every second for a day has a hundred times as many."""


def read_spans(store: Store, asked: GetSpans) -> Callable[[], dict[str, tuple[Span, ...]]]:
    """A function that gives them; it reads the store, on any thread."""
    if len(asked.run_ids) > MAX_RUNS:
        raise InvalidOptionError(f"The spans of {MAX_RUNS:,} runs at most are read at once.", field="run_ids")
    most = max(200, EVENTS * 40 // max(1, len(asked.run_ids)))
    return lambda: spans_of(store.events_of(asked.run_ids, KINDS, most=min(EVENTS, most)))
