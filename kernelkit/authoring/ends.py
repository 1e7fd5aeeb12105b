"""The ends of runs, as a plain function outside of a run waits for them; inside one `durable.py` does."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from kernelkit.durations import Duration, to_seconds
from kernelkit.models.run import Run


def blocking(end: Future[Any], timeout: Duration | None, what: str) -> Any:
    """What `end` comes to; raises `TimeoutError` after `timeout`. That and an interrupt leave the runs alone."""
    seconds = None if timeout is None else to_seconds(timeout, field="timeout")
    try:
        return end.result(seconds)
    except TimeoutError:
        if end.done() and not end.cancelled():
            raise
        end.cancel()
        raise TimeoutError(
            f"{what} has not ended after {seconds:g} s. It goes on; ask again whenever you like."
        ) from None
    except BaseException:
        end.cancel()
        raise


def lacks_output(run: Run) -> bool:
    """Whether the end was told without its output, as large ones are."""
    return run.output_json is None and run.output_size > 0
