"""`init.py` beside the home: global hooks for every task that runs in this project, whoever defined it.

Each worker imports it before the first task it loads, as the module `init`, and again after it was edited. What a
newcomer would get wrong: only what is registered *while it is imported* counts; the hooks that a task's own module
registers elsewhere in the same worker belong to the process that defined that task.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from kernelkit.authoring.bundle import LoadedTask
from kernelkit.authoring.hooks import NO_HOOKS, Hook, HookSet, recorded
from kernelkit.config import Home
from kernelkit.errors import KernelKitError

MODULE = "init"


class Project:
    """Loads the tasks of a home's bundles, each with the hooks of the project's `init.py` before its own."""

    def __init__(self, home: Home, load: Callable[[Home, str], LoadedTask]) -> None:
        self.init_file = home.path.parent / "init.py"
        self._home = home
        self._load = load
        self._module: ModuleType | None = None
        self._hooks: tuple[Hook, ...] = ()

    def load(self, bundle: str) -> LoadedTask:
        """The task of a bundle. Imports a person's code, which may raise anything."""
        hooks = self._init_hooks()
        task = self._load(self._home, bundle)
        return task.with_hooks(task.hooks.after(hooks)) if hooks else task

    def with_init(self, hooks: HookSet) -> HookSet:
        """A task's hooks with those of `init.py` before them; `NO_HOOKS` itself where there are none."""
        return hooks.after(self._init_hooks()) or NO_HOOKS

    def _init_hooks(self) -> tuple[Hook, ...]:
        if self._module is not None and sys.modules.get(self._module.__name__) is self._module:
            return self._hooks
        self._module, self._hooks = None, ()
        if self.init_file.is_file():
            with recorded() as registry:
                self._module = _imported(self.init_file)
            self._hooks = registry.hooks()
        return self._hooks


def _imported(file: Path) -> ModuleType:
    name = MODULE if MODULE not in sys.modules else f"kernelkit_{MODULE}_py"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as cause:  # whatever a person's module raises: nothing of it may stay
        del sys.modules[name]
        if not isinstance(cause, Exception):
            raise
        raise KernelKitError(
            f"{file}, whose hooks go with every task of the project, could not be imported: "
            f"{type(cause).__name__}: {cause}"
        ) from cause
    return module
