"""`import kernelkit` is quick because it loads next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"IPython", "ipywidgets", "anywidget", "starlette", "duckdb", "ipykernel", "nbclient"}


def loaded_after(statement: str, folder: Path) -> set[str]:
    script = (
        f"{statement}\nimport sys, json\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60, cwd=folder
    )
    return set(json.loads(ended.stdout))


def test_the_package_alone_loads_none_of_its_dependencies(tmp_path: Path) -> None:
    loaded = loaded_after("import kernelkit", tmp_path)

    assert loaded.isdisjoint(HEAVY | {"pydantic", "msgspec", "psutil", "asyncio", "cloudpickle"})


@pytest.mark.parametrize("name", ["task", "tasks", "runs", "Client", "engine", "AsyncClient"])
def test_no_name_loads_the_notebook_or_the_database(name: str, tmp_path: Path) -> None:
    assert loaded_after(f"from kernelkit import {name}", tmp_path).isdisjoint(HEAVY)


def test_defining_a_task_waits_for_no_pydantic(tmp_path: Path) -> None:
    loaded = loaded_after("import kernelkit as kk\n@kk.task\ndef f(a: int): ...", tmp_path)

    assert "pydantic" not in loaded


def test_what_a_body_uses_does_not_load_a_client(tmp_path: Path) -> None:
    script = "import kernelkit as kk, sys; kk.metadata, kk.tags, kk.track, kk.logger, kk.ctx, kk.AbortTaskRunError\n"
    script += "assert not any(name.startswith('kernelkit.client') for name in sys.modules)"

    assert loaded_after(script, tmp_path)
