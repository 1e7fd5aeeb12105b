"""Every example in a docstring is run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import kernelkit

ROOT = Path(kernelkit.__file__).parent


def modules_with_examples() -> list[str]:
    return sorted(
        ".".join(("kernelkit", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for path in ROOT.rglob("*.py")
        if ">>> " in path.read_text()
    )


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module_are_true(name: str) -> None:
    # What an example defines belongs to the reader's session, so that its tasks travel as a notebook's do.
    result = doctest.testmod(importlib.import_module(name), extraglobs={"__name__": "__main__"})

    assert result.failed == 0
