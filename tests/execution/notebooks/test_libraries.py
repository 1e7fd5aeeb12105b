from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("rfc3987_syntax")

CODE = """
import sys
from kernelkit.execution.notebooks.libraries import load_nbformat
load_nbformat()
assert "nbformat" in sys.modules and "rfc3987_syntax" not in sys.modules
from jsonschema import FormatChecker
assert FormatChecker().conforms("http://example.org/ü", "iri")
assert not FormatChecker().conforms("no iri at all", "iri")
assert "rfc3987_syntax" in sys.modules
load_nbformat()
"""


def test_the_grammar_that_nbformat_does_not_need_waits_for_its_first_use() -> None:
    # Found by the benchmark: 1.3 s of the start of every notebook job, and of the first kk.notebook in a kernel.
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
