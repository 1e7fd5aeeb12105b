"""Hooks: how they are registered, checked, told from one another and shipped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.authoring import bundle as bundles
from kernelkit.authoring.bundle import code_fingerprint, load_bundle, make_bundle, write_bundle
from kernelkit.authoring.captures import captured_names
from kernelkit.authoring.hooks import (
    KINDS,
    NO_HOOKS,
    WANTS,
    Hook,
    HookSet,
    Kind,
    forgotten_after,
    global_hooks,
    recorded,
)
from kernelkit.authoring.task import Task, on_definition
from kernelkit.config import Home
from kernelkit.errors import InvalidOptionError, NotInTaskError, TaskDefinitionError, TaskNotPicklableError
from kernelkit.wire.messages import DefineTask
from tests.authoring.fake_caller import FakeCaller


@pytest.fixture(autouse=True)
def _no_hooks_for_other_tests() -> Iterator[None]:
    with forgotten_after():
        yield


def notebook(source: str, **values: Any) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__", **values}
    exec(compile(source, "<ipython-input-1>", "exec"), names)
    return names


# ---- registering -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_decorator_of_tasks_and_of_the_process_and_an_option(kind: Kind) -> None:
    def hook(next: Any = None) -> None: ...

    async def body() -> None: ...

    some: kk.Task[..., Any] = Task(body, {kind: hook})

    assert getattr(some, kind)(hook) is hook
    assert getattr(kk.tasks, kind)("mine")(hook) is hook

    assert [(one.kind, one.function) for one in some._registration.hooks.hooks()] == [(kind, hook)]
    assert [(one.kind, one.name) for one in global_hooks()] == [(kind, "mine")]
    assert kind in repr(getattr(some, kind))


def test_functions_without_a_telling_name_are_told_by_their_place() -> None:
    @kk.task
    async def some() -> None: ...

    @some.on_start
    def _() -> None: ...

    @some.on_start
    def _() -> None: ...

    some.on_start(lambda: None)

    assert len(some._registration.hooks.hooks()) == 3


@pytest.mark.parametrize(
    ("kind", "source", "words"),
    [
        ("on_success", "def f(outptu): ...", "asks for 'outptu', which it cannot have. Did you mean 'output'?"),
        ("on_start", "def f(output): ...", "It may name: ctx, payload, task, signal, init."),
        ("on_cancel", "def f(run_promise): ...", "run"),
        ("on_start", "def f(*args): ...", "asks for 'args'"),
        ("on_start", "def f(ctx, /): ...", "asks for 'ctx'"),
        ("on_start", "def f():\n    yield", "yields, and a hook is called once"),
        ("middleware", "async def f(next):\n    yield", "stands around `await next()`"),
        ("middleware", "async def f(ctx): ...", "does not take `next`, so the task could never run"),
        ("init", "def f(init): ...", "asks for 'init'"),
        ("on_start", "f = 3", "is not a function"),
        ("on_start", "f = int", "is not a function"),
    ],
)
def test_a_hook_that_asks_for_what_there_is_not_is_refused_where_it_is_registered(
    kind: str, source: str, words: str
) -> None:
    @kk.task
    async def some() -> None: ...

    function = notebook(source)["f"]

    with pytest.raises(TaskDefinitionError) as refused:
        getattr(some, kind)(function)
    assert words in str(refused.value)
    with pytest.raises(TaskDefinitionError):
        kk.task(**{kind: function})(lambda: None)


def test_a_hook_may_have_parameters_of_its_own_with_defaults_and_take_everything() -> None:
    def own(output: int, factor: int = 2) -> None: ...

    def everything(**given: Any) -> None: ...

    assert Hook.of("on_success", own).wants == ("output",)
    assert Hook.of("on_success", everything).wants == WANTS["on_success"]


def test_a_mistyped_option_is_told_the_hook_it_may_have_meant() -> None:
    with pytest.raises(InvalidOptionError, match="Did you mean 'on_success'"):
        kk.task(on_sucess=print)  # type: ignore[call-overload]  # the mistake


def test_global_hooks_go_first_but_last_for_catch_error() -> None:
    hooks = {(kind, who): Hook.of(kind, lambda: None, who) for kind in ("on_start", "catch_error") for who in "ab"}
    found = HookSet(
        everywhere=(hooks["on_start", "a"], hooks["catch_error", "a"]),
        own=(hooks["on_start", "b"], hooks["catch_error", "b"]),
    )

    assert [hook.name for hook in found.of("on_start")] == ["a", "b"]
    assert [hook.name for hook in found.of("catch_error")] == ["b", "a"]
    assert bool(found) and not NO_HOOKS


def test_hooks_that_are_recorded_are_not_the_processs() -> None:
    with recorded() as registry:

        @kk.tasks.on_start
        def inside() -> None: ...

    assert [hook.function for hook in registry.hooks()] == [inside]
    assert global_hooks() == ()


def test_earlier_global_hooks_come_first_and_the_same_name_replaces_them() -> None:
    project = (Hook.of("on_start", lambda: 1, "log"), Hook.of("on_start", lambda: 2, "db"))
    process = Hook.of("on_start", lambda: 3, "log")

    merged = HookSet(everywhere=(process,)).after(project)

    assert [hook.function() for hook in merged.everywhere] == [3, 2]


# ---- versions and engines --------------------------------------------------------------------------------------------


def test_hooks_are_part_of_the_version_and_told_of_at_the_next_call(engine: FakeCaller) -> None:
    @kk.task(id="told")
    async def told() -> None: ...

    def definitions() -> list[DefineTask]:
        return [call for call in engine.calls if isinstance(call, DefineTask) and call.spec.id == "told"]

    kk.tasks.list()
    kk.tasks.list()
    assert len(definitions()) == 1

    @kk.tasks.on_cancel
    def everywhere() -> None: ...

    kk.tasks.list()
    before, after = definitions()
    assert before.spec.fingerprint != after.spec.fingerprint
    assert before.spec.bundle != after.spec.bundle
    assert (before.spec.takes_signal, after.spec.takes_signal) == (False, True)  # on_cancel has its 30 s


def test_an_on_cancel_of_init_py_gives_every_task_its_time(engine: FakeCaller) -> None:
    (engine.home.path.parent / "init.py").write_text("import kernelkit as kk\nkk.tasks.on_cancel(print)\n")

    @kk.task
    async def some() -> None: ...

    some.register()

    assert engine.tasks["some"].spec.takes_signal


def test_who_listens_for_definitions_hears_of_a_tasks_hooks() -> None:
    heard: list[Any] = []
    end = on_definition(heard.append)

    @kk.task
    async def some() -> None: ...

    some.on_start(lambda: None)
    end()

    assert heard == [some, some]


def test_a_change_of_a_hooks_code_changes_the_fingerprint() -> None:
    def body() -> None: ...

    one, same, other = (
        HookSet(own=(Hook.of("on_start", notebook(source)["f"], "f"),))
        for source in ("def f():\n    return 1", "def f():\n    return 1", "def f():\n    return 2")
    )

    assert code_fingerprint(body, "{}", one) == code_fingerprint(body, "{}", same)
    assert len({code_fingerprint(body, "{}", hooks) for hooks in (NO_HOOKS, one, other)}) == 3
    assert code_fingerprint(body, "{}", HookSet(everywhere=one.own)) == code_fingerprint(body, "{}", one)


# ---- bundles ---------------------------------------------------------------------------------------------------------

ELSEWHERE = """
import json, sys
from pathlib import Path
from kernelkit.authoring.bundle import load_bundle
from kernelkit.config import Home
task = load_bundle(Home(Path(sys.argv[1])), sys.argv[2])
told = [[hook.kind, hook.name, list(hook.wants), hook.function()] for hook in task.hooks.of("init")]
print(json.dumps([told, task.function()]))
"""


def test_hooks_travel_with_the_globals_they_share_with_the_body(tmp_path: Path) -> None:
    home = Home(tmp_path / ".kernelkit").create()
    names = notebook(
        "def helper(): return len(rows)\n"
        "def body(): return [helper(), seen]\n"
        "def hook():\n    global seen\n    seen = 'by the hook'\n    return helper()\n",
        rows=[1, 2],
        seen="not yet",
    )
    hooks = HookSet(own=(Hook.of("init", names["hook"], "mine"),))
    made = make_bundle(names["body"], task_id="t", hooks=hooks).check()
    variables = os.environ | {"PYTHONPATH": str(Path(bundles.__file__).parents[2])}
    command = [sys.executable, "-c", ELSEWHERE, str(home.path), write_bundle(home, made)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[["init", "mine", [], 2]], [2, "by the hook"]]


def test_a_task_of_a_module_takes_its_hooks_along_too(tmp_path: Path) -> None:
    home = Home(tmp_path / ".kernelkit").create()
    by_value = notebook("def hook(): return 'from a cell'")["hook"]
    hooks = HookSet(everywhere=(Hook.of("on_start", by_value),), own=(Hook.of("on_start", os.getcwd),))

    made = make_bundle(json.loads, task_id="t", hooks=hooks).check()
    loaded = load_bundle(home, write_bundle(home, made))

    assert loaded.function is json.loads
    first, second = loaded.hooks.of("on_start")
    assert (first.function(), second.function) == ("from a cell", os.getcwd)


def test_what_a_hook_captures_is_reported_as_the_hooks() -> None:
    names = notebook("def body(): ...\ndef hook(): return lock", lock=(n for n in range(3)))
    hooks = HookSet(own=(Hook.of("on_start", names["hook"]),))

    (found,) = captured_names(names["body"], [hook.function for hook in hooks])
    assert (found.name, found.via) == ("lock", "the hook hook")
    with pytest.raises(TaskNotPicklableError, match="uses `lock` \\(through `the hook hook`\\)"):
        make_bundle(names["body"], task_id="t", hooks=hooks).check()


def test_a_bundle_without_hooks_is_what_it_was(tmp_path: Path) -> None:
    home = Home(tmp_path / ".kernelkit").create()
    made = make_bundle(notebook("def body(): return 1")["body"], task_id="t").check()

    loaded = load_bundle(home, write_bundle(home, made))

    assert loaded.hooks is NO_HOOKS


def test_a_trigger_sees_that_a_hooks_global_has_changed(engine: FakeCaller) -> None:
    names = notebook("async def body(): ...\ndef hook(): return factor", factor=1)
    some = kk.task(id="some")(names["body"])
    some.on_start(names["hook"])

    some.trigger()
    some.trigger()
    names["factor"] = 2
    some.trigger()

    first, second, third = (item.bundle for item in engine.items.values())
    assert first == second != third


# ---- answers and locals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "says nothing"),
        ({"skip_retrying": True, "retry_in": 5}, "skip_retrying and retry_in contradict each other"),
        ({"retry_at": datetime(2027, 1, 1), "retry": None}, "datetime with a time zone"),
        ({"retry_in": "soon"}, "retry_in='soon' is not a duration"),
        ({"retry": 3}, r"retry=3 is not a kk.Retry\(…\)"),
        ({"error": "broken"}, "is not an exception"),
        ({"retry_after": 3}, "'retry_after' is not an option of kk.OnError"),
        ({"skip_retrying": "yes"}, "is not True or False"),
    ],
)
def test_an_answer_that_cannot_be_meant_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOptionError, match=words):
        kk.OnError(**given)


def test_an_answer_says_what_it_is() -> None:
    moment = datetime(2027, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))

    assert kk.OnError(retry_at=moment).retry_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert repr(kk.OnError(retry_in=timedelta(minutes=5), error=ValueError("x"))) == (
        "OnError(retry_in=300.0, error=ValueError('x'))"
    )
    assert repr(kk.OnError(skip_retrying=True)) == "OnError(skip_retrying=True)"


def test_locals_belong_to_a_run() -> None:
    place = kk.locals.create("db")

    with pytest.raises(NotInTaskError, match=r"kk\.locals\.get "):
        kk.locals.get(place)
    with pytest.raises(NotInTaskError, match=r"kk\.locals\.set "):
        kk.locals.set(place, 1)
    with pytest.raises(NotInTaskError, match=r"kk\.locals\.get_or_raise "):
        kk.locals.get_or_raise(place)
    with pytest.raises(InvalidOptionError):
        kk.locals.create("")
