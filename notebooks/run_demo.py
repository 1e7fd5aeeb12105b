"""`make demo`: executes the quickstart against a real engine of its own, without a browser.

Works in `build/demo`, which it makes anew, and leaves there the executed notebook and an HTML report. The engine it
used is stopped at the end; its home stays, and `kernelkit up --home build/demo/.kernelkit` brings it up again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

from kernelkit.config import Home
from kernelkit.wire.discovery import is_locked

HERE = Path(__file__).resolve().parent
NOTEBOOK = HERE / "quickstart.ipynb"


def main(folder: Path) -> int:
    home = folder / ".kernelkit"
    if is_locked(Home(home)):
        kernelkit(home, "down", "--now")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["KERNELKIT_HOME"] = str(home)

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    print(f"Running {NOTEBOOK.relative_to(HERE.parent)} with an engine of its own in {home}")
    started = time.monotonic()
    problem = ""
    try:
        execute(notebook, folder)
    except CellExecutionError as error:
        problem = str(error)
    finally:
        executed = folder / NOTEBOOK.name
        nbformat.write(notebook, executed)
        report = executed.with_suffix(".html")
        report.write_text(HTMLExporter().from_notebook_node(notebook)[0])
        if home.is_dir():
            kernelkit(home, "runs", "--limit", "5")
            kernelkit(home, "status")
            kernelkit(home, "down")
    took = time.monotonic() - started
    if problem:
        print(f"\nThe quickstart failed after {took:.0f} s:\n{problem}", file=sys.stderr)
    else:
        print(f"\nThe quickstart ran in {took:.0f} s, engine and workers included.")
    print(f"Report:   {report}\nNotebook: {executed}")
    return 1 if problem else 0


def execute(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run every cell in `folder`, printing the first line of each as it begins."""

    def tell(cell: nbformat.NotebookNode, cell_index: int) -> None:
        if cell.cell_type == "code":
            print(f"  [{cell_index + 1:>2}] {cell.source.strip().splitlines()[0]}", flush=True)

    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # it would warn that its ports on loopback are not encrypted
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,  # a run that has ended is plain HTML; the rest would be dead weight
        on_cell_start=tell,
    )
    client.execute()


def kernelkit(home: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "kernelkit", *words, "--home", str(home)], check=False)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parent / "build" / "demo").resolve()))
