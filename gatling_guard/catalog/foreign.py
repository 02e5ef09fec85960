"""Tools from other libraries' shapes: JSON Schema, OpenAI, MCP, LangChain.

Shapes are recognised by attribute and key, never by class, so that no library is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from gatling_guard.catalog.build import Parts, build
from gatling_guard.catalog.declare import declare
from gatling_guard.catalog.function import is_injected, spec_from_function
from gatling_guard.catalog.infer import HINTS
from gatling_guard.catalog.types import ToolSpec
from gatling_guard.errors import ToolSpecError

_SHAPES = (
    "a function, a LangChain tool, an MCP tool, an OpenAI tool dict, "
    "or a dict with 'name' and 'parameters'"
)


class LangChainTool(Protocol):
    """The part of `langchain_core.tools.BaseTool` that is read."""

    name: str
    description: str

    @property
    def tool_call_schema(self) -> Any:
        """A pydantic model class or a JSON Schema; injected arguments are left out."""


def spec_from_json_schema(
    name: str,
    parameters: Mapping[str, Any] | None,
    *,
    description: str = "",
    annotations: Mapping[str, Any] | None = None,
    output_schema: Mapping[str, Any] | None = None,
    **declared: Any,
) -> ToolSpec:
    """The spec of a tool whose arguments are described by a JSON Schema.

    Args:
        name: as the model sees it.
        parameters: JSON Schema of the argument object; None where there are no arguments.
        description: free text.
        annotations: MCP annotations; see `infer_profile` for how far they are believed.
        output_schema: JSON Schema of the result.
        **declared: fields of `ToolProfile`, and `aliases`.

    Raises:
        ToolSpecError: with every fault.
    """
    return build(Parts(name, description, parameters, output_schema, annotations), declared)


def spec_from_openai(tool: Mapping[str, Any], **declared: Any) -> ToolSpec:
    """The spec of an OpenAI tool: the nested Chat form or the flat Responses form.

    Raises:
        ToolSpecError: also for a hosted tool (`{"type": "web_search"}`), which the provider runs
            and nothing here can mediate.
    """
    if not isinstance(tool, Mapping):
        raise ToolSpecError(f"expected a dict, not {type(tool).__name__}")
    kind = tool.get("type", "function")
    if kind != "function":
        message = f"{kind!r:.60} is run by the provider; only functions pass a guard"
        raise ToolSpecError(message, what="OpenAI tool")
    body = tool.get("function", tool)
    if not isinstance(body, Mapping):
        raise ToolSpecError(f"/function: expected a dict, not {type(body).__name__}")
    parts = Parts(body.get("name"), body.get("description"), body.get("parameters"))
    return build(parts, declared)


def spec_from_mcp(tool: Any, *, trust_annotations: bool = False, **declared: Any) -> ToolSpec:
    """The spec of an MCP tool: an object or a dict, in either spelling of its keys.

    Args:
        tool: `mcp.types.Tool`, or what `tools/list` returned for it.
        trust_annotations: whether the server is trusted to annotate its tools; else its hints
            can raise the risk but not lower it.
        **declared: fields of `ToolProfile`, and `aliases`.

    Raises:
        ToolSpecError: with every fault.
    """
    parts = Parts(
        name=_take(tool, "name"),
        description=_first(_take(tool, "description"), _take(tool, "title")),
        parameters=_first(_take(tool, "inputSchema"), _take(tool, "input_schema")),
        output_schema=_first(_take(tool, "outputSchema"), _take(tool, "output_schema")),
        annotations=_take(tool, "annotations"),
    )
    return build(parts, declared, trust_annotations=trust_annotations)


def spec_from_langchain(tool: LangChainTool, **declared: Any) -> ToolSpec:
    """The spec of a LangChain tool; arguments that the framework injects do not appear.

    Raises:
        ToolSpecError: with every fault.
    """
    metadata = _take(tool, "metadata")
    hints = {}
    if isinstance(metadata, Mapping):  # Where langchain-mcp-adapters keeps the annotations.
        hints = {key: metadata[key] for key in HINTS if metadata.get(key) is not None}
    parameters = _langchain_schema(tool)
    return build(
        Parts(_take(tool, "name"), _take(tool, "description"), parameters, None, hints), declared
    )


def spec_from_any(obj: Any, **declared: Any) -> ToolSpec:
    """The spec of anything that describes a tool.

    Args:
        obj: a `ToolSpec`, a function, a LangChain tool, an MCP tool (object or dict), an OpenAI
            tool dict, or a dict with `name` and `parameters`.
        **declared: fields of `ToolProfile`, and `aliases`.

    Raises:
        ToolSpecError: the shape is not known, or with every fault of the shape that is.
    """
    if isinstance(obj, ToolSpec):
        return _redeclared(obj, declared)
    if isinstance(obj, Mapping):
        return _from_mapping(obj, declared)
    if _has(obj, "inputSchema") or (_has(obj, "input_schema") and _has(obj, "annotations")):
        return spec_from_mcp(obj, **declared)
    if _has(obj, "name") and (_has(obj, "tool_call_schema") or _has(obj, "args_schema")):
        return spec_from_langchain(obj, **declared)
    if callable(obj):
        return spec_from_function(obj, **declared)
    raise ToolSpecError(f"{type(obj).__name__} describes no tool; expected {_SHAPES}")


def _redeclared(spec: ToolSpec, declared: Mapping[str, Any]) -> ToolSpec:
    fields = dict(declared)
    aliases = fields.pop("aliases", spec.aliases)
    if aliases != spec.aliases:
        checked = build(Parts(spec.name), {"aliases": aliases})
        spec = replace(spec, aliases=checked.aliases)
    return replace(spec, profile=declare(spec.profile, **fields))


def _from_mapping(obj: Mapping[str, Any], declared: Mapping[str, Any]) -> ToolSpec:
    if "inputSchema" in obj or "input_schema" in obj:  # MCP; Anthropic's tool dict alike.
        return spec_from_mcp(obj, **declared)
    if "function" in obj or obj.get("type") is not None:
        return spec_from_openai(obj, **declared)
    if "name" in obj and ("parameters" in obj or "description" in obj):
        parts = Parts(
            obj["name"],
            obj.get("description"),
            obj.get("parameters"),
            obj.get("output_schema"),
            obj.get("annotations"),
        )
        return build(parts, declared)
    raise ToolSpecError(f"this dict describes no tool; expected {_SHAPES}")


# ------------------------------------------------------------------------------ foreign objects
def _take(obj: Any, key: str) -> Any:
    """An item or attribute of a foreign object; a property that fails is an error of the tool."""
    if isinstance(obj, Mapping):
        return obj.get(key)
    try:
        return getattr(obj, key, None)
    except Exception as error:
        raise ToolSpecError(f"{key}: cannot be read: {type(error).__name__}") from error


def _has(obj: Any, key: str) -> bool:
    # A class shows its descriptors as attributes, but describes no single tool.
    return not isinstance(obj, type) and _take(obj, key) is not None


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _langchain_schema(tool: Any) -> Any:
    """JSON Schema of the arguments a model may give."""
    model = _first(_take(tool, "tool_call_schema"), _take(tool, "args_schema"))
    if model is None or isinstance(model, Mapping):
        return model
    try:
        write = getattr(model, "model_json_schema", None) or getattr(model, "schema", None)
        schema = write() if write else tool.get_input_jsonschema()
    except Exception as error:
        message = f"no JSON Schema: {type(error).__name__}: {error!s:.200}"
        raise ToolSpecError(f"args_schema: {message}") from error
    return _without_injected(schema, getattr(model, "model_fields", {}))


def _without_injected(schema: Any, fields: Any) -> Any:
    """`tool_call_schema` leaves injected arguments out; `args_schema` alone does not."""
    if not isinstance(schema, dict) or not isinstance(fields, Mapping):
        return schema
    injected = {
        name
        for name, field in fields.items()
        if is_injected(getattr(field, "annotation", None))
        or any(is_injected(mark) for mark in getattr(field, "metadata", ()))
    }
    if not injected:
        return schema
    kept = {k: v for k, v in schema.get("properties", {}).items() if k not in injected}
    required = [name for name in schema.get("required", []) if name not in injected]
    return {**schema, "properties": kept, "required": required}
