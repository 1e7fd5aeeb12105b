"""The front end as texts that a page takes: no module loses a line on the way, and each is sent once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kernelkit.ui import assets

NODE = Path(sys.executable).parent / "node"
SHARED, TREE, TIMELINE = assets.shared(), assets.part("tree.js"), assets.part("timeline.js")
PARTS = {"shared": SHARED, "forms": assets.forms(), **{name: assets.part(name) for name in assets.views()}}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_with_all_it_imports_is_one_module_that_parses(name: str, tmp_path: Path) -> None:
    # A statement that began with a cast in a comment lost all its text up to the next comment.
    _parses(PARTS[name].script, tmp_path)


def test_what_a_model_brings_along_parses(tmp_path: Path) -> None:
    for text in (SHARED.esm, assets.view(TREE)):
        _parses(text, tmp_path)


def _parses(text: str, folder: Path) -> None:
    made = folder / "module.mjs"
    made.write_text(text, "utf-8")
    checked = subprocess.run([NODE, "--check", made], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_what_views_share_is_in_one_part_and_nowhere_else() -> None:
    modules = [name for part in PARTS.values() for name in re.findall(r"^const (kk_\w+) = \(\(\)", part.script, re.M)]
    assert len(modules) == len(set(modules))
    assert {"kk_dom", "kk_marks", "kk_silence", "kk_keep"} <= set(re.findall(r"const (kk_\w+) = \(", SHARED.script))
    assert all(SHARED.key in part.script for part in PARTS.values() if part is not SHARED)


def test_the_styles_of_one_view_leave_the_others_alone() -> None:
    assert f".{SHARED.key} .kk .head{{" in SHARED.style
    assert f".{SHARED.key}.{TREE.key} .kk .tr{{" in TREE.style
    for part, begin in ((SHARED, SHARED.key), (TREE, f"{SHARED.key}.{TREE.key}")):
        assert re.findall(rf"(?<!\.{re.escape(begin)} )\.kk(?![\w-])", part.style) == []
    assert len({SHARED.key, TREE.key, TIMELINE.key}) == 3


def test_no_text_of_ours_spans_lines_whose_indent_is_taken_away() -> None:
    for path in assets.folder().glob("*.js"):
        if not path.name.endswith(".test.js"):
            assert [line for line in path.read_text("utf-8").splitlines() if line.count("`") % 2] == [], path.name


def test_a_view_and_what_draws_it_are_small_enough_to_be_saved() -> None:
    sizes = {name: len(part.esm) for name, part in PARTS.items()}
    assert max(sizes.values()) < 16_000
    alone = {name: sum(len(need.esm) for need in part.needs) + len(part.esm) for name, part in PARTS.items()}
    assert {name for name, size in alone.items() if size > 25_000} <= {"task.js", "timeline.js", "token.js"}
    assert max(alone.values()) < 32_500
    assert len(assets.view(TREE)) < 1_500
    assert "innerHTML" not in "".join(part.script for part in PARTS.values())
