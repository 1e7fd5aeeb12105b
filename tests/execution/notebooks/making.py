"""Makes notebooks for tests: a text is a code cell, `md:…` a Markdown one, a pair a code cell with a tag."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def make_notebook(path: Path, *cells: str | tuple[str, str], kernel: str = "python3") -> Path:
    notebook = new_notebook(metadata={"kernelspec": KERNEL | {"name": kernel}})
    for each in cells:
        source, tag = (each, "") if isinstance(each, str) else each
        cell = new_markdown_cell(source[3:]) if source.startswith("md:") else new_code_cell(source)
        if tag:
            cell.metadata["tags"] = [tag]
        notebook.cells.append(cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path
