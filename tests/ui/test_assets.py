"""The front end as texts that a page takes: no module loses a line on the way, and each is sent once."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from kernelkit.ui import assets

NODE = Path(sys.executable).parent / "node"
SHARED, TREE, TIMELINE = assets.shared(), assets.part("tree.js"), assets.part("timeline.js")
FORMS = assets.forms()
PARTS = {"shared": SHARED, "forms": FORMS, **{name: assets.part(name) for name in assets.views()}}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_with_all_it_imports_is_one_module_that_parses(name: str, tmp_path: Path) -> None:
    # A statement that began with a cast in a comment lost all its text up to the next comment.
    _parses(PARTS[name].script, tmp_path)


def test_what_a_model_brings_along_parses(tmp_path: Path) -> None:
    for text in (SHARED.esm, TREE.esm, assets.view(TREE)):
        _parses(text, tmp_path)


def test_each_part_is_packed_as_what_goes_on_from_the_shared_one() -> None:
    def packed(part: assets.Part) -> bytes:
        return base64.b85decode(part.esm.rsplit('"', 2)[1])

    assert zlib.decompressobj(-15).decompress(packed(SHARED)).decode() == _plain(SHARED)
    for part in (TREE, FORMS):
        assert zlib.decompress(packed(SHARED) + packed(part), -15).decode() == _plain(SHARED) + _plain(part)


def _plain(part: assets.Part) -> str:
    return json.dumps([part.style, part.script], ensure_ascii=False)


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
    for part, begin in ((SHARED, SHARED.key), (TREE, f"{SHARED.key}.{TREE.key}"), (FORMS, f"{SHARED.key}.{FORMS.key}")):
        rules = part.style.replace(f".{SHARED.key}.{SHARED.key} .kk", "")  # those of controls
        assert re.findall(rf"(?<!\.{re.escape(begin)} )\.kk(?![\w-])", rules) == []
    assert len({SHARED.key, TREE.key, TIMELINE.key}) == 3


def test_no_text_of_ours_spans_lines_whose_indent_is_taken_away() -> None:
    for path in assets.folder().glob("*.js"):
        if not path.name.endswith(".test.js"):
            assert [line for line in path.read_text("utf-8").splitlines() if line.count("`") % 2] == [], path.name


def test_what_is_sent_to_draw_views_is_small_and_makes_no_markup() -> None:
    sizes = {name: len(part.esm) for name, part in PARTS.items()}
    assert sum(sizes.values()) < 75_000, sizes
    assert len(assets.view(TREE)) < 1_100, "which comes with each view"
    assert "innerHTML" not in "".join(part.script for part in PARTS.values())
