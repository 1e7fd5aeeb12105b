from __future__ import annotations

import msgspec

from kernelkit.models.error import Error
from kernelkit.ui.failure import place
from tests.ui import samples
from tests.ui.samples import card


def test_an_error_shows_the_readers_own_frames_and_how_earlier_attempts_went() -> None:
    error = card(samples.failed()).error
    assert error is not None
    assert [(frame.place, frame.function, frame.line) for frame in error.frames] == [
        ("cell [12]", "nightly_report", 7),
        ("cell [9]", "check", 3),
    ]
    assert (error.frames[0].before, error.frames[0].after) == ("rows = await load_sales(day)", "return rows")
    assert error.note == "Attempts 1 and 2 failed with the same error"
    assert error.frame_count == 3


def test_an_attempt_that_failed_otherwise_is_told() -> None:
    failed = samples.failed()
    other = msgspec.structs.replace(failed.attempts[1], error=Error("OSError", "no route"))
    run = msgspec.structs.replace(failed, attempts=(failed.attempts[0], other, failed.attempts[2]))
    error = card(run).error
    assert error is not None
    assert error.note == "Attempt 2 failed with OSError: no route"


def test_places_read_as_a_person_says_them() -> None:
    assert place("<Cell [8]>") == "Cell [8]"
    assert place("/srv/jobs/clean.py") == "/srv/jobs/clean.py"
