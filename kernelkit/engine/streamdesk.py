"""What clients and attempts read of streams: answered from the store, as soon as there is something to say.

A reader asks for what comes behind an index, and its question waits here until the stream grows, the run is over or its
patience is. So a reader that lost its connection asks the same again and misses nothing. What a newcomer would get
wrong: nothing is pushed, but for the ends of streams that a run's card shows (`notices.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kernelkit.engine import commands as c
from kernelkit.engine.core import Core
from kernelkit.engine.offloop import Refuse, read_now, read_settled
from kernelkit.errors import RunOverError, UnknownRunError
from kernelkit.wire import messages as m

Reply = Callable[[m.ReplyBody], None]


@dataclass(eq=False, slots=True)
class _Reader:
    peer: object
    body: m.ReadStream
    reply: Reply
    refuse: Refuse
    until: float


class StreamDesk:
    """The readers of all streams."""

    def __init__(self, core: Core, monotonic: Callable[[], float], grew: Callable[[str], None]) -> None:
        self._core = core
        self._time = monotonic
        self._grew = grew
        self._waiting: dict[tuple[str, str], list[_Reader]] = {}  # by run and key
        core.on_stream = self._grown
        core.on_left = self._left

    def append(self, body: m.AppendStream, reply: Reply, refuse: Refuse) -> None:
        """Add to a stream, and answer once that is on disk."""
        self._core.refuse_if_full()
        try:
            self._core.take(c.AppendStream(body), lambda: reply(m.Done()))
        except RunOverError as refusal:
            if self._core.view(body.run_id) is not None:
                raise
            self._tell_over_or_unknown(body.run_id, refusal, refuse)

    def read(self, peer: object, body: m.ReadStream, reply: Reply, refuse: Refuse) -> None:
        """Answer with what there is from an index on, or once there is something."""
        until = self._time() + body.wait_s
        self._core.after_commit(lambda: self._look(_Reader(peer, body, reply, refuse, until)))

    def tails(self, body: m.ListStreams, reply: Reply, refuse: Refuse) -> None:
        """Answer with the streams of a run."""

        def read() -> m.StreamList:
            found = self._core.store.streams(body.run_id, body.tail)
            if not found:
                self._known(body.run_id)
            return m.StreamList(tuple(found))

        read_settled(self._core, read, reply, refuse)

    def tend(self) -> None:
        """Called about once a second: whoever has waited long enough is told that there is nothing."""
        now = self._time()
        for key, readers in list(self._waiting.items()):
            late = [reader for reader in readers if reader.until <= now]
            for reader in late:
                self._drop(key, reader)
                reader.reply(m.StreamChunks((), reader.body.start, is_over=False))

    def forget(self, peer: object) -> None:
        """Whoever asked has gone."""
        for key, readers in list(self._waiting.items()):
            for reader in [reader for reader in readers if reader.peer is peer]:
                self._drop(key, reader)

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _look(self, reader: _Reader) -> None:
        body = reader.body
        run = self._core.state.runs.get(body.run_id)
        if run is not None:
            length = run.streams.get(body.stream)
            total = 0 if length is None else length.count
            if total > body.start:
                self._answer(reader, total)
            elif reader.until > self._time():
                self._waiting.setdefault((body.run_id, body.stream), []).append(reader)
                self._core.listened.add(body.run_id)
            else:
                reader.reply(m.StreamChunks((), total, is_over=False))
        else:
            self._answer(reader, None)

    def _answer(self, reader: _Reader, live_total: int | None) -> None:
        body, store = reader.body, self._core.store

        def read() -> m.StreamChunks:
            chunks = tuple(store.chunks(body.run_id, body.stream, body.start))
            if live_total is not None:
                return m.StreamChunks(chunks, live_total, is_over=False)
            total = next((each.count for each in store.streams(body.run_id) if each.key == body.stream), None)
            if total is None:
                self._known(body.run_id)
            total = total or 0
            return m.StreamChunks(chunks, total, is_over=body.start + len(chunks) >= total)

        read_now(self._core, read, reader.reply, reader.refuse)

    def _known(self, run_id: str) -> None:
        if self._core.view(run_id) is None and self._core.store.run(run_id) is None:
            raise UnknownRunError(
                f"No run {run_id!r} is kept in this home. kk.runs.list() shows the latest ones.", run_id=run_id
            )

    def _tell_over_or_unknown(self, run_id: str, over: RunOverError, refuse: Refuse) -> None:
        def read() -> m.ReplyBody:
            self._known(run_id)
            raise over

        read_settled(self._core, read, lambda _: None, refuse)

    def _grown(self, run_id: str, stream: str) -> None:
        self._look_again((run_id, stream))
        self._grew(run_id)

    def _left(self, run_id: str) -> None:
        for key in [key for key in self._waiting if key[0] == run_id]:
            self._look_again(key)
        self._core.listened.discard(run_id)

    def _look_again(self, key: tuple[str, str]) -> None:
        for reader in self._waiting.pop(key, ()):
            self._look(reader)

    def _drop(self, key: tuple[str, str], reader: _Reader) -> None:
        self._waiting[key].remove(reader)
        if not self._waiting[key]:
            del self._waiting[key]
            if not any(other[0] == key[0] for other in self._waiting):
                self._core.listened.discard(key[0])
