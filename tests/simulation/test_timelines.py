"""Timelines of simulated histories: whatever happened, the log tells each run's life without gaps and to its end."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from kernelkit.models import event as ev
from kernelkit.rules.spans import KINDS, spans_of
from tests.simulation.histories import run_history

SEEDS = range(7_000, 7_030)


@pytest.mark.parametrize("first", [SEEDS[0], SEEDS[len(SEEDS) // 2]])
def test_spans_follow_one_another_and_end_with_their_run(first: int) -> None:
    kinds: Counter[str] = Counter()
    for seed in range(first, first + len(SEEDS) // 2):
        events = [event for event in run_history(seed).disk.committed() if type(event).__name__ in KINDS]
        found = spans_of(events)
        failures = Counter(event.run_id for event in events if isinstance(event, ev.AttemptFailed))
        triggered = {event.run_id for event in events if isinstance(event, ev.RunTriggered)}
        assert set(found) == triggered
        for run_id, spans in found.items():
            told = f"{run_id} of seed {seed}: {spans}"
            kinds.update(span.kind for span in spans)
            assert all(span.finished_at is not None and span.started_at <= span.finished_at for span in spans), told
            assert all(before.finished_at == after.started_at for before, after in pairwise(spans)), told
            outcomes = [span.outcome for span in spans if span.outcome is not None]
            assert sum(span.error is not None and span.outcome is not None for span in spans) >= failures[run_id], told
            assert "COMPLETED" not in outcomes[:-1], told
            attempts = [span.attempt for span in spans if span.attempt]
            assert attempts == sorted(attempts), told
        for begin in range(0, len(events), max(1, len(events) // 20)):
            spans_of(events[begin:])  # of a very long story only the newest part is read
    assert set(kinds) == {"delayed", "undefined", "queued", "starting", "executing", "waiting", "backoff"}
