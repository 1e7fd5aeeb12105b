from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from kernelkit.models.run import FINAL, Run, RunStatus

NOON = datetime(2027, 1, 15, 12, tzinfo=UTC)
RUN = Run(id="run_1", task_id="resize", status=RunStatus.QUEUED, created_at=NOON, queue="task/resize")


@pytest.mark.parametrize("status", RunStatus)
def test_seven_statuses_are_final_however_the_run_ended(status: RunStatus) -> None:
    assert len(FINAL) == 7
    assert replace(RUN, status=status).is_completed is (status in FINAL)


def test_values_are_decoded_and_their_absence_is_none() -> None:
    run = replace(RUN, payload_json='{"n":1}', output_json="[1]", metadata_json='{"k":{"$float":"inf"}}')

    assert (run.payload, run.output, run.metadata) == ({"n": 1}, [1], {"k": float("inf")})
    assert (RUN.payload, RUN.output, RUN.metadata) == (None, None, {})


def test_the_duration_is_from_first_start_to_end() -> None:
    run = replace(RUN, started_at=NOON + timedelta(seconds=3), finished_at=NOON + timedelta(seconds=10))

    assert run.duration == timedelta(seconds=7)
    assert replace(run, finished_at=None).duration is None


def test_a_run_shows_id_task_and_status() -> None:
    assert repr(RUN) == "<Run run_1 of resize: QUEUED>"
