"""What is sent for a live view is small: for every kind, counted in bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import comm
import pytest

from kernelkit.ui import assets, hosts
from kernelkit.ui.view_widget import ViewWidget
from tests.ui.measured import KINDS
from tests.ui.test_widget import Wire

MESSAGE_BYTES = 8_000


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    monkeypatch.setattr(comm, "create_comm", Wire)
    monkeypatch.setattr(hosts, "is_looked_at", lambda shell: True)
    Wire.sent.clear()
    yield Wire.sent
    Wire.sent.clear()


def painted(kind: str, sent: list[tuple[str, dict[str, Any]]]) -> tuple[int, list[int]]:
    """Bytes of the first view and of each paint after it."""
    first, *rest = KINDS[kind]()
    widget = ViewWidget(kind, first, lambda heard: None)
    begun = sum(len(json.dumps(data)) for kind, data in sent if kind == "comm_open" and "view" in data["state"])
    sizes = []
    for view in rest:
        sent.clear()
        widget.paint(view)
        sizes.append(max(len(json.dumps(data)) for _, data in sent))
    widget.close()
    return begun, sizes


@pytest.mark.parametrize("kind", assets.views())
def test_what_is_new_in_a_view_is_one_small_message(kind: str, sent: list[tuple[str, dict[str, Any]]]) -> None:
    first, sizes = painted(kind, sent)
    assert max(sizes) <= MESSAGE_BYTES, f"{first} bytes at first, then {sizes}"
