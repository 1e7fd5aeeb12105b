"""What a client says on the wire, and how it gets over the loss of its engine."""

from __future__ import annotations

import contextvars
import threading
import time
from concurrent.futures import Future

import pytest

from kernelkit.authoring import caller as callers
from kernelkit.client.client import Client
from kernelkit.client.default import default_client, set_default_client
from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError, KernelKitError, UnknownRunError, UnknownTaskError
from kernelkit.models.run import RunStatus
from kernelkit.models.task import Owner, TaskSpec
from kernelkit.models.value import NULL
from kernelkit.wire import messages as m
from tests.client.scripted_engine import ScriptedEngine, a_run

ITEM = m.TriggerItem("run_1", "t", NULL)


def test_making_a_client_talks_to_nobody(client: Client, engine: ScriptedEngine) -> None:
    assert not client.is_connected
    assert engine.hellos == []
    assert "not connected" in repr(client)


def test_a_call_gets_its_answer(client: Client, engine: ScriptedEngine) -> None:
    engine.answer = lambda body: m.Triggered(("run_1",))

    assert client.call(m.Trigger((ITEM,))) == m.Triggered(("run_1",))
    assert client.is_connected
    assert engine.hellos[0].owner == str(client.owner)


def test_a_refusal_is_raised_as_what_it_is(client: Client, engine: ScriptedEngine) -> None:
    engine.answer = lambda body: UnknownTaskError("no task", task_id="t", near=["tt"])

    with pytest.raises(UnknownTaskError) as caught:
        client.call(m.Trigger((ITEM,)))

    assert caught.value.near == ["tt"]


def test_what_was_not_answered_is_asked_again(client: Client, engine: ScriptedEngine) -> None:
    engine.answer = lambda body: None
    answer = client.submit(m.Trigger((ITEM,)))
    engine.wait_for(lambda got: len(got) == 1)

    engine.cut()
    engine.answer = lambda body: m.Triggered(("run_1",))
    engine.listen()

    assert answer.result(10) == m.Triggered(("run_1",))
    first, second = engine.got
    assert (first.again, second.again) == (False, True)
    assert first.body == second.body


def test_a_client_that_connects_again_names_the_owners_it_has_defined_tasks_as(
    client: Client, engine: ScriptedEngine
) -> None:
    engine.answer = lambda body: m.Defined("t", "20270101.1", True)
    client.call(m.DefineTask(TaskSpec("t", "t", Owner("module", "/srv/tasks.py"), "env1", "code", "f1")))

    engine.cut()
    engine.listen()
    client.call(m.ListTasks())

    assert [hello.owners for hello in engine.hellos] == [(), ("module /srv/tasks.py",)]


def test_a_stop_is_not_asked_again(client: Client, engine: ScriptedEngine) -> None:
    engine.answer = lambda body: None
    answer = client.submit(m.StopEngine())
    engine.wait_for(lambda got: len(got) == 1)

    engine.cut()

    assert answer.result(10) == m.Done()


def test_the_follows_of_a_batch_are_one_message(client: Client, engine: ScriptedEngine) -> None:
    client.connect()
    names = [f"run_{number}" for number in range(50)]
    ends = client.outcomes(names)
    engine.wait_for(lambda got: any(isinstance(one.body, m.Follow) for one in got))

    for name in names:
        engine.push(m.RunEnded(a_run(name)))

    assert [run.id for run in ends.result(10)] == names
    assert [one.body.run_ids for one in engine.got if isinstance(one.body, m.Follow)] == [tuple(names)]


def test_follows_are_said_again_after_a_loss_and_given_up_ones_are_not(client: Client, engine: ScriptedEngine) -> None:
    kept, dropped = client.outcome("run_1"), client.outcome("run_2")
    engine.wait_for(lambda got: any(isinstance(one.body, m.Follow) for one in got))
    dropped.cancel()

    engine.cut()
    engine.got.clear()
    engine.listen()
    engine.wait_for(lambda got: bool(got))
    engine.push(m.RunEnded(a_run()))

    assert kept.result(10).status is RunStatus.COMPLETED
    assert [follow.run_ids for follow in engine.bodies(m.Follow)] == [("run_1",)]


def test_a_follow_of_an_unknown_run_fails_alone(client: Client, engine: ScriptedEngine) -> None:
    def answer(body: m.RequestBody) -> KernelKitError | None:
        if isinstance(body, m.Follow) and "run_2" in body.run_ids:  # the two may come in one message or in two
            return UnknownRunError("no such run", run_id="run_2")
        return None

    client.connect()
    engine.answer = answer
    good, bad = client.outcome("run_1"), client.outcome("run_2")

    with pytest.raises(UnknownRunError):
        bad.result(10)
    engine.push(m.RunEnded(a_run()))
    assert good.result(10).id == "run_1"


def test_each_asker_has_a_future_of_its_own(client: Client, engine: ScriptedEngine) -> None:
    first, second = client.outcome("run_1"), client.outcome("run_1")
    engine.wait_for(lambda got: bool(got))

    first.cancel()
    engine.push(m.RunEnded(a_run()))

    assert second.result(10).id == "run_1"


def test_parts_of_a_batch_are_sent_again_before_its_seal(client: Client, engine: ScriptedEngine) -> None:
    engine.answer = lambda body: None
    client.call(m.BatchPart("batch_1", 0, (ITEM,)))
    seal = client.submit(m.BatchSeal("batch_1", 1))
    engine.wait_for(lambda got: len(got) == 2)

    engine.cut()
    engine.got.clear()
    engine.answer = lambda body: m.Triggered(("run_1",))
    engine.listen()

    assert seal.result(10) == m.Triggered(("run_1",))
    assert [type(one.body) for one in engine.got] == [m.BatchPart, m.BatchSeal]
    engine.cut()
    engine.got.clear()
    engine.listen()
    client.call(m.Retrieve("run_1"))
    assert [type(one.body) for one in engine.got] == [m.Retrieve]


def test_a_watch_is_told_on_another_thread_in_its_own_context(client: Client, engine: ScriptedEngine) -> None:
    cell: contextvars.ContextVar[int] = contextvars.ContextVar("cell", default=0)
    cell.set(8)
    told: Future[tuple[str, int, bool]] = Future()

    stop = client.watch(
        "run_1",
        lambda change: told.set_result(
            (change.run.id, cell.get(), threading.current_thread() is threading.main_thread())
        ),
    )
    engine.push(m.RunChanged(a_run()))

    assert told.result(10) == ("run_1", 8, False)
    stop()
    engine.wait_for(lambda got: isinstance(got[-1].body, m.Unwatch))


def test_a_watch_goes_on_after_a_loss_even_if_its_callback_fails(client: Client, engine: ScriptedEngine) -> None:
    told: list[str] = []
    twice = threading.Event()

    def changed(change: m.RunChanged) -> None:
        told.append(change.run.id)
        if len(told) == 2:
            twice.set()
        raise RuntimeError("a screen that fails")

    client.watch("run_1", changed)
    engine.push(m.RunChanged(a_run()))
    client.call(m.GetLogs("run_1"))
    engine.cut()
    engine.got.clear()
    engine.listen()
    engine.wait_for(lambda got: bool(got) and isinstance(got[0].body, m.Watch))
    engine.push(m.RunChanged(a_run()))

    assert twice.wait(10)


def test_a_callback_that_would_wait_for_itself_is_refused(client: Client, engine: ScriptedEngine) -> None:
    seen: Future[str] = Future()

    def changed(change: m.RunChanged) -> None:
        try:
            client.call(m.Retrieve("run_1"))
        except KernelKitError as refused:
            seen.set_result(str(refused))

    client.watch("run_1", changed)
    engine.push(m.RunChanged(a_run()))

    assert "watch callback" in seen.result(10)


def test_without_an_engine_a_call_fails_with_what_to_do(home: Home) -> None:
    scripted = ScriptedEngine(home)
    scripted.close()
    client = Client(home, start=False)

    with pytest.raises(EngineUnavailableError, match="kernelkit up"):
        client.call(m.ListTasks())
    with pytest.raises(EngineUnavailableError, match="kernelkit up"):
        client.outcome("run_1").result(10)
    with pytest.raises(EngineUnavailableError, match="kernelkit up"):
        client.engine.status()
    client.close()


def test_patience_with_a_lost_engine_ends(engine: ScriptedEngine) -> None:
    client = Client(engine.home, start=False, patience_s=0.3)
    engine.answer = lambda body: None
    answer, end = client.submit(m.Trigger((ITEM,))), client.outcome("run_1")
    engine.wait_for(lambda got: len(got) == 2)

    began = time.monotonic()
    engine.cut()

    with pytest.raises(EngineUnavailableError):
        answer.result(10)
    with pytest.raises(EngineUnavailableError):
        end.result(10)
    assert time.monotonic() - began >= 0.3
    engine.answer = lambda body: m.Done()
    engine.listen()
    assert client.call(m.GetLogs("run_1")) == m.Done()
    client.close()


def test_a_closed_client_says_so(client: Client, engine: ScriptedEngine) -> None:
    engine.answer = lambda body: None
    waiting = client.submit(m.Retrieve("run_1"))
    engine.wait_for(lambda got: bool(got))

    client.close()
    client.close()

    with pytest.raises(EngineUnavailableError, match="closed"):
        waiting.result(10)
    with pytest.raises(EngineUnavailableError, match="was closed"):
        client.call(m.Retrieve("run_1"))


def test_a_block_uses_the_client_it_names(client: Client) -> None:
    with client.use():
        assert callers.current() is client


def test_the_default_client_is_one_per_process_and_home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_default_client(None)
    first, second = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
    monkeypatch.setenv("KERNELKIT_HOME", str(first))

    made = default_client()

    assert made is default_client()
    assert made.home.path == first
    monkeypatch.setenv("KERNELKIT_HOME", str(second))
    assert default_client().home.path == second
    set_default_client(None)


def test_runs_awaited_together_are_one_follow_and_come_in_their_order(client: Client, engine: ScriptedEngine) -> None:
    ends = client.outcomes(["run_2", "run_1", "run_2"])
    engine.wait_for(lambda got: any(isinstance(each.body, m.Follow) for each in got))

    engine.push(m.RunEnded(a_run()))
    engine.push(m.RunEnded(a_run("run_2")))

    assert [run.id for run in ends.result(10)] == ["run_2", "run_1", "run_2"]
    assert [each.body.run_ids for each in engine.got if isinstance(each.body, m.Follow)] == [("run_2", "run_1")]


def test_one_unknown_run_fails_those_awaited_with_it(client: Client, engine: ScriptedEngine) -> None:
    client.connect()
    engine.answer = lambda body: UnknownRunError("no such run", run_id="run_2") if isinstance(body, m.Follow) else None

    with pytest.raises(UnknownRunError):
        client.outcomes(["run_1", "run_2"]).result(10)
