from __future__ import annotations

import subprocess
import sys

import pytest

from kernelkit.execution.descriptors import _tail_to_keep


@pytest.mark.parametrize(
    ("data", "kept"), [(b"abc", 0), (b"ab\xc3", 1), (b"a\xe2\x82", 2), (b"a\xe2\x82\xac", 0), (b"abcMA", 2), (b"", 0)]
)
def test_what_may_be_the_beginning_of_a_character_or_of_the_mark_waits(data: bytes, kept: int) -> None:
    assert _tail_to_keep(data, b"MARK") == kept


def test_a_line_is_there_at_once_whatever_the_mark_between_attempts_is() -> None:
    """In one process of 256 the mark began with a newline: a line then waited for the next one."""
    script = """
import secrets, sys, threading
secrets.token_bytes = lambda count: bytes([10] * count)
from kernelkit.execution.descriptors import DescriptorCapture
from kernelkit.execution.run_log import RunLog
came = threading.Event()
log = RunLog("run_1", 1, lambda log: came.set())
capture = DescriptorCapture()
capture.begin(log)
print("imported")
is_there = came.wait(20)
capture.end()
sys.exit(0 if is_there and [line.text for line in log.take(1000).lines] == ["imported"] else 1)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
