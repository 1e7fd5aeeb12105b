"""Replaces what stands in an output, from whatever thread.

Where a person looks a replacement counts at any time. What executes a notebook by itself looks only at messages of the
cell that is being executed: nbclient throws away one that a thread sends while a cell ends (nbclient/client.py,
`_async_poll_output_msg`), and the saved notebook keeps a widget that nobody draws. So where no front end names its
cells, replacements are said again as a cell ends, by the thread that executes it, and before that whatever is live is
brought up to date.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from kernelkit.ui import hosts
from kernelkit.ui.faces import Bundle

PATIENCE_S = 2.0  # at the end of a cell, for pictures that lag behind


def publish(bundle: Bundle, display_id: str, *, update: bool) -> None:
    """Show `bundle`; with `update` in place of what has that `display_id`."""
    from IPython.display import display  # optional package: only kernels publish

    display(bundle, raw=True, display_id=display_id, update=update)  # type: ignore[no-untyped-call]  # IPython has none


class Replacements:
    """Those of this process. Each of `settle` brings what is live up to date and takes how many seconds it may."""

    def __init__(self, settle: Sequence[Callable[[float], None]]) -> None:
        self._settle = settle
        self._lock = threading.Lock()
        self._again: dict[str, Bundle] = {}

    def of(self, display_id: str, shell: hosts.Shell) -> Callable[[Bundle], None]:
        """What replaces the output that has `display_id`."""
        is_looked_at = hosts.is_looked_at(shell)
        if not is_looked_at:
            shell.events.register("post_run_cell", self._at_end_of_cell)  # once only, says IPython/core/events.py

        def replace(bundle: Bundle) -> None:
            if not is_looked_at:
                with self._lock:
                    self._again[display_id] = bundle
            publish(bundle, display_id, update=True)

        return replace

    def _at_end_of_cell(self, _: object) -> None:
        for settle in self._settle:
            settle(PATIENCE_S)
        with self._lock:
            again, self._again = self._again, {}
        for display_id, bundle in again.items():
            publish(bundle, display_id, update=True)
