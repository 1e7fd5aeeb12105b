"""What of the state is written down, so that recovery need not fold the whole log: its fields, no index.

A field that is new here needs a default, or no engine could read the snapshot that one before it has written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from kernelkit.engine.liverun import LiveRun, share
from kernelkit.engine.liveworker import Worker
from kernelkit.engine.queues import QueueRecord
from kernelkit.models.bulk import Bulk
from kernelkit.models.sameness import Answer, HeldKey
from kernelkit.models.schedule import Schedule
from kernelkit.models.task import TaskVersion
from kernelkit.models.wait import Token

if TYPE_CHECKING:
    from kernelkit.engine.state import State


class Snapshot(msgspec.Struct):
    """The fields of a state."""

    seq: int
    runs: list[LiveRun]
    tasks: dict[str, TaskVersion]
    bundles: dict[str, TaskVersion]
    numbers: dict[str, list[str]]
    workers: list[Worker]
    queues: dict[str, QueueRecord]
    since: dict[str, int]
    paused: bool = False
    clock: int = 0
    keys: dict[bytes, HeldKey] = {}
    answers: dict[str, Answer] = {}
    sweep_keys_at: int = 1_000
    bulks: list[Bulk] = []
    schedules: list[Schedule] = []
    tokens: list[Token] = []
    aliases: dict[str, str] = {}


def dump(state: State) -> bytes:
    """The fields of `state` as bytes."""
    return msgspec.msgpack.encode(
        Snapshot(
            seq=state.seq,
            clock=state.clock,
            runs=list(state.runs.values()),
            tasks=state.tasks,
            bundles=state.bundles,
            numbers=state.numbers,
            workers=list(state.workers.values()),
            keys=state.keys,
            answers=state.answers,
            sweep_keys_at=state.sweep_keys_at,
            bulks=list(state.bulks.values()),
            schedules=list(state.schedules.values()),
            tokens=list(state.tokens.values()),
            aliases=state.aliases,
            queues=state.queues,
            since=state.since,
            paused=state.paused,
        )
    )


def fill(state: State, data: bytes) -> None:
    """Set the fields of `state` to those in `data`; its indexes are for it to make."""
    snapshot = msgspec.msgpack.decode(data, type=Snapshot)
    state.seq = snapshot.seq
    state.clock = snapshot.clock
    share(snapshot.runs)
    state.runs = {run.id: run for run in snapshot.runs}
    state.tasks = snapshot.tasks
    state.bundles = snapshot.bundles
    state.numbers = snapshot.numbers
    state.workers = {worker.id: worker for worker in snapshot.workers}
    state.keys = snapshot.keys
    state.answers = snapshot.answers
    state.sweep_keys_at = snapshot.sweep_keys_at
    state.bulks = {bulk.id: bulk for bulk in snapshot.bulks}
    state.schedules = {schedule.id: schedule for schedule in snapshot.schedules}
    state.tokens = {token.id: token for token in snapshot.tokens}
    state.aliases = snapshot.aliases
    state.queues = snapshot.queues
    state.since = snapshot.since
    state.paused = snapshot.paused
