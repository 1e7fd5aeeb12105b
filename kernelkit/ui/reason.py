"""Why a run stands where it does, in words: what it waits for, when it goes on by itself, what went wrong before.

The reason line of a card is made of `Bit`s, so that a face can set some off and let moments tick down. Nothing here
says how a run ended in failure: that is an error (`failure.py`), not a reason.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Literal

import msgspec

from kernelkit.models.run import Run, RunStatus
from kernelkit.ui import words
from kernelkit.ui.failure import last_failed

WAITS = 3


class Bit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece of the reason line. With `at` the text is a moment: ticking down where it can, else a clock time."""

    text: str
    kind: Literal["text", "strong", "mono", "countdown"] = "text"
    at: datetime | None = None


def reason_of(run: Run, status: str, now: datetime, zone: tzinfo) -> tuple[Bit, ...]:
    """The reason line of a card: why the run stands where it does, by its shown status; empty where nothing is open."""
    match status:
        case "QUEUED":
            return _queued(run)
        case "DELAYED":
            return _delayed(run, now, zone)
        case "PENDING_VERSION":
            return (
                Bit(f"No task {words.name(run.task_id)} is defined yet.", "strong"),
                Bit(" The run starts once one is."),
            )
        case "DEQUEUED":
            return (Bit("Starting" + (f" on worker {words.name(run.worker)}." if run.worker else ".")),)
        case "EXECUTING":
            return _executing(run, now, zone)
        case "WAITING":
            return _waiting(run, now, zone)
        case words.RETRYING:
            return _retrying(run, now, zone)
        case "CANCELED":
            told = words.line((run.canceled_reason or "Canceled").rstrip(". "), 500)
            at = f" at {words.moment(run.finished_at, now, zone)}" if run.finished_at else ""
            return (Bit(told, "strong"), Bit(f"{at}."))
        case "EXPIRED":
            at = f" ended at {words.moment(run.finished_at, now, zone)}" if run.finished_at else " ended"
            return (
                Bit("Never started:", "strong"),
                Bit(f" its time to live{at} while it was queued in {words.name(run.queue)}."),
            )
        case _:
            return ()


def _queued(run: Run) -> tuple[Bit, ...]:
    told = words.cut_line(words.sentence(run.queued_reason or ""), 500)
    if not told:
        return (Bit(f"Waiting in queue {words.name(run.queue)}."),)
    head, colon, rest = told.partition(": ")
    return (Bit(head + ":", "strong"), Bit(" " + rest)) if colon and len(head) < 80 else (Bit(told),)


def _delayed(run: Run, now: datetime, zone: tzinfo) -> tuple[Bit, ...]:
    if run.delay_until is None:
        return (Bit("Not due yet."),)
    at = Bit(words.moment(run.delay_until, now, zone), "countdown", run.delay_until)
    bits = [Bit("Due", "strong"), Bit(" "), at, Bit(".")]
    if run.debounce_key:
        key = Bit(words.name(run.debounce_key), "mono")
        bits += [Bit(" Triggers with the debounce key "), key, Bit(" push it back.")]
    return tuple(bits)


def _executing(run: Run, now: datetime, zone: tzinfo) -> tuple[Bit, ...]:
    attempt = run.attempts[-1] if run.attempts else None
    at = (attempt.started_at if attempt else None) or run.started_at
    when = f" started {words.moment(at, now, zone)}" if at else ""
    worker = words.name((attempt.worker if attempt else "") or run.worker)
    bits = [Bit(f"Attempt {max(1, run.attempt_number)}{when}" + (f" on worker {worker}." if worker else "."))]
    if run.max_duration is not None:
        most = words.spelled(timedelta(seconds=run.max_duration)).removesuffix(" 00 s").removesuffix(" 00 min")
        bits.append(Bit(f" Stops after {most}."))
    if run.notice:
        bits = [Bit(words.line(run.notice, 500), "strong"), Bit(" "), *bits]
    return (*bits, *_failed_before(run))


def _waiting(run: Run, now: datetime, zone: tzinfo) -> tuple[Bit, ...]:
    """For what, and when that is over by itself."""
    bits: list[Bit] = []
    for wait in run.waiting_for[:WAITS]:
        bits.append(Bit("; for " if bits else "For "))
        match wait.type:
            case "duration":
                bits.append(Bit("time", "strong"))
            case "token":
                bits.append(Bit(f"token {words.name(wait.shown or wait.token_id)}", "strong"))
            case "stream":
                bits.append(Bit(f"a value of the input stream {words.name(wait.shown)}", "strong"))
            case _:
                bits.append(Bit(words.name(str(wait)), "strong"))
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
    bits += _failed_before(run)
    if run.error is not None and last_failed(run) is None:
        bits += [Bit(" The last one failed: "), Bit(words.line(str(run.error), 300), "mono")]
    return tuple(bits)


def _failed_before(run: Run) -> tuple[Bit, ...]:
    failed = last_failed(run)
    if failed is None:
        return ()
    return (Bit(f" Attempt {failed.number} failed: "), Bit(words.line(str(failed.error), 300), "mono"))
