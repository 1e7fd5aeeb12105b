from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelkit.execution.modules import ModuleWatch


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = dict(sys.modules)
    yield tmp_path
    sys.modules.clear()
    sys.modules.update(before)


def test_an_edit_is_seen_and_the_next_import_gets_it_even_within_the_same_second(folder: Path) -> None:
    file = folder / "kk_helper_one.py"
    file.write_text("VALUE = 1\n")
    watch = ModuleWatch(now=itertools.count().__next__)  # never too soon to look again
    first = importlib.import_module("kk_helper_one")
    assert not watch.changed()

    before = file.stat()
    file.write_text("VALUE = 2\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 10_000_000))  # a file system tells 4 ms apart, or 10

    assert watch.changed()
    watch.forget()
    assert not watch.changed()
    assert importlib.import_module("kk_helper_one").VALUE == 2
    assert first.VALUE == 1


def test_installed_modules_and_our_own_stay(folder: Path) -> None:
    kept = {name for name in sys.modules if name.partition(".")[0] in {"kernelkit", "msgspec", "asyncio", "pytest"}}

    ModuleWatch().forget()

    assert kept <= set(sys.modules)
