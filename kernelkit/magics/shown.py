"""How magics show things: results as display data, our own errors as their words alone.

An exception out of a magic would show the frames of IPython and KernelKit above the person's lines. `in_words` gives a
`KernelKitError` the hook that IPython asks for, so that only its sentence appears; the cell still fails, Run All stops.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from IPython.display import display

from kernelkit.errors import KernelKitError

Bundle = dict[str, Any]


def publish(bundle: Bundle | str) -> None:
    """Show a MIME bundle, or a text, as output of the cell."""
    data = {"text/plain": bundle} if isinstance(bundle, str) else bundle
    display(data, raw=True)  # type: ignore[no-untyped-call]  # IPython has no types here


def publish_object(shown: object) -> None:
    """Show an object as a cell that ends with it does."""
    display(shown)  # type: ignore[no-untyped-call]  # IPython has no types here


def without_frames(error: KernelKitError) -> KernelKitError:
    """The same error, which IPython will show as one line of words instead of a traceback."""
    said = f"\x1b[31m{type(error).__name__}\x1b[0m: {error}"
    error._render_traceback_ = lambda: [said]  # type: ignore[attr-defined]  # IPython's own name for the hook
    return error


@contextmanager
def in_words() -> Iterator[None]:
    """Let our own errors out as words, and all others as they are."""
    try:
        yield
    except KernelKitError as error:
        raise without_frames(error) from None
