"""Whatever strings a run, a queue, a schedule or a token carries: both faces show them as text, in bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
import pytest

from kernelkit.models.error import Error, Frame
from kernelkit.models.queue import QueueKey
from kernelkit.models.run import Attempt, LogLine, Run, RunStatus
from kernelkit.models.span import Span
from kernelkit.models.value import Value
from kernelkit.models.wait import Waiting
from kernelkit.ui import batch, engine_panel, html, queues, schedules, table, text, tokens, tree, tree_faces, words
from kernelkit.ui.timeline import run_timeline, timeline_tree
from kernelkit.ui.timeline_faces import timeline_html, timeline_text
from kernelkit.wire.messages import WorkerInfo
from tests.ui import samples, test_panels, test_queues, test_schedules, test_tokens
from tests.ui.hostile import HOSTILE
from tests.ui.samples import BERLIN, NOW, card
from tests.ui.test_html import seen

S = TypeVar("S", bound=msgspec.Struct)

UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Nothing of this may reach a reader: terminal controls, direction marks, what has no width, halves of characters."""

STATUSES = (RunStatus.QUEUED, RunStatus.EXECUTING, RunStatus.WAITING, RunStatus.COMPLETED, RunStatus.FAILED)

LARGEST = 40_000
"""Characters of a face, whatever is in its values."""


def as_json(value: object) -> str:
    """As the engine has it, whose strings are whole."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()


def spoiled(value: S, evil: str, /, **more: Any) -> S:
    """The struct with `evil` wherever it has text that a person gives; its id is ours."""
    changes: dict[str, Any] = {}
    for field in msgspec.structs.fields(type(value)):
        if field.name == "id":
            continue
        if field.type in (str, str | None):
            changes[field.name] = as_json(evil) if field.name.endswith("_json") else evil
            if field.name == "schema":  # which is JSON Schema wherever it comes from
                changes[field.name] = as_json(
                    {"title": evil, "properties": {evil: {"type": "string", "description": evil}}}
                )
        elif field.type == tuple[str, ...]:
            changes[field.name] = (evil[:128],) * 3  # tags: longer ones are refused
    return msgspec.structs.replace(value, **{**changes, **more})


def runs(evil: str) -> Iterator[Run]:
    """One of each kind, and one that is about to try again."""
    error = spoiled(Error("E", "m", frames=(spoiled(Frame("f", 3, "g", "s", True, "b", "a"), evil),)), evil)
    metadata = {evil: evil, "kk:progress": [{"description": evil, "done": 1, "total": 2, "started_at": 1, "at": 2}]}
    for status in STATUSES:
        run = samples.run(status=status, finished_at=NOW, started_at=NOW - timedelta(seconds=9))
        yield spoiled(
            run,
            evil,
            metadata_json=as_json(metadata),
            output_json=as_json([evil] * 30),
            error=error,
            attempts=(Attempt(1, "FAILED", NOW, NOW, error, evil),),
            waiting_for=(spoiled(Waiting("token"), evil), spoiled(Waiting("task"), evil)),
            idempotency_key_scope=None,
            retry_at=NOW if status is RunStatus.EXECUTING else None,
        )


def faces(evil: str) -> Iterator[tuple[str, str, str]]:
    """The name, the static and the text face of each view."""
    every = list(runs(evil))
    for run in every:
        shown = card(run, (LogLine(NOW, evil, evil),) * 4)
        yield f"card {run.status}", html.run_html(shown), text.run_text(shown)
    page = table.runs_table(every, total=5, has_more=True, now=NOW, zone=BERLIN, filters=evil)
    yield "table", table.table_html(page), table.table_text(page)
    of_batch = batch.batch_view("batch_1", every, now=NOW, zone=BERLIN)
    yield "batch", batch.batch_html(of_batch), batch.batch_text(of_batch)

    top = msgspec.structs.replace(every[0], id="run_top", parent_id=None, root_id=None)
    family = [
        top,
        *[
            msgspec.structs.replace(run, id=f"run_{n}", parent_id="run_top", root_id="run_top", task_id=evil + str(n))
            for n, run in enumerate(every)
        ],
    ]
    grown = tree.run_tree(family, now=NOW, zone=BERLIN)
    yield "tree", tree_faces.tree_html(grown), tree_faces.tree_text(grown)
    rows = timeline_tree(family, now=NOW, zone=BERLIN, max_rows=40)
    spans = {
        run.id: (Span("executing", NOW - timedelta(seconds=9), NOW, 1, "FAILED", error=Error(evil, evil)),)
        for run in family
    }
    line = run_timeline(rows, family, spans, now=NOW, zone=BERLIN, is_tree=True)
    yield "timeline", timeline_html(line), timeline_text(line)

    keys = tuple(QueueKey(evil, 1, 1) for _ in range(3))
    of_queues = queues.queues_table(
        [spoiled(queue, evil, keys=keys, rate_limit="100/m") for queue in test_queues.QUEUES],
        paused=True,
        now=NOW,
        zone=BERLIN,
    )
    yield "queues", queues.queues_html(of_queues), queues.queues_text(of_queues)
    of_schedules = schedules.schedules_table(
        [spoiled(one, evil, last_status="COMPLETED") for one in (test_schedules.ON, test_schedules.OFF)],
        now=NOW,
        zone=BERLIN,
        note="A note.",
    )
    yield "schedules", schedules.schedules_html(of_schedules), schedules.schedules_text(of_schedules)
    value = Value(text=as_json({evil: evil}), size=len(evil))
    over = spoiled(test_tokens.OVER, evil, value=value)
    of_tokens = tokens.tokens_table([spoiled(test_tokens.OPEN, evil), over], now=NOW, zone=BERLIN, total=2)
    yield "tokens", tokens.tokens_html(of_tokens), tokens.tokens_text(of_tokens)
    row = tokens.token_row(over, now=NOW, zone=BERLIN)
    yield "token", tokens.token_html(row), tokens.token_text(row)
    ours = evil[:300]  # its home, and what its disk said
    status = spoiled(test_panels.STATUS, ours, workers=(spoiled(WorkerInfo("w", "shared", 1, "e", 2), ours),))
    engine = engine_panel.engine_view(status, now=NOW, zone=BERLIN)
    yield "engine", engine_panel.engine_html(engine), engine_panel.engine_text(engine)


@pytest.mark.parametrize("evil", HOSTILE, ids=[f"{n}" for n in range(len(HOSTILE))])
def test_hostile_text_is_text_in_both_faces(evil: str) -> None:
    for name, static, plain in faces(evil):
        read = seen(static)
        assert not UNSEEN.search(read.text), (name, UNSEEN.search(read.text))
        assert not UNSEEN.search(plain), (name, UNSEEN.search(plain))
        assert len(read.text) < LARGEST, (name, len(read.text))
        assert len(plain) < LARGEST, (name, len(plain))
        wide = [each for each in plain.split("\n") if words.cells(each) > 80]
        assert not wide, (name, wide[:2])


def test_the_table_has_two_hundred_strings() -> None:
    assert len(set(HOSTILE)) == 200
