"""The bundles a worker has loaded: each once, and again after a helper module was edited."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kernelkit.authoring.bundle import LoadedTask
from kernelkit.execution.modules import ModuleWatch

KEPT = 256


class LoadedBundles:
    """`load` gives the task of a bundle's hash; it imports and unpickles a person's code, so it may raise anything.

    `watched` are files that count as a person's modules even before they are there.
    """

    def __init__(self, load: Callable[[str], LoadedTask], watched: Sequence[str] = ()) -> None:
        self._load = load
        self._tasks: dict[str, LoadedTask] = {}
        self._modules = ModuleWatch(watched=watched)
        self._shown = ""  # whose sources the line cache holds

    def find(self, bundle: str, *, look: bool = True) -> LoadedTask | None:
        """The task, if it is loaded and no helper module was edited since; without `look`, since somebody looked."""
        if look and self._modules.changed():
            self._modules.forget()
            self._tasks.clear()
        found = self._tasks.get(bundle)
        if found is not None and self._shown != bundle:
            found.fill_linecache()
            self._shown = bundle
        return found

    def load(self, bundle: str) -> LoadedTask:
        """Load the task and keep it. May run on any thread."""
        task = self._load(bundle)
        while len(self._tasks) >= KEPT:
            del self._tasks[next(iter(self._tasks))]
        self._tasks[bundle] = task
        self._shown = bundle
        return task
