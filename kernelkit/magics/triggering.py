"""What `%trigger` does: `resize url=… width=256 --delay 10m`, its values made what the payload's schema says.

Words of a line are texts; a form's field (`ui/form.py`) says whether `256` is a number. What a newcomer would get
wrong: the name of a task of this notebook triggers its code as it is now, any other id the latest the engine knows.
"""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.run_options import RUN_OPTIONS
from kernelkit.authoring.task import Task
from kernelkit.authoring.tasks import Tasks
from kernelkit.errors import InvalidOptionError, PayloadValidationError, UnknownTaskError
from kernelkit.ui.form import Field, Form, form_of

FLAGS = ("test", "allow_undefined")
_NUMBERS = ("priority", "max_attempts")
OPTIONS = tuple(name for name in RUN_OPTIONS if name != "debounce")  # which is an object of its own
_EXAMPLE = "as in `%trigger resize url=https://… width=256 --delay 10m`"
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_NONES = ("none", "null")


@dataclass(frozen=True)
class Line:
    """What the line says, before anything is known of the task."""

    task: str
    fields: dict[str, str] = field(default_factory=dict)
    whole: str | None = None  # a word that is the payload
    options: dict[str, Any] = field(default_factory=dict)


def trigger(line: str, names: Mapping[str, Any]) -> RunHandle[Any]:
    """Make the run that the line asks for; raises `InvalidOptionError`, `PayloadError`, `UnknownTaskError`."""
    read = read_line(line)
    task = task_named(read.task, names)
    if task is not None:
        payload = payload_of(read, form_of(task.json_schema), names)
        made = task.options(**read.options)
        return made.trigger() if payload is None else made.trigger(payload)
    tasks = Tasks()
    known = {one.spec.id: one.spec for one in tasks.list()}
    task_id = read.task if read.task in known else read.task.replace("_", "-")
    if task_id not in known and not read.options.get("allow_undefined"):
        near = difflib.get_close_matches(read.task, [*known, *_tasks(names)], n=1)
        hint = f"Did you mean `{near[0]}`? " if near else ""
        raise UnknownTaskError(
            f"There is no task {read.task!r} in this project. {hint}kk.tasks.list() shows them all.",
            task_id=read.task,
            near=near,
        )
    schema = known[task_id].json_schema if task_id in known else ""
    payload = payload_of(read, form_of(schema), names)
    return tasks.trigger(task_id, payload, **read.options)


def task_named(name: str, names: Mapping[str, Any]) -> Task[..., Any] | None:
    """The notebook's own task of that name or id."""
    found = names.get(name)
    return found if isinstance(found, Task) else _tasks(names).get(name)


def _tasks(names: Mapping[str, Any]) -> dict[str, Task[..., Any]]:
    return {one.id: one for one in names.values() if isinstance(one, Task)}


def read_line(line: str) -> Line:
    """
    >>> read_line("resize url=a.png 'title=two words' --tags a,b --test").options
    {'tags': ['a', 'b'], 'test': True}
    """
    try:
        words = shlex.split(line)
    except ValueError as cause:
        raise _refuse(f"`%trigger {line}` cannot be read: {str(cause).lower()}. Close the quotes.") from None
    if not words or words[0].startswith("-") or "=" in words[0]:
        raise _refuse(f"%trigger takes a task first, {_EXAMPLE}.")
    fields: dict[str, str] = {}
    whole: str | None = None
    options: dict[str, Any] = {}
    waiting = iter(words[1:])
    for word in waiting:
        if word.startswith("--"):
            _option(word, waiting, options)
            continue
        name, equals, value = word.partition("=")
        if not equals or word[0] in '[{"':
            if whole is not None or fields:
                raise _refuse(f"`{word}` is neither `name=value` nor an option, {_EXAMPLE}.")
            whole = word
        elif name in fields:
            raise _refuse(f"`{name}=` is given twice. Give it once.")
        else:
            fields[name] = value
    if whole is not None and fields:
        raise _refuse(f"`{whole}` would be the whole payload, and there are fields besides. Give one of them.")
    return Line(words[0], fields, whole, options)


def _option(word: str, waiting: Iterable[str], found: dict[str, Any]) -> None:
    spelled, equals, value = word.removeprefix("--").partition("=")
    name = spelled.replace("-", "_")
    if name not in OPTIONS:
        known = [one.replace("_", "-") for one in OPTIONS]
        near = difflib.get_close_matches(spelled.replace("_", "-"), known, n=1)
        hint = f"Did you mean `--{near[0]}`? " if near else ""
        raise _refuse(f"`--{spelled}` is no option of %trigger. {hint}Its options are --{', --'.join(known)}.")
    if name in found:
        raise _refuse(f"`--{spelled}` is given twice. Give it once.")
    if name in FLAGS:
        if equals:
            raise _refuse(f"`--{spelled}` takes no value: it stands alone.")
        found[name] = True
        return
    if not equals:
        value = next(iter(waiting), "--")
        if value.startswith("--"):
            raise _refuse(f"`--{spelled}` needs a value, {_EXAMPLE}.")
    if name == "tags":
        found[name] = [tag.strip() for tag in value.split(",") if tag.strip()]
    elif name == "metadata":
        found[name] = _json(value, "--metadata")
    else:
        found[name] = (_number(value) if name in _NUMBERS else None) or value


def payload_of(line: Line, form: Form, names: Mapping[str, Any]) -> Any:
    """The payload that the words mean for this form; None for none. `name=$variable` takes a variable's value.

    >>> form = form_of('{"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}}')
    >>> payload_of(Line("t", {"n": "12", "s": "12"}), form, {})
    {'n': 12, 's': '12'}
    """
    known = {one.name: one for one in form.fields}
    if line.whole is not None:
        of = known["payload"] if form.whole else Field(name="payload", kind="json")
        return _value(of, line.whole, names)
    if form.whole:
        if list(line.fields) == ["payload"]:
            return _value(known["payload"], line.fields["payload"], names)
        return {name: _value(_any(name), text, names) for name, text in line.fields.items()} or None
    return {name: _value(known.get(name) or _any(name), text, names) for name, text in line.fields.items()} or None


def _any(name: str) -> Field:
    """For fields that the schema does not name: the task says what it thinks of them."""
    return Field(name=name, kind="json")


def _value(of: Field, text: str, names: Mapping[str, Any]) -> Any:
    if text.startswith("$") and text[1:].isidentifier():
        if text[1:] not in names:
            raise _refuse(f"`{of.name}={text}`: there is no variable {text[1:]!r} in this notebook.")
        return names[text[1:]]
    if of.nullable and text.lower() in _NONES:
        return None
    match of.kind:
        case "text" | "area" | "date" | "datetime" | "time":
            return text
        case "number":
            number = _number(text)
            if number is None or (of.integer and not isinstance(number, int)):
                raise _misfit(of, text, "a whole number" if of.integer else "a number")
            return number
        case "check":
            if text.lower() not in _TRUTHS:
                raise _misfit(of, text, "true or false")
            return _TRUTHS[text.lower()]
        case "choice":
            labels = {choice.label: choice.value for choice in of.choices}
            if text not in labels:
                near = difflib.get_close_matches(text, labels, n=1)
                known = ", ".join(list(labels)[:20])
                raise _misfit(of, text, f"one of {known}", f" Did you mean `{near[0]}`?" if near else "")
            return labels[text]
        case "list" if not text.startswith("["):
            assert of.item is not None, "a list has items"
            return [_value(of.item, part.strip(), names) for part in text.split(",") if part.strip()]
        case "group" | "list":
            return _json(text, f"{of.name}=")
        case "json":
            try:
                return json.loads(text)
            except ValueError:
                if text[:1] in ("{", "["):
                    return _json(text, f"{of.name}=")
                return text


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as cause:
        raise _refuse(
            f"`{where}{text}` is not JSON: {cause}. Put it in single quotes, so that its double quotes stay: "
            f"`'{where}{{\"top\": 40}}'`."
        ) from None


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _misfit(of: Field, text: str, wanted: str, hint: str = "") -> PayloadValidationError:
    loc = [of.name]
    return PayloadValidationError(
        f"`{of.name}={text}`: {text!r} is not {wanted}.{hint}",
        errors=[{"loc": loc, "msg": f"{text!r} is not {wanted}", "type": "value_error"}],
    )


def _refuse(message: str) -> InvalidOptionError:
    return InvalidOptionError(message, field="line")
