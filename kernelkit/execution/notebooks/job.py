"""What of a notebook travels to a worker: its text and kernel, or with `source="live"` only where it lies."""

from __future__ import annotations

import copy
import difflib
import json
import os
from pathlib import Path
from typing import Any, Literal

import msgspec

from kernelkit.authoring.kernelspecs import KernelChoice
from kernelkit.authoring.parameters import INJECTED_TAG, TAG, Parameters, read_parameters, tagged
from kernelkit.errors import PayloadValidationError, TaskDefinitionError
from kernelkit.execution.notebooks.libraries import load_nbformat

Source = Literal["snapshot", "live"]
Notebook = dict[str, Any]  # a notebook's JSON, of format 4
SKIP_TAG = "skip-execution"  # as nbclient has it


class NotebookJob(msgspec.Struct, frozen=True):
    """A notebook to execute. `text` is its JSON without outputs, empty for a live one."""

    path: str
    source: Source
    text: str
    kernel: KernelChoice
    cell_timeout: float = 0.0  # seconds; 0 = none
    output_limit: int = 0  # bytes a cell

    @property
    def name(self) -> str:
        """The file's name, for errors and artifacts."""
        return os.path.basename(self.path)

    @property
    def folder(self) -> str:
        return os.path.dirname(self.path)

    def open(self) -> Notebook:
        """The notebook as it is to be executed, without outputs; raises `TaskDefinitionError` for one that is gone."""
        found: Notebook = json.loads(self.text) if self.source == "snapshot" else read_notebook(Path(self.path))
        return found

    def parameters(self, notebook: Notebook) -> Parameters:
        """Its parameters; of a live one, as they are now."""
        return read_parameters(notebook["cells"], what=self.name)


def read_notebook(path: Path) -> Notebook:
    """A notebook's JSON in format 4, without outputs; raises `TaskDefinitionError` for what is none."""
    load_nbformat()
    import nbformat  # a third of a second of libraries, for notebook jobs alone

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TaskDefinitionError(f"There is no notebook {path}.{_near(path)}", path=str(path)) from None
    except (OSError, UnicodeDecodeError) as cause:
        raise TaskDefinitionError(f"The notebook {path} cannot be read: {cause}.", path=str(path)) from cause
    try:
        raw = json.loads(text)
        _name_cells(raw)
        found: Notebook = nbformat.reads(json.dumps(raw), as_version=4)
    except Exception as cause:  # nbformat raises of what it finds: JSON, schema, key and attribute errors
        raise TaskDefinitionError(
            f"{path} is not a notebook: {' '.join(str(cause).split())[:200]}", path=str(path)
        ) from cause
    notebook: Notebook = json.loads(json.dumps(found))
    if raw["nbformat"] < 4:
        notebook["nbformat_minor"] = 4  # without ids, which the conversion rolls dice for
    for cell in notebook["cells"]:
        if notebook["nbformat_minor"] < 5:
            cell.pop("id", None)
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
            cell["metadata"].pop("execution", None)
    notebook["metadata"].pop("widgets", None)
    return notebook


def injected(notebook: Notebook, parameters: Parameters, values: dict[str, Any]) -> Notebook:
    """The notebook with a cell that assigns `values`, behind the one tagged `parameters`; an older such cell goes."""
    made = copy.deepcopy(notebook)
    cell: dict[str, Any]
    while (old := tagged(made["cells"], INJECTED_TAG)) is not None:
        del made["cells"][old]
    place = tagged(made["cells"], TAG)
    if values:
        cell = {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {"tags": [INJECTED_TAG]},
            "outputs": [],
            "source": parameters.code(values),
        }
        if made.get("nbformat_minor", 0) >= 5:
            cell["id"] = INJECTED_TAG
        made["cells"].insert(0 if place is None else place + 1, cell)
    return made


def still_known(job: NotebookJob, parameters: Parameters, values: dict[str, Any]) -> None:
    """Refuse values for parameters that a live notebook has no more; raises `PayloadValidationError`."""
    names = [parameter.name for parameter in parameters]
    for name in values:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise PayloadValidationError(
                f"{job.name} has no parameter {name!r}: the notebook was changed since its job was defined.{hint} "
                "Run kk.notebook(…) again.",
                errors=[{"loc": [name], "msg": "there is no such parameter", "type": "extra_forbidden"}],
            )


def is_executed(cell: dict[str, Any]) -> bool:
    """Whether a cell is one that a kernel gets to see."""
    is_code = cell["cell_type"] == "code" and bool(cell["source"].strip())
    return is_code and SKIP_TAG not in cell["metadata"].get("tags", ())


def first_line(cell: dict[str, Any]) -> str:
    """How a cell is named in errors and on the card: its first line of code."""
    lines = [line.strip() for line in cell["source"].splitlines()]
    code = [line for line in lines if line and not line.startswith("#")] or [line for line in lines if line]
    line = code[0] if code else ""
    return line if len(line) <= 80 else line[:79] + "…"


def _name_cells(raw: Any) -> None:
    """Cells that should have an id get one; nbformat would make another at each reading, so another version."""
    if isinstance(raw, dict) and (raw.get("nbformat"), raw.get("nbformat_minor", 0)) >= (4, 5):
        for index, cell in enumerate(raw.get("cells", [])):
            if isinstance(cell, dict):
                cell.setdefault("id", f"cell-{index}")


def _near(path: Path) -> str:
    try:
        there = [each.stem for each in path.parent.iterdir() if each.suffix == ".ipynb"]
    except OSError:
        return f" Nor is there a folder {path.parent}."
    near = difflib.get_close_matches(path.stem, there, n=1)
    return f" Did you mean {near[0]}.ipynb?" if near else ""
