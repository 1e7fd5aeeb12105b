from __future__ import annotations

from datetime import timedelta

from kernelkit.config import EngineSettings
from kernelkit.models.stream import StreamTail
from kernelkit.store.rows import Batch, PartRow
from kernelkit.store.store import Store
from tests.store.samples import DAY, NOW, START, ended, event, finished, run_id


def part(number: int, first: int, *values: str, stream: str = "out/tokens") -> PartRow:
    return PartRow(run_id(number), stream, first, len(values), 0, "[" + ",".join(values) + "]")


def test_a_stream_is_read_from_any_index_across_its_parts(store: Store) -> None:
    store.append(Batch(parts=[part(1, 0, '"a"', '"b"'), part(1, 2, '"c"'), part(2, 0, "7"), part(1, 3, '{"x": [1]}')]))

    assert store.chunks(run_id(1), "out/tokens", 1) == ['"b"', '"c"', '{"x": [1]}']
    assert store.chunks(run_id(1), "out/tokens", 3) == ['{"x": [1]}']
    assert store.chunks(run_id(1), "out/tokens", 4) == []
    assert store.chunk(run_id(1), "out/tokens", 2) == '"c"'


def test_no_more_is_read_at_once_than_there_is_room_for(store: Store) -> None:
    store.append(Batch(parts=[part(1, 0, '"aaaa"', '"bbbb"', '"cccc"')]))

    assert store.chunks(run_id(1), "out/tokens", 0, limit_bytes=8) == ['"aaaa"', '"bbbb"']


def test_the_ends_of_all_streams_of_a_run(store: Store) -> None:
    store.append(Batch(parts=[part(1, 0, '"a"', '"b"'), part(1, 2, '"c"'), part(1, 0, "1", stream="in/orders")]))

    assert store.streams(run_id(1), tail=6) == [
        StreamTail("in/orders", 1, 1, ("1",)),
        StreamTail("out/tokens", 3, 9, ('"b"', '"c"')),
    ]
    assert store.streams(run_id(2)) == []


def test_streams_go_with_their_run_and_by_age(store: Store) -> None:
    old, new = finished(1), finished(2, finished_at=START + timedelta(days=20))
    store.append(
        Batch(
            events=[event(1, run_id(1)), event(2, run_id(2)), event(3, run_id(3))],
            history=[ended(old, seq=1), ended(new, seq=2)],
            parts=[part(1, 0, "1"), part(2, 0, "1"), part(3, 0, "1")],
        )
    )
    store.write_snapshot(3, b"state")

    removed = store.retain(NOW + 8 * DAY, EngineSettings())
    assert removed["parts"] == 1
    assert store.streams(run_id(1)) == []
    assert [len(store.streams(run_id(number))) for number in (2, 3)] == [1, 1]

    store.retain(NOW + 60 * DAY, EngineSettings(keep_streams_days=365))
    assert store.streams(run_id(2)) == [], "it went with its run"
    assert store.streams(run_id(3)), "a live run keeps its streams"
