"""Queues as a table, in both faces."""

from __future__ import annotations

from kernelkit.models.queue import Concurrency, QueueInfo, QueueKey
from kernelkit.ui.queues import EMPTY, queues_html, queues_table, queues_text

QUEUES = (
    QueueInfo(name="images", type="custom", running=4, queued=1_204, concurrency=Concurrency(current=4, base=4)),
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


def test_each_queue_is_a_line_with_its_copies_below() -> None:
    assert [" ".join(line.split()) for line in queues_text(queues_table(QUEUES, paused=False)).splitlines()] == [
        "QUEUE STATE SLOTS QUEUED RATE KEYS",
        "images full 4 of 4 1,204 – –",
        "mail paused 3, 2 a key (by hand, was 5) 2 100/m 2",
        "user <1> 2 1",
        "user 2 1 1",
        "task/resize open 0 0 – –",
    ]
    assert max(map(len, queues_text(queues_table(QUEUES, paused=False)).splitlines())) <= 80


def test_a_paused_project_and_an_empty_one_say_so() -> None:
    assert queues_text(queues_table((), paused=True)).splitlines()[0].startswith("The project is paused")
    assert EMPTY in queues_text(queues_table((), paused=False))
    assert "resume_all" in queues_html(queues_table(QUEUES, paused=True))


def test_names_are_text_in_html_and_ascii_where_wanted() -> None:
    markup = queues_html(queues_table(QUEUES, paused=False))
    assert "user &lt;1&gt;" in markup and "<1>" not in markup
    assert queues_text(queues_table(QUEUES, paused=False), ascii=True).isascii()
