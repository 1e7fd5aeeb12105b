from __future__ import annotations

import pytest

from kernelkit.execution.run_log import FREE_BYTES, MAX_LINE, RING_BYTES, RunLog
from tests.execution.pumped import Pumped


def test_parts_of_lines_are_joined_per_stream() -> None:
    one = Pumped()

    one.log.write("stdout", "a")
    one.log.write("stderr", "x\n")
    one.log.write("stdout", "b\nc")
    one.log.write("info", "told\nin two lines")
    one.tick()
    assert one.lines == [("stderr", "x"), ("stdout", "ab"), ("info", "told"), ("info", "in two lines")]

    one.pump.finish(one.log)
    assert one.lines[4:] == [("stdout", "c")]


def test_a_line_that_is_rewritten_in_place_is_kept_as_it_ends_up() -> None:
    one = Pumped()

    for percent in range(100):
        one.log.write("stderr", f"\r{percent} %")
    one.log.write("stderr", "\r100 %\n")
    one.log.write("stdout", "dos\r\n")
    one.tick()

    assert one.lines == [("stderr", "100 %"), ("stdout", "dos")]


def test_a_line_over_the_limit_comes_in_pieces() -> None:
    one = Pumped()

    one.log.write("stdout", "x" * (2 * MAX_LINE + 10) + "\n")
    one.log.write("stdout", "ü" * MAX_LINE + "\n")
    one.pump.finish(one.log)

    assert [len(text) for _, text in one.lines[:3]] == [MAX_LINE, MAX_LINE, 10]
    assert "".join(text for _, text in one.lines[3:]) == "ü" * MAX_LINE
    assert max(len(text.encode()) for _, text in one.lines) <= MAX_LINE


@pytest.mark.parametrize("rest", ["\n", "\nnext\n", "and its end\n"])
def test_a_line_over_the_limit_is_followed_by_no_empty_one(rest: str) -> None:
    one = Pumped()

    one.log.write("stdout", "x" * (MAX_LINE + 10))  # as print does it: first the text, then its end
    one.log.write("stdout", rest)
    one.log.write("stdout", "\n")
    one.pump.finish(one.log)

    texts = [text for _, text in one.lines]
    assert "".join(texts) == "x" * (MAX_LINE + 10) + rest.replace("\n", "")
    assert [text for text in texts if not text] == [""]  # the one that was printed
    assert texts[-1] == ""


def test_a_line_without_end_does_not_pile_up() -> None:
    one = Pumped()

    for _ in range(100):
        one.log.write("stdout", "x" * 10_000)
    one.tick()

    assert sum(len(text) for _, text in one.lines) >= 900_000


def test_batches_have_at_most_200_lines() -> None:
    one = Pumped()

    one.log.write("stdout", "".join(f"{n}\n" for n in range(450)))
    one.tick()

    assert [len(batch.lines) for batch in one.sent] == [200, 200, 50]
    assert [text for _, text in one.lines] == [str(n) for n in range(450)]


def test_beyond_the_limits_the_beginning_and_the_end_are_kept_and_the_rest_is_counted() -> None:
    one = Pumped()

    for n in range(300_000):
        one.log.write("stdout", f"{n:>99}\n")
    while one.timers:
        one.tick()
    one.pump.finish(one.log)

    assert len(one.lines) + one.dropped == 300_000
    assert one.dropped > 0
    assert [int(text) for _, text in one.lines[-80_000:]] == list(range(220_000, 300_000))


@pytest.mark.parametrize("at_once", [False, True])
def test_the_first_megabyte_is_kept_though_nothing_could_leave_while_it_was_written(at_once: bool) -> None:
    one = Pumped()
    texts = [f"{n:>99}" for n in range(300_000)]

    if at_once:
        one.log.write("stdout", "\n".join(texts) + "\n")
    else:
        for text in texts:
            one.log.write("stdout", f"{text}\n")
    assert one.log.held < 10_100_000
    one.pump.finish(one.log)

    numbers = [int(text) for _, text in one.lines]
    assert numbers[:10_000] == list(range(10_000))
    assert numbers[-89_999:] == list(range(210_001, 300_000))
    assert len(numbers) + one.dropped == 300_000
    place = next(place for place, batch in enumerate(one.sent) if batch.dropped)
    assert one.sent[place].dropped == one.dropped
    before = sum(len(batch.lines) for batch in one.sent[: place + 1])
    assert numbers[before - 1] + one.dropped + 1 == numbers[before]


def test_of_one_endless_line_the_beginning_and_the_end_are_kept() -> None:
    one = Pumped()

    one.log.write("stdout", "a" * 2_000_000 + "b" * 20_000_000 + "c" * 1_000_000 + "\n")
    one.pump.finish(one.log)

    text = "".join(text for _, text in one.lines)
    assert text.startswith("a" * FREE_BYTES) and text.endswith("c" * 1_000_000)
    assert RING_BYTES < len(text) < RING_BYTES + FREE_BYTES + 2 * MAX_LINE
    assert one.dropped > 0


def test_a_first_megabyte_that_could_not_be_sent_is_not_dropped_either() -> None:
    one = Pumped()
    one.online = False
    one.log.write("stdout", "".join(f"{n:>99}\n" for n in range(1_000)))
    one.tick()

    one.log.write("stdout", "".join(f"{n:>99}\n" for n in range(1_000, 200_000)))
    one.tick()
    one.online = True
    one.pump.finish(one.log)

    assert [int(text) for _, text in one.lines[:10_000]] == list(range(10_000))
    assert len(one.lines) + one.dropped == 200_000


def test_a_log_is_cheap_until_it_is_used() -> None:
    log = RunLog("run_1", 1, lambda log: None)

    log.end()

    assert log.is_empty
    assert log.take(1_000) is None
