"""The `Caller` of the virtual engine: the real server, spoken to without a socket."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from kernelkit import errors
from kernelkit.authoring.caller import Heard, gathered
from kernelkit.config import Home
from kernelkit.engine.requests import Requests
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run
from kernelkit.models.task import Owner
from kernelkit.testing.loop import VirtualLoop
from kernelkit.wire import messages as m


class TestCaller:
    """Stands in for a client and its channel at once: what the server sends comes to `send`, on the loop."""

    __test__ = False
    inside_run = False

    def __init__(self, loop: VirtualLoop, home: Home, owner: Owner) -> None:
        self._loop = loop
        self._home = home
        self._owner = owner
        self._ids = itertools.count(1)
        self._answers: dict[int, Future[m.ReplyBody]] = {}
        self._outcomes: dict[str, list[Future[Run]]] = {}
        self._watchers: dict[str, list[Callable[[m.RunChanged], None]]] = {}
        self._subscribed: dict[str, Heard] = {}
        self._lock = threading.Lock()
        self.requests: Requests

    @property
    def home(self) -> Home:
        return self._home

    @property
    def owner(self) -> Owner:
        return self._owner

    def call(self, body: m.RequestBody) -> m.ReplyBody:
        if isinstance(body, m.BatchPart):  # not answered
            self._ask(body)
            return m.Done()
        return self._ask(body).result(timeout=60)

    def submit(self, body: m.RequestBody) -> Future[m.ReplyBody]:
        return self._ask(body)

    def outcome(self, run_id: str) -> Future[Run]:
        future: Future[Run] = Future()
        with self._lock:
            self._outcomes.setdefault(run_id, []).append(future)
        self._ask(m.Follow((run_id,)))
        return future

    def outcomes(self, run_ids: Sequence[str]) -> Future[list[Run]]:
        return gathered([self.outcome(run_id) for run_id in run_ids])

    def watch(self, run_id: str, changed: Callable[[m.RunChanged], None]) -> Callable[[], None]:
        with self._lock:
            self._watchers.setdefault(run_id, []).append(changed)
        self._ask(m.Watch(run_id))

        def stop() -> None:
            with self._lock:
                watchers = self._watchers.get(run_id, [])
                if changed in watchers:
                    watchers.remove(changed)
                last = not watchers
            if last:
                self._ask(m.Unwatch(run_id))

        return stop

    def subscribe(self, where: RunFilter, heard: Heard) -> Callable[[], None]:
        key = str(next(self._ids))
        with self._lock:
            self._subscribed[key] = heard
        self._ask(m.SubscribeRuns(key, where)).result(timeout=60)

        def stop() -> None:
            with self._lock:
                self._subscribed.pop(key, None)
            if not self._loop.is_closed():
                self._ask(m.UnsubscribeRuns(key))

        return stop

    def send(self, message: m.AnyMessage) -> None:
        """What the server says, as to a channel."""
        match message:
            case m.Reply():
                answer = self._answers.pop(message.id)
                if answer.set_running_or_notify_cancel():
                    answer.set_result(message.body)
            case m.Refused():
                answer = self._answers.pop(message.id)
                if answer.set_running_or_notify_cancel():
                    answer.set_exception(errors.from_wire(message.error))
            case m.RunEnded():
                with self._lock:
                    waiting = self._outcomes.pop(message.run.id, [])
                for future in waiting:
                    if future.set_running_or_notify_cancel():
                        future.set_result(message.run)
            case m.RunChanged():
                with self._lock:
                    watchers = list(self._watchers.get(message.run.id, ()))
                for changed in watchers:
                    changed(message)
            case m.SubscribedRun():
                with self._lock:
                    heard = self._subscribed.get(message.key)
                if heard is not None:
                    heard.changed(message.run)
            case _:
                raise AssertionError(f"the server sends clients no {type(message).__name__}")

    def _ask(self, body: m.RequestBody) -> Future[m.ReplyBody]:
        number = next(self._ids)
        answer: Future[m.ReplyBody] = Future()
        self._answers[number] = answer
        self._loop.call_soon_threadsafe(self.requests.take, self, m.Request(number, body))
        return answer
