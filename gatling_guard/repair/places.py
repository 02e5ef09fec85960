"""Places inside a call: reading and changing one argument, and what then becomes of the edges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gatling_guard.plan import Edge, ToolCall
from gatling_guard.repair.types import Draft, EditError


def parts_of(where: str) -> tuple[str, ...]:
    """The parts of a JSON pointer (RFC 6901); "" has none.

    A pointer that was shortened for the ledger (`~h`) or that names a key (`/~key`) finds nothing.
    """
    if where and not where.startswith("/"):
        raise EditError(f"{where!r} is no JSON pointer")
    return tuple(p.replace("~1", "/").replace("~0", "~") for p in where.split("/")[1:])


def value_at(value: Any, where: str) -> Any:
    """What stands at a JSON pointer.

    Raises:
        EditError: nothing stands there.
    """
    for part in parts_of(where):
        value = value[_key(value, part, where)]
    return value


def with_value(value: Any, where: str, new: Any) -> Any:
    """A copy, along the way only, in which `new` stands at a pointer."""
    return _rebuilt(value, parts_of(where), where, lambda holder, key: _set(holder, key, new))


def without_key(value: Any, where: str) -> Any:
    """A copy without the key of an object that the pointer names."""
    return _rebuilt(value, parts_of(where), where, _removed)


def under(path: str, where: str) -> bool:
    """Whether a pointer leads to `where` or into it."""
    return path == where or path.startswith(f"{where}/")


def call_of(draft: Draft, node_id: str) -> ToolCall:
    """A call of the draft.

    Raises:
        EditError: it has none of this id.
    """
    call = draft.plan.calls.get(node_id)
    if call is None:
        raise EditError(f"the plan has no call {node_id!r}")
    return call


def remade(call: ToolCall, changes: Mapping[str, Any]) -> ToolCall:
    """A call with some fields changed, checked again. `model_copy` would keep the old digests."""
    return ToolCall(**{name: getattr(call, name) for name in ToolCall.model_fields} | dict(changes))


def with_call(draft: Draft, call: ToolCall, edges: Iterable[Edge] | None = None) -> Draft:
    """The draft with one call in place of the one of the same id; all others stay as they are."""
    nodes = tuple(call if node.node_id == call.node_id else node for node in draft.plan.nodes)
    kept = draft.plan.edges if edges is None else tuple(dict.fromkeys(edges))
    return Draft(draft.plan.with_calls(nodes, kept), draft.holds)


def cut(edges: Iterable[Edge], node_id: str, where: str) -> Iterable[Edge]:
    """The edges once nothing flows into an argument any more: what fed it only ran before."""
    for edge in edges:
        fed = edge.target == node_id and edge.kind != "temporal"
        if fed and edge.argument is not None and under(edge.argument, where):
            yield Edge(source=edge.source, target=node_id, kind="temporal")
        else:
            yield edge


def thinned(
    edges: Iterable[Edge], node_id: str, where: str, left_out: frozenset[int]
) -> Iterable[Edge]:
    """The edges once elements were taken out of a list: those that stay move up."""
    for edge in edges:
        inside = edge.target == node_id and (edge.argument or "").startswith(f"{where}/")
        place, _, rest = (edge.argument or "")[len(where) + 1 :].partition("/")
        if not inside or not place.isdecimal():
            yield edge
        elif int(place) in left_out:
            yield Edge(source=edge.source, target=node_id, kind="temporal")
        else:
            now = int(place) - sum(i < int(place) for i in left_out)
            argument = f"{where}/{now}" + (f"/{rest}" if rest else "")
            yield Edge(**{**edge.model_dump(), "argument": argument})


def _key(holder: Any, part: str, where: str) -> Any:
    if isinstance(holder, dict) and part in holder:
        return part
    if isinstance(holder, list) and part.isdecimal() and len(part) <= 6 and int(part) < len(holder):
        return int(part)
    raise EditError(f"nothing stands at {where!r}")


def _rebuilt(value: Any, parts: tuple[str, ...], where: str, change: Any) -> Any:
    if not parts:
        raise EditError("the arguments as a whole cannot be replaced")
    key = _key(value, parts[0], where)
    if len(parts) == 1:
        return change(value, key)
    return _set(value, key, _rebuilt(value[key], parts[1:], where, change))


def _set(holder: Any, key: Any, new: Any) -> Any:
    if isinstance(holder, dict):
        return {**holder, key: new}
    return [*holder[:key], new, *holder[key + 1 :]]


def _removed(holder: Any, key: Any) -> Any:
    if not isinstance(holder, dict):
        raise EditError("only the keys of an object can be removed")
    return {name: value for name, value in holder.items() if name != key}
