"""Simulated clients: they make ids, send, and send again what was not answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from kernelkit.engine import commands as c
from kernelkit.models.value import NULL
from kernelkit.wire.messages import TriggerItem
from tests.simulation.specs import OWNERS, TASKS, random_spec, recaptured

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass
class Client:
    """One client; a request stays with it until it is answered."""

    world: World
    owner: str
    unanswered: list[c.TriggerRuns] = field(default_factory=list)

    @property
    def _random(self) -> Random:
        return self.world.random

    def define(self) -> None:
        host, random = self.world.host, self._random
        known = sorted(host.state.tasks)
        if known and random.random() < 0.3:
            self.world.facts.note("capture")
            spec = recaptured(random, host.state.tasks[random.choice(known)].spec)
        else:
            spec = random_spec(random)
        connected = frozenset(str(owner) for owner in OWNERS if random.random() < 0.5)
        before = host.state.tasks.get(spec.id)
        if host.try_take(c.DefineTask(spec, random.random() < 0.2, connected)) and before is not None:
            self.world.facts.note("redefinition")
            if before.spec.owner != spec.owner:
                self.world.facts.note("takeover")

    def trigger(self, count: int) -> None:
        batch = self.world.new_id("batch") if count > 1 else ""
        request = c.TriggerRuns(tuple(random_item(self.world) for _ in range(count)), batch)
        if count > 1:
            self.world.facts.note("batch")
        self._send(request)

    def resend(self) -> None:
        """The answer to a request did not come."""
        if not self.unanswered:
            return
        self.world.facts.note("resend")
        request = self._random.choice(self.unanswered)
        self.unanswered.remove(request)
        # As the server finds them: those that are over are known from history, those that live from the state.
        runs = self.world.book.runs
        known = frozenset(item.run_id for item in request.items if item.run_id in runs and runs[item.run_id].ended)
        self._send(c.TriggerRuns(request.items, request.batch_id, known))

    def _send(self, request: c.TriggerRuns) -> None:
        self.unanswered.append(request)
        lost = not self.world.quiet and self._random.random() < 0.15

        def answered() -> None:
            if lost:
                self.world.facts.note("lost reply")
                return
            self.world.acknowledge(item.run_id for item in request.items)
            if request in self.unanswered:
                self.unanswered.remove(request)

        if not self.world.host.try_take(request, answered):
            self.unanswered.remove(request)

    def cancel(self) -> None:
        host, random = self.world.host, self._random
        parents = [run_id for run_id in host.state.by_parent if run_id in host.state.runs]
        if parents and random.random() < 0.5:
            self.world.facts.note("cancel of a parent")
            pool = parents
        else:
            pool = list(host.state.runs) if random.random() < 0.9 else list(self.world.book.runs)
        host.take(c.CancelRun(random.choice(pool) if pool else "run_unknown", "Canceled by user"))


def random_item(world: World) -> TriggerItem:
    """A trigger of one of the tasks, by id or pinned to a bundle, now and then of one that does not exist."""
    random = world.random
    known = world.host.state.tasks
    task_id = random.choice(sorted(known)) if known and random.random() < 0.97 else random.choice((*TASKS, "nothing"))
    pinned = task_id in known and random.random() < 0.5
    return TriggerItem(
        run_id=world.new_id("run"),
        task_id=task_id,
        payload=NULL,
        bundle=known[task_id].spec.bundle if pinned else "",
        tags=tuple(random.sample(("red", "green", "blue"), random.randrange(3))),
        max_attempts=random.choice((None, None, None, 1, 2)),
    )
