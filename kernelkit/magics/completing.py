"""What the Tab key offers in our magics: task ids, run ids, fields of a payload, options and their values.

`offers` is pure: the line up to the cursor and what is known of the project. Pressing Tab starts no engine; without one
there are options and the names of this notebook.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, get_args

from kernelkit.authoring import caller as callers
from kernelkit.authoring import cellline, runs
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.queues import Queues
from kernelkit.authoring.task import Task
from kernelkit.authoring.tasks import Tasks
from kernelkit.errors import KernelKitError
from kernelkit.magics import engine as engine_magic
from kernelkit.magics import runs as runs_magic
from kernelkit.magics import triggering
from kernelkit.models.machine import PRESETS
from kernelkit.models.run import RunStatus
from kernelkit.models.schedule import CatchUp, Overlap
from kernelkit.models.task import Isolation, LogLevel
from kernelkit.rules import firing
from kernelkit.ui.form import Form, form_of
from kernelkit.ui.polled import reach

RUNS_OFFERED = 20
_FLAGS = (*triggering.FLAGS, "replace", "tree")  # that take no value
_MAGIC = re.compile(r"^\s*(?:[\w.]+\s*=\s*)?(?P<name>%%?\w+)\s(?P<rest>.*)$", re.DOTALL)


class Known(Protocol):
    """What of the project is offered; each is asked only when it is needed."""

    def tasks(self) -> Iterable[str]: ...
    def runs(self) -> Iterable[str]: ...
    def queues(self) -> Iterable[str]: ...
    def form(self, task: str) -> Form | None: ...


def offers(line: str, known: Known) -> tuple[str, list[str]] | None:
    """The part of the line that is being typed and what may stand there; None where it is no line of ours.

    `line` ends at the cursor.
    """
    found = _MAGIC.match(line)
    if found is None or found["name"] not in _MAGICS:
        return None
    *before, typed = re.split(r"\s+", found["rest"])
    values, option = _values_of(before, typed)
    if option:
        return values, _starting(values, _of_option(option, known))
    return typed, _starting(typed, _MAGICS[found["name"]]([word for word in before if word], typed, known))


def _values_of(before: Sequence[str], typed: str) -> tuple[str, str]:
    """What is typed of an option's value, and which option's: `--status fa`, `--status=failed,ca`."""
    name, equals, value = typed.partition("=")
    if typed.startswith("--") and equals:
        return value.rpartition(",")[2], name[2:]
    if before and before[-1].startswith("--") and "=" not in before[-1] and not typed.startswith("--"):
        name = before[-1][2:]
        if name.replace("-", "_") not in _FLAGS:
            return typed.rpartition(",")[2], name
    return "", ""


def _starting(typed: str, found: Iterable[str]) -> list[str]:
    low = typed.lower()
    return list(dict.fromkeys(one for one in found if one.lower().startswith(low)))


def _of_option(name: str, known: Known) -> Iterable[str]:
    match name.replace("-", "_"):
        case "status":
            return [status.lower() for status in RunStatus.__members__]
        case "task":
            return known.tasks()
        case "queue":
            return known.queues()
        case "machine":
            return PRESETS
        case "parent" | "root" | "after" | "before":
            return known.runs()
        case "is_test":
            return ["yes", "no"]
        case "isolation":
            return get_args(Isolation)
        case "log_level":
            return get_args(LogLevel)
        case "catch_up":
            return get_args(CatchUp)
        case "overlap":
            return get_args(Overlap)
        case "timezone":
            return sorted(firing.timezones())
        case _:
            return ()


def _options(names: Iterable[str]) -> list[str]:
    return [f"--{name.replace('_', '-')}" for name in names]


def _unused(names: Iterable[str], before: Sequence[str]) -> list[str]:
    given = {word.partition("=")[0] for word in before}
    return [one for one in _options(names) if one not in given]


def _trigger(before: Sequence[str], typed: str, known: Known) -> Iterable[str]:
    if not before:
        return known.tasks()
    form = known.form(before[0])
    fields = {field.name: field for field in form.fields} if form is not None and not form.whole else {}
    name, equals, _ = typed.partition("=")
    if equals:
        field = fields.get(name)
        if field is None:
            return ()
        values = ["true", "false"] if field.kind == "check" else [choice.label for choice in field.choices]
        return [f"{name}={value}" for value in [*values, *(["none"] if field.nullable else [])]]
    given = {word.partition("=")[0] for word in before[1:]}
    return [*(f"{one}=" for one in fields if one not in given), *_unused(triggering.OPTIONS, before)]


def _run(before: Sequence[str], typed: str, known: Known) -> Iterable[str]:
    return () if any(not word.startswith("--") for word in before) else known.runs()


def _timeline(before: Sequence[str], typed: str, known: Known) -> Iterable[str]:
    return [*_run(before, typed, known), *_unused(["tree"], before)]


_MAGICS: Mapping[str, Callable[[Sequence[str], str, Known], Iterable[str]]] = {
    "%trigger": _trigger,
    "%runs": lambda before, typed, known: _unused(runs_magic.OPTIONS, before),
    "%run_tree": _run,
    "%timeline": _timeline,
    "%schedules": lambda before, typed, known: () if before else known.tasks(),
    "%engine": lambda before, typed, known: () if before else engine_magic.VERBS,
    "%%task": lambda before, typed, known: _unused(cellline.OPTIONS, before),
}


class Project:
    """What the engine knows, and the notebook."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names

    def tasks(self) -> list[str]:
        own = [one.id for one in self._names.values() if isinstance(one, Task)]
        return sorted({*own, *self._asked(lambda: [one.spec.id for one in Tasks().list()])})

    def runs(self) -> list[str]:
        handles = [name for name, one in self._names.items() if isinstance(one, RunHandle) and not name.startswith("_")]
        return [*handles, *self._asked(lambda: [run.id for run in runs.Runs().list(limit=RUNS_OFFERED).runs])]

    def queues(self) -> list[str]:
        return self._asked(lambda: [queue.name for queue in Queues().list()])

    def form(self, task: str) -> Form | None:
        own = triggering.task_named(task, self._names)
        try:
            if own is not None:
                return form_of(own.json_schema)
            found = self._asked(lambda: [one.spec.json_schema for one in Tasks().list() if one.spec.id == task])
        except KernelKitError:  # an annotation that cannot be read
            return None
        return form_of(found[0]) if found else None

    def _asked(self, ask: Callable[[], list[str]]) -> list[str]:
        try:
            reach(callers.current())
            return ask()
        except KernelKitError:  # Tab shows what there is; the magic itself says what is wrong
            return []


def install(shell: Any) -> Callable[[], None]:
    """Offer them in an IPython shell; returns the function that takes them away again."""
    completer = getattr(shell, "Completer", None)
    if completer is None or not hasattr(completer, "custom_matchers"):
        return lambda: None
    from IPython.core.completer import SimpleCompletion, context_matcher  # here, as only a shell needs it

    @context_matcher(identifier="kernelkit")  # type: ignore[untyped-decorator]  # IPython has no types here
    def matcher(context: Any) -> dict[str, Any]:
        found = offers(context.text_until_cursor, Project(shell.user_ns))
        if found is None:
            return {"completions": []}
        typed, several = found
        return {
            "completions": [SimpleCompletion(one, type="magic") for one in several],
            "matched_fragment": typed,
            "ordered": True,
            "suppress": True,
        }

    completer.custom_matchers.append(matcher)
    return lambda: completer.custom_matchers.remove(matcher) if matcher in completer.custom_matchers else None
