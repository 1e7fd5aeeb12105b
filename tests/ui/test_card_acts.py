"""What a run's card does besides Cancel: each is shown once, below it or inside it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kernelkit.authoring.logs import RunLogs
from kernelkit.authoring.timeline import RunTimeline
from kernelkit.authoring.tree import RunTree
from kernelkit.errors import EngineUnavailableError, KernelKitError
from kernelkit.models.queue import QueueInfo
from kernelkit.models.run import Run, RunStatus
from kernelkit.ui import clicks
from kernelkit.ui.card_acts import CardActs
from kernelkit.ui.feed import LiveCard
from kernelkit.wire.messages import (
    PauseQueue,
    QueueReply,
    Replay,
    ReplyBody,
    RequestBody,
    Reschedule,
    RetryNow,
    RunReply,
)
from tests.ui import samples
from tests.ui.fakes import FakeCaller, FakeWidget, until
from tests.ui.samples import card


class Replaying(FakeCaller):
    def call(self, body: RequestBody) -> ReplyBody:
        if isinstance(body, Replay) and self.refuse is None:
            return RunReply(msgspec.structs.replace(samples.queued(), id="run_again"))
        if isinstance(body, PauseQueue):
            self.calls.append(body)
            return QueueReply(QueueInfo(name=body.name, type="custom"))
        if isinstance(body, RetryNow | Reschedule):
            self.calls.append(body)
            return RunReply(self.runs[body.run_id])
        return super().call(body)


def acts_of(run: Run, caller: FakeCaller) -> tuple[CardActs, list[Any]]:
    caller.runs[run.id] = run
    shown: list[Any] = []
    return CardActs(caller, run, shown.append, shown.append), shown


def test_tree_timeline_and_logs_are_shown_once_and_the_tree_is_that_of_the_whole_family() -> None:
    acts, shown = acts_of(
        msgspec.structs.replace(samples.executing(), parent_id="run_p", root_id="run_r"), FakeCaller()
    )
    assert [acts.do(what, None) for what in ("tree", "timeline", "logs")] == ["", "", ""]
    assert [type(one) for one in shown] == [RunTree, RunTimeline, RunLogs]
    assert shown[0].run_id == "run_r"
    assert acts.do("tree", None) == "The run tree stands below."
    assert len(shown) == 3


def test_what_could_not_be_shown_may_be_asked_for_again() -> None:
    caller = FakeCaller()
    acts, shown = acts_of(samples.executing(), caller)
    caller.refuse = EngineUnavailableError("No engine answers.")
    with pytest.raises(EngineUnavailableError):
        acts.do("logs", None)
    caller.refuse = None
    assert acts.do("logs", None) == ""
    assert len(shown) == 1


def test_the_payload_is_shown_cut_and_handed_out_whole() -> None:
    payload = msgspec.json.encode({"rows": ["<b>" * 100] * 40}).decode()
    run = msgspec.structs.replace(samples.completed(), payload_json=payload, payload_size=len(payload))
    acts, _ = acts_of(run, FakeCaller())
    widget = FakeWidget()
    assert acts.do("payload", widget) == acts.do("payload file", widget) == acts.do("output file", widget) == ""
    inside = widget.told[0]
    assert (inside.what, inside.value.kind, inside.value.is_cut) == ("payload", "dict", True)
    assert len(inside.value.text) <= 4_000
    assert inside.code == f'kk.runs.retrieve("{run.id}").payload'
    assert widget.handed[0] == (f"{run.id}-payload.json", payload.encode())
    assert widget.handed[1] == (f"{run.id}-output.json", (run.output_json or "").encode())


def test_a_replay_shows_its_card_and_a_refused_one_says_why() -> None:
    caller = Replaying()
    run = samples.completed()
    acts, shown = acts_of(run, caller)
    widget = FakeWidget()
    card = LiveCard(run, lambda _: None, widget=widget)
    clicks.act(card, acts, 1, "replay")
    until(lambda: len(widget.answers) == 1)
    assert widget.answers == [(1, True, "Replayed as run_again; its card stands below.")]
    assert shown == ["run_again"]
    caller.refuse = EngineUnavailableError("No engine answers.")
    clicks.act(card, acts, 2, "replay")
    until(lambda: len(widget.answers) == 2)
    assert widget.answers[1] == (2, False, "No engine answers.")


def test_a_paused_queue_is_resumed_from_the_card_of_a_run_that_waits_in_it() -> None:
    caller = Replaying()
    run = samples.run(status=RunStatus.QUEUED, queue="gpu", is_queue_paused=True)
    assert card(run).remedy == "resume"
    assert card(msgspec.structs.replace(run, is_queue_paused=False)).remedy == ""
    acts, _ = acts_of(run, caller)
    assert acts.do("resume", None) == ""
    assert caller.calls == [PauseQueue("gpu", paused=False)]


def test_a_run_that_waits_for_a_moment_need_not_wait_for_it() -> None:
    caller = Replaying()
    between = samples.run(status=RunStatus.QUEUED, retry_at=samples.NOW)
    delayed = samples.run(status=RunStatus.DELAYED, delay_until=samples.NOW)
    assert (card(between).remedy, card(delayed).remedy) == ("retry", "start")
    assert acts_of(between, caller)[0].do("retry", None) == ""
    assert acts_of(delayed, caller)[0].do("start", None) == ""
    retried, started = caller.calls
    assert isinstance(retried, RetryNow) and retried.run_id == between.id
    assert isinstance(started, Reschedule) and (started.run_id, started.delay_s) == (delayed.id, 0)


@pytest.mark.parametrize("what", ["", "format", "payload"])  # a payload has nowhere to be shown without a widget
def test_what_nobody_offers_is_refused(what: str) -> None:
    acts, _ = acts_of(samples.completed(), FakeCaller())
    with pytest.raises(KernelKitError):
        acts.do(what, None)
