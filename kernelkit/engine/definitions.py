"""What follows from the definition of a task: a version, or a refusal because the id is somebody else's.

Only changed code makes a new version; a capture or an option that changed makes a definition under the same number.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernelkit.clock import to_datetime
from kernelkit.engine import commands as c
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.errors import (
    DuplicateTaskError,
)
from kernelkit.models import event as ev
from kernelkit.models.task import TaskSpec, TaskVersion
from kernelkit.rules.limits import check_queue_name


def define(state: State, command: c.DefineTask, now: int) -> Sequence[ev.AnyEvent]:
    """The new version or description of a task; runs that waited for it have found it."""
    spec = command.spec
    if spec.queue:
        check_queue_name(spec.queue)
    known = state.tasks.get(spec.id)
    if known is not None and not command.replace:
        _refuse_clash(known.spec, spec, command.connected)
    if known is not None and known.spec == spec:
        return ()
    if known is not None and known.spec.fingerprint == spec.fingerprint:
        return (ev.TaskDefined(now, TaskVersion(known.number, spec, now)),)
    waiting = [state.runs[run_id] for run_id in sorted(state.undefined.get(spec.id, ()))]
    return (
        ev.TaskDefined(now, TaskVersion(_next_number(state, spec.id, now), spec, now)),
        *[_version_found(run, spec, now) for run in waiting],
    )


def _version_found(run: LiveRun, spec: TaskSpec, now: int) -> ev.VersionFound:
    awaited = run.awaited or ()
    machine = spec.machine if "machine" in awaited else run.machine
    return ev.VersionFound(
        now,
        run.id,
        queue=spec.queue_name if "queue" in awaited else run.queue,
        isolation="process" if machine else spec.isolation,
        tags=spec.tags if "tags" in awaited else run.tags,
        ttl=spec.ttl if "ttl" in awaited else run.ttl,
        max_duration=spec.max_duration if "max_duration" in awaited else run.max_duration,
        machine=machine,
    )


def _refuse_clash(known: TaskSpec, spec: TaskSpec, connected: frozenset[str]) -> None:
    if known.owner == spec.owner:
        if spec.explicit_id and _name(known) != _name(spec):
            raise DuplicateTaskError(
                f"The id {spec.id!r} already belongs to the function {known.function!r} "
                f"({known.where or known.owner}); {spec.function!r} cannot take it. "
                "Give one of them another id=, or pass replace=True.",
                task_id=spec.id,
            )
    elif str(known.owner) in connected:
        raise DuplicateTaskError(
            f"The id {spec.id!r} is owned by {known.owner}, which is connected; {spec.owner} defines it too. "
            "Give one of them another id=, or pass replace=True to take it over.",
            task_id=spec.id,
        )


def _name(spec: TaskSpec) -> str:
    """The function's own name, without the class or function it was defined in."""
    return spec.function.rpartition(".")[2]


def _next_number(state: State, task_id: str, now: int) -> str:
    day = to_datetime(now).strftime("%Y%m%d")
    numbers = state.numbers.get(task_id, ())
    today = sum(1 for number in numbers if number.startswith(day + "."))
    return f"{day}.{today + 1}"
