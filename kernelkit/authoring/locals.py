"""`kk.locals`: values that middleware, hooks and body of one attempt share.

They live and end with the attempt, in its process; nothing of them is stored. Two attempts in one process never see
each other's, which is what a module's global could not promise.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from kernelkit.authoring.scope import current_scope
from kernelkit.errors import InvalidOptionError, KernelKitError

T = TypeVar("T")


class Local(Generic[T]):
    """A place for a value, made by `kk.locals.create`; two of the same id are the same place."""

    __slots__ = ("id",)

    def __init__(self, id: str) -> None:
        self.id = id

    def __reduce__(self) -> tuple[Any, ...]:
        return (Local, (self.id,))

    def __repr__(self) -> str:
        return f"<kk.locals {self.id!r}>"


class Locals:
    """Values shared by middleware, hooks and body of one attempt.

    db = kk.locals.create("db")

    @kk.tasks.middleware("db")
    async def connected(next):
        connection = kk.locals.set(db, await connect())
        await next()
        await connection.close()

    kk.locals.get_or_raise(db)      # in a hook or a body
    """

    __slots__ = ()

    def create(self, id: str) -> Local[Any]:
        """A place for a value. Annotate it to have its type checked: `db: kk.Local[Connection] = …`."""
        if not isinstance(id, str) or not id:
            raise InvalidOptionError(f"id={id!r} of a local is not a text.", field="id")
        return Local(id)

    def set(self, local: Local[T], value: T) -> T:
        """Put the value there for the rest of this attempt, and return it."""
        _values("kk.locals.set")[local.id] = value
        return value

    def get(self, local: Local[T]) -> T | None:
        """The value, or None where none was set."""
        found: T | None = _values("kk.locals.get").get(local.id)
        return found

    def get_or_raise(self, local: Local[T]) -> T:
        """The value; raises `KernelKitError` where none was set."""
        values = _values("kk.locals.get_or_raise")
        if local.id not in values:
            raise KernelKitError(
                f"The local {local.id!r} has no value in this attempt. Set it in a middleware or hook that runs "
                f"before: kk.locals.set(…, value)."
            )
        found: T = values[local.id]
        return found

    def __repr__(self) -> str:
        return "<kk.locals: create(id), set(local, value), get(local), get_or_raise(local)>"


def _values(what: str) -> dict[str, Any]:
    scope = current_scope(what)
    if scope.locals is None:
        scope.locals = {}
    return scope.locals


locals = Locals()
