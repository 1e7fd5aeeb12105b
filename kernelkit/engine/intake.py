"""Takes the reports of workers: in order, once, acknowledged when they are on disk.

Reports that come while the store cannot commit are held here, with their order, and the worker keeps its copies; those
of a worker that ends meanwhile are taken before its attempts are given up, and so are results it wrote down as orphans.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from kernelkit.config import Home
from kernelkit.engine import commands as c
from kernelkit.engine.attempts import StaleFence
from kernelkit.engine.core import Core
from kernelkit.engine.sameness import matches
from kernelkit.errors import KernelKitError, to_wire
from kernelkit.models.sameness import Match
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel

logger = logging.getLogger(__name__)


_LAST = (m.Succeeded, m.Failed, m.Stopped)  # as a union it would be made anew for each report


@dataclass
class _AckDue:
    turn: int
    seq: int
    matches: tuple[Match, ...] = ()


class Intake:
    """The reports of all workers. `ended(worker_id, run_id)` is called with the last report of each attempt."""

    def __init__(self, core: Core, home: Home, ended: Callable[[str, str], None]) -> None:
        self._core = core
        self._home = home
        self._ended = ended
        self._acks: dict[Channel, _AckDue] = {}
        self._held: list[tuple[str, Channel, m.Report]] = []

    def take(self, worker_id: str, channel: Channel, report: m.Report) -> None:
        """Take a report, or hold it while nothing can be committed."""
        if self._core.writer.problem or self._held:
            self._held.append((worker_id, channel, report))
        else:
            self._take_now(worker_id, channel, report)

    def store_recovered(self) -> None:
        """The store commits again: take what came meanwhile, in order."""
        held, self._held = self._held, []
        for worker_id, channel, report in held:
            self._take_now(worker_id, channel, report)

    def finish(self, worker_id: str) -> None:
        """The worker has ended and can send nothing again: what it reported counts before its attempts are given up."""
        mine = [held for held in self._held if held[0] == worker_id]
        self._held = [held for held in self._held if held[0] != worker_id]
        for _, channel, report in mine:
            self._take_now(worker_id, channel, report)
        self._take_orphans(worker_id)

    def forget(self, channel: Channel) -> None:
        """The connection has closed."""
        self._acks.pop(channel, None)

    def _take_now(self, worker_id: str, channel: Channel, report: m.Report) -> None:
        final = isinstance(report.body, _LAST)
        if final:
            self._ended(worker_id, report.run_id)
        try:
            self._core.take(c.TakeReport(report.run_id, report.fence, report.body))
        except StaleFence as stale:
            channel.send(m.Refused(report.seq, to_wire(stale)))
            if not final:
                channel.send(m.StopAttempt(report.run_id, report.fence, str(stale), signal_s=0))
        except KernelKitError as refusal:
            channel.send(m.Refused(report.seq, to_wire(refusal)))
        found = matches(self._core.state, report.body.items) if isinstance(report.body, m.ChildTrigger) else ()
        self._acknowledge(channel, report.seq, found)

    def _acknowledge(self, channel: Channel, seq: int, found: tuple[Match, ...]) -> None:
        """Say that all reports up to `seq` are on disk, once they are: one word for all of a commit."""
        due = self._acks.get(channel)
        if due is not None and due.turn == self._core.turn:
            due.seq, due.matches = seq, due.matches + found
            return
        due = self._acks[channel] = _AckDue(self._core.turn, seq, found)
        self._core.after_commit(lambda: channel.send(m.Ack(due.seq, due.matches)))

    def _take_orphans(self, worker_id: str) -> None:
        path = self._home.orphans / f"{worker_id}.jsonl"
        try:
            lines = path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                report = msgspec.json.decode(line, type=m.Report)
                self._core.take(c.TakeReport(report.run_id, report.fence, report.body))
            except (msgspec.DecodeError, KernelKitError) as problem:
                logger.info("orphan not taken", extra={"worker": worker_id, "reason": str(problem)})
        self._core.after_commit(lambda: path.unlink(missing_ok=True))
