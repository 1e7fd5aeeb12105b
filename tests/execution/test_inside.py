from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelkit.authoring.scope import scope
from kernelkit.config import Home
from kernelkit.errors import KernelKitError, NotInTaskError
from kernelkit.execution.inside import InsideCaller
from kernelkit.models.task import Owner
from kernelkit.models.value import Value
from kernelkit.wire.messages import (
    BatchPart,
    BatchSeal,
    ChildTrigger,
    Replay,
    StopEngine,
    Trigger,
    Triggered,
    TriggerItem,
)
from tests.execution.attempts import Attempt


@pytest.fixture
def attempt() -> Iterator[Attempt]:
    made = Attempt()
    token = scope.set(made.scope)
    yield made
    scope.reset(token)


CALLER = InsideCaller(Home(Path("/nowhere")), Owner("kernel", "w1"))


def item(run_id: str, n: int = 1) -> TriggerItem:
    return TriggerItem(run_id=run_id, task_id="resize", payload=Value(text=str(n), size=1))


def children(attempt: Attempt) -> list[ChildTrigger]:
    return [body for body in attempt.reports if isinstance(body, ChildTrigger)]


def test_a_trigger_is_reported_and_answered_at_once(attempt: Attempt) -> None:
    assert CALLER.call(Trigger(items=(item("run_a"),))) == Triggered(("run_a",))

    assert children(attempt)[0].items == (item("run_a"),)


def test_op_keys_depend_on_what_is_triggered_and_not_on_the_ids_made_for_it(attempt: Attempt) -> None:
    for run_id, n in (("run_a", 1), ("run_b", 1), ("run_c", 2)):
        CALLER.call(Trigger(items=(item(run_id, n),)))

    first, second, other = (child.op for child in children(attempt))
    assert first.rpartition(":")[0] == second.rpartition(":")[0] != other.rpartition(":")[0]
    assert len({first, second, other}) == 3


def test_a_batch_in_parts_is_one_report(attempt: Attempt) -> None:
    CALLER.call(BatchPart(batch_id="batch_1", offset=0, items=(item("run_a"),)))
    CALLER.call(BatchPart(batch_id="batch_1", offset=1, items=(item("run_b"),)))

    assert CALLER.call(BatchSeal(batch_id="batch_1", count=2)) == Triggered(("run_a", "run_b"))
    assert children(attempt)[0].batch_id == "batch_1"


def test_other_requests_say_what_to_do_instead(attempt: Attempt) -> None:
    with pytest.raises(KernelKitError, match="StopEngine is not available inside"):
        CALLER.call(StopEngine())


def test_what_makes_something_new_belongs_in_a_step(attempt: Attempt) -> None:
    with pytest.raises(KernelKitError, match=r"Replay inside a run makes something new[\s\S]*kk\.step"):
        CALLER.call(Replay("run_a", item("run_b")))


def test_outside_a_run_it_explains_itself() -> None:
    with pytest.raises(NotInTaskError):
        CALLER.call(Trigger(items=(item("run_a"),)))
