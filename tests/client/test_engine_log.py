from __future__ import annotations

from pathlib import Path

import pytest

import kernelkit as kk
from kernelkit.client import engine_log
from kernelkit.client.engine_log import last_lines


def test_the_last_lines_of_a_log_are_shown_as_text(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    path.write_text("".join(f"line {number}\n" for number in range(500)))

    told = last_lines(path, 3)

    assert list(told) == ["line 497", "line 498", "line 499"]
    assert (told[0], told[1:], len(told)) == ("line 497", ("line 498", "line 499"), 3)
    assert repr(told) == f"line 497\nline 498\nline 499\n(the whole log is {path})"


def test_a_line_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_log, "_READ_BYTES", 20)
    path = tmp_path / "engine.log"
    path.write_text("a long line, half of which is read\nshort\n")

    assert list(last_lines(path, 100)) == ["short"]
    assert list(last_lines(path, 0)) == []


def test_without_an_engine_it_says_where_the_log_will_be(tmp_path: Path) -> None:
    client = kk.Client(tmp_path / ".kernelkit")

    told = client.engine.logs()

    assert len(told) == 0
    assert repr(told) == f"There is no engine log yet; it will be {client.home.engine_log}."
