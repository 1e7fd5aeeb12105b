"""nbclient, one cell at a time: outputs are cut at a limit, and whoever watches hears of each as it comes.

Of nbclient only the execution of a single cell is used. Its own start and end of a kernel take over the signals of the
process, and leave the kernel behind when they are cancelled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_output

from kernelkit.execution.notebooks.kernel import Kernel
from kernelkit.execution.notebooks.libraries import quiet

Output = dict[str, Any]  # one output of a cell, as a notebook keeps it


class Cells(NotebookClient):
    """Executes cells of `notebook` in `kernel`; `told` is called with each output that is kept, and each that is not.

    A cell's outputs are kept up to `limit` bytes; a note stands where they were cut. 0 is no limit.
    """

    def __init__(self, notebook: NotebookNode, kernel: Kernel, *, limit: int, told: Callable[[Output], None]) -> None:
        super().__init__(
            notebook, km=kernel.manager, coalesce_streams=True, store_widget_state=False, log=quiet, timeout=None
        )
        self.kc = kernel.client
        self._limit = limit
        self._told = told
        self._kept = 0  # bytes of the outputs of the cell that runs
        self._left_out = 0

    async def execute(self, index: int, number: int) -> None:  # type: ignore[override]  # of one cell, in place of all
        """Execute the cell at that place, the `number`th; raises what nbclient raises."""
        self._kept = self._left_out = 0
        await self.async_execute_cell(self.nb.cells[index], index, execution_count=number)

    def output(self, outs: list[NotebookNode], msg: Any, display_id: str | None, cell_index: int) -> Any:
        """nbclient's hook for an output that has come."""
        if not outs or self.clear_before_next_output:  # cleared: animations show one picture after the other
            self._kept = self._left_out = 0
        text = msg["content"].get("text") if msg["msg_type"] == "stream" else None
        size = len(text) if text is not None else _size_of(msg["content"])
        self._told({**msg["content"], "output_type": msg["msg_type"]})
        if not self._limit or msg["msg_type"] == "error" or self._kept + size <= self._limit:
            self._kept += size
            return super().output(outs, msg, display_id, cell_index)
        room = self._limit - self._kept
        if text is not None and room > 0 and not self._left_out:
            msg["content"]["text"] = text[:room]
            super().output(outs, msg, display_id, cell_index)
            self._kept, size = self._limit, size - room
        self._left_out += size
        _note(outs, f"[{self._left_out:,} bytes of output left out: the limit of a cell is {self._limit:,} bytes]\n")
        return None


def _note(outs: list[NotebookNode], text: str) -> None:
    """One note at the end of a cell's outputs, which counts up."""
    if outs and outs[-1].get("metadata", {}).get("kernelkit") == "cut":
        outs[-1]["data"]["text/plain"] = text
    else:
        outs.append(new_output("display_data", data={"text/plain": text}, metadata={"kernelkit": "cut"}))


def _size_of(content: dict[str, Any]) -> int:
    data = content.get("data", {})
    return sum(len(value) if isinstance(value, str) else len(str(value)) for value in data.values())
