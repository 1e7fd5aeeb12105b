"""Bundles: a task's code and the globals it captured, in one file named by its hash.

Notebook functions are pickled by value; functions of importable modules travel by name and workers import them. The
defining process writes a bundle into the home before it tells the engine about it; workers only read. A definition
never fails because of what it captures: `Bundle.check` raises at the trigger.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import linecache
import os
import secrets
import struct
import sys
import textwrap
import threading
import time
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec

from kernelkit.authoring import captures, notebook
from kernelkit.authoring.captures import MAX_BUNDLE_BYTES, CaptureReport, CaptureState
from kernelkit.authoring.hooks import NO_HOOKS, Hook, HookSet
from kernelkit.authoring.pickling import Capped, CellPickler, missing, sized, whole_problem
from kernelkit.authoring.signature import Signature
from kernelkit.config import Home
from kernelkit.errors import StoreError, TaskNotPicklableError

_MAGIC = b"KKB1"
_MARK_AGAIN_S = 1800.0  # well within the time that the engine leaves an unneeded file alone


class _Header(msgspec.Struct, frozen=True, omit_defaults=True):
    task_id: str
    module: str = ""  # set when the function is found by importing; then there is no pickle
    qualname: str = ""
    sources: dict[str, str] = {}
    hooked: bool = False  # then the pickle holds the hooks as well


@dataclass(frozen=True)
class Bundle:
    """A task's code and captured globals. `hash` is "" and `data` empty when something in it cannot be pickled."""

    task_id: str
    hash: str
    data: bytes
    report: CaptureReport

    def check(self) -> Bundle:
        """Itself, or `TaskNotPicklableError` naming each global that keeps the task from running, with its cell."""
        problems = self.report.problems
        if not problems:
            return self
        texts = [captures.problem_text(problem) for problem in problems]
        said = f"Task '{self.task_id}' " + (
            texts[0]
            if len(texts) == 1
            else "cannot be sent to a worker:\n" + "\n".join(f"  it {text}" for text in texts)
        )
        raise TaskNotPicklableError(
            said,
            task_id=self.task_id,
            globals=[problem.name for problem in problems],
            cells=[problem.cell for problem in problems],
        )


@dataclass(frozen=True)
class LoadedTask:
    """What a worker makes of a bundle: the plain function, ready to be called."""

    task_id: str
    function: Callable[..., Any]
    signature: Signature
    sources: Mapping[str, str]
    hooks: HookSet = NO_HOOKS

    def with_hooks(self, hooks: HookSet) -> LoadedTask:
        """The same task with other hooks."""
        return replace(self, hooks=hooks)

    def fill_linecache(self) -> None:
        """Make tracebacks show the source as it was when it was shipped; again, if another bundle used the names."""
        for file, text in self.sources.items():
            remember_source(file, text)


# ---- making ----------------------------------------------------------------------------------------------------------


def make_bundle(
    function: Callable[..., Any],
    *,
    task_id: str,
    sources: Mapping[str, str] | None = None,
    hooks: HookSet = NO_HOOKS,
) -> Bundle:
    """The bundle of `function` and its hooks with the globals as they are now.

    `sources` (file name → text) default to those of the function and of its helpers from cells. Raises nothing for
    what cannot be pickled or is missing: that is in the report, and `check()` raises it.
    """
    found = captures.captured_names(None if is_by_reference(function) else function, _functions(hooks))
    lost = [missing(one) for one in found if one.missing]
    try:
        data = _pack(function, task_id, sources, hooks)
    except Exception as cause:  # pickling runs people's own `__reduce__` methods, which may raise anything
        troubles = lost + [one for one in sized(found) if one.state != "ok"]
        if not any(one.state != "missing" for one in troubles):
            troubles.append(whole_problem(function, cause))
        return Bundle(task_id, "", b"", CaptureReport(tuple(troubles)))
    report = CaptureReport(tuple(lost + sized(found)), total=len(data))
    return Bundle(task_id, _hash(data), data, report)


def _pack(
    function: Callable[..., Any], task_id: str, sources: Mapping[str, str] | None = None, hooks: HookSet = NO_HOOKS
) -> bytes:
    """The file's content: a header, and behind it the pickle of function, annotations and hooks.

    Copies large data once. It is one pickle, so that functions of one notebook share its globals again.
    """
    target = Capped(MAX_BUNDLE_BYTES)
    hooked = bool(hooks)
    parts: list[object] = []
    if is_by_reference(function):
        texts = _sources_of(None, hooks) if hooked else {}
        target.write(_head(_Header(task_id, function.__module__, function.__qualname__, texts, hooked)))
    else:
        texts = dict(sources) if sources is not None else _sources_of(function, hooks)
        target.write(_head(_Header(task_id, sources=texts, hooked=hooked)))
        parts += [function, _resolved_annotations(function)]
    if hooked:
        parts += [[[(hook.kind, hook.name, hook.function) for hook in some] for some in (hooks.everywhere, hooks.own)]]
    if parts:
        CellPickler(target, protocol=5).dump(tuple(parts))
    return target.getvalue()


def _functions(hooks: HookSet) -> list[Callable[..., Any]]:
    return [hook.function for hook in hooks]


def is_by_reference(function: Callable[..., Any]) -> bool:
    """Whether workers find `function` by importing its module: not for notebooks, scripts and nested functions."""
    if not captures.travels_by_name(function):
        return False
    bound: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        bound = getattr(bound, part, None)
    # None: the decorator still runs, or the name was removed. Else a task, or whatever a decorator made of it.
    return bound is None or _unwrapped(bound) is function


def code_fingerprint(function: Callable[..., Any], options_json: str, hooks: HookSet = NO_HOOKS) -> str:
    """16 hex digits of code, options and hooks, without captured globals: what makes a new version of a task."""
    parts = [function.__qualname__, str(_code_text(function)), options_json]
    for hook in hooks:
        parts += [hook.kind, hook.name, str(_code_text(hook.function))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _code_text(function: Callable[..., Any]) -> str | None:
    source = own_source(function)
    code = getattr(inspect.unwrap(function), "__code__", None)
    return source if source is not None or code is None else repr(_code_facts(code))


def _resolved_annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """Annotations written as text name globals that byte code never reads, so they are looked up here."""
    notes: dict[str, Any] = dict(getattr(function, "__annotations__", {}))
    if not any(isinstance(note, str) for note in notes.values()):
        return {}
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError):
        return {}  # `Signature` says so in words


def _head(header: _Header) -> bytes:
    head = msgspec.msgpack.encode(header)
    return b"".join((_MAGIC, struct.pack(">I", len(head)), head))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _unwrapped(bound: Any) -> Any:  # a Task, a decorated function or the function itself
    seen = 0
    while seen < 20:
        inner = getattr(bound, "function", None) or getattr(bound, "__wrapped__", None)
        if inner is None:
            return bound
        bound, seen = inner, seen + 1
    return bound


# ---- sources ---------------------------------------------------------------------------------------------------------


def remember_source(file: str, text: str) -> None:
    """Let tracebacks find `text` under `file`; entries without a modification time are never dropped."""
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)


def _sources_of(function: Callable[..., Any] | None, hooks: HookSet) -> dict[str, str]:
    found: dict[str, str] = {}
    for code in captures.captured_code(function, _functions(hooks)):
        lines = linecache.getlines(code.co_filename)
        if lines:
            found[notebook.shown_file(code.co_filename)] = "".join(lines)
    return found


def own_source(function: Callable[..., Any]) -> str | None:
    """The text that defines it, None where there is none any more."""
    text = getattr(function, "__kernelkit_source__", None)  # set for `%%task` cells, whose line 1 is no Python
    if isinstance(text, str):
        return text
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError, SyntaxError, IndentationError):  # no text, or a file that has changed meanwhile
        return None


def _code_facts(code: types.CodeType) -> tuple[object, ...]:
    constants = tuple(_code_facts(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts)
    return (code.co_code, code.co_names, code.co_varnames, constants)


# ---- files -----------------------------------------------------------------------------------------------------------


def write_bundle(home: Home, bundle: Bundle) -> str:
    """Put the bundle into the home, durably and readable by the owner alone; returns its hash ("" if it has none)."""
    if bundle.hash:
        write_private(home.bundles / bundle.hash, bundle.data)
    return bundle.hash


def is_written(home: Home, hash: str) -> bool:
    """Whether the home has this bundle; marks it as used now, so that a clean-up leaves it."""
    return mark_used(os.path.join(home.bundles, hash))


def mark_used(path: str) -> bool:
    """Whether the file is there; its time of change then says that it was needed lately."""
    try:
        if time.time() - os.stat(path).st_mtime > _MARK_AGAIN_S:  # else each trigger would dirty the disk's journal
            os.utime(path)
    except FileNotFoundError:
        return False
    return True


def write_private(path: Path, data: bytes) -> None:
    """Write a file named by its content: atomically, 0600, on disk when this returns. An existing one is kept."""
    try:
        os.utime(path)
        return
    except FileNotFoundError:
        pass
    for folder in (path.parent.parent, path.parent):  # one by one: `parents=True` would leave the home open to others
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as cause:
        draft.unlink(missing_ok=True)
        raise StoreError(
            f"{path} could not be written: {cause.strerror}. Nothing was stored.", path=str(path)
        ) from cause
    opened = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def load_bundle(home: Home, hash: str) -> LoadedTask:
    """Read a bundle, fill the line cache and give the function back; the caller keeps it for later attempts.

    Raises `StoreError` for a file that is gone or damaged and `TaskNotPicklableError` for code that does not load here.
    """
    path = home.bundles / hash
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise StoreError(f"The code of this run is gone: {path} does not exist. Trigger the task again.") from None
    if _hash(data) != hash or data[:4] != _MAGIC:
        raise StoreError(f"{path} is damaged. Delete it, run the cell that defines the task, and trigger it again.")
    (length,) = struct.unpack_from(">I", data, 4)
    header = msgspec.msgpack.decode(memoryview(data)[8 : 8 + length], type=_Header)
    for file, text in header.sources.items():
        remember_source(file, text)
    try:
        function, hooks = _load_code(header, memoryview(data)[8 + length :])
    except Exception as cause:  # importing and unpickling run people's code, which may raise anything
        raise TaskNotPicklableError(
            f"Task '{header.task_id}' could not be loaded in its worker: {type(cause).__name__}: {cause}. "
            "A module that it imports must be installed, or lie in the notebook's folder or on its sys.path.",
            task_id=header.task_id,
        ) from cause
    return LoadedTask(header.task_id, function, Signature.of(function), header.sources, hooks)


def _load_code(header: _Header, pickled: memoryview) -> tuple[Callable[..., Any], HookSet]:
    function: Callable[..., Any]
    if header.module:
        bound: Any = importlib.import_module(header.module)
        for part in header.qualname.split("."):
            bound = getattr(bound, part)
        function = getattr(bound, "function", bound)  # a Task holds its function
        parts: list[Any] = [*cloudpickle.loads(pickled)] if header.hooked else []
    else:
        function, annotations, *parts = cloudpickle.loads(pickled)
        if annotations:
            function.__annotations__ = annotations
    if not header.hooked:
        return function, NO_HOOKS
    everywhere, own = [tuple(Hook.of(kind, hook, name) for kind, name, hook in some) for some in parts[0]]
    return function, HookSet(everywhere, own)


# ---- a task's code over time -----------------------------------------------------------------------------------------


class TaskCode:
    """The bundles of one `Task` object: made at its definition, and again at a trigger when captured globals changed.

    >>> code = TaskCode(resize, task_id="resize")                      # doctest: +SKIP
    >>> code.at_definition(home).report.lines()                        # doctest: +SKIP
    >>> code.at_trigger(home).hash                                     # doctest: +SKIP
    """

    def __init__(
        self, function: Callable[..., Any], *, task_id: str, hooks: Callable[[], HookSet] = lambda: NO_HOOKS
    ) -> None:
        self._function = function
        self._task_id = task_id
        self._hooks = hooks
        self._lock = threading.Lock()
        self._state: CaptureState | None = None
        self._latest: Bundle | None = None

    def at_definition(self, home: Home) -> Bundle:
        """The bundle of now, written to the home if it can be; problems are in its report."""
        with self._lock:
            return self._make(home)

    def at_trigger(self, home: Home) -> Bundle:
        """The bundle with the globals of now, written; raises `TaskNotPicklableError`.

        Costs microseconds while plain captures are unchanged; others are pickled again. A batch calls this once.
        """
        with self._lock:
            latest = self._latest
            if latest is not None and latest.hash and not latest.report.problems and is_written(home, latest.hash):
                state = captures.capture_state(self._function, _functions(self._hooks()))
                if self._state is not None and self._state.proves_unchanged(state):
                    return latest
                if self._hash_now() == latest.hash:
                    self._state = state
                    return latest
            return self._make(home).check()

    def _hash_now(self) -> str:
        try:
            return _hash(_pack(self._function, self._task_id, hooks=self._hooks()))
        except Exception:  # as in make_bundle, which says what is wrong
            return ""

    def _make(self, home: Home) -> Bundle:
        hooks = self._hooks()
        self._state = captures.capture_state(self._function, _functions(hooks))
        bundle = make_bundle(self._function, task_id=self._task_id, hooks=hooks)
        write_bundle(home, bundle)
        # The bytes are on disk now; keeping them would double what a large capture costs.
        self._latest = Bundle(bundle.task_id, bundle.hash, b"", bundle.report)
        return bundle
