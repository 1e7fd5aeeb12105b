from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kernelkit.authoring.metadata import metadata
from kernelkit.authoring.scope import scope
from kernelkit.errors import InvalidOptionError, NotInTaskError, PayloadNotSerializableError, UnknownTaskError
from kernelkit.rules.metadata import apply_ops
from kernelkit.wire.messages import ChangeMetadata
from tests.execution.attempts import Attempt, start_of


@pytest.fixture
def attempt() -> Any:  # yields an Attempt
    made = Attempt(start_of(metadata='{"seed":1}'))
    token = scope.set(made.scope)
    yield made
    scope.reset(token)


def sent(attempt: Attempt) -> list[list[tuple[str, str, str]]]:
    changes = [body for body in attempt.reports if isinstance(body, ChangeMetadata)]
    return [[(op.kind, op.key, op.value) for op in change.ops] for change in changes]


def test_changes_are_seen_at_once_and_chain(attempt: Attempt) -> None:
    metadata.set("a", 1).increment("a", 2).append("l", "x").append("l", "y").remove("l", "x").decrement("seed")

    assert metadata.current() == {"seed": 0, "a": 3, "l": ["y"]}
    assert metadata.get("a") == 3
    assert metadata.get("none", "default") == "default"
    assert metadata.delete("a").replace({"only": 1}).current() == {"only": 1}


def test_changes_leave_together_and_at_most_ten_times_a_second(attempt: Attempt) -> None:
    metadata.set("a", 1)
    metadata.set("b", 1)
    assert sent(attempt) == []

    attempt.tick()
    assert len(sent(attempt)) == 1

    metadata.set("a", 2)
    assert [seconds for seconds, _ in attempt.timers] == [0.1]
    attempt.tick()
    assert sent(attempt)[1:] == [[("set", "a", "2")]]

    attempt.tick()
    assert len(sent(attempt)) == 2
    assert attempt.timers == []


def test_what_one_change_makes_superfluous_is_not_sent(attempt: Attempt) -> None:
    for n in range(1_000):
        metadata.increment("n").set("at", n).increment("m", 2).decrement("m")
    metadata.flush()

    assert sent(attempt) == [[("increment", "n", "1000"), ("set", "at", "999"), ("increment", "m", "1000")]]


def test_merged_changes_mean_what_the_single_ones_meant(attempt: Attempt) -> None:
    metadata.set("a", 1).append("a", 2).set("b", 5).increment("b").set("a", [3]).append("a", 4)
    metadata.set("$.deep.n", 1).set("$.deep.n", 2).increment("b").delete("seed").set("$.b", 9).increment("b")
    now = metadata.current()
    metadata.flush()

    ops = [op for body in attempt.reports if isinstance(body, ChangeMetadata) for op in body.ops]
    assert apply_ops({"seed": 1}, ops) == now == {"a": [3, 4], "b": 10, "deep": {"n": 2}}


def test_changes_that_change_nothing_are_not_sent(attempt: Attempt) -> None:
    metadata.remove("nothing", 1).delete("nothing").increment("seed", 0)
    metadata.flush()

    assert attempt.reports == []
    assert attempt.timers == []


def test_values_are_taken_as_they_are_at_the_call(attempt: Attempt) -> None:
    rows = [1]
    metadata.set("rows", rows)
    rows.append(2)

    assert metadata.get("rows") == [1]


def test_too_much_is_refused_and_changes_nothing(attempt: Attempt) -> None:
    with pytest.raises(InvalidOptionError, match="262,144"):
        metadata.set("big", "x" * 300_000)
    assert metadata.current() == {"seed": 1}

    for _ in range(10):
        metadata.set("big", "x" * 100_000)  # replacing is not adding


def test_wrong_values_are_refused_at_the_call(attempt: Attempt) -> None:
    with pytest.raises(PayloadNotSerializableError):
        metadata.set("x", object())
    with pytest.raises(InvalidOptionError):
        metadata.increment("x", "many")  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(InvalidOptionError, match="path"):
        metadata.set("$.x[", 1)


def test_an_earlier_refusal_is_raised_by_the_next_change(attempt: Attempt) -> None:
    attempt.scope.refuse(1, UnknownTaskError("No task 'x'."))

    with pytest.raises(UnknownTaskError):
        metadata.set("a", 1)


def test_outside_a_run_it_explains_itself() -> None:
    with pytest.raises(NotInTaskError, match=r"kk\.metadata\.set"):
        metadata.set("a", 1)


def targets(attempt: Attempt) -> list[tuple[str, list[tuple[str, str, str]]]]:
    changes = [body for body in attempt.reports if isinstance(body, ChangeMetadata)]
    return [(change.target, [(op.kind, op.key, op.value) for op in change.ops]) for change in changes]


def in_scope(attempt: Attempt, story: Callable[[], object]) -> None:
    token = scope.set(attempt.scope)
    try:
        story()
    finally:
        scope.reset(token)


def test_10_7_changes_for_parent_and_root_leave_by_themselves() -> None:
    attempt = Attempt(start_of(run_id="run_3", parent_id="run_2", root_id="run_1"))

    def story() -> None:
        metadata.set("own", 1)
        metadata.parent.increment("done").increment("done").append("files", "a")
        metadata.root.decrement("left", -2).delete("x")
        metadata.flush()

    in_scope(attempt, story)

    assert targets(attempt) == [
        ("self", [("set", "own", "1")]),
        ("parent", [("increment", "done", "2"), ("append", "files", '"a"')]),
        ("root", [("increment", "left", "-2"), ("delete", "x", "null")]),
    ]
    assert len({body.op for body in attempt.reports if isinstance(body, ChangeMetadata)}) == 3


def test_10_7_one_run_that_is_parent_and_root_gets_its_changes_in_order() -> None:
    attempt = Attempt(start_of(run_id="run_2", parent_id="run_1", root_id="run_1"))

    def story() -> None:
        metadata.parent.set("a", 1)
        metadata.root.set("a", 2)
        metadata.flush()

    in_scope(attempt, story)

    assert targets(attempt) == [("parent", [("set", "a", "2")])]


def test_10_7_a_run_without_parent_is_its_own_parent_and_root() -> None:
    attempt = Attempt()

    def story() -> None:
        metadata.parent.set("a", 1)
        metadata.root.increment("a")
        assert metadata.current() == {"a": 2}
        metadata.flush()

    in_scope(attempt, story)

    assert targets(attempt) == [("self", [("set", "a", "2")])]


def test_10_7_outside_a_run_parent_and_root_explain_themselves() -> None:
    with pytest.raises(NotInTaskError, match=r"kk\.metadata\.root\.increment"):
        metadata.root.increment("a")
    with pytest.raises(InvalidOptionError, match="step"):
        metadata.parent.decrement("a", "b")  # type: ignore[arg-type]  # the point of the test
