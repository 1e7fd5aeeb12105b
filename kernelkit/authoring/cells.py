"""Makes a function out of a `%%task` cell.

    %%task resize(url: str, width: int = 512) --queue images       the cell is the body
    %%task --queue images                                          the cell holds one function

Pure: nothing here knows IPython. Line numbers are those of the cell as it is seen, the magic line being the first, and
the whole cell is kept under a file name such as `<Cell [8]>`, so that tracebacks show its lines. Every mistake is a
`TaskDefinitionError` in words; the cell's code is not run then, except for what stands around a function.
"""

from __future__ import annotations
import __future__ as futures

import ast
import builtins
import re
import traceback
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Never

from kernelkit.authoring.bundle import remember_source
from kernelkit.authoring.cellline import MAGIC, CellLine, read_line
from kernelkit.authoring.evaluation import assigned_names, first_unbound, needs_async, own_nodes, read_names
from kernelkit.authoring.notebook import cell_file
from kernelkit.errors import TaskDefinitionError

_FUTURES = sum(getattr(futures, name).compiler_flag for name in futures.all_feature_names)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class _Place:
    """Where an error is: the cell and its task in words, the file name of its code, and the whole text."""

    name: str
    number: int | None
    text: str

    @property
    def file(self) -> str:
        return cell_file(self.name, self.number)

    def __str__(self) -> str:
        cell = f"Cell [{self.number}]" if self.number else "This cell"
        return f"{cell} {self.name}".rstrip() if self.number or not self.name else f"Task {self.name}"

    def line(self, line: int) -> str:
        lines = self.text.splitlines()
        return lines[line - 1] if 0 < line <= len(lines) else ""

    def excerpt(self, line: int, offset: int | None = None) -> str:
        source = self.line(line)
        shift = len(source) - len(source.lstrip())
        marker = "" if offset is None else "\n    " + " " * max(0, offset - 1 - shift) + "^"
        return f"    {source.strip()}{marker}"


@dataclass(frozen=True)
class TaskCell:
    """A compiled cell: the function, and the options of its magic line as keywords of `kk.task`."""

    function: Callable[..., Any]
    options: dict[str, Any]
    file: str


def task_from_cell(
    line: str, body: str, *, namespace: dict[str, Any], number: int | None = None, flags: int = 0
) -> TaskCell:
    """Compile a cell whose magic line is `%%task {line}`, for the notebook whose globals are `namespace`.

    `number` is the cell's `[n]`, `flags` the compiler flags of the notebook's `from __future__` imports. Raises
    `TaskDefinitionError`.

    >>> task_from_cell("double(n: int)", "return 2 * n", namespace={}).function(n=4)
    8
    """
    head = read_line(line)
    place = _Place(head.name, number, f"{MAGIC} {line}\n{body}")
    tree = _parse(body, place)
    if head.name:
        return _from_body(head, tree, place, namespace, flags)
    return _from_function(head, tree, place, namespace, flags)


def _from_body(head: CellLine, tree: ast.Module, place: _Place, namespace: dict[str, Any], flags: int) -> TaskCell:
    body = tree.body
    if not body:
        raise TaskDefinitionError(f"{place} has no body. Write what the task does below its magic line.")
    if len(body) == 1 and isinstance(body[0], _Function) and body[0].name == head.name:
        raise TaskDefinitionError(
            f"{place}: the signature stands twice, on the magic line and in the cell. Below "
            f"`%%task {head.signature}` comes only the body; or keep the function and leave only options behind %%task."
        )
    function: _Function = _header(head, place)
    if needs_async(body):
        function = ast.AsyncFunctionDef(**{name: getattr(function, name) for name in function._fields})
    names = _parameters(function)
    wanted = read_names(body) - assigned_names(body) - names
    for name in ("ctx", "signal"):
        if name in wanted and not isinstance(namespace.get(name), types.ModuleType):
            function.args.kwonlyargs.append(ast.arg(name))
            function.args.kw_defaults.append(None)
    function.body = body
    function.lineno = function.end_lineno = 1
    function.col_offset = function.end_col_offset = 0
    ast.fix_missing_locations(function)
    _check(function, place, namespace)
    scratch: dict[str, Any] = {}
    _run(ast.Module([function], []), place, namespace, scratch, flags)
    return _finish(scratch[head.name], head, place, f"{head.signature}\n{place.text.partition(chr(10))[2]}")


def _from_function(head: CellLine, tree: ast.Module, place: _Place, namespace: dict[str, Any], flags: int) -> TaskCell:
    functions = [statement for statement in tree.body if isinstance(statement, _Function)]
    if len(functions) != 1:
        found = ", ".join(f"`{function.name}`" for function in functions)
        raise TaskDefinitionError(
            f"{place}: `%%task` without a signature stands over a cell with one function; this cell has "
            f"{len(functions)}: {found}. Move the others to a cell of their own."
            if functions
            else f"{place}: `%%task` needs a signature, as in `%%task name(url: str)` with the body below it, "
            "or a cell with one function. This cell has neither."
        )
    name = functions[0].name
    place = _Place(name, place.number, place.text)
    _check(functions[0], place, namespace)
    _run(tree, place, namespace, namespace, flags)
    made = namespace[name]
    if not isinstance(made, types.FunctionType):
        if hasattr(made, "trigger"):
            raise TaskDefinitionError(f"{place} has both %%task and a task decorator. Remove one of them.")
        if not callable(made):
            raise TaskDefinitionError(f"{place}: its decorator made a {type(made).__name__}, not a function.")
    return _finish(made, head, place, place.text.partition("\n")[2])


def _finish(function: Any, head: CellLine, place: _Place, source: str) -> TaskCell:
    remember_source(place.file, place.text)
    function.__kernelkit_source__ = source  # what a version is told by; the magic line's options are counted apart
    return TaskCell(function, head.options, place.file)


def _header(head: CellLine, place: _Place) -> ast.FunctionDef:
    shift = head.column - len("def ")
    try:
        function = ast.parse(f"def {head.signature}: pass").body[0]
    except SyntaxError as cause:
        cause.offset = (cause.offset or 1) + shift
        _refuse_syntax(cause, place, "the signature cannot be read: ")
    assert isinstance(function, ast.FunctionDef)  # the text starts with `def name(`
    for node in ast.walk(function):
        if isinstance(node, ast.expr | ast.arg):
            node.col_offset += shift
            node.end_col_offset = (node.end_col_offset or 0) + shift
    return function


def _parameters(function: _Function) -> set[str]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return {argument.arg for argument in every if argument is not None}


def _parse(body: str, place: _Place) -> ast.Module:
    try:
        return ast.parse("\n" + body)  # one line in front: the magic line
    except SyntaxError as cause:
        _refuse_syntax(cause, place)


def _check(function: _Function, place: _Place, namespace: dict[str, Any]) -> None:
    """Raise for what compiles, or fails to, with words that only a Python expert would understand."""
    for node in own_nodes(function.body):
        line = getattr(node, "lineno", 1)
        match node:
            case ast.Yield() | ast.YieldFrom():
                _refuse(
                    "a task returns one value, but `yield` makes it a generator. Collect the values in a list and "
                    "return it; for progress use kk.metadata.set(…) or kk.track(…).",
                    place,
                    line,
                )
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                _refuse(
                    f"`from {node.module} import *` is not possible inside a task. Import the names you need, or do it "
                    "in a cell of its own.",
                    place,
                    line,
                )
            case ast.Nonlocal(names=names):
                _refuse(
                    f"`nonlocal {', '.join(names)}` has nothing to refer to. A task runs in another process: take "
                    "values as parameters and return what is new.",
                    place,
                    line,
                )
    outside = {*namespace, *vars(builtins)}
    unbound = first_unbound(function.body, _parameters(function), outside)
    if unbound is not None:
        name = unbound.name
        whose = f"the notebook's `{name}`" if name in namespace else f"Python's own `{name}`"
        later = "on the same line" if unbound.line == unbound.assigned_on else f"on line {unbound.assigned_on}"
        _refuse(
            f"`{name}` is read here but assigned {later}, so inside the task it is a variable without a value and "
            f"{whose} is not seen. Assign to another name (`new_{name.lower()} = …`), or take `{name}` as a parameter.",
            place,
            unbound.line,
        )


def _run(tree: ast.Module, place: _Place, namespace: dict[str, Any], local: dict[str, Any], flags: int) -> None:
    file = place.file
    try:
        code = compile(tree, file, "exec", flags=flags & _FUTURES, dont_inherit=True)
    except SyntaxError as cause:
        _refuse_syntax(cause, place)
    remember_source(file, place.text)
    namespace.setdefault("__builtins__", builtins)
    try:
        exec(code, namespace, local)
    except Exception as cause:  # defaults, annotations, decorators and imports of the cell may raise anything
        frames = traceback.extract_tb(cause.__traceback__)
        line = next((frame.lineno or 1 for frame in frames if frame.filename == file), 1)
        hint = " Run the cell that defines it first." if isinstance(cause, NameError) else ""
        raise TaskDefinitionError(
            f"{place}, line {line}: {type(cause).__name__}: {cause}.{hint}\n{place.excerpt(line)}", line=line
        ) from cause


def _refuse(problem: str, place: _Place, line: int) -> Never:
    raise TaskDefinitionError(f"{place}, line {line}: {problem}", line=line)


def _refuse_syntax(cause: SyntaxError, place: _Place, what: str = "") -> Never:
    line = cause.lineno or 1
    source = place.line(line)
    problem = (cause.msg or "invalid syntax").rstrip(".")
    advice = "."
    if re.match(r"\s*([!%]|\?|.*\?\s*$)", source) and line > 1:
        problem = f"`{source.strip()}` is notebook syntax"
        advice = ", and a task runs as plain Python in a worker. Use the module behind it (subprocess.run, …)."
    elif "'await' outside" in problem or "outside async function" in problem:
        advice = ": write `async def`, or await inside the task's function."
    raise TaskDefinitionError(
        f"{place}, line {line}: {what}{problem}{advice}\n{place.excerpt(line, cause.offset)}",
        line=line,
        column=cause.offset or 0,
    ) from None
