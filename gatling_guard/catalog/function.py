"""A tool from a Python function: its signature becomes a JSON Schema."""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gatling_guard.catalog import lexicon as lex
from gatling_guard.catalog.build import Parts, build
from gatling_guard.catalog.types import ToolSpec
from gatling_guard.errors import ToolSpecError
from gatling_guard.plan import to_json

_SECTION = re.compile(r"(?im)^[ \t]*(args|arguments|parameters|returns?|raises|yields|examples?):")
_ARGUMENT = re.compile(r"^\s{2,12}\*{0,2}(\w{1,80})\s*(?:\([^()]{0,200}\))?:\s*(\S.{0,1000})$")


def spec_from_function(
    fn: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    **declared: Any,
) -> ToolSpec:
    """The spec of a Python function, method, partial or callable object.

    `self`, `*args`, `**kwargs` and parameters that a framework injects are no arguments; a hint
    that has no JSON Schema leaves its argument open (`{}`).

    Args:
        fn: sync or async function, also a generator.
        name: in place of the function's own.
        description: in place of the docstring.
        **declared: fields of `ToolProfile`, and `aliases`.

    Raises:
        ToolSpecError: no signature, no usable name, or a bad declared field.
    """
    plain = _unwrap(fn)
    signature = _signature(fn)
    doc = _docstring(plain)
    hints = _hints(plain, signature)
    parts = Parts(
        name=name if name is not None else _name(plain),
        description=_SECTION.split(doc, maxsplit=1)[0] if description is None else description,
        parameters=_parameters(signature, hints, _argument_docs(doc)),
        output_schema=_output(plain, hints.get("return")),
    )
    return build(parts, declared)


def _unwrap(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function that holds name, docstring and hints."""
    plain: Any = fn
    for _ in range(32):
        if isinstance(plain, functools.partial):
            plain = plain.func
        elif hasattr(plain, "__wrapped__"):
            plain = plain.__wrapped__
        else:
            break
    return typing.cast("Callable[..., Any]", plain)


def _signature(fn: Callable[..., Any]) -> inspect.Signature:
    if not callable(fn):
        raise ToolSpecError(f"{type(fn).__name__} cannot be called")
    try:
        return inspect.signature(fn)
    except Exception as error:
        hint = "describe it with spec_from_json_schema"
        message = f"no readable signature ({type(error).__name__}); {hint}"
        raise ToolSpecError(message) from None


def _name(plain: Callable[..., Any]) -> str:
    name = getattr(plain, "__name__", None) or type(plain).__name__
    return "" if name == "<lambda>" else str(name)


def _docstring(plain: Callable[..., Any]) -> str:
    own = getattr(plain, "__doc__", None)
    # An instance shows its class's docstring; that of `__call__` says more, where there is one.
    if not inspect.isroutine(plain) and not isinstance(plain, type):
        own = getattr(type(plain).__call__, "__doc__", None) or own
    return inspect.cleandoc(own) if isinstance(own, str) else ""


def _argument_docs(doc: str) -> dict[str, str]:
    """`name: text` lines of a google-style docstring."""
    found = (_ARGUMENT.match(line) for line in doc.splitlines()[:500])
    return {match[1]: match[2].strip() for match in found if match}


def _hints(plain: Callable[..., Any], signature: inspect.Signature) -> dict[str, Any]:
    """Hints by parameter name; one that cannot be resolved does not take the others with it."""
    target = plain if inspect.isroutine(plain) or isinstance(plain, type) else type(plain).__call__
    if isinstance(plain, type):
        target = vars(plain).get("__init__", plain)
    try:
        return typing.get_type_hints(target, include_extras=True)
    except Exception:
        raw = {p.name: p.annotation for p in signature.parameters.values()}
        raw["return"] = signature.return_annotation
        return {key: _resolved(hint, target) for key, hint in raw.items()}


def _resolved(hint: Any, target: Any) -> Any:
    """A hint that stands as text, looked up in the module of the function."""
    if not isinstance(hint, str):
        return hint
    holder = type("Holder", (), {"__annotations__": {"hint": hint}})
    try:
        names = getattr(target, "__globals__", {})
        return typing.get_type_hints(holder, globalns=names, include_extras=True)["hint"]
    except Exception:
        # `ToolRuntime` may be imported for type checkers only; its name still says "injected".
        return _Unresolved(hint)


@dataclass(frozen=True, slots=True)
class _Unresolved:
    text: str


# ------------------------------------------------------------------------------ parameters
def _parameters(
    signature: inspect.Signature, hints: Mapping[str, Any], docs: Mapping[str, str]
) -> dict[str, Any]:
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    kept = {
        p.name: hints.get(p.name, Any)
        for i, p in enumerate(signature.parameters.values())
        if not _left_out(p, i, hints.get(p.name, Any))
    }
    defaults = {name: _default(signature.parameters[name].default) for name in kept}
    schemas, definitions = _schemas(
        {name: _with_field(hint, signature.parameters[name].default) for name, hint in kept.items()}
    )
    for name, schema in schemas.items():
        schema |= {key: value for key, value in defaults[name].items() if key == "default"}
        if name in docs:
            schema.setdefault("description", docs[name])
    required = [name for name in kept if not defaults[name]]
    return {
        "type": "object",
        "properties": schemas,
        **({"required": required} if required else {}),
        **({} if open_ended else {"additionalProperties": False}),
        **({"$defs": definitions} if definitions else {}),
    }


def _left_out(parameter: inspect.Parameter, position: int, hint: Any) -> bool:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return True
    if (
        position == 0
        and parameter.name in {"self", "cls"}
        and parameter.annotation is parameter.empty
    ):
        return True
    return is_injected(hint) or type(parameter.default).__name__ in lex.INJECTED


def is_injected(hint: Any) -> bool:
    """Whether a framework supplies values of this type: by its name, or a marker in `Annotated`."""
    if isinstance(hint, _Unresolved):
        return not lex.INJECTED.isdisjoint(re.findall(r"\w+", hint.text[:500]))
    marks = getattr(hint, "__metadata__", ())
    origin = typing.get_origin(hint)
    inner = typing.get_args(hint) if origin is not None else ()
    if origin is not None and not marks and not _is_union(origin):
        inner = (origin,)
    return any(_named_injected(mark) for mark in (*marks, *inner, hint)) or any(
        is_injected(part) for part in inner if part is not hint and typing.get_origin(part)
    )


def _is_union(origin: Any) -> bool:
    return origin is typing.Union or getattr(origin, "__name__", "") == "UnionType"


def _named_injected(mark: Any) -> bool:
    kind = mark if isinstance(mark, type) else type(mark)
    return any(base.__name__ in lex.INJECTED for base in kind.__mro__)


def _field_info(default: Any) -> Any:
    """`x: int = Field(3, ge=1)`: a pydantic field in the place of a default."""
    from pydantic.fields import FieldInfo

    return default if isinstance(default, FieldInfo) else None


def _with_field(hint: Any, default: Any) -> Any:
    field = _field_info(default)
    return hint if field is None else typing.Annotated[hint, field]


def _default(default: Any) -> dict[str, Any]:
    """Empty if the argument is required; its default where JSON can say it."""
    if default is inspect.Parameter.empty:
        return {}
    field = _field_info(default)
    if field is not None:
        if field.is_required():
            return {}
        default = field.get_default(call_default_factory=False)
    try:
        return {"optional": True, "default": to_json(default)}
    except Exception:
        return {"optional": True}


def _schemas(hints: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """JSON Schema of each hint and the definitions they share."""
    from pydantic import TypeAdapter

    adapters = {name: adapter for name, hint in hints.items() if (adapter := _adapter(hint))}
    found, shared = TypeAdapter.json_schemas(
        [(name, "validation", adapter) for name, adapter in adapters.items()],
        ref_template="#/$defs/{model}",
    )
    schemas = {name: dict(found.get((name, "validation"), {})) for name in hints}
    return schemas, dict(shared.get("$defs", {}))


def _adapter(hint: Any, mode: typing.Literal["validation", "serialization"] = "validation") -> Any:
    """A pydantic adapter that can write its schema, or None."""
    from pydantic import TypeAdapter

    if isinstance(hint, _Unresolved) or hint in (Any, inspect.Parameter.empty):
        return None
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
        adapter.json_schema(mode=mode)
    except Exception:
        return None
    return adapter


def _output(plain: Callable[..., Any], hint: Any) -> dict[str, Any] | None:
    """JSON Schema of what is returned; None where the hint says nothing of it."""
    generator = inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain)
    if hint is None or hint is type(None) or generator:
        return None
    adapter = _adapter(hint, "serialization")
    return adapter.json_schema(mode="serialization") if adapter else None
