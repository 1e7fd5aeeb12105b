"""The example of each page of the documentation prints what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[str]:
    return sorted(page.name for page in DOCS.glob("*.md") if PRINTED.search(page.read_text()))


@pytest.mark.parametrize("page", pages())
def test_the_example_of_a_page_prints_what_the_page_says(page: str, tmp_path: Path) -> None:
    text = (DOCS / page).read_text()
    script = tmp_path / "example.py"
    script.write_text("\n".join(EXAMPLE.findall(text)))

    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "".join(PRINTED.findall(text))
