"""The part of `apply.py` that changes tasks: their latest versions, and the code that runs may still ask for.

Bundles stand in the order of their last use, so whoever asks for one has to say so (`use_bundle`).
"""

from __future__ import annotations

from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.task import TaskVersion


def defined(state: State, event: ev.TaskDefined) -> None:
    spec = event.version.spec
    numbers = state.numbers.setdefault(spec.id, [])
    if not numbers or numbers[-1] != event.version.number:
        numbers.append(event.version.number)
    _keep(state, event.version)
    record = state.record_of(spec.queue_name)
    if spec.concurrency_limit is not None or not spec.queue:  # a shared queue keeps what others have said of it
        record.limit = spec.concurrency_limit
    if spec.rate_limit is not None or not spec.queue:
        record.set_rate(spec.rate_limit, state.clock)
    state.queue_changed(spec.queue_name)


_KEPT_BUNDLES = 64


def _keep(state: State, version: TaskVersion) -> None:
    """Make `version` the latest; now and then drop bundles that neither a live run nor a latest version needs.

    Those used last are kept as well, in the order of their use.
    """
    state.tasks[version.spec.id] = version
    state.bundles.pop(version.spec.bundle, None)
    state.bundles[version.spec.bundle] = version
    if len(state.bundles) % _KEPT_BUNDLES == 0:
        needed = {run.bundle for run in state.runs.values()} | {latest.spec.bundle for latest in state.tasks.values()}
        recent = set(list(state.bundles)[-_KEPT_BUNDLES // 2 :])  # their Task objects are likely still in use
        state.bundles = {key: kept for key, kept in state.bundles.items() if key in needed or key in recent}


def use_bundle(state: State, bundle: str) -> None:
    """The bundle was asked for: it goes to the end of those that may be dropped."""
    used = state.bundles.pop(bundle, None)
    if used is not None:
        state.bundles[bundle] = used
