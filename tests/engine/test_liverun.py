from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

from kernelkit.engine.apply import apply
from kernelkit.engine.liverun import LiveRun, share
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.wait import Wait
from kernelkit.wire import messages as m
from tests.engine.samples import Engine, item, spec

RUNS = 500
BYTES_EACH = 1_500  # about 1,350 are needed; a dict or a list more in each run would be noticed
READ_AGAIN = 350  # more where moments that are one object otherwise were written down one by one


def test_ten_thousands_of_suspended_runs_may_live_in_memory() -> None:
    log = [ev.to_json(event) for event in suspended().log]
    folded, state = measured(lambda: fold(log))
    assert {run.status for run in state.runs.values()} == {"WAITING"}
    body = state.dump()
    loaded, again = measured(lambda: State.load(body))

    assert again.runs == state.runs
    assert folded / RUNS < BYTES_EACH, folded
    assert loaded / RUNS < BYTES_EACH + READ_AGAIN


def test_a_run_has_no_more_fields_than_fit_a_small_block() -> None:
    assert LiveRun.__basicsize__ <= 512


def suspended() -> Engine:
    """Runs of one task that wait for an hour, each as a notebook triggers it: without options."""
    engine = Engine(spec("the-task-that-sleeps", bundle="b" * 32, env_id="e" * 16))
    ids = [f"run_{n:018}" for n in range(RUNS)]
    for run_id in ids:
        engine.trigger(item(run_id, "the-task-that-sleeps"))
        engine.start(run_id)
        engine.report(run_id, m.OpenWait("wait:duration:1", Wait("duration", engine.now + 3_600_000_000)))
        engine.report(run_id, m.Suspend(("wait:duration:1",), 7_000))
    return engine


def fold(texts: list[str]) -> State:
    state = State()
    for text in texts:
        apply(state, ev.from_json(text))
    share(state.runs.values())  # as recovery does
    return state


def measured(make: Callable[[], State]) -> tuple[int, State]:
    """How many bytes of memory more are in use with what `make` makes."""
    make()  # what is made once for all is not counted
    gc.collect()
    tracemalloc.start()
    try:
        made = make()
        gc.collect()
        return tracemalloc.get_traced_memory()[0], made
    finally:
        tracemalloc.stop()
