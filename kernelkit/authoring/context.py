"""What a task's code can read about its own run: `Context`, made of what the engine sent with the attempt.

Plain values, read once and never talked about again; `kk.ctx` (`ctx.py`) finds those of the run that the code is in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from kernelkit.clock import to_datetime
from kernelkit.models.machine import GIB

if TYPE_CHECKING:
    from kernelkit.models.sameness import KeyScope
    from kernelkit.wire.messages import StartAttempt


@dataclass(frozen=True, slots=True)
class TaskContext:
    id: str
    file_path: str  # the notebook or module that defines it; "" for one typed into a console


@dataclass(frozen=True, slots=True)
class AttemptContext:
    number: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class QueueContext:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class BatchContext:
    id: str


@dataclass(frozen=True, slots=True)
class MachineContext:
    """The preset of the run, with what of it this host can give: `cpu` in vCPUs, `memory` in GiB."""

    name: str
    cpu: float
    memory: float


@dataclass(frozen=True, slots=True)
class EnvironmentContext:
    id: str
    slug: str
    type: str


@dataclass(frozen=True, slots=True)
class ProjectContext:
    """The project is the folder beside whose `.kernelkit` the task was defined."""

    id: str
    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class RunContext:
    """The run as it was when this attempt began; it does not change during the attempt."""

    id: str
    tags: tuple[str, ...]
    is_test: bool
    is_replay: bool
    created_at: datetime
    started_at: datetime
    max_attempts: int
    max_duration: float | None  # seconds
    priority: float  # seconds
    version: str
    parent_id: str | None
    root_id: str
    depth: int
    idempotency_key: str | None  # as its author wrote it
    idempotency_key_scope: KeyScope | None
    attempt: AttemptContext


@dataclass(frozen=True, slots=True)
class Context:
    """The run context: `ctx.run`, `.task`, `.attempt`, `.queue`, `.environment`, `.project`; `.batch` and `.machine` or
    None.

    `ctx.run.attempt` is `ctx.attempt`. A body gets it as its parameter `ctx`; anywhere below, it is `kk.ctx`.
    """

    task: TaskContext
    attempt: AttemptContext
    run: RunContext
    queue: QueueContext
    batch: BatchContext | None
    machine: MachineContext | None
    environment: EnvironmentContext
    project: ProjectContext


def context_of(start: StartAttempt, started_at: int) -> Context:
    """The context of the attempt that `start` asks for."""
    attempt = AttemptContext(number=start.attempt, started_at=to_datetime(started_at))
    machine, project = start.machine, start.project
    return Context(
        task=TaskContext(id=start.task_id, file_path=start.file_path),
        attempt=attempt,
        run=RunContext(
            id=start.run_id,
            tags=start.tags,
            is_test=start.is_test,
            is_replay=start.is_replay,
            created_at=to_datetime(start.created_at),
            started_at=to_datetime(start.run_started_at) if start.run_started_at else attempt.started_at,
            max_attempts=start.max_attempts,
            max_duration=start.max_duration,
            priority=start.priority,
            version=start.version,
            parent_id=start.parent_id,
            root_id=start.root_id or start.run_id,
            depth=start.depth,
            idempotency_key=None if start.key is None else start.key.text,
            idempotency_key_scope=None if start.key is None else start.key.scope,
            attempt=attempt,
        ),
        queue=QueueContext(id=start.queue, name=start.queue),
        batch=BatchContext(id=start.batch_id) if start.batch_id else None,
        machine=None
        if machine is None
        else MachineContext(name=machine.name, cpu=machine.cpu, memory=machine.memory / GIB),
        environment=EnvironmentContext(
            id=start.environment, slug=start.environment, type=_ENVIRONMENTS.get(start.environment, "DEVELOPMENT")
        ),
        project=ProjectContext(id=project, slug=project, name=project),
    )


_ENVIRONMENTS = {"prod": "PRODUCTION", "production": "PRODUCTION", "staging": "STAGING", "preview": "PREVIEW"}
