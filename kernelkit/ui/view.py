"""Turns a run into what its card says.

Pure: the same run, log lines, moment and zone always give the same view. Nothing here knows of widgets, HTML or
terminals; `ui/widget.py`, `ui/html.py` and `ui/text.py` draw this view, so that a saved notebook and a live one never
disagree. Everything that came from a task (names, logs, values, errors) leaves here cleaned and cut, so no face has
to think of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Literal

import msgspec

from kernelkit.authoring.artifacts import Artifact
from kernelkit.authoring.track import PROGRESS_KEY
from kernelkit.models.run import LogLine, Run, RunStatus
from kernelkit.models.stream import StreamTail
from kernelkit.ui import words
from kernelkit.ui.failure import ErrorView, error_view
from kernelkit.ui.job import TOLD, JobView, job_view
from kernelkit.ui.progress import Bar, bars_of
from kernelkit.ui.reason import Bit, reason_of
from kernelkit.ui.streams import StreamView, stream_views
from kernelkit.ui.value import Output, flat, value_view

LOG_LINES = 4
METADATA_PAIRS = 6
TAGS = 3
FILES = 4


class LogRow(msgspec.Struct, frozen=True):
    time: str
    level: str  # five letters at most: debug, info, warn, error, out, err
    text: str


class Pair(msgspec.Struct, frozen=True):
    key: str
    value: str


class FileView(msgspec.Struct, frozen=True):
    """A file that is kept with the run."""

    name: str
    size: str
    path: str


Remedy = Literal["", "resume", "retry", "start"]
"""What may be done about the reason for which a run does not execute; see `card_acts.py`."""

_REMEDIES: dict[str, Remedy] = {words.RETRYING: "retry", "DELAYED": "start"}


class RunCard(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a run card says. `status` is the shown one: a `RunStatus` or RETRYING."""

    run_id: str
    task: str
    status: str
    word: str
    title: str  # the status by its machine name, for the mark
    is_final: bool = False
    since: datetime | None = None  # the clock ticks from here …
    clock: str = words.NONE  # … or stands at this
    elapsed: str = words.NONE  # the clock at `as_of`; while queued, how long it has queued
    lasted: str = ""  # the same in words, of ended runs
    reason: tuple[Bit, ...] = ()
    remedy: Remedy = ""  # what a click does about the reason
    has_tree: bool = False  # it was triggered from inside a run, or has triggered some
    job: JobView | None = None  # of a notebook job; its cells are then in no bar, and what it says in no pair
    bars: tuple[Bar, ...] = ()
    logs: tuple[LogRow, ...] = ()
    metadata: tuple[Pair, ...] = ()
    more_metadata: int = 0
    payload: str = ""
    output: Output | None = None
    streams: tuple[StreamView, ...] = ()
    error: ErrorView | None = None
    attempt: str = "not started"
    attempts: tuple[str, ...] = ()  # how each attempt stands, by status, when there was more than one
    queue: str = ""
    started: str = ""
    worker: str = ""
    facts: tuple[str, ...] = ()  # foot: version, memory, times
    tags: tuple[str, ...] = ()
    more_tags: int = 0
    files: tuple[FileView, ...] = ()
    more_files: int = 0
    queued_since: datetime | None = None
    when: str = ""  # first start to end, with dates and zone
    as_of: datetime
    as_of_text: str = ""
    zone: str = ""


def run_card(
    run: Run,
    logs: Sequence[LogLine] = (),
    files: Sequence[Artifact] = (),
    *,
    streams: Sequence[StreamTail] = (),
    now: datetime,
    zone: tzinfo,
) -> RunCard:
    """The card of `run` as it was at `now`, with clock times of `zone`, the files that are kept with it and the ends of
    its streams."""
    status = words.shown_status(run)
    is_final = run.is_completed
    lasted = run.duration
    queued_since = run.queued_at or run.created_at
    metadata = run.metadata
    job = job_view(metadata, status, now=now)
    told = {PROGRESS_KEY} if job is None else {PROGRESS_KEY, *TOLD}
    pairs = [(key, value) for key, value in metadata.items() if key not in told]
    started_clock = words.moment(run.started_at, now, zone) if run.started_at else ""
    return RunCard(
        run_id=run.id,
        task=words.name(run.task_id),
        status=status,
        word=words.STATUSES[status].word,
        title=run.status.value,
        is_final=is_final,
        since=run.started_at if not is_final and run.started_at else None,
        clock=words.ended(lasted) if lasted is not None else words.NONE,
        elapsed=_elapsed(run, status, queued_since, now),
        lasted=words.spelled(lasted) if lasted is not None else "",
        reason=reason_of(run, status, now, zone),
        remedy="resume" if run.is_queue_paused else _REMEDIES.get(status, ""),
        has_tree=run.children > 0 or run.parent_id is not None,
        job=job,
        bars=bars_of(metadata, now=now, is_final=is_final) if job is None else (),
        logs=tuple(_log_row(line, zone) for line in list(logs)[-LOG_LINES:]),
        metadata=tuple(
            Pair(words.line(key, 60), words.cut_line(words.short_value(value))) for key, value in pairs[:METADATA_PAIRS]
        ),
        more_metadata=max(0, len(pairs) - METADATA_PAIRS),
        payload=flat(run.payload_json, run.payload_size),
        output=_output(run) if run.status is RunStatus.COMPLETED else None,
        streams=stream_views(streams),
        error=error_view(run),
        attempt=f"attempt {run.attempt_number} of {run.max_attempts}" if run.attempt_number else "not started",
        attempts=tuple(attempt.status for attempt in run.attempts[-10:]) if len(run.attempts) > 1 else (),
        queue=words.name(run.queue),
        started=started_clock,
        worker=words.name(run.worker),
        facts=_facts(run, now, zone),
        tags=tuple(words.line(tag, 64) for tag in run.tags[:TAGS]),
        more_tags=max(0, len(run.tags) - TAGS),
        files=tuple(
            FileView(words.line(each.name, 80), words.size(each.size), words.line(str(each.path), 300))
            for each in files[:FILES]
        ),
        more_files=max(0, len(files) - FILES),
        queued_since=queued_since if not is_final and not run.started_at else None,
        when=_when(run, zone),
        as_of=now,
        as_of_text=words.full_moment(now, zone),
        zone=words.zone_name(zone, now),
    )


def _elapsed(run: Run, status: str, queued_since: datetime, now: datetime) -> str:
    if run.duration is not None:
        return words.ended(run.duration)
    if run.is_completed:
        return words.NONE
    if run.started_at is not None:
        return words.ticking((now - run.started_at).total_seconds())
    if status in ("QUEUED", "DEQUEUED", "DELAYED", "PENDING_VERSION"):
        return words.ticking((now - queued_since).total_seconds())
    return words.NONE


_LEVELS = {"stdout": "out", "stderr": "err", "warning": "warn", "critical": "error"}


def _log_row(line: LogLine, zone: tzinfo) -> LogRow:
    level = _LEVELS.get(line.level, line.level)[:5]
    return LogRow(f"{line.at.astimezone(zone):%H:%M:%S}", words.clean(level), words.line(line.text))


def _output(run: Run) -> Output | None:
    if run.output_json is None and not run.output_size:
        return None
    return value_view(run.output_json, run.output_size, told="Read it with run.output.")


def _facts(run: Run, now: datetime, zone: tzinfo) -> tuple[str, ...]:
    facts = []
    if run.started_at and run.finished_at:
        facts.append(f"{words.moment(run.started_at, now, zone)} – {words.moment(run.finished_at, now, zone)}")
    if run.version:
        facts.append(f"version {words.name(run.version)}")
    if run.peak_memory:
        facts.append(
            f"peak {words.size(run.peak_memory)}" if run.is_completed else f"memory {words.size(run.peak_memory)}"
        )
    if run.machine:
        facts.append(f"machine {words.name(run.machine)}")
    if run.schedule_id:
        facts.append(f"schedule {words.name(run.schedule_id)}")
    if run.children:
        facts.append("1 child run" if run.children == 1 else f"{words.number(run.children)} child runs")
    return tuple(facts)


def _when(run: Run, zone: tzinfo) -> str:
    if run.started_at and run.finished_at and run.finished_at - run.started_at >= timedelta(0):
        return words.span(run.started_at, run.finished_at, zone)
    start, label = (run.started_at, "started") if run.started_at else (run.created_at, "created")
    return f"{label} {words.full_moment(start, zone)} ({words.zone_name(zone, start)})"
