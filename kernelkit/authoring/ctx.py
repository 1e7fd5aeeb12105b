"""`kk.ctx`: the context of the run that the code is in, wherever below the body it stands.

It is looked up at each attribute, so the name can be imported at the top of a module and captured in a cell.
"""

from __future__ import annotations

from typing import Any, cast

from kernelkit.authoring.context import Context
from kernelkit.authoring.scope import current_scope, scope


class _CurrentContext:
    """`kk.ctx`: the run context of whatever run this code is in."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:  # whatever Context has
        if name.startswith("__"):  # inspection by IPython, copy or pickle is no question about a run
            raise AttributeError(name)
        return getattr(current_scope(f"kk.ctx.{name}").context, name)

    def __repr__(self) -> str:
        found = scope.get()
        return "<kk.ctx outside a run>" if found is None else repr(found.context)


ctx: Context = cast(Context, _CurrentContext())
