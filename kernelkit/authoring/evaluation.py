"""The order in which a function's own lines read and assign names; finds reads that can only fail.

A name that a body assigns is a variable of that body everywhere in it, so `total = total + 1` on a notebook global is
an `UnboundLocalError`. Only reads that surely come first are reported: one that a loop may have assigned on an earlier
round is left to run.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class Unbound:
    """A read, on `line`, of a name that the same body assigns only on `assigned_on`."""

    name: str
    line: int
    assigned_on: int


@dataclass(frozen=True)
class _Touch:
    name: str
    assigns: bool
    line: int
    loops: tuple[int, ...]
    guarded: frozenset[int]  # loops in which a condition stands before this


def first_unbound(body: Sequence[ast.stmt], parameters: Collection[str], outside: Collection[str]) -> Unbound | None:
    """The first name of `outside` (notebook globals, builtins) that `body` reads before it assigns it."""
    order = _Order()
    order.block(body)
    first: dict[str, _Touch] = {}
    stores: dict[str, list[_Touch]] = {}
    for touch in order.touches:
        first.setdefault(touch.name, touch)
        if touch.assigns:
            stores.setdefault(touch.name, []).append(touch)
    for name, touch in first.items():
        if touch.assigns or name not in stores or name in order.declared or name in parameters or name not in outside:
            continue
        if any(loop in touch.guarded for store in stores[name] for loop in store.loops if loop in touch.loops):
            continue
        return Unbound(name, touch.line, stores[name][0].line)
    return None


def assigned_names(body: Sequence[ast.stmt]) -> set[str]:
    """Names that are variables of `body` itself."""
    order = _Order()
    order.block(body)
    return {touch.name for touch in order.touches if touch.assigns} - order.declared


def read_names(body: Sequence[ast.stmt]) -> set[str]:
    """Every name read in `body` or in functions inside it."""
    found = (node for statement in body for node in ast.walk(statement))
    return {node.id for node in found if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def own_nodes(body: Sequence[ast.stmt]) -> list[ast.AST]:
    """All nodes of `body` that run as part of it, so without the insides of functions and classes."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        found.append(node)
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(node))
    return found


def needs_async(body: Sequence[ast.stmt]) -> bool:
    """Whether `body` awaits, or uses `async for` or `async with`, by itself."""
    return any(
        isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith))
        or (isinstance(node, ast.comprehension) and bool(node.is_async))
        for node in own_nodes(body)
    )


class _Order(ast.NodeVisitor):
    def __init__(self) -> None:
        self.touches: list[_Touch] = []
        self.declared: set[str] = set()  # by `global`
        self._loops: tuple[int, ...] = ()
        self._guarded: frozenset[int] = frozenset()
        self._hidden: tuple[str, ...] = ()  # a comprehension's own variables

    def block(self, statements: Sequence[ast.AST | None]) -> None:
        for statement in statements:
            if statement is not None:
                self.visit(statement)

    def _maybe(self, *parts: ast.AST | None) -> None:
        before = self._guarded
        self._guarded = before | frozenset(self._loops)
        self.block(parts)
        self._guarded = before

    def _touch(self, name: str, line: int, *, assigns: bool) -> None:
        if name not in self._hidden or assigns:
            self.touches.append(_Touch(name, assigns, line, self._loops, self._guarded))

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Del):
            self._touch(node.id, node.lineno, assigns=isinstance(node.ctx, ast.Store))

    def visit_Global(self, node: ast.Global) -> None:
        self.declared.update(node.names)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.block([node.value, *node.targets])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:  # the annotation of a variable is never evaluated
        if node.value is not None:
            self.block([node.value, node.target])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._touch(node.target.id, node.lineno, assigns=False)
        self.block([node.value, node.target])

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.block([node.value, node.target])

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._loop([node.target], node.body)
        self._maybe(*node.orelse)

    visit_AsyncFor = visit_For

    def visit_While(self, node: ast.While) -> None:
        self._loop([node.test], node.body)
        self._maybe(*node.orelse)

    def _loop(self, head: Sequence[ast.AST], body: Sequence[ast.AST]) -> None:
        loops, guarded = self._loops, self._guarded
        self._guarded = guarded | frozenset(loops)
        self._loops = (*loops, id(body))
        self.block(head)
        self.block(body)
        self._loops, self._guarded = loops, guarded

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._maybe(*node.body)
        self._maybe(*node.orelse)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        self._maybe(node.body, node.orelse)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.visit(node.values[0])
        self._maybe(*node.values[1:])

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        self._maybe(*node.body)
        self._maybe(*node.handlers)
        self._maybe(*node.orelse)
        self.block(node.finalbody)

    visit_TryStar = visit_Try

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.block([node.type])
        if node.name:
            self._touch(node.name, node.lineno, assigns=True)
        self.block(node.body)

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        for case in node.cases:
            self._maybe(case.pattern, case.guard, *case.body)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self.block([node.pattern])
        if node.name:
            self._touch(node.name, node.lineno, assigns=True)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name:
            self._touch(node.name, node.lineno, assigns=True)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.block([*node.keys, *node.patterns])
        if node.rest:
            self._touch(node.rest, node.lineno, assigns=True)

    def visit_alias(self, node: ast.alias) -> None:
        self._touch((node.asname or node.name).partition(".")[0], node.lineno, assigns=True)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.block([*node.decorator_list, *node.args.defaults, *node.args.kw_defaults])
        self._touch(node.name, node.lineno, assigns=True)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.block([*node.args.defaults, *node.args.kw_defaults])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.block([*node.decorator_list, *node.bases, *node.keywords])
        self._touch(node.name, node.lineno, assigns=True)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        hidden = self._hidden
        for generator in node.generators:
            self.visit(generator.iter)
            targets = (name.id for name in ast.walk(generator.target) if isinstance(name, ast.Name))
            self._hidden = (*self._hidden, *targets)
            self._maybe(*generator.ifs)
        self._maybe(*((node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)))
        self._hidden = hidden

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension
