"""Which ends of a process are told as out of memory."""

from __future__ import annotations

import pytest

from kernelkit.rules.memory import EXIT_OUT_OF_MEMORY, ended_for_memory


@pytest.mark.parametrize(
    ("code", "facts", "expected"),
    [
        (-9, {"peak": 89, "cap": 100}, False),
        (-9, {"peak": 90, "cap": 100}, True),
        (-9, {"peak": 10, "cap": 100, "oom_kills": 1}, True),
        (-9, {"oom_kills": 1}, True),
        (-9, {"peak": 99}, False),
        (-9, {"peak": 99, "cap": 100, "killed": True}, False),
        (-6, {"cap": 100, "stderr": "memory allocation of 4096 bytes failed"}, True),
        (-6, {"cap": 100, "stderr": "terminate called after throwing an instance of 'std::bad_alloc'"}, True),
        (-6, {"cap": 100, "stderr": "free(): invalid pointer"}, False),
        (-6, {"stderr": "std::bad_alloc"}, False),
        (EXIT_OUT_OF_MEMORY, {"cap": 100}, True),
        (EXIT_OUT_OF_MEMORY, {}, False),
        (-11, {"peak": 99, "cap": 100}, False),
        (0, {"peak": 99, "cap": 100}, False),
    ],
)
def test_an_end_for_lack_of_memory(code: int, facts: dict[str, object], expected: bool) -> None:
    told = {"killed": False, "oom_kills": 0, "peak": None, "cap": None} | facts

    assert ended_for_memory(code, **told) is expected  # type: ignore[arg-type]  # as named above
