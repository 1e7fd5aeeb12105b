"""Which statements of a notebook define something: what `kernelkit serve` runs of it.

A notebook is mostly work: it loads, trains, draws, triggers. Serving it must do none of that, so only imports,
functions, classes, `%%task` cells and assignments of plain values are run. A cell tagged `define` is run as it is.
"""

from __future__ import annotations

import ast

RUN_TAG = "define"
SKIP_TAG = "skip-execution"

_OURS = frozenset({"kk", "kernelkit"})
_DEFINING = frozenset(
    {"Queue", "Retry", "configure", "notebook", "schedules.create", "schedules.task", "task", "NO_TIMEOUT"}
)
# Calls that only make a value and are often a notebook's constants.
_VALUES = frozenset(
    {
        "Decimal",
        "Path",
        "ZoneInfo",
        "date",
        "datetime",
        "dict",
        "frozenset",
        "getLogger",
        "getenv",
        "list",
        "range",
        "re.compile",
        "set",
        "time",
        "timedelta",
        "tuple",
    }
)


class OnlyDefinitions(ast.NodeTransformer):
    """Takes all other statements out of a cell, and remembers which names they would have assigned.

    For `shell.ast_transformers`; `everything` lets a cell through as it is.
    """

    def __init__(self) -> None:
        self.everything = False
        self.cell = 0
        self.left_out: dict[str, int] = {}  # name → the cell that assigns it

    def visit_Module(self, node: ast.Module) -> ast.Module:
        if not self.everything:
            for statement in node.body:
                if not defines(statement):
                    self.left_out.update(dict.fromkeys(_stored(statement), self.cell))
            node.body = [statement for statement in node.body if defines(statement)]
        return node


def defines(statement: ast.stmt) -> bool:
    """Whether running it does no work to speak of.

    >>> [defines(each) for each in ast.parse("import json; LIMIT = 3 * 60; rows = load()").body]
    [True, True, False]
    """
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return True
        case ast.Assign(value=value):
            return _is_plain(value)
        case ast.AnnAssign(value=value):
            return value is None or _is_plain(value)
        case ast.Expr(value=ast.Call() as call):
            return _is_task_cell(call) or (_is_ours(call) and _is_plain(call))
        case ast.If(test=test, body=body, orelse=other):
            return _is_plain(test) and all(map(defines, (*body, *other)))
        case ast.Try(body=body, handlers=handlers, orelse=other, finalbody=final):
            handled = [each for handler in handlers for each in handler.body]
            return all(map(defines, (*body, *handled, *other, *final)))
        case ast.Pass():
            return True
    return False


def _is_plain(value: ast.expr) -> bool:
    for node in ast.walk(value):
        if isinstance(node, ast.Await | ast.Yield | ast.YieldFrom):
            return False
        if isinstance(node, ast.Call) and not (_is_ours(node) or _makes_a_value(node)):
            return False
    return True


def _is_ours(call: ast.Call) -> bool:
    root, _, rest = _dotted(call.func).partition(".")
    return root in _OURS and rest in _DEFINING


def _makes_a_value(call: ast.Call) -> bool:
    name = _dotted(call.func)
    return name in _VALUES or (name.count(".") == 1 and name.rpartition(".")[2] in _VALUES)


def _is_task_cell(call: ast.Call) -> bool:
    """`%%task …`, as IPython rewrites it."""
    match call:
        case ast.Call(func=ast.Attribute(attr="run_cell_magic"), args=[ast.Constant(value="task"), *_]):
            return True
    return False


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else ""


def _stored(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
