"""Answers what clients trigger: single runs, batches, replays; and what became of a batch.

A request that comes `again` had its answer lost with a connection: some or all of its runs may exist, live or over for
long, so history is asked before anything is made.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from msgspec.structs import replace

from kernelkit.config import Home
from kernelkit.engine import commands as c
from kernelkit.engine.batches import OpenBatches
from kernelkit.engine.core import Core
from kernelkit.engine.decide import Change
from kernelkit.engine.notices import Peer
from kernelkit.engine.offloop import Refuse, read_now, read_settled
from kernelkit.engine.replaying import replayed_item
from kernelkit.engine.sameness import triggered
from kernelkit.errors import KernelKitError, TaskDefinitionError, UnknownRunError
from kernelkit.models import event as ev
from kernelkit.models.batch import BatchRecord
from kernelkit.models.run import Run
from kernelkit.wire import messages as m

Answer = Callable[[m.ReplyBody], None]


class TriggerDesk:
    """The triggers of all clients, and the batches that are still being sent."""

    def __init__(self, core: Core, home: Home, monotonic: Callable[[], float]) -> None:
        self._core = core
        self._home = home
        self._time = monotonic
        self._batches = OpenBatches()
        self._parents: dict[Peer, m.LiveAttempt] = {}  # attempts that started a client's process

    def greet(self, client: Peer, parent: m.LiveAttempt) -> None:
        """A client has connected whose process that attempt has started."""
        self._parents[client] = parent

    def forget(self, client: Peer) -> None:
        """The client is gone."""
        self._parents.pop(client, None)

    def tend(self) -> None:
        """Called about once a second."""
        self._batches.touch(self._time())

    def add(self, part: m.BatchPart) -> None:
        """Items of a batch that is sent in parts; they make runs when it is sealed."""
        self._batches.add(part, self._time())

    def seal(self, peer: Peer, body: m.BatchSeal, again: bool, reply: Answer, refuse: Refuse) -> None:
        """Make the runs of a batch of which every part is here."""
        self.trigger(peer, self._batches.seal(body), body.batch_id, again, reply, refuse)

    def trigger(
        self,
        peer: Peer,
        items: tuple[m.TriggerItem, ...],
        batch_id: str,
        again: bool,
        reply: Answer,
        refuse: Refuse,
    ) -> None:
        """Make the runs of these items, as a batch where it has an id, and answer once they are on disk."""
        self._core.refuse_if_full()
        self._refuse_unknown_surroundings(items)
        command = c.TriggerRuns(items, batch_id)
        if (parent := self._parents.get(peer)) is not None:
            command = replace(command, parent_id=parent.run_id, parent_fence=parent.fence)

        def take(known: frozenset[str], made: BatchRecord | None) -> None:
            changes = self._core.take(replace(command, known=known, made=made), lambda: reply(answer))
            answer = triggered(self._core.state, items, _batch_of(changes) or made)

        if not again:
            take(frozenset(), None)
            return
        # The answer was lost with a connection: some or all of these runs may exist, and may be over.
        # Those found here now are known for certain, even if they are over and in history by the time it is read.
        ids = frozenset(item.run_id for item in items)
        here = frozenset(run_id for run_id in ids if self._core.view(run_id) is not None)

        def taken(known: frozenset[str]) -> None:
            ended = frozenset(run_id for run_id in ids if self._core.ledger.get(run_id) is not None)
            try:
                take(here | known | ended, None)
            except KernelKitError as refusal:
                refuse(refusal)

        def batch_read(made: BatchRecord | None) -> None:
            try:
                take(frozenset(), made)
            except KernelKitError as refusal:
                refuse(refusal)

        if batch_id:  # its runs were made all at once, and it tells what became of them
            read_settled(self._core, lambda: self._core.store.batch(batch_id), batch_read, refuse)
        else:
            read_settled(self._core, lambda: frozenset(self._core.store.runs_of(ids - here)), taken, refuse)

    def replay(self, body: m.Replay, again: bool, reply: Answer, refuse: Refuse) -> None:
        """Make a new run of what an earlier one was triggered with; that one may be live, or over for long."""
        self._core.refuse_if_full()
        new_id = body.item.run_id

        def read() -> tuple[Run, bool]:
            return source(), again and self._core.store.run(new_id) is not None

        def found(facts: tuple[Run, bool]) -> None:
            run, was_made = facts
            item = replayed_item(run, body.item, body.given, self._core.state)
            known = frozenset({new_id} if was_made or self._core.view(new_id) is not None else ())
            try:
                self._core.take(c.TriggerRuns((item,), known=known))
            except KernelKitError as refusal:
                refuse(refusal)
                return
            (made,) = triggered(self._core.state, (item,), None).run_ids  # an earlier run's, if a key says so
            self._core.after_commit(lambda: self._reply_with(made, reply, refuse))

        source = self._core.read_run(body.run_id)
        read_settled(self._core, read, found, refuse)

    def _reply_with(self, run_id: str, reply: Answer, refuse: Refuse) -> None:
        view = self._core.view(run_id)
        if view is not None:
            reply(m.RunReply(view))
        else:  # over for long, and asked for again
            read_now(self._core, self._core.read_run(run_id), lambda run: reply(m.RunReply(run)), refuse)

    def retrieve_batch(
        self, batch_id: str, then: Callable[[BatchRecord, tuple[Run, ...]], None], refuse: Refuse
    ) -> None:
        """Read the batch off the loop, then those of its runs that are over for longer."""
        core = self._core

        def read() -> BatchRecord:
            found = core.store.batch(batch_id)
            if found is None:
                raise UnknownRunError(f"There is no batch {batch_id!r} in this project.", run_id=batch_id)
            return found

        def found(batch: BatchRecord) -> None:
            here = {i: view for i in batch.run_ids if i and (view := core.view(i, count_ahead=False)) is not None}
            away = [run_id for run_id in batch.run_ids if run_id and run_id not in here]

            def known(kept: dict[str, Run]) -> None:
                runs = here | kept
                then(batch, tuple(runs[run_id] for run_id in batch.run_ids if run_id in runs))

            if away:
                read_now(core, lambda: core.store.runs_of(away, with_values=False), known, refuse)
            else:
                core.after_commit(lambda: known({}))

        read_settled(core, read, found, refuse)

    def _refuse_unknown_surroundings(self, items: tuple[m.TriggerItem, ...]) -> None:
        for env_id, item in {item.env_id: item for item in items if item.env_id}.items():
            path = os.path.join(self._home.environments, f"{env_id}.json")  # at each trigger: no `Path` is made
            if not os.path.exists(path):
                raise TaskDefinitionError(
                    f"The file {path} with the surroundings that {item.task_id!r} was triggered from is missing. "
                    "Trigger it again.",
                    task_id=item.task_id,
                )


def _batch_of(changes: list[Change]) -> BatchRecord | None:
    """The batch that was just made."""
    for change in reversed(changes):
        if isinstance(change.event, ev.BatchMade):
            return change.event.batch
    return None
