"""An engine without loops, and short ways to give it work."""

from __future__ import annotations

import itertools
from typing import Any

from kernelkit.engine import commands as c
from kernelkit.engine.decide import Change, step
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.error import Error
from kernelkit.models.task import Owner, RetryPolicy, TaskSpec
from kernelkit.models.value import Value
from kernelkit.wire import messages as m

T0 = 1_800_000_000_000_000  # 2027-01-15T08:00:00Z
SECOND = 1_000_000
HERE = Owner("notebook", "thumbs.ipynb")
STEADY = RetryPolicy(max_attempts=3, min_timeout=1.0, randomize=False)
BROKEN = Error("ValueError", "broken")


class Roll:
    """Fences f1, f2 …, workers w1, w2 …, and the jitter it is given."""

    def __init__(self, jitter: float = 0.0) -> None:
        self._fences = itertools.count(1)
        self._workers = itertools.count(1)
        self._jitter = jitter

    def fence(self) -> str:
        return f"f{next(self._fences)}"

    def worker_id(self) -> str:
        return f"w{next(self._workers)}"

    def jitter(self) -> float:
        return self._jitter


def spec(task_id: str = "resize", **changes: Any) -> TaskSpec:  # any field of a spec
    fields: dict[str, Any] = {
        "id": task_id,
        "function": task_id,
        "owner": HERE,
        "env_id": "env1",
        "bundle": f"{task_id}-code",
        "fingerprint": f"{task_id}-1",
        "retry": STEADY,
    }
    return TaskSpec(**(fields | changes))


def item(run_id: str, task_id: str = "resize", **changes: Any) -> m.TriggerItem:  # any field of an item
    fields: dict[str, Any] = {"payload": Value(text="{}", size=2)}
    return m.TriggerItem(run_id=run_id, task_id=task_id, **(fields | changes))


class Engine:
    """A state, its log and a clock that stands still until it is moved."""

    def __init__(self, *specs: TaskSpec, capacity: c.Capacity | None = None) -> None:
        self.state = State()
        self.capacity = capacity or c.Capacity(attempts=100, exclusive=4, shared_workers=1)
        self.roll = Roll()
        self.now = T0
        self.log: list[ev.AnyEvent] = []
        for one in specs or (spec(),):
            self.take(c.DefineTask(one))

    def take(self, command: c.Command) -> list[Change]:
        changes = step(self.state, command, self.capacity, self.now, self.roll)
        self.log += [change.event for change in changes]
        return changes

    def events(self, command: c.Command) -> list[str]:
        """The kinds of events that follow from `command`."""
        return [type(change.event).__name__ for change in self.take(command)]

    def trigger(self, *items: m.TriggerItem | str) -> list[str]:
        made = tuple(one if isinstance(one, m.TriggerItem) else item(one) for one in items)
        return self.events(c.TriggerRuns(made, batch_id="batch_1" if len(made) > 1 else ""))

    def report(self, run_id: str, body: m.ReportBody, fence: str = "") -> list[str]:
        return self.events(c.TakeReport(run_id, fence or self.run(run_id).fence, body))

    def start(self, run_id: str) -> None:
        self.report(run_id, m.Started(self.now))

    def succeed(self, run_id: str) -> list[str]:
        return self.report(run_id, m.Succeeded(Value(text="42", size=2), self.now, self.now))

    def fail(self, run_id: str, **changes: Any) -> list[str]:  # any field of a failure
        return self.report(run_id, m.Failed(BROKEN, self.now, self.now, **changes))

    def pass_time(self, seconds: float) -> list[str]:
        self.now += round(seconds * SECOND)
        return self.events(c.Tick())

    def run(self, run_id: str) -> LiveRun:
        return self.state.runs[run_id]

    def last(self, kind: type[Any]) -> Any:  # an event of that kind
        return next(event for event in reversed(self.log) if isinstance(event, kind))
