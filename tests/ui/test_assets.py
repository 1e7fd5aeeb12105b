"""The front end as one text: no module loses a line on the way into it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kernelkit.ui import assets

NODE = Path(sys.executable).parent / "node"
VIEWS = sorted(path.name for path in assets.folder().glob("*.js") if "export default" in path.read_text("utf-8"))


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_with_all_it_imports_is_one_module_that_parses(name: str, tmp_path: Path) -> None:
    # A statement that began with a cast in a comment lost all its text up to the next comment.
    made = tmp_path / "module.mjs"
    made.write_text(assets.module(name), "utf-8")

    checked = subprocess.run([NODE, "--check", made], capture_output=True, text=True)

    assert checked.returncode == 0, checked.stderr


def test_the_styles_of_one_view_leave_the_others_alone() -> None:
    shared, own = assets.style("tree.js", "tokens.css", "card.css"), assets.style("tree.js", "tree.css")

    assert ".kk-tree" not in shared and ".kk .head {" in shared
    assert ".kk-tree .kk .tr {" in own
    assert not [line for line in own.splitlines() if ".kk " in line and ".kk-tree .kk " not in line]
    assert 'host.el.classList.add("kk-tree")' in assets.module("tree.js")
