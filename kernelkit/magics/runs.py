"""What `%runs`, `%run_tree` and `%timeline` do: a page of the project's runs, and pictures of one."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from kernelkit.authoring import caller as callers
from kernelkit.authoring.runs import Page, Runs
from kernelkit.authoring.timeline import RunTimeline
from kernelkit.authoring.tree import RunTree
from kernelkit.errors import InvalidOptionError
from kernelkit.rules.run_filters import FILTERS, LISTS, name_of

OPTIONS = (*FILTERS, "limit", "after", "before")


def page(line: str) -> Page:
    """The page that `%runs {line}` asks for; raises `InvalidOptionError` naming the filter that will not do."""
    return Runs().list(**read_filters(line))


def tree(line: str, names: Mapping[str, Any]) -> RunTree:
    """What `%run_tree {line}` means; raises `InvalidOptionError` where that is no run."""
    return _tree("run_tree", line.split(), names)


def timeline(line: str, names: Mapping[str, Any]) -> RunTimeline:
    """What `%timeline {line}` means; raises `InvalidOptionError` where that is no run."""
    words = line.split()
    whole = "--tree" in words
    for word in words:
        if word.startswith("--") and word != "--tree":
            raise InvalidOptionError(f"`{word}` is no option of %timeline. Its only one is --tree.", field=word)
    made = _tree("timeline", [word for word in words if word != "--tree"], names)
    return made.timeline() if whole else RunTimeline(made.caller, made.run_id)


def _tree(magic: str, words: Sequence[str], names: Mapping[str, Any]) -> RunTree:
    if len(words) != 1:
        raise InvalidOptionError(
            f"%{magic} takes one run: its id, or the name of a handle, as in `%{magic} run_1m80…`.", field="line"
        )
    shown = RunTree(callers.current(), name_of(names.get(words[0], words[0]), "run"))
    shown.root()  # so that an unknown one is told before anything is drawn
    return shown


def read_filters(line: str) -> dict[str, Any]:
    """`--status failed --task resize` as keywords of `kk.runs.list`; several values are joined by commas.

    >>> read_filters("--status failed,crashed --limit 5")
    {'status': ['failed', 'crashed'], 'limit': 5}
    """
    try:
        words = shlex.split(line)
    except ValueError as cause:
        raise InvalidOptionError(f"`%runs {line}` cannot be read: {str(cause).lower()}.", field="line") from None
    found: dict[str, Any] = {}
    for number, word in enumerate(words):
        name, equals, value = word.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if not word.startswith("--"):
            if number and words[number - 1].startswith("--") and "=" not in words[number - 1]:
                continue  # the value of the option before it
            raise _unknown(word)
        if name not in OPTIONS:
            raise _unknown(word.partition("=")[0])
        following = words[number + 1] if number + 1 < len(words) else "--"
        if not equals:
            value = following
        if value.startswith("--"):
            if name != "is_test":
                raise InvalidOptionError(
                    f"`--{name.replace('_', '-')}` needs a value, as in `%runs --status failed`.", field=name
                )
            value = "yes"
        if name == "limit":
            found[name] = _number(value)
        else:
            found[name] = [*found.get(name, []), *value.split(",")] if name in LISTS else value
    return found


def _unknown(word: str) -> InvalidOptionError:
    spelled = [one.replace("_", "-") for one in OPTIONS]
    near = difflib.get_close_matches(word.removeprefix("--"), spelled, n=1)
    hint = f"Did you mean `--{near[0]}`? " if near else ""
    known = ", ".join(f"--{one}" for one in spelled)
    return InvalidOptionError(f"`{word}` is no option of %runs. {hint}Its options are {known}.", field=word)


def _number(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise InvalidOptionError(f"`--limit {value}`: {value!r} is not a whole number.", field="limit") from None
