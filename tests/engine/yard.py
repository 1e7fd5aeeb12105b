"""The real fleet on a bench: channels of one end, a launcher that starts nothing, processes that are numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from kernelkit.config import EngineSettings, Home
from kernelkit.engine import commands as c
from kernelkit.engine.fleet import Fleet
from kernelkit.errors import EngineUnavailableError
from kernelkit.models.run import RunStatus
from kernelkit.models.value import Value
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from tests.engine.fixtures import Bench
from tests.engine.samples import T0


class Wire:
    """A channel of which only one end exists."""

    def __init__(self) -> None:
        self.sent: list[m.AnyMessage] = []
        self.is_closed = False

    def send(self, message: m.AnyMessage) -> None:
        self.sent.append(message)

    def close(self) -> None:
        self.is_closed = True

    def of(self, kind: type[Any]) -> list[Any]:  # messages of that kind
        return [message for message in self.sent if isinstance(message, kind)]


class Launcher:
    """Notes which keepers were to be started; `refusal` and `ended` say what goes wrong with them."""

    def __init__(self) -> None:
        self.launched: list[str] = []
        self.refusal = ""
        self.ended: str | None = None

    def launch(self, env_id: str) -> None:
        self.launched.append(env_id)
        if self.refusal:
            raise EngineUnavailableError(self.refusal)

    def failure(self, env_id: str) -> str | None:
        return self.ended


class Yard(Bench):
    """A core with the real fleet, on fake channels and processes."""

    def __init__(self, folder: Path, living: set[int], former: Yard | None = None) -> None:
        super().__init__(former)
        self.folder, self.living = folder, living
        self.home = Home(folder / ".kernelkit").create()
        self.launcher = Launcher()
        self.seconds = 0.0
        self.fleet = Fleet(self.core, self.home, EngineSettings(), self.launcher, lambda: self.seconds)
        self.keeper = Wire()
        self.wires: dict[str, Wire] = {}

    def crash(self) -> Yard:
        """The next engine on the same home; the old one's uncommitted work is lost."""
        return Yard(self.folder, self.living, self)

    def keeper_dials(self, *workers: str) -> None:
        hello = m.Hello("keeper", "env1", 1, env_id="env1", workers=workers)
        self.fleet.keeper_hello(cast(Channel, self.keeper), hello)
        self.settle()

    def worker_dials(self, worker_id: str, *live: m.LiveAttempt) -> Wire:
        pid = int(worker_id[1:])
        self.living.add(pid)
        wire = self.wires[worker_id] = Wire()
        hello = m.Hello("worker", worker_id, pid, env_id="env1", started_at=1.0, boot_id="boot", live=live)
        self.fleet.worker_hello(cast(Channel, wire), hello)
        self.settle()
        return wire

    def says(self, worker_id: str, body: m.ReportBody, run_id: str = "run_1", fence: str = "f1", seq: int = 1) -> None:
        report = m.Report(seq, run_id, fence, body)
        self.fleet.worker_message(worker_id, cast(Channel, self.wires[worker_id]), report)
        self.settle()

    def hangs_up(self, worker_id: str) -> None:
        self.fleet.worker_closed(worker_id, cast(Channel, self.wires[worker_id]))
        self.settle()

    def keeper_says(self, message: m.AnyMessage) -> None:
        if isinstance(message, m.WorkerExited):
            self.living.discard(int(message.worker_id[1:]))
        self.fleet.keeper_message("env1", message)
        self.settle()

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        self.clock.moment += round(seconds * 1_000_000)
        self.core.take(c.Tick())
        self.settle()
        self.fleet.tend()
        self.settle()

    def begin(self, run_id: str = "run_1", **changes: Any) -> Wire:  # any field of an item
        """A run whose attempt f1 is on the connected worker w1."""
        self.trigger(run_id, **changes)
        self.settle()
        self.keeper_dials()
        return self.worker_dials("w1")

    def status(self, run_id: str = "run_1") -> RunStatus:
        return self.core.read_run(run_id)().status


def succeeded() -> m.Succeeded:
    return m.Succeeded(Value(text="42", size=2), T0, T0)


def live(fence: str = "f1", attempt: int = 1) -> m.LiveAttempt:
    return m.LiveAttempt("run_1", fence, attempt)
