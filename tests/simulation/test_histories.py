"""The pure engine under thousands of seeded histories; `KK_SEED=417` plays one of them again."""

from __future__ import annotations

import typing

import pytest

from kernelkit.engine import commands as c
from kernelkit.models import event as ev
from kernelkit.wire import messages as m
from tests.simulation.facts import Density
from tests.simulation.histories import run_history, seed_of_shell
from tests.simulation.world import World

CHUNKS = 16
HISTORIES_EACH = 125
SHARE = 0.05

COMMANDS = [command.__name__ for command in typing.get_args(c.Command)]
EVENTS = [event.__name__ for event in typing.get_args(ev.AnyEvent)]
REPORTS = [f"TakeReport {body.__name__}" for body in typing.get_args(m.ReportBody)]
TROUBLE = [
    "a later one went first",
    "another machine",
    "answer that does not fit",
    "batch",
    "cancel of a parent",
    "trigger by a process of an attempt",
    "capture",
    "clock back",
    "clock forward",
    "connection lost",
    "crash",
    "crash with uncommitted events",
    "debounce past its longest delay",
    "delay until a moment that is over",
    "expired",
    "kept slot",
    "key freed by its run's end",
    "key of a run that is over",
    "key whose time is over",
    "lost reply",
    "metadata of another run",
    "op sent again",
    "orphan",
    "redefinition",
    "refusal",
    "report twice",
    "report under a stale fence",
    "reports sent again",
    "process let go",
    "resend",
    "resumed from checkpoints",
    "suspended worker lost",
    "token completed twice",
    "wait over while it executes",
    "woken body ended",
    "resend of what made no run",
    "values appended by a body that is called again",
    "value of a stream waited for",
    "slot on time",
    "slots caught up",
    "slots missed: late",
    "slots missed: overlap",
    "spawn failure",
    "start overdue",
    "takeover",
    "timed-out body failed",
    "waited for a token",
    "timed-out body lost",
    "timed-out body stopped",
    "timed-out body succeeded",
    "waits for a machine",
    "worker ended at its start",
    "worker lost before it began",
    "worker lost mid-run",
]


_all = Density()  # of all chunks that this process has played


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_law_holds_in_seeded_histories(chunk: int) -> None:
    seed = seed_of_shell()
    if seed is not None:
        run_history(seed)
        return

    for number in range(chunk * HISTORIES_EACH, (chunk + 1) * HISTORIES_EACH):
        _all.add(run_history(number).facts)


def test_all_that_can_happen_happens_in_enough_of_the_histories() -> None:
    if _all.histories != CHUNKS * HISTORIES_EACH:
        pytest.skip("not all histories were played here: run the whole file in one process")

    assert _all.mean_events >= 200
    shares = {fact: _all.share(fact) for fact in (*COMMANDS, *EVENTS, *REPORTS, *TROUBLE)}
    thin = {fact: share for fact, share in shares.items() if share < SHARE}
    assert not thin, "these happen in too few histories to prove anything"


def test_a_seed_is_a_reproducible_history() -> None:
    first, second = World(7), World(7)
    first.run()
    second.run()

    assert first.disk.log == second.disk.log
    assert first.facts == second.facts
