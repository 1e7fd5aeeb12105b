"""What the live card of a task says: rules, the form, the options of a trigger, and the last runs. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

import msgspec

from kernelkit.models.run import Run
from kernelkit.ui import words
from kernelkit.ui.form import Field, Form
from kernelkit.ui.task_line import TaskView

RECENT = 3
_MORE_BYTES, _MORE_LINES = 4_000, 60
_NOTE_CELLS = 120


class RecentRun(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One line below the form. `since` ticks while the run executes."""

    run_id: str
    status: str
    word: str
    created: str
    clock: str = ""
    since: datetime | None = None
    note: str = ""


class More(msgspec.Struct, frozen=True, kw_only=True):
    """What the menu was asked for: versions, source or schema."""

    what: str
    text: str


class TaskCard(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    task: str
    name: str  # of the function, for the call in Python
    version: str
    where: str
    rules: tuple[str, ...]
    description: str = ""
    form: Form
    options: tuple[Field, ...]
    counts: str = ""
    recent: tuple[RecentRun, ...] = ()
    total: int = 0
    more: More | None = None
    as_of: datetime
    as_of_text: str
    zone: str


def task_card(
    task: TaskView,
    form: Form,
    *,
    name: str,
    queue: str,
    attempts: int,
    runs: Sequence[Run],
    counts: Mapping[str, int],
    more: More | None = None,
    now: datetime,
    zone: tzinfo,
) -> TaskCard:
    """The view. `counts` are those of the task's runs by status, `runs` the newest of them."""
    live = [("QUEUED", "queued"), ("EXECUTING", "executing"), ("WAITING", "waiting")]
    return TaskCard(
        task=task.task_id,
        name=name,
        version=task.version,
        where=task.where,
        rules=task.rules,
        description=task.description,
        form=form,
        options=run_options_form(queue, attempts),
        counts=", ".join(f"{words.number(counts[key])} {word}" for key, word in live if counts.get(key)),
        recent=tuple(_recent(run, now, zone) for run in runs[:RECENT]),
        total=sum(counts.values()),
        more=more,
        as_of=now,
        as_of_text=words.full_moment(now, zone),
        zone=words.zone_name(zone, now),
    )


def versions_text(versions: Sequence[str], current: str) -> str:
    """A line for each, newest first.

    >>> print(versions_text(("20261120.1", "20261121.1"), "20261121.1"))
    20261121.1  runs triggered now
    20261120.1
    """
    return "\n".join(f"{one}  runs triggered now" if one == current else one for one in reversed(versions))


def more(what: str, text: str) -> More:
    """`text` as far as a card shows it."""
    shown, is_cut = words.cut_block(words.clean_block(text), max_bytes=_MORE_BYTES, max_lines=_MORE_LINES)
    left = text.count("\n") - shown.count("\n")
    return More(what=what, text=f"{shown}\n… {words.number(left)} more lines" if is_cut and left else shown)


def run_options_form(queue: str, attempts: int) -> tuple[Field, ...]:
    """The options of a trigger as fields; `queue` and `attempts` are the task's own."""
    text = Field(name="item", kind="text", required=True)
    return (
        Field(name="delay", kind="text", hint="10s, 1h30m, or a date with its zone", placeholder="none"),
        Field(name="queue", kind="text", placeholder=f"{words.cut(words.clean(queue), 60)} (its own)"),
        Field(name="tags", kind="list", item=text, hint="at most 10", max_items=10),
        Field(name="concurrency_key", label="concurrency key", kind="text", placeholder="none"),
        Field(
            name="idempotency_key",
            label="idempotency key",
            kind="text",
            placeholder="none",
            hint="the same key returns the first run",
        ),
        Field(name="priority", kind="number", placeholder="0", hint="seconds ahead of its queue"),
        Field(name="ttl", kind="text", placeholder="none", hint="for its first start, such as 1h"),
        Field(name="max_attempts", label="max attempts", kind="number", integer=True, low=1, placeholder=str(attempts)),
    )


def _recent(run: Run, now: datetime, zone: tzinfo) -> RecentRun:
    status = words.shown_status(run)
    is_ticking = run.started_at is not None and not run.is_completed
    return RecentRun(
        run_id=run.id,
        status=status,
        word=words.STATUSES[status].word,
        created=words.moment(run.created_at, now, zone),
        clock="" if is_ticking else words.clock(run, now),
        since=run.started_at if is_ticking else None,
        note=words.cut(_note(run), _NOTE_CELLS),
    )


def _note(run: Run) -> str:
    """What tells it from its neighbours: why it waits or failed, else what it was given."""
    if run.error is not None and run.is_completed:
        return words.clean(f"{run.error.name}: {run.error.message}")
    if run.queued_reason:
        return words.sentence(run.queued_reason)
    if not run.payload_json or run.payload_json in ("null", "{}"):
        return ""
    value = json.loads(run.payload_json)
    if isinstance(value, dict):
        return ", ".join(f"{words.clean(str(key))} {words.short_value(item)}" for key, item in list(value.items())[:4])
    return words.short_value(value)
