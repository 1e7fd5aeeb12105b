"""What a body writes about its run while it runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.testing import VirtualEngine
from tests.behaviour.conftest import Stage


def test_09_1_tags_of_a_trigger_come_back_sorted(stage: Stage) -> None:
    @kk.task
    async def tagged() -> None: ...

    run = tagged.options(tags=["b", "a"]).trigger()
    stage.finish()

    assert run.refresh().tags == ("a", "b")


def test_09_1_an_eleventh_tag_is_refused_and_nothing_is_stored(stage: Stage) -> None:
    @kk.task
    async def overtagged() -> None: ...

    with pytest.raises(kk.InvalidOptionError, match="at most 10 tags"):
        overtagged.options(tags=[str(n) for n in range(11)]).trigger()
    assert len(kk.runs.list(task="overtagged")) == 0


def test_09_2_a_body_adds_tags_and_one_too_many_fails_it(stage: Stage) -> None:
    @kk.task(retries=1)
    async def adds(count: int) -> None:
        for number in range(count):
            kk.tags.add(f"t{number}")

    fine, over = adds.trigger(count=10), adds.trigger(count=11)
    stage.finish()

    assert len(fine.refresh().tags) == 10
    failed = over.result(timeout=10)
    assert failed.error is not None
    assert failed.error.name == "InvalidOptionError"


def test_10_metadata_starts_from_the_seed_and_every_update_arrives(stage: Stage) -> None:
    @kk.task
    async def counts(n: int) -> None:
        for number in range(n):
            kk.metadata.set("last", number).increment("total").append("seen", number)
        kk.metadata.delete("gone")

    run = counts.options(metadata={"gone": 1, "kept": "x"}).trigger(n=5)
    stage.finish()

    assert run.metadata == {"kept": "x", "last": 4, "total": 5, "seen": [0, 1, 2, 3, 4]}


def test_10_4_a_retried_attempt_goes_on_from_the_metadata_it_finds(stage: Stage) -> None:
    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=0.05, randomize=False))
    def twice() -> int:
        kk.metadata.increment("tries")
        if kk.ctx.attempt.number == 1:
            raise ValueError("once")
        return 1

    run = twice.trigger()
    stage.finish()

    assert run.metadata["tries"] == 2


def test_10_3_outside_a_run_metadata_and_tags_are_refused() -> None:
    with pytest.raises(kk.NotInTaskError):
        kk.metadata.set("x", 1)
    with pytest.raises(kk.NotInTaskError):
        kk.tags.add("x")


# ---- 9: tags -----------------------------------------------------------------------------------------------------

TAGS: list[tuple[Any, tuple[str, ...]]] = [
    ("a b", ("a b",)),
    ("", ()),
    ([" ", "\t", "\n"], ()),
    (["b", "a", "b"], ("a", "b")),
    (["x" * 128], ("x" * 128,)),
    ([*"jihgfedcba", "  ", "a"], tuple("abcdefghij")),
    (("a", "b"), ("a", "b")),
    ({"b", "a"}, ("a", "b")),
    ((tag for tag in "ba"), ("a", "b")),
]
NO_TAGS: list[tuple[Any, str]] = [
    (["x" * 129], "has 129 characters; 1 to 128"),
    ([*"abcdefghijk"], "at most 10 tags; this one would have 1[12]"),
    (5, "tags=5 is not a text or a list of texts"),
    (b"a", "is not a text or a list of texts"),
    ({"a": 1}, "is not a text or a list of texts"),
    ([1], "A tag is text, not 1"),
    ([None], "A tag is text, not None"),
    (["\udcff.csv"], "half a character"),
]


def test_09_1_tags_of_a_trigger(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def plain() -> None: ...

    for given, kept in TAGS:
        assert plain.options(tags=given).trigger().refresh().tags == kept

    for given, words in NO_TAGS:
        with pytest.raises(kk.InvalidOptionError, match=words):
            plain.options(tags=given)
    assert kk.runs.list().total == len(TAGS)


def test_09_2_tags_added_by_a_body(kk_engine: VirtualEngine) -> None:
    @kk.task(retry=None)
    async def adds(step: int) -> tuple[str, ...]:
        kk.tags.add(["first", "a"])
        given, words = NO_TAGS[step]
        with pytest.raises(kk.InvalidOptionError, match=words):
            kk.tags.add(given)
        kk.tags.add("last")
        return kk.ctx.run.tags

    runs = [adds.options(tags=["a", "b"]).trigger(step=step) for step in range(len(NO_TAGS))]
    kk_engine.drain()

    assert {run.refresh().tags for run in runs} == {("a", "b", "first", "last")}
    assert {tuple(run.result(timeout=5).output) for run in runs} == {("a", "b")}  # as they were at the start


def test_09_3_children_inherit_neither_tags_nor_metadata(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def heir() -> None: ...

    @kk.task
    async def testator() -> None:
        heir.trigger()

    testator.options(tags="mine", metadata={"mine": 1}).trigger()
    kk_engine.drain()

    [child] = kk.runs.list(task="heir")
    assert (child.tags, child.metadata) == ((), {})


def test_09_4_a_list_has_runs_with_any_of_the_tags(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def plain() -> None: ...

    ids = [plain.options(tags=tags).trigger().id for tags in (["a"], ["b", "a"], ["b"], ["c"])]

    assert {run.id for run in kk.runs.list(tag=["a", "b"])} == set(ids[:3])
    assert {run.id for run in kk.runs.list(tag="a")} == set(ids[:2])


# ---- 10: metadata ------------------------------------------------------------------------------------------------

LIMIT = 262_144
Step = tuple[Any, ...]

OPERATIONS: list[tuple[dict[str, Any], Step, dict[str, Any]]] = [
    ({}, ("set", "a", 1), {"a": 1}),
    ({}, ("set", "", 1), {"": 1}),
    ({}, ("set", "a.b", 1), {"a.b": 1}),
    ({"a": 1}, ("set", "a", None), {"a": None}),
    ({}, ("set", "$.a.b[0]", 1), {"a": {"b": [1]}}),
    ({"a": 1}, ("set", "$.a.b", 1), {"a": 1}),
    ({}, ("set", "at", datetime(2030, 1, 1, tzinfo=UTC)), {"at": "2030-01-01T00:00:00Z"}),
    ({"a": 1, "b": 2}, ("delete", "a"), {"b": 2}),
    ({"a": 1}, ("delete", "b"), {"a": 1}),
    ({"a": {"b": 1}}, ("delete", "$.a.b"), {"a": {"b": 1}}),
    ({}, ("append", "l", 1), {"l": [1]}),
    ({"l": [1]}, ("append", "l", [2]), {"l": [1, [2]]}),
    ({"l": "x"}, ("append", "l", "y"), {"l": ["x", "y"]}),
    ({"a": {}}, ("append", "$.a.l", 1), {"a": {"l": [1]}}),
    ({"l": [1, {"x": [1]}, 1, {"x": [1]}]}, ("remove", "l", {"x": [1]}), {"l": [1, 1]}),
    ({"l": [1, True, 1.0]}, ("remove", "l", True), {"l": [1, 1.0]}),
    ({"l": 1}, ("remove", "l", 1), {"l": 1}),
    ({}, ("remove", "l", 1), {}),
    ({"n": 1}, ("increment", "n"), {"n": 2}),
    ({}, ("increment", "n", 2.5), {"n": 2.5}),
    ({"n": "text"}, ("increment", "n", 3), {"n": 3}),
    ({"n": 1}, ("increment", "n", np.int64(4)), {"n": 5}),
    ({"a": {"n": 1}}, ("increment", "$.a.n", -3), {"a": {"n": -2}}),
    ({"n": 1}, ("decrement", "n", 3), {"n": -2}),
    ({"n": 1}, ("decrement", "n", -3), {"n": 4}),
    ({"a": 1}, ("replace", {"b": 2}), {"b": 2}),
    ({"a": 1}, ("replace", {}), {}),
]
REFUSED: list[tuple[Step, str]] = [
    (("set", 1, 1), "A metadata key is text, not 1"),
    (("set", "\udcff", 1), "half a character"),
    (("set", "$.", 1), "is not a path. Write for instance"),
    (("set", "$.a[-1]", 1), "is not a path"),
    (("set", "big", "x" * LIMIT), "would be 262,1.. bytes of JSON; at most 262,144 are kept"),
    (("set", "o", object()), "the metadata value of 'o' cannot be written as JSON"),
    (("set", "table", np.zeros(3)), r"pass its path, or convert a small one with .tolist\(\)"),
    (("increment", "n", "2"), r"metadata.increment\('n', '2'\): the step must be a number"),
    (("increment", "n", True), "the step must be a number"),
    (("replace", [1]), r"metadata=\[1\] is not a dict with texts as keys"),
    (("replace", "text"), "is not a dict with texts as keys"),
    (("replace", None), "is not a dict with texts as keys"),
    (("replace", {1: 2}), "is not a dict with texts as keys"),
]


def _apply(step: Step) -> None:
    verb, *arguments = step
    getattr(kk.metadata, verb)(*arguments)


def test_10_4_each_operation_does_the_same_here_and_in_the_engine(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def changes(place: int) -> Any:
        _apply(OPERATIONS[place][1])
        return kk.metadata.current()

    runs = [changes.options(metadata=OPERATIONS[place][0]).trigger(place=place) for place in range(len(OPERATIONS))]
    kk_engine.drain()

    for run, (_, step, wanted) in zip(runs, OPERATIONS, strict=True):
        assert (step, run.result(timeout=5).output) == (step, wanted)
        assert (step, run.metadata) == (step, wanted)


def test_10_2_what_cannot_be_kept_is_refused_and_changes_nothing(kk_engine: VirtualEngine) -> None:
    @kk.task(retry=None)
    async def misuses() -> None:
        for step, words in REFUSED:
            with pytest.raises(kk.KernelKitError, match=words):
                _apply(step)
            assert kk.metadata.current() == {"n": 1}, step

    run = misuses.options(metadata={"n": 1}).trigger()
    kk_engine.drain()

    assert run.result(timeout=5).ok
    assert run.metadata == {"n": 1}


def test_10_1_the_seed_is_an_object_of_a_bounded_size(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def seeded() -> None: ...

    largest = {"a": "é" * ((LIMIT - 8) // 2)}
    assert seeded.options(metadata=largest).trigger().metadata == largest
    for seed, words in (
        ({"a": "é" * ((LIMIT - 8) // 2) + "x"}, "would be 262,145 bytes of JSON; at most 262,144"),
        ([], r"metadata=\[\] is not a dict with texts as keys"),
        ("text", "is not a dict"),
        ({1: 2}, "is not a dict with texts as keys"),
    ):
        with pytest.raises(kk.InvalidOptionError, match=words):
            seeded.options(metadata=seed)
    with pytest.raises(kk.PayloadNotSerializableError, match="the option metadata cannot be written as JSON"):
        seeded.options(metadata={"a": object()})
    assert kk.runs.list().total == 1


def test_10_2_changes_chain_and_reads_see_them_at_once(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def chains() -> Any:
        rows = [1]
        kk.metadata.set("rows", rows).set("n", 1).increment("n").delete("gone")
        rows.append(2)
        kk.metadata.flush()
        return [kk.metadata.get("rows"), kk.metadata.get("n"), kk.metadata.get("nope"), kk.metadata.get("nope", 7)]

    run = chains.trigger()
    kk_engine.drain()

    assert run.result(timeout=5).output == [[1], 2, None, 7]


@pytest.mark.parametrize(
    "use",
    [
        lambda: kk.metadata.get("a"),
        lambda: kk.metadata.current(),
        lambda: kk.metadata.flush(),
        lambda: kk.metadata.replace({}),
        lambda: kk.metadata.parent.increment("a"),
        lambda: kk.metadata.root.set("a", 1),
        lambda: kk.tags.add([]),
    ],
)
def test_10_3_every_use_outside_a_run_says_so(use: Callable[[], object]) -> None:
    with pytest.raises(kk.NotInTaskError, match=r"kk\.(metadata|tags)\."):
        use()


def test_10_6_updates_survive_an_attempt_that_fails(kk_engine: VirtualEngine) -> None:
    @kk.task(retry=None)
    async def fails() -> None:
        kk.metadata.set("last", 1)
        raise ValueError("now")

    run = fails.trigger()
    kk_engine.drain()

    assert (run.status, run.metadata) == ("FAILED", {"last": 1})


def test_10_9_a_replay_starts_from_the_seed(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def counts() -> Any:
        kk.metadata.increment("n")
        return kk.metadata.get("n")

    run = counts.options(metadata={"n": 10}).trigger()
    kk_engine.drain()
    again = run.replay()
    kk_engine.drain()

    assert (run.metadata, again.result(timeout=5).output) == ({"n": 11}, 11)
