"""Queues as a table, in both faces."""

from __future__ import annotations

from collections.abc import Sequence

from kernelkit.models.queue import Concurrency, QueueInfo, QueueKey
from kernelkit.ui.queues import EMPTY, QueuesTable, queues_html, queues_table, queues_text
from tests.ui import samples
from tests.ui.samples import BERLIN

QUEUES = (
    QueueInfo(
        name="images",
        type="custom",
        running=4,
        queued=1_204,
        concurrency=Concurrency(current=4, base=4),
        oldest_queued_at=samples.at("13:32:33"),
    ),
    QueueInfo(
        name="mail",
        type="custom",
        running=3,
        queued=2,
        paused=True,
        concurrency=Concurrency(current=2, base=5, override=2),
        rate_limit="100/m",
        keys=(QueueKey("user <1>", 2, 1), QueueKey("user 2", 1, 1)),
        key_count=2,
    ),
    QueueInfo(name="task/resize", type="task"),
)


def table(queues: Sequence[QueueInfo] = QUEUES, *, paused: bool = False) -> QueuesTable:
    return queues_table(queues, paused=paused, now=samples.at("13:33:21"), zone=BERLIN)


def test_each_queue_is_a_line_with_its_copies_below() -> None:
    assert [" ".join(line.split()) for line in queues_text(table()).splitlines()] == [
        "QUEUE STATE SLOTS QUEUED OLDEST RATE KEYS",
        "images full 4 of 4 1,204 00:48 – –",
        "mail paused 3, 2 a key (by hand, was 5) 2 – 100/m 2",
        "user <1> 2 of 2 1",
        "user 2 1 of 2 1",
        "task/resize open 0 0 – – –",
    ]
    assert max(map(len, queues_text(table()).splitlines())) <= 80


def test_a_paused_project_and_an_empty_one_say_so() -> None:
    assert queues_text(table((), paused=True)).splitlines()[0].startswith("The project is paused")
    assert EMPTY in queues_text(table(()))
    assert "resume_all" in queues_html(table(paused=True))


def test_names_are_text_in_html_and_ascii_where_wanted() -> None:
    markup = queues_html(table())
    assert "user &lt;1&gt;" in markup and "<1>" not in markup
    assert queues_text(table(), ascii=True).isascii()


def test_the_static_face_tells_since_when_and_the_live_one_how_long() -> None:
    markup = queues_html(table())
    assert "Sat 21 Nov 2026, " in markup
    assert "00:48" not in markup
    assert "3 queues, 7 slots in use, 1,206 queued" in markup
    first = table().rows[0]
    assert (first.oldest, first.running, first.limit) == (samples.at("13:32:33"), 4, 4)


def test_keys_beyond_the_first_ten_are_counted() -> None:
    keys = tuple(QueueKey(f"user {n}", 0, 1) for n in range(30))
    rows = table((QueueInfo(name="mail", type="custom", queued=30, keys=keys, key_count=30),)).rows
    assert len(rows) == 12
    assert rows[-1].name == "20 more keys"
