"""The client's side of a connection: what was asked and not answered yet, and what is followed and watched.

Everything here happens on the portal's loop. A connection that is lost is made again while somebody waits for
something, the engine being started if it is gone, and what was asked is asked again. That is safe: ids are made by
whoever asks, and the engine answers a second trigger of a run with the first. What a newcomer would get wrong: a
lost connection fails nobody before `PATIENCE_S` are over.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any, Protocol

from kernelkit.authoring.caller import Heard
from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError, KernelKitError, from_wire
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run
from kernelkit.version import __version__
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from kernelkit.wire.discovery import is_marked_down
from kernelkit.wire.launch import dial
from kernelkit.wire.parent import parent_attempt

logger = logging.getLogger(__name__)

PATIENCE_S = 30.0
REDIAL_EVERY_S = 0.2

Changed = Callable[[m.RunChanged], None]


@dataclass(slots=True)
class _Asked:
    body: m.RequestBody
    answer: Future[m.ReplyBody] | None  # None: nobody waits
    was_sent: bool = False


class End(Protocol):
    """Where the end of a run goes: the future of one, or an `_Ends` of several."""

    def done(self) -> bool: ...
    def set_result(self, run: Run, /) -> None: ...
    def set_exception(self, problem: Exception, /) -> None: ...


class _Ends:
    """Gathers the ends of several runs for one future."""

    __slots__ = ("_future", "_left", "_run_ids", "_runs")

    def __init__(self, run_ids: tuple[str, ...], future: Future[list[Run]]) -> None:
        self._run_ids = run_ids
        self._future = future
        self._runs: dict[str, Run | None] = dict.fromkeys(run_ids)
        self._left = len(self._runs)

    def done(self) -> bool:
        return self._future.done()

    def set_result(self, run: Run) -> None:
        self._runs[run.id] = run
        self._left -= 1
        if not self._left:
            runs = (self._runs[run_id] for run_id in self._run_ids)
            self._future.set_result([run for run in runs if run is not None])

    def set_exception(self, problem: Exception) -> None:
        self._future.set_exception(problem)


@dataclass(slots=True, eq=False)
class Watcher:
    changed: Changed
    context: contextvars.Context

    def tell(self, change: m.RunChanged) -> None:
        try:
            self.context.run(self.changed, change)
        except Exception:  # a screen that fails must not take the connection along; it is logged
            logger.exception("watch callback failed", extra={"run_id": change.run.id})


class Link:
    """One home's engine, as seen from this process."""

    def __init__(self, home: Home, owner: str, *, start: bool = True, patience_s: float = PATIENCE_S) -> None:
        self._home = home
        self._owner = owner
        self._patience_s = patience_s
        self._channel: Channel | None = None
        self._dialing: asyncio.Task[None] | None = None
        self._lost_at: float | None = None
        self._number = 0
        self._asked: dict[int, _Asked] = {}
        self._parts: dict[str, list[m.BatchPart]] = {}  # of batches whose seal is not answered
        self._ends: dict[str, list[End]] = {}
        self._new_ends: list[str] = []  # followed since the last tick
        self._follows: dict[int, tuple[str, ...]] = {}
        self._watchers: dict[str, list[Watcher]] = {}
        self._subscribed: dict[str, tuple[RunFilter, Heard]] = {}  # by a key of ours
        self._owners: dict[str, None] = {}  # as which tasks were defined from here
        self._greeters: list[Future[m.Welcome]] = []
        self._usual = {"start": start, "explicit": False, "keep": False}
        self._how = self._usual
        self.welcome: m.Welcome | None = None

    @property
    def is_connected(self) -> bool:
        return self._channel is not None

    # ---- asking ----------------------------------------------------------------------------------------------------

    def connect(self, greeted: Future[m.Welcome], *, start: bool, explicit: bool, keep: bool) -> None:
        """Be connected; `greeted` gets the engine's greeting or what keeps it from answering."""
        if self._channel is not None and self.welcome is not None:
            _resolve(greeted, self.welcome)
            return
        self._greeters.append(greeted)
        if self._dialing is None:
            self._how = {"start": start, "explicit": explicit, "keep": keep}
            if not start:
                self._lost_at = None  # whoever asks this wants to know now
        self._dial()

    def ask(self, body: m.RequestBody, answer: Future[m.ReplyBody] | None) -> None:
        """Send a request, now or once there is a connection."""
        if isinstance(body, m.BatchPart):
            self._parts.setdefault(body.batch_id, []).append(body)
            if self._channel is not None:
                self._send(self._next(), body)
            else:
                self._dial()
            return
        number = self._next()
        self._asked[number] = asked = _Asked(body, answer)
        if self._channel is None:
            self._dial()
        else:
            asked.was_sent = True
            self._channel.send(m.Request(number, body))

    def follow_all(self, run_ids: tuple[str, ...], future: Future[list[Run]]) -> None:
        """Resolve `future` once all these runs are final."""
        ends = _Ends(run_ids, future)
        for run_id in dict.fromkeys(run_ids):
            self.follow(run_id, ends)

    def follow(self, run_id: str, end: End) -> None:
        """Resolve `end` once the run is final; all follows of one tick are one message."""
        waiting = self._ends.setdefault(run_id, [])
        waiting.append(end)
        if len(waiting) > 1:
            waiting[:] = [one for one in waiting if not one.done()]
            if len(waiting) > 1:
                return
        if not self._new_ends:
            asyncio.get_running_loop().call_soon(self._send_follows)
        self._new_ends.append(run_id)

    def watch(self, run_id: str, watcher: Watcher, answer: Future[m.ReplyBody] | None) -> None:
        self._watchers.setdefault(run_id, []).append(watcher)
        self.ask(m.Watch(run_id), answer)

    def unwatch(self, run_id: str, watcher: Watcher) -> None:
        watchers = self._watchers.get(run_id, [])
        if watcher in watchers:
            watchers.remove(watcher)
        if not watchers and self._watchers.pop(run_id, None) is not None and self._channel is not None:
            self.ask(m.Unwatch(run_id), None)

    def subscribe(self, key: str, where: RunFilter, heard: Heard, answer: Future[m.ReplyBody]) -> None:
        self._subscribed[key] = (where, heard)
        self.ask(m.SubscribeRuns(key, where), answer)

    def unsubscribe(self, key: str) -> None:
        if self._subscribed.pop(key, None) is not None and self._channel is not None:
            self.ask(m.UnsubscribeRuns(key), None)

    def close(self) -> None:
        """Let go of the engine; whoever still waits is told."""
        self._fail_all(EngineUnavailableError("This client was closed.", home=str(self._home.path)))
        self._watchers.clear()
        if self._dialing is not None:
            self._dialing.cancel()
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def let_go_in_child(self) -> None:
        """After a fork: give up the parent's socket without touching the parent's loop."""
        if self._channel is not None and not self._channel.closed.is_set():
            socket = self._channel._transport.get_extra_info("socket")
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, socket.fileno(), inheritable=False)
            os.close(nothing)

    # ---- connection ------------------------------------------------------------------------------------------------

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _send(self, number: int, body: m.RequestBody, *, again: bool = False) -> None:
        assert self._channel is not None
        self._channel.send(m.Request(number, body, again=again))

    def _dial(self) -> None:
        if self._dialing is None:
            self._dialing = asyncio.get_running_loop().create_task(self._connect(), name="kernelkit-dial")

    async def _connect(self) -> None:
        try:
            while True:
                try:
                    await self._connect_once()
                    return
                except EngineUnavailableError as problem:
                    if (
                        self._lost_at is None
                        or is_marked_down(self._home)
                        or time.monotonic() - self._lost_at > self._patience_s
                    ):
                        self._fail_all(problem)
                        return
                await asyncio.sleep(REDIAL_EVERY_S)
        except KernelKitError as refusal:
            self._fail_all(refusal)
        except OSError as cause:
            self._fail_all(EngineUnavailableError(f"The engine cannot be reached: {cause}.", home=str(self._home.path)))
        finally:
            self._dialing = None
            self._how = self._usual

    async def _connect_once(self) -> None:
        hello = m.Hello(
            role="client",
            name=self._owner,
            pid=os.getpid(),
            package=__version__,
            owner=self._owner,
            owners=tuple(self._owners),
            parent=parent_attempt(),
        )
        channel, welcome = await dial(self._home, hello, on_message=self._received, on_close=self._closed, **self._how)
        if channel.closed.is_set():
            self._lost_at = self._lost_at or time.monotonic()
            raise EngineUnavailableError(f"The engine for {self._home.path} went away.", home=str(self._home.path))
        self._channel, self.welcome, self._lost_at = channel, welcome, None
        greeters, self._greeters = self._greeters, []
        for greeted in greeters:
            _resolve(greeted, welcome)
        self._ask_again()

    def _ask_again(self) -> None:
        for parts in self._parts.values():
            for part in parts:
                self._send(self._next(), part)
        for number, asked in list(self._asked.items()):
            again, asked.was_sent = asked.was_sent, True
            self._send(number, asked.body, again=again)
        self._follows.clear()
        self._new_ends.clear()
        for run_id in [run_id for run_id, ends in self._ends.items() if all(end.done() for end in ends)]:
            del self._ends[run_id]
        if self._ends:
            self._follow_now(tuple(self._ends))
        watched = {asked.body.run_id for asked in self._asked.values() if isinstance(asked.body, m.Watch)}
        for run_id in self._watchers:
            if run_id not in watched:
                self.ask(m.Watch(run_id), None)
        asked_now = {asked.body.key for asked in self._asked.values() if isinstance(asked.body, m.SubscribeRuns)}
        for key, (where, heard) in self._subscribed.items():
            if key not in asked_now:
                self.ask(m.SubscribeRuns(key, where), None)
                heard.reconnected()

    def _closed(self, channel: Channel) -> None:
        if channel is not self._channel:
            return
        self._channel = None
        self._lost_at = time.monotonic()
        for number, asked in list(self._asked.items()):
            if asked.was_sent and isinstance(asked.body, m.StopEngine):
                self._answer(number, m.Done())
            elif asked.answer is None:
                del self._asked[number]
        if self._is_wanted():
            self._dial()

    def _is_wanted(self) -> bool:
        return bool(self._asked or self._parts or self._greeters or self._watchers or self._subscribed) or any(
            not end.done() for ends in self._ends.values() for end in ends
        )

    def _fail_all(self, problem: KernelKitError) -> None:
        asked, self._asked = self._asked, {}
        ends, self._ends = self._ends, {}
        greeters, self._greeters = self._greeters, []
        self._parts.clear()
        self._follows.clear()
        self._new_ends.clear()
        for one in asked.values():
            if one.answer is not None:
                _refuse(one.answer, problem)
        for waiting in ends.values():
            for end in waiting:
                _refuse(end, problem)
        for greeted in greeters:
            _refuse(greeted, problem)
        subscribed, self._subscribed = self._subscribed, {}
        for _, heard in subscribed.values():
            heard.failed(problem)

    # ---- what comes in ---------------------------------------------------------------------------------------------

    def _received(self, _: Channel, message: m.AnyMessage) -> None:
        match message:
            case m.RunEnded(run=run):
                for end in self._ends.pop(run.id, ()):
                    _resolve(end, run)
            case m.Reply(id=number, body=body):
                self._answer(number, body)
            case m.RunChanged(run=run):
                for watcher in tuple(self._watchers.get(run.id, ())):
                    watcher.tell(message)
            case m.SubscribedRun(key=key, run=run):
                if key in self._subscribed:
                    self._subscribed[key][1].changed(run)
            case m.Refused(id=number, error=error):
                self._refused(number, from_wire(error))
            case _:
                logger.warning("unexpected from engine", extra={"got": type(message).__name__})

    def _answer(self, number: int, body: m.ReplyBody) -> None:
        asked = self._asked.pop(number, None)
        if asked is None:
            return
        if isinstance(asked.body, m.BatchSeal):
            self._parts.pop(asked.body.batch_id, None)
        elif isinstance(asked.body, m.DefineTask):
            self._owners[str(asked.body.spec.owner)] = None
        if asked.answer is not None:
            _resolve(asked.answer, body)

    def _refused(self, number: int, error: KernelKitError) -> None:
        followed = self._follows.pop(number, None)
        if followed is not None:
            named = error.facts.get("run_id")
            for run_id in [named] if named in followed else followed:
                for end in self._ends.pop(run_id, ()):
                    _refuse(end, error)
            if named in followed:
                self._follows[number] = followed  # others of the same message may be refused as well
            return
        asked = self._asked.pop(number, None)
        if asked is None:
            return
        if isinstance(asked.body, m.BatchSeal):
            self._parts.pop(asked.body.batch_id, None)
        if asked.answer is not None:
            _refuse(asked.answer, error)

    def _send_follows(self) -> None:
        run_ids, self._new_ends = tuple(dict.fromkeys(self._new_ends)), []
        run_ids = tuple(run_id for run_id in run_ids if run_id in self._ends)
        if not run_ids:
            return
        if self._channel is None:
            self._dial()
        else:
            self._follow_now(run_ids)

    def _follow_now(self, run_ids: tuple[str, ...]) -> None:
        number = self._next()
        self._follows[number] = run_ids
        while len(self._follows) > 64:  # refusals come at once or never: old entries have had their chance
            del self._follows[next(iter(self._follows))]
        self._send(number, m.Follow(run_ids))


def _resolve(future: Future[Any] | End, value: Any) -> None:
    try:
        future.set_result(value)
    except InvalidStateError:
        pass  # whoever asked has given up


def _refuse(future: Future[Any] | End, error: Exception) -> None:
    try:
        future.set_exception(error)
    except InvalidStateError:
        pass  # as above
