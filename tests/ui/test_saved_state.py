"""What is kept of a live view in a saved notebook, and what draws it, is at most 30 kB: for every kind, alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comm
import pytest

from kernelkit.ui import assets, hosts, parts
from kernelkit.ui.view_widget import ViewWidget
from tests.ui.measured import KINDS
from tests.ui.test_widget import Wire

VIEW_BYTES = 30_000
NODE = Path(sys.executable).parent / "node"
STATE = "application/vnd.jupyter.widget-state+json"


@pytest.fixture
def _quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(comm, "create_comm", Wire)
    monkeypatch.setattr(hosts, "is_looked_at", lambda shell: True)
    monkeypatch.setattr(parts, "_models", {})
    yield
    Wire.sent.clear()


def live(kind: str) -> tuple[str, str, dict[str, Any]]:
    """The states of all models that the page has of a lone view, after it has been painted some times."""
    first, *rest = KINDS[kind]()
    widget = ViewWidget(kind, first, lambda heard: None)
    for view in rest:
        widget.paint(view)
    states = ViewWidget.get_manager_state(drop_defaults=True, widgets=[widget, widget.layout, *widget.parts])["state"]
    model_id = widget.model_id
    widget.close()
    return kind, model_id, states


@pytest.mark.usefixtures("_quiet")
def test_every_kind_of_view_is_kept_in_thirty_kilobytes_with_what_draws_it() -> None:
    given = json.dumps([live(kind) for kind in assets.views()], default=str)
    keep = (assets.folder() / "keep.js").as_uri()
    ran = subprocess.run(
        [NODE, Path(__file__).parent / "saved.mjs", keep], input=given, capture_output=True, text=True, check=True
    )
    kept = json.loads(ran.stdout)
    assert set(kept) == set(KINDS)
    sizes = {kind: len(json.dumps(widgets, indent=1, ensure_ascii=False).encode()) for kind, widgets in kept.items()}
    assert max(sizes.values()) <= VIEW_BYTES, sizes
    assert all(len(widgets[STATE]["state"]) == 4 for widgets in kept.values()), "the view, its layout and two parts"
