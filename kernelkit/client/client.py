"""`Client`: one home's engine, as notebooks, scripts and tests reach it.

There is one implementation, asynchronous, on the portal's thread (`link.py`); a plain call hands its request over and
waits for the answer, which the engine gives only once it is on disk. The engine is started at the first request that
needs it, never by making a client.
"""

from __future__ import annotations

import contextvars
import os
import threading
import uuid
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from kernelkit.authoring import caller as callers
from kernelkit.authoring.batch import Batch
from kernelkit.authoring.idempotency import IdempotencyKeys
from kernelkit.authoring.queues import Queues
from kernelkit.authoring.runs import Runs
from kernelkit.authoring.schedules import Schedules
from kernelkit.authoring.sql import TIMEOUT_S, sql
from kernelkit.authoring.streams import Streams
from kernelkit.authoring.surroundings import detect_owner
from kernelkit.authoring.table import Table
from kernelkit.authoring.tasks import Tasks
from kernelkit.authoring.tokens import Tokens
from kernelkit.client.engine import EngineControl
from kernelkit.client.link import PATIENCE_S, Link, Watcher
from kernelkit.client.portal import Portal
from kernelkit.config import Home, find_home
from kernelkit.durations import Duration
from kernelkit.errors import EngineUnavailableError, KernelKitError
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run
from kernelkit.models.task import Owner
from kernelkit.wire.messages import BatchPart, Done, ReplyBody, RequestBody, RunChanged, Welcome

_clients: weakref.WeakSet[Client] = weakref.WeakSet()


class Client:
    """Speaks with the engine of one home; safe to use from any thread, and after a fork.

        client = kk.Client(home="project/.kernelkit")
        run = client.tasks.trigger("resize", {"url": "a.png"})
        with client.use():
            resize.trigger(url="a.png")       # Task objects go through it inside the block
        client.close()

    Without `home` it is the project's around the working folder. With `start` False no engine is ever started by this
    client; `patience_s` is how long calls wait for an engine that was lost.
    """

    inside_run = False

    def __init__(
        self, home: Home | Path | str | None = None, *, start: bool = True, patience_s: float = PATIENCE_S
    ) -> None:
        self._home = home if isinstance(home, Home) else find_home(explicit=home)
        self._start = start
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._portal: Portal | None = None
        self._link: Link | None = None
        self._is_closed = False
        self.tasks = Tasks(self)
        self.runs = Runs(self)
        self.queues = Queues(self)
        self.schedules = Schedules(self)
        self.batch = Batch(self)
        self.idempotency_keys = IdempotencyKeys(self)
        self.tokens = Tokens(self)
        self.streams = Streams(self)
        self.engine = EngineControl(self)
        _clients.add(self)

    @property
    def home(self) -> Home:
        return self._home

    @property
    def owner(self) -> Owner:
        """Who defines tasks in this process: the notebook, else the kernel or script."""
        return detect_owner()

    @property
    def is_connected(self) -> bool:
        """Whether an engine is connected now; asking starts nothing."""
        return self._link is not None and self._link.is_connected and self._portal_is_usable()

    # ---- the Caller protocol -----------------------------------------------------------------------------------------

    def call(self, body: RequestBody) -> ReplyBody:
        """Send a request and wait for its answer.

        Raises the engine's refusal, and `EngineUnavailableError` when no engine answers within 30 s.
        """
        portal, link = self._ready()
        if isinstance(body, BatchPart):  # never answered; what is wrong with it, the seal's answer says
            portal.run_soon(link.ask, body, None)
            return Done()
        return self._wait(portal, self.submit(body))

    def submit(self, body: RequestBody) -> Future[ReplyBody]:
        """Send a request; the future has its answer."""
        portal, link = self._ready()
        answer: Future[ReplyBody] = Future()
        portal.run_soon(link.ask, body, answer)
        return answer

    def outcome(self, run_id: str) -> Future[Run]:
        """A future of its own for each asker, resolved once the run is final."""
        portal, link = self._ready()
        end: Future[Run] = Future()
        portal.run_soon(link.follow, run_id, end)
        return end

    def outcomes(self, run_ids: Sequence[str]) -> Future[list[Run]]:
        """One future for all of them; a thousand futures would cost more than the thousand runs."""
        portal, link = self._ready()
        ends: Future[list[Run]] = Future()
        portal.run_soon(link.follow_all, tuple(run_ids), ends)
        return ends

    def watch(self, run_id: str, changed: Callable[[RunChanged], None]) -> Callable[[], None]:
        """Call `changed` at each change of the run, on the portal's thread and in the context of this call.

        `changed` must return soon and may not wait for an answer of this client.
        """
        portal, link = self._ready()
        watcher = Watcher(changed, contextvars.copy_context())
        answer: Future[ReplyBody] = Future()
        portal.run_soon(link.watch, run_id, watcher, answer)

        def stop() -> None:
            if portal.is_usable:
                portal.run_soon(link.unwatch, run_id, watcher)

        try:
            self._wait(portal, answer)
        except BaseException:
            stop()
            raise
        return stop

    def sql(self, query: str, *, timeout: Duration = TIMEOUT_S) -> Table:
        """The answer of one SELECT, as `kk.sql`; raises `SqlError`."""
        return sql(query, timeout=timeout, caller=self)

    def subscribe(self, where: RunFilter, heard: callers.Heard) -> Callable[[], None]:
        """Tell `heard`, on the portal's thread, of each change of a run that matches, until the returned function is
        called; a lost connection is made again, and then `heard` is told to look for itself what it missed."""
        portal, link = self._ready()
        key = uuid.uuid4().hex
        answer: Future[ReplyBody] = Future()
        portal.run_soon(link.subscribe, key, where, heard, answer)

        def stop() -> None:
            if portal.is_usable:
                portal.run_soon(link.unsubscribe, key)

        try:
            self._wait(portal, answer)
        except BaseException:
            stop()
            raise
        return stop

    # ---- the connection ----------------------------------------------------------------------------------------------

    def connect(self, *, start: bool = True, explicit: bool = False, keep: bool = False) -> Welcome:
        """Connect now, instead of at the first request; returns the engine's greeting.

        `start` False connects only to an engine that runs; `explicit` starts one even after `kernelkit down`; `keep`
        has a started one go on when idle. Raises `EngineUnavailableError`, `VersionMismatchError`.
        """
        portal, link = self._ready()
        greeted: Future[Welcome] = Future()
        portal.run_soon(lambda: link.connect(greeted, start=start, explicit=explicit, keep=keep))
        self._refuse_on_portal(portal)
        return greeted.result()

    def use(self) -> callers.use:
        """A `with` block in which Task objects and the verbs under `kk` go through this client."""
        return callers.use(self)

    def close(self) -> None:
        """Disconnect and end the background thread. Runs go on; handles of this client no longer answer."""
        with self._lock:
            self._is_closed = True
            portal, link = self._portal, self._link
            self._portal = self._link = None
        if portal is not None and link is not None and portal.is_usable:
            portal.close(link.close)

    def _ready(self) -> tuple[Portal, Link]:
        portal, link = self._portal, self._link
        if portal is not None and link is not None and portal.is_usable:
            return portal, link
        with self._lock:
            if self._is_closed:
                raise EngineUnavailableError("This client was closed. Make another kk.Client().")
            if not self._portal_is_usable():
                self._portal = Portal()
                self._link = Link(self._home, str(self.owner), start=self._start, patience_s=self._patience_s)
            assert self._portal is not None
            assert self._link is not None
            return self._portal, self._link

    def _portal_is_usable(self) -> bool:
        return self._portal is not None and self._portal.is_usable

    def _wait(self, portal: Portal, answer: Future[ReplyBody]) -> ReplyBody:
        self._refuse_on_portal(portal)
        return answer.result()

    def _refuse_on_portal(self, portal: Portal) -> None:
        if portal.is_here:
            raise KernelKitError("A watch callback may not wait for the engine: it would wait for itself.")

    def __repr__(self) -> str:
        return f"<Client of {self._home.path}{'' if self.is_connected else ', not connected'}>"


def _in_child() -> None:
    for client in list(_clients):
        client._lock = threading.Lock()
        if client._link is not None:
            client._link.let_go_in_child()


os.register_at_fork(after_in_child=_in_child)
