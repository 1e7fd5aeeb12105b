from __future__ import annotations

from tests.execution.pumped import Pumped


def test_a_busy_run_leaves_room_for_others() -> None:
    one = Pumped()
    quiet = one.pump.open("run_2", 1)
    one.log.write("stdout", ("x" * 99 + "\n") * 80_000)
    while sum(len(batch.lines) for batch in one.sent) < 20_000:  # past its free megabyte
        one.tick()
    one.sent.clear()

    quiet.write("stdout", "hello\n")
    one.tick()

    assert any(batch.run_id == "run_2" for batch in one.sent)
    assert sum(len(text) for _, text in one.lines) < 500_000


def test_nothing_is_sent_while_the_engine_lags_or_is_away_and_nothing_is_lost_or_doubled() -> None:
    one = Pumped()
    one.log.write("stdout", "a\n")
    one.crowded = True
    one.tick()
    assert one.lines == []

    one.crowded, one.online = False, False
    one.tick()
    one.log.write("stdout", "b\n")
    one.pump.finish(one.log)
    assert one.lines == []

    one.online = True
    one.tick()
    assert one.lines == [("stdout", "a"), ("stdout", "b")]
    assert one.timers == []
