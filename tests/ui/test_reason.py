from __future__ import annotations

from datetime import timedelta

import msgspec

from kernelkit.models.error import Error
from kernelkit.models.run import Attempt, RunStatus
from kernelkit.models.wait import Waiting
from kernelkit.ui import text
from kernelkit.ui.view import RunCard
from tests.ui import samples
from tests.ui.samples import card


def reason(shown: RunCard) -> str:
    return text.reason_text(shown.reason, shown)


def test_a_queued_run_says_the_engines_reason_with_its_numbers() -> None:
    assert reason(card(samples.queued())) == "Waits for a slot in queue images: 4 of 4 running, 17 runs ahead."
    assert card(samples.queued()).attempt == "not started"


def test_a_delayed_run_says_until_when_and_what_pushes_it() -> None:
    delayed = samples.run(status=RunStatus.DELAYED, delay_until=samples.at("14:33:26"))
    pushed = msgspec.structs.replace(delayed, debounce_key="user-1")

    assert reason(card(delayed)) == "Due in 0:05."
    assert reason(card(pushed)) == "Due in 0:05. Triggers with the debounce key user-1 push it back."


def test_a_retrying_run_says_when_and_what_went_wrong() -> None:
    shown = card(samples.retrying())
    assert shown.word == "Retrying"
    assert shown.title == "QUEUED"
    assert reason(shown).startswith("Attempt 3 of 5 in 0:09 (slot given back). Attempt 2 failed: ReadTimeout")
    kept = card(msgspec.structs.replace(samples.retrying(), status=RunStatus.EXECUTING))
    assert "(slot kept)" in reason(kept)


def test_a_canceled_run_says_the_reason_as_one_sentence() -> None:
    # A reason with a full stop had it before the moment: "No longer needed. at 15:04:11."
    run = msgspec.structs.replace(samples.canceled(), canceled_reason="No longer needed.")
    assert reason(card(run)) == "No longer needed at 15:04:11."


def test_an_executing_run_after_a_failed_attempt_still_tells_of_it() -> None:
    earlier = Attempt(1, "FAILED", error=Error("OSError", "no route"))
    run = msgspec.structs.replace(
        samples.executing(),
        attempt_number=2,
        attempts=(earlier, Attempt(2, "EXECUTING", samples.at("14:32:00"), worker="w3")),
    )
    assert reason(card(run)) == "Attempt 2 started 14:32:00 on worker w3. Attempt 1 failed: OSError: no route"


def test_a_blocked_worker_is_named_before_anything_else() -> None:
    told = "Worker w_1 has not answered for 4 s: this run's body blocks its loop."

    shown = card(msgspec.structs.replace(samples.executing(), notice=told))

    assert reason(shown).startswith(told)


def test_a_waiting_run_says_for_what_and_when_that_is_over() -> None:
    def waits(*what: Waiting) -> str:
        return reason(card(samples.run(status=RunStatus.WAITING, waiting_for=what)))

    in_an_hour = samples.NOW + timedelta(hours=1)
    assert waits(Waiting("duration", until=in_an_hour)).startswith("For time, which is over ")
    assert waits(Waiting("token", token_id="waitpoint_1", shown="approval")) == "For token approval. No slot is held."
    assert waits(Waiting("task", run_id="run_2", shown="child")) == "For run run_2 of child. No slot is held."
    stream = waits(Waiting("stream", shown="orders", until=in_an_hour))
    assert stream.startswith("For a value of the input stream orders, which times out ")
    many = [Waiting("batch", batch_id=f"batch_{n}", left=n) for n in range(1, 6)]
    assert waits(*many).endswith("; for 3 runs of batch batch_3 and 2 more. No slot is held.")
    assert waits(Waiting("token", shown="\x1b[31mred\x1b[0m")) == "For token red. No slot is held."


def test_an_executing_run_says_when_it_would_be_stopped_and_what_made_it() -> None:
    run = msgspec.structs.replace(samples.executing(), max_duration=1800.0, machine="large-1x", schedule_id="nightly")
    assert " Stops after 30 min." in reason(card(run))
    assert {"machine large-1x", "schedule nightly"} <= set(card(run).facts)
