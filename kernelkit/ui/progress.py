"""Reads the progress bars that `kk.track` keeps in a run's metadata (its shape: `authoring/track.py`).

The key is not shown among the metadata pairs. What stands under it may have been written by hand, so an entry that
does not fit is left out rather than refused.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import msgspec

from kernelkit.authoring.track import PROGRESS_KEY
from kernelkit.clock import MICROS, from_datetime
from kernelkit.ui import words

MAX_BARS = 3


class Bar(msgspec.Struct, frozen=True, omit_defaults=True):
    """One progress bar. Without a `total` only the count is shown; `left` is – where nobody can tell."""

    label: str
    done: float
    total: float | None = None
    share: float = 0.0  # from 0 to 1; 0 where there is no total
    left: str = words.NONE
    ended: bool = False


def bars_of(metadata: dict[str, Any], *, now: datetime, is_final: bool) -> tuple[Bar, ...]:
    """At most three bars in the order in which their loops began: those still going, then the latest ended ones."""
    kept = metadata.get(PROGRESS_KEY)
    entries = [entry for entry in kept if isinstance(entry, dict)] if isinstance(kept, list) else []
    bars = [bar for entry in entries[-200:] if (bar := _bar(entry, from_datetime(now), is_final)) is not None]
    chosen = sorted(range(len(bars)), key=lambda index: (bars[index].ended, -index))[:MAX_BARS]
    return tuple(bars[index] for index in sorted(chosen))


def _bar(entry: dict[str, Any], now: int, is_final: bool) -> Bar | None:
    done, total = _count(entry.get("done")), _count(entry.get("total"))
    if done is None:
        return None
    ended = entry.get("ended") is True
    label = words.cut(words.clean(str(entry.get("description") or "")), 60) or "Progress"
    share = min(1.0, done / total) if total else 0.0
    left = words.NONE if ended or is_final else _left(entry, done, total, now)
    return Bar(label, done, total, share, left, ended)


def _left(entry: dict[str, Any], done: float, total: float | None, now: int) -> str:
    started, at = _count(entry.get("started_at")), _count(entry.get("at"))
    if not done or not total or done > total or started is None or at is None or at - started < MICROS:
        return words.NONE
    seconds = ((at - started) / done * (total - done) - max(0, now - at)) / MICROS
    return words.ticking(max(0.0, seconds))


def _count(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return value
