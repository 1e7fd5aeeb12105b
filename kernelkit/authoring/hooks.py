"""Hooks: what else runs in an attempt, around a task's body. Registered here; `execution/lifecycle.py` calls them.

A task has hooks of its own (`@resize.on_start`), and a process has global ones (`@kk.tasks.on_start`) for all tasks it
defines. A hook names the parameters it wants, which is checked where it is registered. What a newcomer would get wrong:
a hook is part of the task's code. It travels in the bundle, a change of it makes a new version, and what another
process registered never applies.
"""

from __future__ import annotations

import contextlib
import difflib
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args, overload

from kernelkit.errors import InvalidOptionError, TaskDefinitionError

Kind = Literal[
    "init",
    "middleware",
    "on_start",
    "on_start_attempt",
    "on_success",
    "on_failure",
    "on_complete",
    "on_wait",
    "on_resume",
    "on_cancel",
    "catch_error",
    "cleanup",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

_BEFORE_INIT = ("ctx", "payload", "task", "signal")
_COMMON = (*_BEFORE_INIT, "init")
WANTS: Mapping[Kind, tuple[str, ...]] = {
    "init": _BEFORE_INIT,
    "middleware": (*_BEFORE_INIT, "next"),
    "on_start": _COMMON,
    "on_start_attempt": _COMMON,
    "on_success": (*_COMMON, "output"),
    "on_failure": (*_COMMON, "error"),
    "on_complete": (*_COMMON, "result"),
    "on_wait": (*_COMMON, "wait"),
    "on_resume": (*_COMMON, "wait"),
    "on_cancel": (*_COMMON, "run"),
    "catch_error": (*_COMMON, "error", "retry", "retry_at", "retry_in"),
    "cleanup": _COMMON,
}
"""Which parameters a hook of each kind may name."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Hook:
    """One registered function. Equal hooks are the same function under the same name."""

    kind: Kind
    name: str
    function: Callable[..., Any]
    wants: tuple[str, ...] = field(compare=False, default=())

    @classmethod
    def of(cls, kind: Kind, function: Callable[..., Any], name: str | None = None) -> Hook:
        """Check a function and what it asks for; raises `TaskDefinitionError` with words."""
        if not callable(function) or isinstance(function, type):
            raise TaskDefinitionError(f"{function!r} cannot be {_a(kind)} hook: it is not a function.")
        if name is not None and (not isinstance(name, str) or not name):
            raise InvalidOptionError(f"name={name!r} of {_a(kind)} hook is not a text.", field="name")
        return cls(kind, name or _name_of(function), function, _wanted(kind, function))

    @property
    def told(self) -> str:
        """The hook in words, for error messages: `on_start 'log'`."""
        return f"{self.kind} {self.name.removeprefix('__main__.').rpartition('<locals>.')[2]!r}"

    def arguments(self, offered: Mapping[str, Any]) -> dict[str, Any]:
        """What of `offered` the function asks for."""
        return {name: offered[name] for name in self.wants}


@dataclass(frozen=True)
class HookSet:
    """The hooks of one task as they were at one moment, in the order of their registration. Falsy when empty."""

    everywhere: tuple[Hook, ...] = ()  # the global ones
    own: tuple[Hook, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.everywhere or self.own)

    def __iter__(self) -> Iterator[Hook]:
        return itertools.chain(self.everywhere, self.own)

    def of(self, kind: Kind) -> tuple[Hook, ...]:
        """The hooks of a kind, in the order in which they are called: global ones first, but last for `catch_error`."""
        first, second = (self.own, self.everywhere) if kind == "catch_error" else (self.everywhere, self.own)
        return tuple(hook for hook in (*first, *second) if hook.kind == kind)

    def after(self, earlier: Iterable[Hook]) -> HookSet:
        """This set with other global hooks before its own; the same name again replaces the earlier hook."""
        merged = {(hook.kind, hook.name): hook for hook in (*earlier, *self.everywhere)}
        return HookSet(tuple(merged.values()), self.own)


NO_HOOKS = HookSet()
"""The set of a task without hooks, to be told by `is`: the runner asks at each attempt."""


class Registry:
    """Hooks by kind and name; the same name again replaces, in the same place, as cells are run again."""

    def __init__(self) -> None:
        self._hooks: dict[tuple[Kind, str], Hook] = {}

    def add(self, hook: Hook) -> None:
        global _revision
        self._hooks[hook.kind, hook.name] = hook
        _revision += 1

    def hooks(self) -> tuple[Hook, ...]:
        return tuple(self._hooks.values())

    def put_back(self, hooks: tuple[Hook, ...]) -> None:
        """Have the hooks again that `hooks` gave before."""
        global _revision
        self._hooks = {(hook.kind, hook.name): hook for hook in hooks}
        _revision += 1


_revision = 0
_process = Registry()
_recording: ContextVar[Registry | None] = ContextVar("kernelkit_recording_hooks", default=None)


def revision() -> int:
    """A number that grows whenever a hook is registered anywhere in this process."""
    return _revision


def global_hooks() -> tuple[Hook, ...]:
    """The hooks of this process for all its tasks."""
    return _process.hooks()


def global_registry() -> Registry:
    """Where `@kk.tasks.on_start` and its siblings register: this process, or whoever records."""
    return _recording.get() or _process


@contextlib.contextmanager
def recorded() -> Iterator[Registry]:
    """Global hooks that are registered in this block go into the registry it gives, not into the process's."""
    registry = Registry()
    token = _recording.set(registry)
    try:
        yield registry
    finally:
        _recording.reset(token)


@contextlib.contextmanager
def forgotten_after() -> Iterator[None]:
    """Global hooks that are registered in this block are gone after it."""
    before = _process.hooks()
    try:
        yield
    finally:
        if _process.hooks() != before:
            _process.put_back(before)


def taken_from(options: Mapping[str, Any]) -> tuple[dict[str, Any], list[Hook]]:
    """A task's options without its hooks, and the hooks; raises as `Hook.of` does."""
    hooks = [Hook.of(kind, options[kind]) for kind in KINDS if options.get(kind) is not None]
    return {name: value for name, value in options.items() if name not in KINDS}, hooks


# ---- decorators ------------------------------------------------------------------------------------------------------


class HookPoint:
    """`@task.on_start`, `@task.on_start("name")` or `task.on_start("name", function)`: the function stays as it is."""

    __slots__ = ("_kind", "_registry", "_told")

    def __init__(self, kind: Kind, registry: Registry, told: Callable[[], None] | None = None) -> None:
        self._kind = kind
        self._registry = registry
        self._told = told

    @overload
    def __call__(self, function: F, /) -> F: ...
    @overload
    def __call__(self, name: str, /) -> Callable[[F], F]: ...
    @overload
    def __call__(self, name: str, function: F, /) -> F: ...

    def __call__(self, given: Any, function: Any = None, /) -> Any:
        """Register a function, under a name if one is given; the same name again replaces it."""
        if isinstance(given, str):
            if function is None:
                return lambda later: self._add(later, given)
            return self._add(function, given)
        if function is not None:
            raise InvalidOptionError(f"{self._kind} takes a name and a function, in that order.", field="name")
        return self._add(given, None)

    def _add(self, function: Any, name: str | None) -> Any:
        self._registry.add(Hook.of(self._kind, function, name))
        if self._told is not None:
            self._told()
        return function

    def __repr__(self) -> str:
        return f"<{self._kind}: a decorator for functions that may take {', '.join(WANTS[self._kind])}>"


class Hooked:
    """What a task and `kk.tasks` have in common: a decorator for each kind of hook.

    A hook is `def` or `async def`, and names the parameters it wants, in any order, out of `ctx`, `payload`, `task`
    (the id), `signal`, `init` (what the init hooks returned) and those that its own line here adds.
    """

    def _point(self, kind: Kind) -> HookPoint:
        raise NotImplementedError

    @property
    def init(self) -> HookPoint:
        """Runs before everything but middleware; dicts that init hooks return are merged and given as `init`."""
        return self._point("init")

    @property
    def middleware(self) -> HookPoint:
        """Runs around everything else of an attempt, from where it calls `await next()`. Adds `next`."""
        return self._point("middleware")

    @property
    def on_start(self) -> HookPoint:
        """Runs before the first attempt's body. An error fails the attempt."""
        return self._point("on_start")

    @property
    def on_start_attempt(self) -> HookPoint:
        """Runs before the body of every attempt. An error fails the attempt."""
        return self._point("on_start_attempt")

    @property
    def on_success(self) -> HookPoint:
        """Runs after a body that returned. Adds `output`. Its errors are written to the run's log, no more."""
        return self._point("on_success")

    @property
    def on_failure(self) -> HookPoint:
        """Runs after the last attempt has failed. Adds `error`, the exception. Errors as in `on_success`."""
        return self._point("on_failure")

    @property
    def on_complete(self) -> HookPoint:
        """Runs after `on_success` or `on_failure`. Adds `result`, a `kk.Result`. Errors as in `on_success`."""
        return self._point("on_complete")

    @property
    def on_wait(self) -> HookPoint:
        """Runs before the body waits durably, for longer than 5 s, a token or other runs. Adds `wait`, with its `type`:
        duration, token, task, batch or stream. An error is raised where the body waits."""
        return self._point("on_wait")

    @property
    def on_resume(self) -> HookPoint:
        """Runs when such a wait is over, before the body goes on. Adds `wait`. Errors as in `on_wait`."""
        return self._point("on_resume")

    @property
    def on_cancel(self) -> HookPoint:
        """Runs beside the body when its run is canceled, for 30 s at most. Adds `run`: await it for the body's end."""
        return self._point("on_cancel")

    @property
    def catch_error(self) -> HookPoint:
        """Decides what follows from an error; answers None or a `kk.OnError`.

        Adds `error` (the exception) and what would happen: `retry`, `retry_at` and `retry_in`, the last two None on
        the last attempt.
        """
        return self._point("catch_error")

    @property
    def cleanup(self) -> HookPoint:
        """Runs at the end of every attempt. An error fails an attempt that had gone well."""
        return self._point("cleanup")


# ---- checks ----------------------------------------------------------------------------------------------------------


def _wanted(kind: Kind, function: Callable[..., Any]) -> tuple[str, ...]:
    told = f"The {kind} hook {getattr(function, '__name__', function)!r}"
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as cause:
        raise TaskDefinitionError(f"{told}: its parameters cannot be read.") from cause
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        wrap = " What comes before and after the body stands around `await next()`." if kind == "middleware" else ""
        raise TaskDefinitionError(f"{told} yields, and a hook is called once.{wrap}")
    known = WANTS[kind]
    wants: list[str] = []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            return known
        if parameter.name in known and parameter.kind is not parameter.POSITIONAL_ONLY:
            wants.append(parameter.name)
        elif parameter.default is parameter.empty:
            near = difflib.get_close_matches(parameter.name, known, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise TaskDefinitionError(
                f"{told} asks for {parameter.name!r}, which it cannot have. {hint}It may name: {', '.join(known)}.",
                parameter=parameter.name,
            )
    if kind == "middleware" and "next" not in wants:
        raise TaskDefinitionError(f"{told} does not take `next`, so the task could never run. Add it and await next().")
    return tuple(wants)


def _name_of(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", type(function).__qualname__)
    module = getattr(function, "__module__", "")
    if name.rpartition(".")[2] in ("<lambda>", "_"):  # names that say nothing: each place is another hook
        code = getattr(function, "__code__", None)
        name = f"{name} at {getattr(code, 'co_filename', '')}:{getattr(code, 'co_firstlineno', 0)}"
    return f"{module}.{name}"


def _a(kind: Kind) -> str:
    return f"an {kind}" if kind[0] in "aio" else f"a {kind}"
