"""The faces that need no widget: text for terminals, HTML for what is saved, exported or looked at without a kernel.

A `Bundle` is what IPython calls a MIME bundle: the same thing said in each of these ways, of which whoever shows it
takes the best that it can.
"""

from __future__ import annotations

import shutil
from typing import Any

from kernelkit.errors import KernelKitError
from kernelkit.ui import hosts, html, text, words
from kernelkit.ui.view import RunCard

Bundle = dict[str, Any]


def static_bundle(card: RunCard, *, width: int = text.WIDTH, ascii: bool = False) -> Bundle:
    """The two faces that need no widget."""
    return {"text/plain": text.run_text(card, width=width, ascii=ascii), "text/html": html.run_html(card)}


def terminal() -> dict[str, Any]:
    """Width and character set for the text face: a terminal's own, or 80 columns where a notebook keeps the text."""
    if hosts.is_kernel(hosts.shell()):
        return {}
    return {"width": min(text.WIDTH, shutil.get_terminal_size().columns), "ascii": text.wants_ascii()}


def unreadable(shown: object, error: KernelKitError) -> Bundle:
    """What there is to say where nothing could be read."""
    told = f"{shown!r}\n{words.clean_block(str(error))}"
    return {"text/plain": told, "text/html": f"<pre>{html.esc(told)}</pre>"}
