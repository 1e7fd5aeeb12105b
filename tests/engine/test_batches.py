from __future__ import annotations

import pytest

from kernelkit.engine.batches import KEPT_S, OpenBatches
from kernelkit.errors import InvalidOptionError, PayloadTooLargeError
from kernelkit.models.value import Value
from kernelkit.wire.messages import BatchPart, BatchSeal
from tests.engine.samples import item

MIB = 2**20


def part(offset: int, *numbers: int, size: int = 2, batch_id: str = "b") -> BatchPart:
    items = tuple(item(f"run_{number}", payload=Value(text="{}", size=size)) for number in numbers)
    return BatchPart(batch_id, offset, items)


def test_parts_are_put_together_in_the_order_of_their_places() -> None:
    batches = OpenBatches()
    batches.add(part(2, 2, 3), 0.0)
    batches.add(part(0, 0, 1), 0.0)

    sealed = batches.seal(BatchSeal("b", 4))

    assert [one.run_id for one in sealed] == ["run_0", "run_1", "run_2", "run_3"]


def test_a_part_that_is_sent_again_counts_once() -> None:
    batches = OpenBatches()
    for _ in range(3):
        batches.add(part(0, 0, 1, size=100 * MIB), 0.0)

    assert len(batches.seal(BatchSeal("b", 2))) == 2


def test_a_batch_with_missing_items_is_refused_and_says_to_send_it_again() -> None:
    batches = OpenBatches()
    batches.add(part(0, 0), 0.0)

    with pytest.raises(InvalidOptionError, match=r"sealed with 1 of 2 items\. Send it again"):
        batches.seal(BatchSeal("b", 2))


def test_a_batch_over_256_mib_is_refused_in_words() -> None:
    batches = OpenBatches()
    batches.add(part(0, 0, size=200 * MIB), 0.0)
    batches.add(part(1, 1, size=57 * MIB), 0.0)
    batches.add(part(2, 2), 0.0)

    with pytest.raises(PayloadTooLargeError, match=r"over 256 MiB together\..*several batches"):
        batches.seal(BatchSeal("b", 3))


def test_a_batch_that_no_longer_grows_is_dropped_after_a_minute() -> None:
    batches = OpenBatches()
    batches.add(part(0, 0), 0.0)
    batches.add(part(0, 1, batch_id="c"), 30.0)

    batches.touch(KEPT_S + 1)

    with pytest.raises(InvalidOptionError, match="0 of 1"):
        batches.seal(BatchSeal("b", 1))
    assert len(batches.seal(BatchSeal("c", 1))) == 1
