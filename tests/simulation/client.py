"""Simulated clients: they make ids, send, and send again what was not answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from msgspec.structs import replace

from kernelkit.engine import commands as c
from kernelkit.engine.sameness import triggered
from kernelkit.errors import PayloadTooLargeError, to_wire
from kernelkit.models.bulk import Bulk, BulkKind
from kernelkit.models.filter import RunFilter
from kernelkit.models.queue import RateLimit
from kernelkit.models.run import RunStatus
from kernelkit.models.sameness import DebounceUse, KeyUse
from kernelkit.models.value import NULL
from kernelkit.wire.messages import TriggerItem
from tests.simulation.book import micros
from tests.simulation.specs import OWNERS, TASKS, random_rate, random_spec, recaptured

if TYPE_CHECKING:
    from tests.simulation.world import World


Asked = c.TriggerRuns | c.RescheduleRun | c.RetryNow | c.ResetKey | c.AppendStream


@dataclass
class Client:
    """One client; a request stays with it until it is answered."""

    world: World
    owner: str
    unanswered: list[Asked] = field(default_factory=list)

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
        executing = [run for run in self.world.host.state.runs.values() if run.fence]
        if executing and self._random.random() < 0.1:  # a process that an attempt has started
            self.world.facts.note("trigger by a process of an attempt")
            parent = self._random.choice(executing)
            stale = self._random.random() < 0.1
            request = replace(request, parent_id=parent.id, parent_fence="stale" if stale else parent.fence)
            told = (request.parent_id, request.parent_fence)
            self.world.process_of |= {item.run_id: told for item in request.items}
        if count > 1:
            self.world.facts.note("batch")
        self.send(request)

    def resend(self) -> None:
        """The answer to a request did not come."""
        if not self.unanswered:
            return
        self.world.facts.note("resend")
        request = self._random.choice(self.unanswered)
        self.unanswered.remove(request)
        if isinstance(request, c.TriggerRuns):
            # As the server finds them: those that are over are known from history, those that live from the state.
            runs = self.world.book.runs
            known = frozenset(item.run_id for item in request.items if item.run_id in runs and runs[item.run_id].ended)
            if request.batch_id:  # its runs were made all at once, and it tells what became of them
                request = replace(request, made=self.world.book.batches.get(request.batch_id))
            else:
                request = replace(request, known=known)
        if names_of(request) & self.world.book.same.answered.keys():
            self.world.facts.note("resend of what made no run")
        self.send(request)

    def send(self, request: Asked) -> None:
        """Ask, and keep the request until its answer comes, which it may not."""
        self.unanswered.append(request)
        lost = not self.world.quiet and self._random.random() < 0.15

        def answered() -> None:
            if lost:
                self.world.facts.note("lost reply")
                return
            self.world.acknowledge(run_id for run_id in made if run_id)
            if request in self.unanswered:
                self.unanswered.remove(request)

        made: tuple[str, ...] = ()
        if not self.world.host.try_take(request, answered):
            self.unanswered.remove(request)
        elif isinstance(request, c.TriggerRuns):
            batch = self.world.book.batches.get(request.batch_id)
            made = triggered(self.world.host.state, request.items, batch).run_ids

    def reschedule(self) -> None:
        """Mostly of a run that is delayed; the others are refused."""
        world, random = self.world, self._random
        delayed = [run.id for run in world.host.state.runs.values() if run.status is RunStatus.DELAYED]
        pool = delayed if delayed and random.random() < 0.85 else list(world.book.runs)
        delay_s, delay_until = random_delay(world)
        run_id = random.choice(pool) if pool else "run_unknown"
        self.send(c.RescheduleRun(run_id, delay_s, delay_until, world.new_id("ask")))

    def retry_now(self) -> None:
        """Mostly of a run between two attempts; the others are refused."""
        world, random = self.world, self._random
        between = [run.id for run in world.host.state.runs.values() if run.retry_at]
        pool = between if between and random.random() < 0.85 else list(world.book.runs)
        self.send(c.RetryNow(random.choice(pool) if pool else "run_unknown", world.new_id("ask")))

    def reset_key(self) -> None:
        """Mostly of a key that some run was given."""
        task_id, key = random_key_of(self.world)
        self.send(c.ResetKey(task_id, key, asked=self.world.new_id("ask")))

    def start_bulk(self) -> None:
        """Cancel or replay all runs of a status, a task or a tag; the engine's own hand does it, see `World`."""
        random = self._random
        asked = random.choice(
            (
                RunFilter(status=("QUEUED",)),
                RunFilter(status=("QUEUED", "EXECUTING")),
                RunFilter(task=(random.choice(TASKS),)),
                RunFilter(tag=("red",)),
                RunFilter(created_to=self.world.now + 1),
            )
        )
        kind: BulkKind = "CANCEL" if random.random() < 0.7 else "REPLAY"
        bulk = Bulk(self.world.new_id("bulk"), kind, asked, self.world.now, reason="Canceled by user")
        self.world.host.try_take(c.StartBulk(bulk))

    def abort_bulk(self) -> None:
        bulks = self.world.book.bulks
        if bulks:
            self.world.host.take(c.AbortBulk(self._random.choice(sorted(bulks))))

    def pause(self) -> None:
        """A queue or, seldom, the project; resumed sooner than paused."""
        state, random = self.world.host.state, self._random
        paused = [name for name, record in state.queues.items() if record.paused] + [""] * state.paused
        if paused and random.random() < 0.85:
            self.world.host.take(c.PauseQueue(random.choice(paused), paused=False))
        else:
            queue = "" if random.random() < 0.15 else random.choice(QUEUES)
            self.world.host.try_take(c.PauseQueue(queue, paused=True))

    def override(self) -> None:
        random = self._random
        limit = random.choice((None, 0, 1, 1, 2, 4, 1_000))
        self.world.host.try_take(c.OverrideQueue(random.choice(QUEUES), limit, most=100))

    def calm(self) -> None:
        """Let every queue start runs."""
        state = self.world.host.state
        for name in [name for name, record in state.queues.items() if record.paused] + [""] * state.paused:
            self.world.host.take(c.PauseQueue(name, paused=False))
        for name in [name for name, record in state.queues.items() if record.override == 0]:
            self.world.host.take(c.OverrideQueue(name, None, most=100))

    def cancel(self) -> None:
        host, random = self.world.host, self._random
        parents = [run_id for run_id in host.state.by_parent if run_id in host.state.runs]
        if parents and random.random() < 0.5:
            self.world.facts.note("cancel of a parent")
            pool = parents
        else:
            pool = list(host.state.runs) if random.random() < 0.9 else list(self.world.book.runs)
        host.take(c.CancelRun(random.choice(pool) if pool else "run_unknown", "Canceled by user"))


TOO_LARGE = to_wire(PayloadTooLargeError("too large", size=4_000_000))


def names_of(request: Asked) -> set[str]:
    if isinstance(request, c.TriggerRuns):
        return {item.run_id for item in request.items}
    if isinstance(request, c.AppendStream):
        return {request.body.asked}
    return {request.asked}


def random_item(world: World) -> TriggerItem:
    """A trigger of one of the tasks, by id or pinned to a bundle, now and then of one that does not exist."""
    random = world.random
    known = world.host.state.tasks
    task_id = random.choice(sorted(known)) if known and random.random() < 0.92 else random.choice((*TASKS, "nothing"))
    debounce = random_debounce(random) if random.random() < 0.25 else None
    waiting = sorted(world.book.same.waiting(world.book))
    if debounce is not None and waiting and random.random() < 0.6:  # a run that takes pushes gets one
        task_id, key = random.choice(waiting)
        debounce = replace(debounce, key=key)
    pinned = task_id in known and random.random() < 0.5
    queue, queue_limit, queue_rate = random_queue(random)
    delay_s, delay_until = random_delay(world) if random.random() < 0.15 else (0.0, 0)
    item = TriggerItem(
        run_id=world.new_id("run"),
        task_id=task_id,
        payload=NULL,
        bundle=known[task_id].spec.bundle if pinned else "",
        tags=tuple(random.sample(("red", "green", "blue"), random.randrange(3))),
        max_attempts=random.choice((None, None, None, 1, 2)),
        queue=queue,
        queue_limit=queue_limit,
        queue_rate=queue_rate,
        concurrency_key=random.choice(("", "", "ann", "bob")),
        priority=random.choice((0.0, 0.0, 0.0, 3.0, 60.0, -2.0)),
        delay_s=delay_s,
        delay_until=delay_until,
        ttl=random.choice((None, None, None, 0.0, 4.0, 30.0)),
        max_duration=random.choice((None, None, None, 0.0, 2.0, 15.0)),
        is_test=random.random() < 0.1,
        machine=random.choice(("", "", "", "", "", "", "", "small-1x", "medium-2x")),
        allow_undefined=random.random() < 0.5,
        problem=TOO_LARGE if random.random() < 0.06 else None,
        key=random_key(random) if random.random() < (0.25 if debounce is None else 0.6) else None,
        debounce=debounce,
    )
    world.asked[item.run_id] = item
    return item


QUEUES = ("images", "letters", "urgent", "task/resize", "task/mail", "task/sum", "task/train")


def random_queue(random: Random) -> tuple[str, int | None, RateLimit | None]:
    """Mostly the task's own; else one by its name, which there may not be, or one that is made or changed by it."""
    if random.random() < 0.8:
        return "", None, None
    limit = random.randint(1, 3) if random.random() < 0.4 else None
    rate = random_rate(random) if random.random() < 0.15 else None
    return random.choice(("images", "letters", "urgent", "task/sum")), limit, rate


def random_key(random: Random) -> KeyUse:
    return KeyUse(random.choice(("order-1", "order-1", "order-2")), random.choice((5.0, 600.0, 86_400.0)))


def random_key_of(world: World) -> tuple[str, str]:
    """Task and hash of a key that some run was given, or that none need have."""
    given = sorted(world.book.same.holders)
    if given and world.random.random() < 0.9:
        return world.random.choice(given)
    return world.random.choice(TASKS), "order-9"


def random_debounce(random: Random) -> DebounceUse:
    return DebounceUse(
        random.choice(("typing", "typing", "typing", "saving")),
        random.choice((1.0, 3.0, 10.0, 30.0, 30.0, 30.0)),
        trailing=random.random() < 0.5,
        max_delay_s=random.choice((None, 31.0, 31.0)),
    )


def random_delay(world: World) -> tuple[float, int]:
    """Seconds, or a moment, which may be over."""
    seconds: float = world.random.choice((-1.0, 0.5, 2.0, 10.0, 60.0))
    if seconds > 0 and world.random.random() < 0.6:
        return seconds, 0
    return 0.0, world.now + micros(seconds)
