"""Turns a run into what its card says.

Pure: the same run, log lines, moment and zone always give the same view. Nothing here knows of widgets, HTML or
terminals; `ui/widget.py`, `ui/html.py` and `ui/text.py` draw this view, so that a saved notebook and a live one never
disagree. Everything that came from a task (names, logs, values, errors) leaves here cleaned and cut, so no face has
to think of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Literal

import msgspec

from kernelkit import jsonvalues
from kernelkit.authoring.artifacts import Artifact
from kernelkit.authoring.track import PROGRESS_KEY
from kernelkit.models.error import Error, Frame
from kernelkit.models.run import Attempt, LogLine, Run, RunStatus
from kernelkit.models.stream import StreamTail
from kernelkit.ui import words
from kernelkit.ui.job import TOLD, JobView, job_view
from kernelkit.ui.progress import Bar, bars_of
from kernelkit.ui.streams import StreamView, stream_views

LOG_LINES = 4
METADATA_PAIRS = 6
MAX_FRAMES = 6
TAGS = 3
FILES = 4
WAITS = 3
SHOWN_BYTES = 2000
DECODED_BYTES = 64_000  # a larger value is shown from its text as it is, without being parsed for a look


class Bit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece of the reason line. With `at` the text is a moment: ticking down where it can, else a clock time."""

    text: str
    kind: Literal["text", "strong", "mono", "countdown"] = "text"
    at: datetime | None = None


class LogRow(msgspec.Struct, frozen=True):
    time: str
    level: str  # five letters at most: debug, info, warn, error, out, err
    text: str


class Pair(msgspec.Struct, frozen=True):
    key: str
    value: str


class FrameView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the reader's own code in a traceback, with its neighbours where they are known."""

    place: str
    function: str
    line: int
    source: str
    before: str = ""
    after: str = ""


class ErrorView(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    message: str
    frames: tuple[FrameView, ...] = ()
    frame_count: int = 0  # of the whole traceback
    traceback: str = ""
    note: str = ""


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    kind: str
    size: str
    text: str
    flat: str  # on one line
    is_cut: bool = False


class FileView(msgspec.Struct, frozen=True):
    """A file that is kept with the run."""

    name: str
    size: str
    path: str


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
    can_resume: bool = False  # its queue is paused, and that is why it waits
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
        task=_name(run.task_id),
        status=status,
        word=words.STATUSES[status].word,
        title=run.status.value,
        is_final=is_final,
        since=run.started_at if not is_final and run.started_at else None,
        clock=words.ended(lasted) if lasted is not None else words.NONE,
        elapsed=_elapsed(run, status, queued_since, now),
        lasted=words.spelled(lasted) if lasted is not None else "",
        reason=_reason(run, status, now, zone),
        can_resume=status == "QUEUED" and (run.queued_reason or "").startswith(f"queue {run.queue} is paused"),
        has_tree=run.children > 0 or run.parent_id is not None,
        job=job,
        bars=bars_of(metadata, now=now, is_final=is_final) if job is None else (),
        logs=tuple(_log_row(line, zone) for line in list(logs)[-LOG_LINES:]),
        metadata=tuple(
            Pair(_cut(words.clean(key), 60), _cut(words.short_value(value))) for key, value in pairs[:METADATA_PAIRS]
        ),
        more_metadata=max(0, len(pairs) - METADATA_PAIRS),
        payload=_flat(run.payload_json, run.payload_size),
        output=_output(run) if run.status is RunStatus.COMPLETED else None,
        streams=stream_views(streams),
        error=_error(run),
        attempt=f"attempt {run.attempt_number} of {run.max_attempts}" if run.attempt_number else "not started",
        attempts=tuple(attempt.status for attempt in run.attempts[-10:]) if len(run.attempts) > 1 else (),
        queue=_name(run.queue),
        started=started_clock,
        worker=_name(run.worker),
        facts=_facts(run, now, zone),
        tags=tuple(_cut(words.clean(tag), 64) for tag in run.tags[:TAGS]),
        more_tags=max(0, len(run.tags) - TAGS),
        files=tuple(
            FileView(_cut(words.clean(each.name), 80), words.size(each.size), _cut(words.clean(str(each.path)), 300))
            for each in files[:FILES]
        ),
        more_files=max(0, len(files) - FILES),
        queued_since=queued_since if not is_final and not run.started_at else None,
        when=_when(run, zone),
        as_of=now,
        as_of_text=words.full_moment(now, zone),
        zone=words.zone_name(zone, now),
    )


def _name(text: str | None) -> str:
    """A name of the person's choosing on one line: a task's, a queue's, a worker's."""
    return _cut(words.clean(text or ""), 200)


def _cut(text: str, limit: int = SHOWN_BYTES) -> str:
    shown, is_cut = words.cut_block(text, max_bytes=limit, max_lines=1)
    return shown + "…" if is_cut else shown


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


# ---- why ---------------------------------------------------------------------------------------------------------


def _reason(run: Run, status: str, now: datetime, zone: tzinfo) -> tuple[Bit, ...]:
    match status:
        case "QUEUED":
            return _queued(run)
        case "DELAYED":
            return _delayed(run, now, zone)
        case "PENDING_VERSION":
            return (
                Bit(f"No task {_name(run.task_id)} is defined yet.", "strong"),
                Bit(" The run starts once one is."),
            )
        case "DEQUEUED":
            return (Bit("Starting" + (f" on worker {_name(run.worker)}." if run.worker else ".")),)
        case "EXECUTING":
            return _executing(run, now, zone)
        case "WAITING":
            return _waiting(run, now, zone)
        case words.RETRYING:
            return _retrying(run, now, zone)
        case "CANCELED":
            told = _cut(words.clean(run.canceled_reason or "Canceled").rstrip(". "), 500)
            at = f" at {words.moment(run.finished_at, now, zone)}" if run.finished_at else ""
            return (Bit(told, "strong"), Bit(f"{at}."))
        case "EXPIRED":
            at = f" ended at {words.moment(run.finished_at, now, zone)}" if run.finished_at else " ended"
            return (
                Bit("Never started:", "strong"),
                Bit(f" its time to live{at} while it was queued in {_name(run.queue)}."),
            )
        case _:
            return ()


def _queued(run: Run) -> tuple[Bit, ...]:
    told = _cut(words.sentence(run.queued_reason or ""), 500)
    if not told:
        return (Bit(f"Waiting in queue {_name(run.queue)}."),)
    head, colon, rest = told.partition(": ")
    return (Bit(head + ":", "strong"), Bit(" " + rest)) if colon and len(head) < 80 else (Bit(told),)


def _delayed(run: Run, now: datetime, zone: tzinfo) -> tuple[Bit, ...]:
    if run.delay_until is None:
        return (Bit("Not due yet."),)
    at = Bit(words.moment(run.delay_until, now, zone), "countdown", run.delay_until)
    bits = [Bit("Due", "strong"), Bit(" "), at, Bit(".")]
    if run.debounce_key:
        bits += [Bit(" Triggers with the debounce key "), Bit(_name(run.debounce_key), "mono"), Bit(" push it back.")]
    return tuple(bits)


def _executing(run: Run, now: datetime, zone: tzinfo) -> tuple[Bit, ...]:
    attempt = run.attempts[-1] if run.attempts else None
    at = (attempt.started_at if attempt else None) or run.started_at
    when = f" started {words.moment(at, now, zone)}" if at else ""
    worker = _name((attempt.worker if attempt else "") or run.worker)
    bits = [Bit(f"Attempt {max(1, run.attempt_number)}{when}" + (f" on worker {worker}." if worker else "."))]
    if run.max_duration is not None:
        most = words.spelled(timedelta(seconds=run.max_duration)).removesuffix(" 00 s").removesuffix(" 00 min")
        bits.append(Bit(f" Stops after {most}."))
    if run.notice:
        bits = [Bit(_cut(words.clean(run.notice), 500), "strong"), Bit(" "), *bits]
    failed = _last_failed(run)
    if failed is not None and failed.error is not None:
        bits += [Bit(f" Attempt {failed.number} failed: "), Bit(_cut(words.clean(str(failed.error)), 300), "mono")]
    return tuple(bits)


def _waiting(run: Run, now: datetime, zone: tzinfo) -> tuple[Bit, ...]:
    """For what, and when that is over by itself."""
    bits: list[Bit] = []
    for wait in run.waiting_for[:WAITS]:
        bits.append(Bit("; for " if bits else "For "))
        match wait.type:
            case "duration":
                bits.append(Bit("time", "strong"))
            case "token":
                bits.append(Bit(f"token {_name(wait.shown or wait.token_id)}", "strong"))
            case "stream":
                bits.append(Bit(f"a value of the input stream {_name(wait.shown)}", "strong"))
            case _:
                bits.append(Bit(_name(str(wait)), "strong"))
        if wait.until is not None:
            bits.append(Bit(", which is over " if wait.type == "duration" else ", which times out "))
            bits.append(Bit(words.moment(wait.until, now, zone), "countdown", wait.until))
    more = len(run.waiting_for) - WAITS
    if more > 0:
        bits.append(Bit(f" and {words.number(more)} more"))
    return (*bits, Bit(". No slot is held.")) if bits else (Bit("Waiting.", "strong"), Bit(" No slot is held."))


def _retrying(run: Run, now: datetime, zone: tzinfo) -> tuple[Bit, ...]:
    at = run.retry_at or now
    slot = "slot kept" if run.status is RunStatus.EXECUTING else "slot given back"
    bits = [
        Bit(f"Attempt {run.attempt_number + 1} of {run.max_attempts}", "strong"),
        Bit(" "),
        Bit(words.moment(at, now, zone), "countdown", at),
        Bit(f" ({slot})."),
    ]
    failed = _last_failed(run)
    if failed is not None and failed.error is not None:
        bits += [Bit(f" Attempt {failed.number} failed: "), Bit(_cut(words.clean(str(failed.error)), 300), "mono")]
    elif run.error is not None:
        bits += [Bit(" The last one failed: "), Bit(_cut(words.clean(str(run.error)), 300), "mono")]
    return tuple(bits)


def _last_failed(run: Run) -> Attempt | None:
    return next((a for a in reversed(run.attempts) if a.error is not None and a.status != "EXECUTING"), None)


# ---- values, errors, logs ----------------------------------------------------------------------------------------


def _flat(text: str | None, size: int) -> str:
    """A JSON value on one line, with a blank after commas and colons, cut for show."""
    if text is None:
        return f"{words.size(size)}, not shown here" if size else ""
    if len(text) > DECODED_BYTES:
        return _cut(words.clean(text[: SHOWN_BYTES * 2]))
    return _cut(words.clean(json.dumps(jsonvalues.decode(text), ensure_ascii=False)))


def _output(run: Run) -> Output | None:
    if run.output_json is None and not run.output_size:
        return None
    return value_view(run.output_json, run.output_size, told="Read it with run.output.")


def value_view(
    text: str | None, size: int, *, told: str = "", max_bytes: int = SHOWN_BYTES, max_lines: int = 8
) -> Output:
    """A JSON value as a card shows it; `told` stands for one that is not at hand."""
    if text is None:
        return Output("large" if size else "None", words.size(size), told, "")
    shown_size = words.size(size or len(text.encode()))
    if len(text) > DECODED_BYTES:
        shown, _ = words.cut_block(words.clean_block(text[: max_bytes * 2]), max_bytes=max_bytes, max_lines=max_lines)
        kind = {"{": "dict", "[": "list", '"': "str"}.get(text[:1], "value")
        return Output(kind, shown_size, shown, words.clean(shown), True)
    value = jsonvalues.decode(text)
    shown, is_cut = words.cut_block(
        words.clean_block(words.fitted_json(value)), max_bytes=max_bytes, max_lines=max_lines
    )
    return Output("None" if value is None else type(value).__name__, shown_size, shown, _flat(text, 0), is_cut)


def _error(run: Run) -> ErrorView | None:
    failed = _last_failed(run)
    error = run.error or (failed.error if failed else None)
    if error is None or not run.is_completed or run.status in (RunStatus.COMPLETED, RunStatus.CANCELED):
        return None
    own = [frame for frame in error.frames if frame.own][-MAX_FRAMES:]
    tail = words.clean_block(error.traceback).strip()
    return ErrorView(
        name=_cut(words.clean(error.name), 200),
        message=_cut(words.clean(error.message)),
        frames=tuple(_frame(frame) for frame in own),
        frame_count=len(error.frames),
        traceback="…" + tail[-2 * SHOWN_BYTES :] if len(tail) > 2 * SHOWN_BYTES else tail,
        note=_alike(run, error),
    )


def _frame(frame: Frame) -> FrameView:
    return FrameView(
        place=_cut(place(frame.file), 200),
        function="" if frame.function == "<module>" else _cut(words.clean(frame.function), 80),
        line=frame.line,
        source=_code(frame.source),
        before=_code(frame.before),
        after=_code(frame.after),
    )


def _code(text: str) -> str:
    return _cut(words.clean(text.rstrip()), 300)


def place(file: str) -> str:
    """A traceback's file as a reader knows it: a cell by its name, a file from the working directory or the home
    folder.

    >>> place("<cell [12] of churn.ipynb>")
    'cell [12] of churn.ipynb'
    """
    file = words.clean(file)
    if file.startswith("<") and file.endswith(">"):
        return file[1:-1]
    path = Path(file)
    for base, prefix in ((Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_absolute() and path.is_relative_to(base):
            return prefix + path.relative_to(base).as_posix()
    return file


def _alike(run: Run, error: Error) -> str:
    """How the attempts before the last one failed."""
    earlier = [attempt for attempt in run.attempts[:-1] if attempt.error is not None]
    if not earlier:
        return ""
    same = [attempt.number for attempt in earlier if str(attempt.error) == str(error)]
    if len(same) == len(earlier):
        named = "Attempt 1" if same == [1] else f"Attempts {_listed(same)}"
        return f"{named} failed with the same error"
    last = earlier[-1]
    return _cut(f"Attempt {last.number} failed with {words.clean(str(last.error))}", 300)


def _listed(numbers: list[int]) -> str:
    if len(numbers) > 4:
        return f"{numbers[0]} to {numbers[-1]}"
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


_LEVELS = {"stdout": "out", "stderr": "err", "warning": "warn", "critical": "error"}


def _log_row(line: LogLine, zone: tzinfo) -> LogRow:
    level = _LEVELS.get(line.level, line.level)[:5]
    return LogRow(f"{line.at.astimezone(zone):%H:%M:%S}", words.clean(level), _cut(words.clean(line.text)))


def _facts(run: Run, now: datetime, zone: tzinfo) -> tuple[str, ...]:
    facts = []
    if run.started_at and run.finished_at:
        facts.append(f"{words.moment(run.started_at, now, zone)} – {words.moment(run.finished_at, now, zone)}")
    if run.version:
        facts.append(f"version {_name(run.version)}")
    if run.peak_memory:
        facts.append(
            f"peak {words.size(run.peak_memory)}" if run.is_completed else f"memory {words.size(run.peak_memory)}"
        )
    if run.machine:
        facts.append(f"machine {_name(run.machine)}")
    if run.schedule_id:
        facts.append(f"schedule {_name(run.schedule_id)}")
    if run.children:
        facts.append("1 child run" if run.children == 1 else f"{words.number(run.children)} child runs")
    return tuple(facts)


def _when(run: Run, zone: tzinfo) -> str:
    if run.started_at and run.finished_at and run.finished_at - run.started_at >= timedelta(0):
        return words.span(run.started_at, run.finished_at, zone)
    start, label = (run.started_at, "started") if run.started_at else (run.created_at, "created")
    return f"{label} {words.full_moment(start, zone)} ({words.zone_name(zone, start)})"
