from __future__ import annotations

import re
from typing import Any

import pytest

from kernelkit.engine import commands as c
from kernelkit.errors import (
    InvalidOptionError,
    KernelKitError,
    PayloadTooLargeError,
    UnknownTaskError,
)
from kernelkit.models import event as ev
from kernelkit.models.value import Value
from tests.engine.samples import Engine, item, spec


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"task_id": "resise"}, UnknownTaskError, "Did you mean 'resize'"),
        ({"task_id": "mail"}, UnknownTaskError, r"kk\.tasks\.list\(\) shows"),
        ({"bundle": "long-gone"}, UnknownTaskError, "older code of 'resize'.*Run the cell"),
        (
            {"payload": Value(ref="p", size=3_145_729)},
            PayloadTooLargeError,
            "3,145,729 bytes.*3,145,728.*pass its path",
        ),
        ({"tags": tuple("abcdefghijk")}, InvalidOptionError, "at most 10 tags; this one would have 11"),
        ({"tags": ("x" * 129,)}, InvalidOptionError, "129 characters; 1 to 128"),
        ({"metadata": '{"a":"' + "x" * 262_144 + '"}'}, InvalidOptionError, "262,144 bytes"),
        ({"max_attempts": 0}, InvalidOptionError, "max_attempts=0 is not between 1 and 250"),
        ({"max_attempts": 251}, InvalidOptionError, "max_attempts=251"),
    ],
)
def test_a_trigger_that_cannot_be_taken_says_why(
    changes: dict[str, Any], error: type[KernelKitError], words: str
) -> None:
    engine = Engine()
    fields = {"run_id": "run_1"} | changes

    with pytest.raises(error, match=re.compile(words, re.DOTALL)):
        engine.trigger(item(**fields))

    assert not engine.state.runs


def test_an_unknown_task_in_an_empty_project_says_to_define_one() -> None:
    engine = Engine()
    engine.state.tasks.clear()

    with pytest.raises(UnknownTaskError, match="No task is defined yet"):
        engine.trigger("run_1")


def test_the_payload_limit_is_inclusive() -> None:
    engine = Engine()

    engine.trigger(item("run_1", payload=Value(ref="p", size=3_145_728)))

    assert "run_1" in engine.state.runs


def test_a_pinned_trigger_runs_its_own_code_after_a_redefinition() -> None:
    engine = Engine(capacity=c.Capacity(attempts=1))
    engine.trigger("run_0")
    engine.trigger(item("run_pinned", bundle="resize-code"), item("run_by_id"))
    engine.take(c.DefineTask(spec(bundle="new-code", fingerprint="resize-2")))

    engine.succeed("run_0")
    pinned = engine.last(ev.RunDispatched)
    engine.succeed("run_pinned")
    by_id = engine.last(ev.RunDispatched)

    assert (pinned.run_id, pinned.bundle, pinned.version) == ("run_pinned", "resize-code", "20270115.1")
    assert (by_id.run_id, by_id.bundle, by_id.version) == ("run_by_id", "new-code", "20270115.2")
