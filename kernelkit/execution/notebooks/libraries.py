"""The libraries of notebooks, kept quiet; and nbformat, loaded without what it does not use.

It imports jsonschema, and that, where JupyterLab is installed, rfc3987_syntax, which builds a grammar as it is
imported: well over a second, to check a format that notebooks do not have. Here it waits for whoever asks for it.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import types

_PUT_OFF = "rfc3987_syntax"

quiet = logging.getLogger("kernelkit.notebooks.libraries")
"""What nbclient, nbconvert and jupyter_client have to say; it would stand in the run's log otherwise."""
quiet.propagate = False
quiet.addHandler(logging.NullHandler())


def load_nbformat() -> None:
    """Import nbformat; call it before the first import of nbformat, nbclient or nbconvert in a process."""
    if "jsonschema" in sys.modules or _PUT_OFF in sys.modules or importlib.util.find_spec(_PUT_OFF) is None:
        importlib.import_module("nbformat")
        return
    stand_in = types.ModuleType(_PUT_OFF)
    stand_in.__dict__["is_valid_syntax"] = _is_valid_syntax
    sys.modules[_PUT_OFF] = stand_in
    try:
        importlib.import_module("nbformat")
    finally:
        del sys.modules[_PUT_OFF]


def _is_valid_syntax(term: str, value: str) -> bool:
    real = importlib.import_module(_PUT_OFF)
    return bool(real.is_valid_syntax(term, value))
