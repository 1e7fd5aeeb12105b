from __future__ import annotations

from types import SimpleNamespace

import pytest

from kernelkit.ui import silence
from kernelkit.ui.silence import Silence, has_engine
from tests.ui.fakes import FakeCaller


def test_an_engine_is_told_to_be_away_after_a_while_and_from_then_on_since_it_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([100.0, 101.0, 105.0, 106.0, 107.0, 108.0])
    monkeypatch.setattr(silence, "time", SimpleNamespace(time=lambda: next(clock)))
    view = Silence()

    told = [view.since(is_connected=here) for here in (True, False, False, False, True, False)]

    assert told == [None, None, 101.0, 101.0, None, None]


def test_a_caller_that_knows_of_no_connection_has_its_engine() -> None:
    caller = FakeCaller()
    assert has_engine(caller)
    caller.is_connected = False
    assert not has_engine(caller)
