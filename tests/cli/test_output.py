"""JSON for programs has every field; tables for people line up."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from kernelkit.cli.output import plain, print_json, table
from kernelkit.models.run import Run, RunStatus


def a_run(**fields: object) -> Run:
    defaults: dict[str, object] = {
        "id": "run_1",
        "task_id": "resize",
        "status": RunStatus.COMPLETED,
        "queue": "task/resize",
        "created_at": datetime(2027, 1, 1, tzinfo=UTC),
    }
    return Run(**(defaults | fields))  # type: ignore[arg-type]  # fields of a test are right by themselves


def test_a_run_is_printed_with_its_values_decoded_and_no_field_left_out() -> None:
    told = plain(a_run(payload_json='{"width":256}', output_json='{"$float":"nan"}'))

    assert told["payload"] == {"width": 256}
    assert told["created_at"] == "2027-01-01T00:00:00+00:00"
    assert told["error"] is None and told["tags"] == [] and told["attempts"] == []
    assert "payload_json" not in told


def test_values_that_json_lacks_are_printed_as_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(a_run(output_json='{"$float":"nan"}'))

    assert json.loads(capsys.readouterr().out)["output"] is None


def test_columns_line_up_and_lines_have_no_space_at_their_end() -> None:
    assert table(["task", "run"], [["a", "run_1"], ["longer", ""]]) == "TASK    RUN\na       run_1\nlonger"
