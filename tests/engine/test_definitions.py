from __future__ import annotations

import pytest

from kernelkit.engine import commands as c
from kernelkit.errors import (
    DuplicateTaskError,
)
from kernelkit.models.task import Owner
from tests.engine.samples import HERE, Engine, spec

THERE = Owner("notebook", "other.ipynb")


def test_changed_code_makes_a_new_version_and_changed_captures_do_not() -> None:
    engine = Engine(spec())

    engine.take(c.DefineTask(spec(bundle="other-captures")))
    same = engine.state.tasks["resize"]
    engine.take(c.DefineTask(spec(bundle="new-code", fingerprint="resize-2")))
    new = engine.state.tasks["resize"]

    assert (same.number, same.spec.bundle) == ("20270115.1", "other-captures")
    assert (new.number, new.spec.bundle) == ("20270115.2", "new-code")
    assert engine.state.numbers["resize"] == ["20270115.1", "20270115.2"]


def test_versions_are_counted_by_the_day() -> None:
    engine = Engine(spec())
    engine.pass_time(86_400)

    engine.take(c.DefineTask(spec(fingerprint="resize-2")))

    assert engine.state.tasks["resize"].number == "20270116.1"


def test_the_same_definition_again_is_no_event() -> None:
    assert Engine(spec()).events(c.DefineTask(spec())) == []


def test_an_explicit_id_of_another_function_is_refused_unless_it_is_replaced() -> None:
    engine = Engine(spec(explicit_id=True))
    other = spec(function="shrink", explicit_id=True)

    with pytest.raises(DuplicateTaskError, match=r"'resize' already belongs to the function 'resize'.*replace=True"):
        engine.take(c.DefineTask(other))
    engine.take(c.DefineTask(other, replace=True))

    assert engine.state.tasks["resize"].spec.function == "shrink"


def test_an_id_is_refused_while_its_owner_is_connected_and_taken_over_when_it_is_not() -> None:
    engine = Engine(spec())
    theirs = spec(owner=THERE)

    with pytest.raises(DuplicateTaskError, match=r"owned by notebook thumbs\.ipynb.*notebook other\.ipynb"):
        engine.take(c.DefineTask(theirs, connected=frozenset({str(HERE)})))
    engine.take(c.DefineTask(theirs, connected=frozenset({str(THERE)})))

    assert engine.state.tasks["resize"].spec.owner == THERE


def test_a_redefinition_without_a_limit_lifts_the_limit_of_the_own_queue_only() -> None:
    engine = Engine(spec(concurrency_limit=2), spec("mail", queue="letters", concurrency_limit=3))

    engine.take(c.DefineTask(spec(fingerprint="resize-2")))
    engine.take(c.DefineTask(spec("mail", queue="letters", fingerprint="mail-2")))

    assert (engine.state.limit_of("task/resize"), engine.state.limit_of("letters")) == (None, 3)
