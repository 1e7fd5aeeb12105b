"""Lets comments stand above `%%task`, and says in words why code cannot.

IPython takes a line for a cell magic only when it is the cell's first, and else complains of a line magic that does not
exist. Comments are moved below the magic line, so that the cell has as many lines as before and errors name the right
ones.
"""

from __future__ import annotations

import ast
import re

from kernelkit.errors import TaskDefinitionError
from kernelkit.magics.shown import without_frames

_TASK = re.compile(r"%%task(\s|$)")


def comments_below(lines: list[str]) -> list[str]:
    """An IPython input transformer: the cell with `%%task` first; raises `TaskDefinitionError` for code above it.

    >>> comments_below(["# thumbnails\\n", "%%task resize(url)\\n", "return url\\n"])
    ['%%task resize(url)\\n', '# thumbnails\\n', 'return url\\n']
    """
    at = next((number for number, line in enumerate(lines) if _TASK.match(line)), 0)
    if at == 0:
        return lines
    above = lines[:at]
    code = [line for line in above if line.strip() and not line.lstrip().startswith("#")]
    if not code:
        return [lines[at], *above, *lines[at + 1 :]]
    if code[0].startswith("%%") or not _is_complete(above):
        return lines  # another cell magic's body, or the inside of a text
    raise without_frames(
        TaskDefinitionError(
            f"`{lines[at].strip()}` must be the first line of its cell; only comments may stand above it. "
            f"Move `{code[0].strip()}` to a cell of its own.",
            line=at + 1,
        )
    )


def _is_complete(above: list[str]) -> bool:
    """Whether these lines end where a statement ends; lines for IPython (`%time x`, `!ls`) count as statements."""
    try:
        ast.parse("".join("pass\n" if line.startswith(("%", "!")) else line for line in above))
    except SyntaxError:
        return False
    return True
