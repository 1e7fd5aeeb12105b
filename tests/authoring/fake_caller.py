"""An engine of a few lines, in this process: enough to see what authoring asks for and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from kernelkit.authoring.caller import Heard, gathered
from kernelkit.clock import to_datetime
from kernelkit.config import Home
from kernelkit.errors import UnknownRunError, UnknownTaskError
from kernelkit.models.batch import BatchRecord
from kernelkit.models.bulk import Bulk
from kernelkit.models.error import Error
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import FINAL, LogLine, Logs, Run, RunStatus
from kernelkit.models.task import Owner, TaskSpec
from kernelkit.wire.messages import (
    BatchPart,
    BatchReply,
    BatchSeal,
    BulkReply,
    Cancel,
    Defined,
    DefineTask,
    Done,
    GetLogs,
    ListRuns,
    ListTasks,
    LogsReply,
    ReplyBody,
    RequestBody,
    Retrieve,
    RetrieveBatch,
    RunChanged,
    RunPage,
    RunReply,
    StartBulk,
    TaskInfo,
    TaskList,
    Trigger,
    Triggered,
    TriggerItem,
)


class FakeCaller:
    """Remembers every call; runs end when a test says `finish`."""

    def __init__(self, home: Path, *, inside_run: bool = False) -> None:
        self._home = Home(home).create()
        self.inside_run = inside_run
        self.calls: list[RequestBody] = []
        self.tasks: dict[str, DefineTask] = {}
        self.runs: dict[str, Run] = {}
        self.items: dict[str, TriggerItem] = {}
        self.parts: dict[str, list[TriggerItem]] = {}
        self.waiting: dict[str, list[Future[Run]]] = {}

    @property
    def home(self) -> Home:
        return self._home

    @property
    def owner(self) -> Owner:
        return Owner("kernel", "test")

    def sent(self, kind: type) -> list[RequestBody]:
        return [call for call in self.calls if isinstance(call, kind)]

    def defined(self, task_id: str) -> list[TaskSpec]:
        return [call.spec for call in self.calls if isinstance(call, DefineTask) and call.spec.id == task_id]

    def call(self, body: RequestBody) -> ReplyBody:
        self.calls.append(body)
        match body:
            case DefineTask(spec=spec):
                self.tasks[spec.id] = body
                return Defined(spec.id, "20270101.1", is_new=True)
            case Trigger(items=items, batch_id=batch_id):
                return self._make(items, batch_id)
            case BatchPart(batch_id=batch_id, offset=offset, items=items):
                held = self.parts.setdefault(batch_id, [])
                assert offset == len(held)
                held.extend(items)
                return Done()
            case BatchSeal(batch_id=batch_id, count=count):
                assert len(self.parts[batch_id]) == count
                return self._make(tuple(self.parts.pop(batch_id)), batch_id)
            case Retrieve(run_id=run_id):
                return RunReply(self._run(run_id))
            case Cancel(run_id=run_id, reason=reason):
                if self._run(run_id).status not in FINAL:
                    self.finish(run_id, status=RunStatus.CANCELED, reason=reason)
                return RunReply(self._run(run_id))
            case GetLogs():
                return LogsReply(Logs((LogLine(to_datetime(0), "info", "hello"),)))
            case ListTasks():
                return TaskList(tuple(TaskInfo(one.spec, "20270101.1", ("20270101.1",)) for one in self.tasks.values()))
            case StartBulk(bulk_id=bulk_id, kind="CANCEL", asked=asked, reason=reason):
                live = [i for i, run in self.runs.items() if run.batch_id in asked.batch and run.status not in FINAL]
                for run_id in live:
                    self.finish(run_id, status=RunStatus.CANCELED, reason=reason)
                return BulkReply(Bulk(bulk_id, "CANCEL", asked, 0, len(live), "COMPLETED", len(live)))
            case RetrieveBatch(batch_id=batch_id):
                runs = tuple(run for run in self.runs.values() if run.batch_id == batch_id)
                if not runs:
                    raise UnknownRunError(f"There is no batch {batch_id!r}.", run_id=batch_id)
                return BatchReply(BatchRecord(batch_id, 0, tuple(run.id for run in runs)), runs)
            case ListRuns(batch=batch, limit=limit, after=after):
                found = sorted((run for run in self.runs.values() if not batch or run.batch_id in batch), key=_id)[::-1]
                rest = [run for run in found if not after or run.id < after]
                return RunPage(tuple(rest[:limit]), len(rest) > limit, len(found))
            case _:
                raise AssertionError(f"not asked for in these tests: {body}")

    def submit(self, body: RequestBody) -> Future[ReplyBody]:
        answer: Future[ReplyBody] = Future()
        answer.set_result(self.call(body))
        return answer

    def outcome(self, run_id: str) -> Future[Run]:
        future: Future[Run] = Future()
        if self._run(run_id).is_completed:
            future.set_result(self._run(run_id))
        else:
            self.waiting.setdefault(run_id, []).append(future)
        return future

    def outcomes(self, run_ids: Sequence[str]) -> Future[list[Run]]:
        return gathered([self.outcome(run_id) for run_id in run_ids])

    def subscribe(self, where: RunFilter, heard: Heard) -> Callable[[], None]:
        raise AssertionError("not asked for in these tests")

    def watch(self, run_id: str, changed: Callable[[RunChanged], None]) -> Callable[[], None]:
        changed(RunChanged(self._run(run_id)))
        return lambda: None

    def finish(
        self,
        run_id: str,
        output: str | None = "null",
        *,
        status: RunStatus = RunStatus.COMPLETED,
        error: Error | None = None,
        reason: str | None = None,
    ) -> None:
        item, before = self.items[run_id], self._run(run_id)
        self.runs[run_id] = Run(
            id=run_id,
            task_id=item.task_id,
            status=status,
            created_at=before.created_at,
            queue=before.queue,
            batch_id=before.batch_id,
            output_json=output if status is RunStatus.COMPLETED else None,
            error=error,
            canceled_reason=reason,
        )
        for future in self.waiting.pop(run_id, []):
            if not future.cancelled():
                future.set_result(self.runs[run_id])

    def _make(self, items: tuple[TriggerItem, ...], batch_id: str) -> Triggered:
        for item in items:
            if item.task_id not in self.tasks:
                raise UnknownTaskError(f"There is no task {item.task_id!r}.", task_id=item.task_id, near=[])
        for item in items:
            self.items[item.run_id] = item
            self.runs[item.run_id] = Run(
                id=item.run_id,
                task_id=item.task_id,
                status=RunStatus.QUEUED,
                created_at=to_datetime(0),
                queue="q",
                batch_id=batch_id or None,
                tags=item.tags,
                metadata_json=item.metadata,
            )
        return Triggered(tuple(item.run_id for item in items))

    def _run(self, run_id: str) -> Run:
        if run_id not in self.runs:
            raise UnknownRunError(f"There is no run {run_id!r}.", run_id=run_id)
        return self.runs[run_id]


def _id(run: Run) -> str:
    return run.id
