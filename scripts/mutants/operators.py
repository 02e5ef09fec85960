"""Small changes to a module's source, found in its syntax tree and made in its text.

A change that makes no sense (a removed item that something later needs) is killed by the first test
and costs a second, so nothing here tries to be clever.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

OTHER = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
EMPTY = {
    "bool": "False", "str": '""', "tuple": "()", "frozenset": "frozenset()", "set": "set()",
    "list": "[]", "dict": "{}", "int": "0", "float": "0.0", "None": "None", "Iterator": "iter(())",
    "Iterable": "()", "Sequence": "()", "Mapping": "{}",
}  # fmt: skip
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Mutant:
    """One change: `path`'s bytes from `start` to `end` become `text`."""

    path: Path
    line: int
    what: str
    start: int
    end: int
    text: str

    def apply(self, source: bytes) -> bytes:
        """The changed source."""
        return source[: self.start] + self.text.encode() + source[self.end :]


class Module:
    """A module's source and tree."""

    def __init__(self, path: Path) -> None:
        self.path, self.source = path, path.read_bytes()
        self.tree = ast.parse(self.source)
        self._starts = [0]
        for line in self.source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Bytes from and to."""
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.AST) -> str:
        """The source of a node."""
        start, end = self.span(node)
        return self.source[start:end].decode()

    def put(self, node: ast.AST, text: str, what: str) -> Mutant:
        """Put `text` in the place of a node."""
        return Mutant(self.path, node.lineno, what, *self.span(node), text)

    def functions(self) -> Iterator[Function]:
        """All functions and methods."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))


# ------------------------------------------------------------------ small changes


def small_changes(module: Module) -> Iterator[Mutant]:
    """Every small change of a module."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.If | ast.While | ast.IfExp) and "TYPE_CHECKING" not in (
            module.text(node.test)
        ):
            yield module.put(node.test, f"(not ({module.text(node.test)}))", "negate a condition")
        elif isinstance(node, ast.comprehension):
            for test in node.ifs:
                yield module.put(test, "True", "drop a filter")
        elif isinstance(node, ast.BoolOp):
            yield from _drop_operands(module, node)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            text = f"{module.text(node.left)} {OTHER[type(node.ops[0])]} "
            text += module.text(node.comparators[0])
            yield module.put(node, f"({text})", "change a comparison")
        elif isinstance(node, ast.BinOp) and isinstance(
            node.op, ast.Add | ast.BitOr | ast.Mult | ast.BitAnd | ast.Sub
        ):
            if not _in_annotation(module, node):
                yield module.put(node, f"({module.text(node.left)})", "drop the right term")
                yield module.put(node, f"({module.text(node.right)})", "drop the left term")
        elif isinstance(node, ast.stmt) and _only_acts(node):
            yield module.put(node, "pass", "delete a statement")
    for function in module.functions():
        yield from find_nothing(module, function)
    for name in _bound(module.tree):
        yield from remove_items(module, name)


def _drop_operands(module: Module, node: ast.BoolOp) -> Iterator[Mutant]:
    word = " and " if isinstance(node.op, ast.And) else " or "
    for i in range(len(node.values)):
        kept = [f"({module.text(v)})" for k, v in enumerate(node.values) if k != i]
        yield module.put(node, f"({word.join(kept)})", "drop an operand")


def _in_annotation(module: Module, node: ast.AST) -> bool:
    """`int | None`: told by what stands in it, since trees know no parents."""
    return bool(re.search(r"\bNone\b|\b(str|int|float|bool|bytes|Any)\b\s*(\||\[|$)",
                          module.text(node)))  # fmt: skip


def _only_acts(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant)  # a docstring
    if isinstance(node, ast.Assign):
        return not isinstance(node.targets[0], ast.Name | ast.Tuple)
    return isinstance(node, ast.AugAssign | ast.Raise | ast.Continue | ast.Break | ast.Delete)


def find_nothing(module: Module, function: Function) -> Iterator[Mutant]:
    """The function returns at once: nothing, and for a truth value also the other one."""
    body = [s for s in function.body if not (isinstance(s, ast.Expr)
            and isinstance(s.value, ast.Constant))]  # fmt: skip
    if not body or function.returns is None or function.name.startswith("__"):
        return
    for value in _nothings(function):
        text = f"return {value}".rstrip()
        if isinstance(body[0], ast.Return) and module.text(body[0]) == text:
            continue
        kept = module.text(body[0])
        yield module.put(body[0], f"if True: {text}\n{' ' * body[0].col_offset}{kept}",
                         f"{function.name}: {text}")  # fmt: skip


def _nothings(function: Function) -> list[str]:
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function)):
        return [""]
    kind = re.split(r"[\[\s|]", ast.unparse(function.returns))[0]
    if kind == "bool":
        return ["False", "True"]
    given = [a for a in function.args.args if a.annotation and a.arg != "self"]
    if kind == "str" and given and ast.unparse(given[0].annotation) == "str":
        return [given[0].arg]  # a change of text that changes nothing
    if "None" in ast.unparse(function.returns):
        return ["None"]
    return [EMPTY[kind]] if kind in EMPTY else []


# ------------------------------------------------------------------ whole checks


def _bound(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        target = getattr(node, "target", None) or next(iter(getattr(node, "targets", ())), None)
        if isinstance(target, ast.Name) and target.id != "__all__":
            yield target.id


def remove_items(module: Module, name: str) -> Iterator[Mutant]:
    """Each item of the displays bound to `name`, or written in the function of that name.

    Only the outermost displays of two items or more: an item of a pair is no check.
    """
    for node in ast.walk(module.tree):
        value = getattr(node, "value", None)
        targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
        named = [t.id for t in targets if isinstance(t, ast.Name)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and any(fnmatch(n, name) for n in named):
            yield from _without(module, value, named[0])
        elif isinstance(node, Function) and fnmatch(node.name, name) and name != "*":
            for statement in node.body:
                yield from _without(module, statement, node.name)


def _without(module: Module, node: ast.AST | None, name: str) -> Iterator[Mutant]:
    if isinstance(node, ast.Tuple | ast.List | ast.Set) and len(node.elts) > 1:
        ends = {ast.Tuple: "()", ast.List: "[]", ast.Set: "{}"}[type(node)]
        texts = [module.text(item) for item in node.elts]
        for i, item in enumerate(node.elts):
            kept = "".join(f"{text}, " for k, text in enumerate(texts) if k != i)
            yield _item(module, node, ends[0] + kept + ends[1], item, name)
    elif isinstance(node, ast.Dict) and len(node.keys) > 1:
        pairs = list(zip(node.keys, node.values, strict=True))
        for i, (_, item) in enumerate(pairs):
            kept = "".join(f"{module.text(k)}: {module.text(v)}, " if k else f"**{module.text(v)}, "
                           for at, (k, v) in enumerate(pairs) if at != i)  # fmt: skip
            yield _item(module, node, "{" + kept + "}", item, name)
    elif node is not None and not isinstance(node, Function | ast.Constant):
        for child in _children(node):
            yield from _without(module, child, name)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Where a display is no list of things: the target of a loop, a subscript, an annotation."""
    for field, value in ast.iter_fields(node):
        if field not in ("target", "targets", "slice", "annotation", "returns", "ctx"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield child


def _item(module: Module, node: ast.AST, text: str, item: ast.AST, name: str) -> Mutant:
    what = f"{name}: without {' '.join(module.text(item).split())[:60]}"
    start, end = module.span(node)
    return Mutant(module.path, item.lineno, what, start, end, text)


def delete_statements(module: Module, name: str) -> Iterator[Mutant]:
    """Each statement of the functions called `name` that only has an effect."""
    for function in module.functions():
        if fnmatch(function.name, name):
            for node in ast.walk(function):
                if isinstance(node, ast.stmt) and _only_acts(node):
                    yield module.put(node, "pass", f"{name}: without {_shown(module, node)}")


def delete_yields(module: Module, name: str) -> Iterator[Mutant]:
    """Each `yield` statement."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield | ast.YieldFrom):
            yield module.put(node, "pass", f"without {_shown(module, node)}")


def silence_functions(module: Module, name: str) -> Iterator[Mutant]:
    """Each function whose name fits finds nothing."""
    for function in module.functions():
        if fnmatch(function.name, name):
            yield from list(find_nothing(module, function))[:1]


def _shown(module: Module, node: ast.AST) -> str:
    return " ".join(module.text(node).split())[:60]


TAKE = {
    "items": remove_items,
    "statements": delete_statements,
    "yields": delete_yields,
    "functions": silence_functions,
}
