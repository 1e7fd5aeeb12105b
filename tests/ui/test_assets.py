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
