"""`kk.tags.add(…)`: tags given to a run from inside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kernelkit.authoring.scope import current_scope
from kernelkit.errors import InvalidOptionError
from kernelkit.rules.limits import check_tags
from kernelkit.wire.messages import AddTags


def new_tags(given: str | Iterable[str], *, present: Sequence[str] = ()) -> tuple[str, ...]:
    """The tags of `given` that are not `present` yet, without blanks and doubles; raises `InvalidOptionError`.

    >>> new_tags(["user_1", " ", "paid", "user_1"], present=["paid"])
    ('user_1',)
    """
    if not isinstance(given, Iterable) or isinstance(given, bytes | Mapping):
        raise InvalidOptionError(f"tags={given!r} is not a text or a list of texts.", field="tags")
    new: list[str] = []
    for tag in [given] if isinstance(given, str) else given:
        if not isinstance(tag, str):
            raise InvalidOptionError(f"A tag is text, not {tag!r}.", field="tags")
        if tag.strip() and tag not in present and tag not in new:
            new.append(tag)
    check_tags([*dict.fromkeys(present), *new])
    return tuple(new)


class Tags:
    """The tags of the run this code is in."""

    __slots__ = ()

    def add(self, tags: str | Iterable[str]) -> None:
        """Add a tag or several; those the run has already are left alone.

        Raises `InvalidOptionError` over 10 tags a run or 128 characters a tag (then none is added), and
        `NotInTaskError` outside a run. `ctx.run.tags` stays what it was when the attempt began.

            kk.tags.add("user_1")
        """
        scope = current_scope("kk.tags.add(…)")
        if scope.tags is None:
            scope.tags = list(scope.start.tags)
        new = new_tags(tags, present=scope.tags)
        if new:
            scope.send(AddTags(tags=new, op=scope.op("tags", "add", "\n".join(new))))
            scope.tags.extend(new)

    def __repr__(self) -> str:
        return "<kk.tags of the current run>"


tags = Tags()
