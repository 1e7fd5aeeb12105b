"""Reads the magic line of a `%%task` cell: a signature, options, or both.

    resize(url: str, width: int = 512) -> dict --queue images --retries 5

The signature ends at the bracket that closes it, wherever strings and other brackets lie between.
"""

from __future__ import annotations

import difflib
import re
import shlex
from dataclasses import dataclass
from typing import Any, Literal

from kernelkit.errors import TaskDefinitionError

MAGIC = "%%task"
OPTIONS: dict[str, Literal["text", "number", "list", "flag"]] = {
    "id": "text",
    "description": "text",
    "queue": "text",
    "concurrency-limit": "number",
    "rate-limit": "text",
    "retries": "number",
    "tags": "list",
    "isolation": "text",
    "machine": "text",
    "log-level": "text",
    "ttl": "text",
    "max-duration": "text",
    "cron": "text",
    "timezone": "text",
    "catch-up": "text",
    "max-catch-up": "number",
    "overlap": "text",
    "replace": "flag",
}
_NAME = re.compile(r"\s*(?P<name>[^\W\d]\w*)\s*\(")
_PAIRS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class CellLine:
    """What the line says. Without a `signature` the cell below must hold one function."""

    name: str
    signature: str  # "resize(url: str) -> dict", or ""
    column: int  # where the signature starts in `%%task …`
    options: dict[str, Any]  # as keywords of `kk.task`


def read_line(line: str) -> CellLine:
    """The parts of what stands behind `%%task `; raises `TaskDefinitionError` in words.

    >>> read_line("resize(url: str) --retries 5").options
    {'retries': 5}
    """
    begin = _NAME.match(line)
    if begin is None:
        _refuse_other_starts(line)
        return CellLine("", "", 0, read_options(line))
    end = _closing(line, begin.end() - 1)
    rest = line[end:].lstrip(" \t")
    signature = line[begin.start("name") : end]
    if rest.startswith("->"):
        returns, rest = re.match(r"->(.*?)(?=:?\s*$|\s--|:\s)(.*)$", rest, re.DOTALL).groups()  # type: ignore[union-attr]  # it ends at $ at the latest
        signature += f" -> {returns.strip()}"
    rest = rest.removeprefix(":")
    column = len(MAGIC) + 1 + begin.start("name")
    return CellLine(begin["name"], signature, column, read_options(rest))


def read_options(text: str) -> dict[str, Any]:
    """`--queue images --retries 5` as keywords; raises `TaskDefinitionError` with the nearest option's name."""
    try:
        words = shlex.split(text)
    except ValueError as cause:
        raise _refuse(f"The options `{text.strip()}` cannot be read: {str(cause).lower()}. Close the quotes.") from None
    found: dict[str, Any] = {}
    waiting = iter(words)
    for word in waiting:
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name not in OPTIONS:
            raise _unknown(word, name)
        kind = OPTIONS[name]
        keyword = name.replace("-", "_")
        if kind == "flag":
            if equals:
                raise _refuse(f"`--{name}` takes no value: it stands alone.")
            found[keyword] = True
            continue
        if not equals:
            value = next(waiting, "--")
            if value.startswith("--"):
                raise _refuse(f"`--{name}` needs a value, as in `--{name} {_example(name)}`.")
        if kind == "list":
            found[keyword] = (*found.get(keyword, ()), *(part.strip() for part in value.split(",") if part.strip()))
        elif keyword in found:
            raise _refuse(f"`--{name}` is given twice. Give it once.")
        else:
            found[keyword] = _number(name, value) if kind == "number" else value
    return found


def _number(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise _refuse(f"`--{name} {value}`: {value!r} is not a whole number, as in `--{name} 5`.") from None


def _example(name: str) -> str:
    examples = {
        "isolation": "process",
        "machine": "large-1x",
        "log-level": "debug",
        "tags": "daily,images",
        "queue": "images",
        "rate-limit": "100/m",
        "description": '"Makes thumbnails"',
        "ttl": "1h",
        "max-duration": "30m",
        "cron": '"0 9 * * 1-5"',
        "timezone": "Europe/Berlin",
        "catch-up": "skip",
        "overlap": "skip",
    }
    return examples.get(name, "5" if OPTIONS[name] == "number" else "resize")


def _unknown(word: str, name: str) -> TaskDefinitionError:
    near = difflib.get_close_matches(name.strip("-").replace("_", "-").lower(), OPTIONS, n=1)
    known = ", ".join(f"--{option}" for option in OPTIONS)
    hint = f"Did you mean `--{near[0]}`? " if near else ""
    what = "is no option" if word.startswith("-") else "is neither a signature nor an option"
    return TaskDefinitionError(f"`{word}` {what} of %%task. {hint}Its options are {known}.", near=near)


def _refuse(message: str) -> TaskDefinitionError:
    return TaskDefinitionError(message)


def _refuse_other_starts(line: str) -> None:
    text = line.strip()
    prefixed = re.match(r"(async\s+def|def|async)\s+(.*)", text)
    if prefixed:
        raise _refuse(
            f"Leave `{prefixed[1]}` out on the magic line: `%%task {prefixed[2]}`. "
            "The task is async by itself when its body awaits."
        )
    bare = re.match(r"([^\W\d]\w*)(\s|$)", text)
    if bare:
        raise _refuse(
            f"`%%task {bare[1]}` has no signature. Write `%%task {bare[1]}()`, with the payload's fields as parameters "
            "in the brackets and the body below; or, over a cell with one function, only options."
        )


def _closing(line: str, start: int) -> int:
    """The position behind the bracket that closes the one at `start`."""
    waiting: list[str] = []
    quote = ""
    at = start
    while at < len(line):
        char = line[at]
        if quote:
            if char == "\\":
                at += 1
            elif line.startswith(quote, at):
                at += len(quote) - 1
                quote = ""
        elif char in "\"'":
            quote = char * 3 if line.startswith(char * 3, at) else char
            at += len(quote) - 1
        elif char in _PAIRS:
            waiting.append(_PAIRS[char])
        elif char in _PAIRS.values():
            if waiting.pop() != char:
                break
            if not waiting:
                return at + 1
        at += 1
    raise _refuse(
        f"The signature `{line.strip()}` is not closed: its brackets or quotes do not match. A signature stands on the "
        "magic line; for a long one put `%%task` with its options over a cell with one function."
    )
