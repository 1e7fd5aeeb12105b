"""Telling an engine about the tasks of this process: their options, and which bundle is their code.

In plain modules tasks are registered together at the process's first call to an engine, so that an import starts
nothing; a notebook with the extension loaded registers each at once. What a newcomer would get wrong: a task is
registered per caller, and again whenever a trigger finds that its captured globals changed.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kernelkit.authoring import notebook
from kernelkit.authoring.bundle import Bundle, TaskCode, code_fingerprint
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.captures import CaptureReport
from kernelkit.authoring.hooks import NO_HOOKS, HookSet, Registry, global_hooks
from kernelkit.authoring.hooks import revision as hooks_revision
from kernelkit.authoring.options import TaskOptions
from kernelkit.authoring.signature import Signature
from kernelkit.authoring.surroundings import Surroundings, detect_owner
from kernelkit.authoring.triggering import LATEST, Pinned
from kernelkit.errors import KernelKitError
from kernelkit.models.task import Owner, TaskSpec
from kernelkit.wire.messages import Defined, DefineTask, ListTasks, TaskList

logger = logging.getLogger(__name__)

_surroundings = Surroundings()
_newest: dict[str, weakref.ref[Registration]] = {}  # task id → the task last defined under it in this process
# Callers that know every task in `_newest`, each with the revision of the hooks they know.
_all_told: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
_INIT_PY = "init.py"


@dataclass(frozen=True)
class Known:
    """What one engine was told of a task."""

    bundle: str
    env_id: str
    version: str
    notice: str = ""
    hooks: HookSet = NO_HOOKS


@dataclass
class Registration:
    """One task's dealings with engines."""

    function: Callable[..., Any]
    options: TaskOptions
    signature: Signature
    owner: Owner | None = None  # None: whoever this process is
    hooks: Registry = field(default_factory=Registry)  # the task's own
    report: CaptureReport | None = None
    """What the latest bundle captured, and what of it cannot be sent."""
    latest: Known | None = None
    _code: TaskCode = field(init=False)
    _known: weakref.WeakKeyDictionary[Caller, Known] = field(init=False)

    __hash__ = object.__hash__

    def __post_init__(self) -> None:
        self._code = TaskCode(self.function, task_id=self.options.id, hooks=self.hook_set)
        self._known = weakref.WeakKeyDictionary()
        _newest[self.options.id] = weakref.ref(self)
        _all_told.clear()

    def hook_set(self) -> HookSet:
        """The hooks of the task as they are now, the process's included."""
        return HookSet(global_hooks(), self.hooks.hooks())

    def is_known(self, caller: Caller) -> bool:
        """Whether that engine was told of the task with the hooks it has now."""
        known = self._known.get(caller)
        return known is not None and known.hooks == self.hook_set()

    def register(self, caller: Caller) -> Known | None:
        """Tell the engine now. None when something captured cannot be sent: the trigger will say so, `report` knows.

        Raises `DuplicateTaskError` when the id is another's, and `TaskDefinitionError`.
        """
        bundle = self._code.at_definition(caller.home)
        self.report = bundle.report
        return self._define(caller, bundle) if bundle.hash else None

    def pin(self, caller: Caller) -> Pinned:
        """What a trigger is pinned to: the task and its surroundings as they are now, known to the engine by then.

        Inside a run it is nothing: the task's latest. Raises `TaskNotPicklableError` besides what `register` raises.
        """
        if caller.inside_run:
            return LATEST
        bundle = self._code.at_trigger(caller.home)
        self.report = bundle.report
        env_id = _surroundings.write(caller.home)
        known = self._known.get(caller)
        if known is None or (known.bundle, known.env_id) != (bundle.hash, env_id):
            known = self._define(caller, bundle)
        return Pinned(known.bundle, known.env_id)

    def forget(self, caller: Caller) -> bool:
        """Drop what was told if the engine has never heard of the id (another home, or an emptied one)."""
        reply = caller.call(ListTasks())
        assert isinstance(reply, TaskList)
        if any(task.spec.id == self.options.id for task in reply.tasks):
            return False
        self._known.pop(caller, None)
        _all_told.pop(caller, None)
        return True

    def _define(self, caller: Caller, bundle: Bundle) -> Known:
        spec = self._spec(caller, bundle.hash)
        reply = caller.call(DefineTask(spec, replace=self.options.replace))
        assert isinstance(reply, Defined)
        known = Known(bundle.hash, spec.env_id, reply.version, reply.notice, self.hook_set())
        if reply.notice:
            logger.info(reply.notice, extra={"task_id": reply.task_id})
        self._known[caller] = known
        self.latest = known
        return known

    def _spec(self, caller: Caller, bundle: str) -> TaskSpec:
        options = self.options
        return TaskSpec(
            id=options.id,
            function=self.signature.qualname,
            owner=self.owner or detect_owner(self.function),
            env_id=_surroundings.write(caller.home),
            bundle=bundle,
            fingerprint=code_fingerprint(self.function, _behaviour(options), self.hook_set()),
            isolation=self.isolation,
            queue=options.queue,
            concurrency_limit=options.concurrency_limit,
            rate_limit=options.rate_limit,
            retry=options.retry,
            tags=options.tags,
            description=options.description,
            json_schema=self.signature.json_schema(),
            where=self.where,
            file_path=self.file_path,
            explicit_id=options.explicit_id,
            ttl=options.ttl,
            max_duration=options.max_duration,
            machine=options.machine,
            timing=options.timing,
            log_level=options.log_level,
            takes_signal=self.signature.takes_signal or self._has_on_cancel(caller),
        )

    def _has_on_cancel(self, caller: Caller) -> bool:
        """Whether a canceled run gets time for a hook. `init.py` is only read here: workers are who import it."""
        if any(hook.kind == "on_cancel" for hook in self.hook_set()):
            return True
        try:
            return "on_cancel" in (caller.home.path.parent / _INIT_PY).read_text(errors="replace")
        except OSError:
            return False

    @property
    def isolation(self) -> Any:  # an `Isolation`
        if self.options.machine:
            return "process"
        return self.options.isolation or ("shared" if self.signature.is_async else "process")

    @property
    def file_path(self) -> str:
        """The module's file or the notebook's; "" for what was typed into a console."""
        code = getattr(self.function, "__code__", None)
        if code is None:
            return ""
        file = notebook.session_name() if notebook.is_cell_file(code.co_filename) else code.co_filename
        return file or ""

    @property
    def where(self) -> str:
        """The cell, or the file and line, for screens."""
        told = getattr(self.function, "__kernelkit_where__", None)  # a notebook's, whose function is of our making
        if isinstance(told, str):
            return told
        code = getattr(self.function, "__code__", None)
        if code is None:
            return ""
        if not notebook.is_cell_file(code.co_filename):
            return f"{os.path.basename(code.co_filename)} line {code.co_firstlineno}"
        number, session = notebook.cell_number(code.co_filename), notebook.session_name()
        cell = f"cell [{number}]" if number else "a cell"
        return f"{cell} of {os.path.basename(session)}" if session else cell


def _behaviour(options: TaskOptions) -> str:
    """The options that make a version: not those that only say how the id is claimed."""
    return msgspec.json.encode(dataclasses.replace(options, replace=False, explicit_id=False)).decode()


def tell_all(caller: Caller) -> None:
    """Register every task of this process that `caller`'s engine was not told of, or not with its hooks of now.

    One that cannot be defined is left for its own trigger to say why.
    """
    if caller.inside_run or _all_told.get(caller) == hooks_revision():
        return
    _all_told[caller] = hooks_revision()
    for reference in list(_newest.values()):
        registration = reference()
        if registration is not None and not registration.is_known(caller):
            try:
                registration.register(caller)
            except KernelKitError as problem:
                logger.info("task not registered: %s", problem.message, extra={"task_id": registration.options.id})
