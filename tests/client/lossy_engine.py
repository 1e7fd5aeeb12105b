"""An engine that is killed between a commit and its reply, and comes back on the same store.

Requests, core and store are the real ones; the store is in memory and outlives the engines.
"""

from __future__ import annotations

from collections.abc import Callable

from kernelkit.config import Home
from kernelkit.engine import commands as c
from kernelkit.engine.logbook import Logbook
from kernelkit.engine.notices import Notices
from kernelkit.engine.requests import Requests
from kernelkit.models.error import Error
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from tests.client.scripted_engine import ScriptedEngine
from tests.engine.fixtures import Bench


class _Nobody:
    """Where the replies of a killed engine go."""

    def send(self, message: m.AnyMessage) -> None:
        del message


class LossyEngine(ScriptedEngine):
    """Dies once it has committed a request of the kind `dies_after`; `meanwhile` happens before that is sent again."""

    def __init__(self, home: Home) -> None:
        self.bench = Bench()
        self.dies_after: type[m.Message] | None = None
        self.meanwhile: Callable[[], None] = lambda: None
        self.deaths = 0
        self._begin(home.create())
        super().__init__(home)

    def kinds(self) -> list[str]:
        """The kinds of all events on disk, in order."""
        return [row.kind for row in self.bench.store.recover().events]

    def take(self, command: c.Command) -> None:
        self.bench.core.take(command)
        self.bench.settle()

    def fail(self, run_id: str, *, retried: bool = False) -> None:
        """The run's attempt fails, for good unless it is to be `retried`."""
        fence = self.bench.core.state.runs[run_id].fence
        self.take(c.TakeReport(run_id, fence, m.Failed(Error("ValueError", "no"), 0, 0, retry=retried)))

    def forget(self) -> None:
        """What is over goes to history, and is at hand no more."""
        self.bench.core.flush_history()
        self.bench.settle()
        self.bench = self.bench.again()

    def _begin(self, home: Home) -> None:
        self._requests = Requests(
            self.bench.core,
            Notices(self.bench.core, Logbook(), lambda seconds, call: None),
            home,
            pid=1,
            started_at=0,
            monotonic=lambda: 0.0,
            silent_for=lambda worker_id: 0.0,
            stop=lambda asked: None,
        )

    def _request(self, channel: Channel, message: m.AnyMessage) -> None:
        assert isinstance(message, m.Request)
        self.got.append(message)
        if self.dies_after is None or not isinstance(message.body, self.dies_after):
            self._requests.take(channel, message)
            self.bench.settle()
            return
        self.dies_after = None
        self._requests.take(_Nobody(), message)
        self.bench.settle()
        self.deaths += 1
        self.meanwhile()
        clock = self.bench.clock
        self.bench = self.bench.again()
        self.bench.clock.moment = clock.moment
        self._begin(self.home)
        for each in list(self.channels):
            each.close()
