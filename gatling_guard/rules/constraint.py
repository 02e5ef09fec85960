"""One argument constraint of a policy, on arguments wherever they stand and however spelt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gatling_guard.rules.names import Applied, Names, Path, partial, same_name
from gatling_guard.rules.plain import Kind
from gatling_guard.rules.references import default_of, properties
from gatling_guard.rules.validator import BrokenSchemaError, Compiled, SchemaError, compile_schema

Keep = Callable[[SchemaError, Path], bool]
"""Whether an error at a path (as given in the call) counts."""
_MOST = frozenset(("maximum", "exclusiveMaximum"))


@dataclass(frozen=True)
class Violation:
    """Where and how a constraint is broken."""

    path: Path
    """In the call's own names."""
    keyword: str
    message: str
    inside: bool = False
    """The argument stood within another one."""


@dataclass(frozen=True)
class Constraint:
    """The `arguments` of one policy entry."""

    glob: str
    schema: Mapping[str, Any]

    @cached_property
    def _whole(self) -> Compiled | BrokenSchemaError:
        return _compiled(self.schema)

    @cached_property
    def _parts(self) -> Compiled | BrokenSchemaError:
        """For a list of objects that hold some of the arguments: one budget of steps for all."""
        return _compiled({"type": "array", "items": partial(self.schema)})

    @cached_property
    def _names(self) -> Names:
        return Names.of(self.schema)

    def violations(
        self, arguments: dict[str, Any], own: Mapping[str, Any], keep: Keep
    ) -> Iterator[Violation]:
        """Everything in the arguments that breaks the constraint.

        Args:
            arguments: the arguments.
            own: the tool's own schema.
            keep: which errors count.

        Raises:
            BrokenSchemaError: the constraint cannot be used.
            TooComplexError: too much work.
        """
        applied = self._names.applied(arguments)
        for path in applied.twice:
            yield Violation(path, "twice", "a second spelling of an argument beside the first")
        yield from self._direct(applied, keep)
        yield from self._elsewhere(applied, own, keep)

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """What each constrained argument is expected to be."""
        listed = self.schema.get("properties")
        known = listed if isinstance(listed, Mapping) else {}
        return {name: _kind(known.get(name)) for name in self._names.top}

    def left_out(self, arguments: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
        """Arguments that are not given and whose default the constraint does not allow.

        A default of null says nothing, unless there is an upper bound: no limit is above any.
        """
        given = {same_name(name) for name in arguments}
        for name, schema in properties(own).items():
            wanted = self._names.known.get(same_name(name))
            if wanted not in self._names.top or same_name(name) in given:
                continue
            has, value = default_of(schema, own)
            if not has or (value is None and not self._bounded(wanted)):
                continue
            if _usable(self._parts).errors([{wanted: value}]):
                yield name

    def _bounded(self, name: str) -> bool:
        listed = self.schema.get("properties")
        schema = listed.get(name) if isinstance(listed, Mapping) else None
        return isinstance(schema, Mapping) and not _MOST.isdisjoint(schema)

    def _direct(self, applied: Applied, keep: Keep) -> Iterator[Violation]:
        """In the place where the policy expects them."""

        def at(error: SchemaError) -> Path:
            return applied.original(error.path)

        for error in _usable(self._whole).errors(applied.value, lambda e: keep(e, at(e))):
            yield Violation(at(error), error.keyword, error.message)

    def _elsewhere(
        self, applied: Applied, own: Mapping[str, Any], keep: Keep
    ) -> Iterator[Violation]:
        """Inside other arguments."""
        places = list(self._inside(applied.value, own, applied.original))

        def at(error: SchemaError) -> Path:
            number, *rest = error.path or (0,)
            return applied.original((*places[int(number)][0], *rest))

        if places:
            parts = [part for _, part in places]
            for error in _usable(self._parts).errors(parts, lambda e: keep(e, at(e))):
                yield Violation(at(error), error.keyword, error.message, inside=True)

    def _inside(
        self, arguments: dict[str, Any], own: Mapping[str, Any], original: Callable[[Path], Path]
    ) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Constrained arguments that stand within another one, at any depth.

        `{"input": {"to": ...}}` for a tool with one argument, or a `kwargs` object. Where the
        argument is given in its own place too, a namesake that the tool's schema describes
        elsewhere is another one.
        """
        top = self._names.top
        stack: list[tuple[Path, Any]] = [((), arguments)]
        while stack:
            path, item = stack.pop()
            if isinstance(item, dict):
                named = top & item.keys() if path else ()
                part = {
                    name: item[name]
                    for name in named
                    if not (name in arguments and described(own, original((*path, name))))
                }
                if part:
                    yield path, part
                stack += [((*path, key), child) for key, child in item.items()]
            elif isinstance(item, list):
                stack += [((*path, place), child) for place, child in enumerate(item)]


def _kind(schema: Any) -> Kind:
    kinds = schema.get("type") if isinstance(schema, Mapping) else None
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "string" not in kinds and {"number", "integer"} & set(kinds):
        return "number"
    return "list" if "array" in kinds and "string" not in kinds else "text"


def described(schema: Any, path: Path) -> bool:
    """Whether a tool's schema says what stands at a path, or that there is text around it."""
    for part in path:
        if not isinstance(schema, Mapping):
            return False
        if _is_text(schema):
            return True
        listed = schema.get("properties")
        inner = listed.get(part) if isinstance(listed, Mapping) else None
        schema = schema.get("items") if isinstance(part, int) else inner
    return isinstance(schema, Mapping)


def _is_text(schema: Mapping[str, Any]) -> bool:
    """Text, or null for an optional argument, and nothing else."""
    kind, branches = schema.get("type"), schema.get("anyOf")
    if isinstance(branches, list) and kind is None:
        kind = [b.get("type") if isinstance(b, Mapping) else None for b in branches]
    return kind == "string" or (
        isinstance(kind, list) and "string" in kind and all(k in ("string", "null") for k in kind)
    )


def _compiled(schema: Mapping[str, Any]) -> Compiled | BrokenSchemaError:
    try:
        return compile_schema(schema, anchored=True)
    except BrokenSchemaError as error:
        return error


def _usable(compiled: Compiled | BrokenSchemaError) -> Compiled:
    if isinstance(compiled, BrokenSchemaError):
        raise compiled
    return compiled
