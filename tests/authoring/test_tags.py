from __future__ import annotations

import pytest

from kernelkit.authoring.scope import scope
from kernelkit.authoring.tags import tags
from kernelkit.errors import InvalidOptionError, NotInTaskError
from kernelkit.wire.messages import AddTags
from tests.execution.attempts import Attempt, start_of


def test_only_new_tags_are_reported_and_the_limit_counts_all() -> None:
    attempt = Attempt(start_of(tags=("there",)))
    token = scope.set(attempt.scope)

    tags.add("there")
    tags.add(["one", " ", "one"])
    with pytest.raises(InvalidOptionError, match="10"):
        tags.add([f"t{n}" for n in range(9)])
    tags.add([f"t{n}" for n in range(8)])

    assert [body.tags for body in attempt.reports if isinstance(body, AddTags)] == [
        ("one",),
        tuple(f"t{n}" for n in range(8)),
    ]
    scope.reset(token)


def test_the_same_call_made_twice_has_two_op_keys() -> None:
    scope_ = Attempt().scope

    first, second, other = scope_.op("tags", "add", "x"), scope_.op("tags", "add", "x"), scope_.op("tags", "add", "y")

    assert first.rpartition(":")[0] == second.rpartition(":")[0] != other.rpartition(":")[0]
    assert [key.rpartition(":")[2] for key in (first, second, other)] == ["1", "2", "1"]


def test_outside_a_run_it_explains_itself() -> None:
    with pytest.raises(NotInTaskError, match=r"kk\.tags\.add"):
        tags.add("x")
