"""Specs from other libraries' shapes, and from anything at all."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from gatling_guard.catalog import (
    Effect,
    ToolSpec,
    spec_from_any,
    spec_from_json_schema,
    spec_from_mcp,
    spec_from_openai,
)
from gatling_guard.errors import ToolSpecError

SCHEMA = {
    "type": "object",
    "properties": {"to": {"type": "string"}, "body": {"type": "string"}},
    "required": ["to"],
}


def _issues(build: Any, *args: Any, **more: Any) -> dict[str, str]:
    with pytest.raises(ToolSpecError) as caught:
        build(*args, **more)
    return {issue.where: issue.message for issue in caught.value.issues}


# ------------------------------------------------------------------------------ OpenAI
def test_both_forms_of_an_openai_tool() -> None:
    """Chat completions nest the function, responses do not; both say the same."""
    body = {"name": "send_email", "description": "Send.", "parameters": SCHEMA}
    nested = spec_from_any({"type": "function", "function": body})
    flat = spec_from_any({"type": "function", "strict": True, **body})
    assert nested == flat == spec_from_openai({"function": body})
    assert (nested.name, nested.parameters, nested.profile.effect) == (
        "send_email",
        SCHEMA,
        Effect.SEND,
    )


def test_a_tool_without_parameters_takes_none() -> None:
    """OpenAI lets `parameters` be left out or null."""
    for more in ({}, {"parameters": None}):
        spec = spec_from_openai({"type": "function", "function": {"name": "get_time", **more}})
        assert spec.parameters == {"type": "object", "properties": {}}


def test_a_hosted_tool_is_refused_with_the_reason() -> None:
    """What the provider runs cannot be mediated here, and must not look as if it were."""
    with pytest.raises(ToolSpecError, match="run by the provider"):
        spec_from_any({"type": "web_search"})


# ------------------------------------------------------------------------------ MCP
class _Annotations(BaseModel):
    title: str | None = None
    readOnlyHint: bool | None = None
    destructiveHint: bool | None = None


@dataclasses.dataclass
class _McpTool:
    """The documented shape of `mcp.types.Tool`."""

    name: str
    inputSchema: dict[str, Any]
    description: str | None = None
    outputSchema: dict[str, Any] | None = None
    annotations: Any = None


def test_an_mcp_tool_as_object_and_as_dict() -> None:
    """R51 Schema, output schema and annotations are taken over, in both spellings."""
    hints = {"readOnlyHint": False, "destructiveHint": True}
    output = {"type": "object", "properties": {"id": {"type": "string"}}}
    tool = _McpTool("update_note", SCHEMA, "Update.", output, _Annotations.model_validate(hints))
    wire = {
        "name": "update_note",
        "description": "Update.",
        "inputSchema": SCHEMA,
        "outputSchema": output,
        "annotations": hints,
    }
    snake = {
        "name": "update_note",
        "description": "Update.",
        "input_schema": SCHEMA,
        "output_schema": output,
        "annotations": hints,
    }
    spec = spec_from_any(tool)
    assert spec == spec_from_any(wire) == spec_from_any(snake)
    assert spec.output_schema == output
    assert spec.annotations == hints
    assert (spec.profile.basis, spec.profile.reversible) == ("annotated", False)


def test_trust_in_annotations_is_the_callers_choice() -> None:
    """A read-only hint on a deletion counts only from a trusted server."""
    tool = {"name": "delete_note", "inputSchema": SCHEMA, "annotations": {"readOnlyHint": True}}
    assert spec_from_mcp(tool).profile.effect is Effect.DELETE
    assert spec_from_mcp(tool, trust_annotations=True).profile.effect is Effect.READ
    assert spec_from_any(tool, trust_annotations=True).profile.effect is Effect.READ


def test_anthropics_tool_dict_is_read_alike() -> None:
    """It has MCP's shape in snake case."""
    tool = {"name": "get_weather", "description": "Weather.", "input_schema": SCHEMA}
    assert spec_from_any(tool).parameters == SCHEMA


def test_a_hint_that_is_no_flag_is_an_error() -> None:
    """`"false"` is true in many languages; it is neither here."""
    found = _issues(
        spec_from_mcp, {"name": "x", "inputSchema": {}, "annotations": {"readOnlyHint": "false"}}
    )
    assert set(found) == {"/annotations/readOnlyHint"}


# ------------------------------------------------------------------------------ LangChain
def test_langchain_shaped_objects_without_langchain() -> None:
    """The shape is enough: `args_schema` alone also loses its injected arguments."""

    class InjectedToolArg:
        pass

    class Arguments(BaseModel):
        query: str
        secret: Annotated[str, InjectedToolArg()]

    @dataclasses.dataclass
    class Tool:
        name: str = "search_docs"
        description: str = "Search."
        args_schema: Any = Arguments

    spec = spec_from_any(Tool())
    assert list(spec.parameters["properties"]) == ["query"]
    assert spec.parameters["required"] == ["query"]


def test_the_core_imports_no_framework() -> None:
    """R126 The shapes are recognised without importing what has them."""
    code = (
        "import sys, gatling_guard.catalog as c; c.spec_from_any({'name': 'x', 'parameters': {}});"
        "print([m for m in ('langchain', 'langchain_core', 'openai', 'mcp', 'jsonschema',"
        " 'networkx', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ------------------------------------------------------------------------------ JSON Schema
def test_the_schema_is_copied() -> None:
    """What the caller does to its dict later changes nothing here."""
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
    spec = spec_from_json_schema("get_a", schema)
    schema["properties"]["a"]["type"] = "integer"
    assert spec.parameters["properties"]["a"]["type"] == "string"


def test_type_names_of_other_languages_are_understood() -> None:
    """About one schema in a hundred says `String` or `dict`; a validator would choke on them."""
    kinds = {"a": "String", "b": "ArrayList", "c": "float", "d": "any", "e": "HashMap"}
    schema = {"type": "dict", "properties": {name: {"type": kind} for name, kind in kinds.items()}}
    found = spec_from_json_schema("get_a", schema).parameters
    assert found["type"] == "object"
    assert [child.get("type") for child in found["properties"].values()] == [
        "string",
        "array",
        "number",
        None,
        "object",
    ]


def test_a_spec_passes_through_and_can_be_declared() -> None:
    """`register(spec, effect=...)` overlays; without fields it is the same spec."""
    spec = spec_from_json_schema("frobnicate", SCHEMA, aliases=["f"])
    assert spec_from_any(spec) == spec
    again = spec_from_any(spec, effect="read", aliases=["g"])
    assert (again.profile.effect, again.aliases, again.name) == (Effect.READ, ("g",), "frobnicate")


def test_every_fault_of_a_description_is_named_at_once() -> None:
    """R5 One run, all faults, each with its place."""
    schema = {
        "type": "array",
        "properties": {"a": {"type": "text"}, "b": [], "c/d": {"enum": 3}},
        "required": "a",
        "$defs": {"x": {"anyOf": {}}},
    }
    found = _issues(
        spec_from_json_schema,
        "",
        schema,
        description=3,
        annotations={"readOnlyHint": 1},
        privilege=99,
        aliases=["ok", ""],
    )
    assert set(found) == {
        "/name",
        "/description",
        "/parameters/type",
        "/parameters/properties/a/type",
        "/parameters/properties/b",
        "/parameters/properties/c~1d/enum",
        "/parameters/required",
        "/parameters/$defs/x/anyOf",
        "/annotations/readOnlyHint",
        "/profile/privilege",
        "/aliases/1",
    }
    assert "missing" in found["/name"]


def _deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"x": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        (_deep(1000), "/parameters/properties/x"),
        ({"type": "object", "default": float("nan")}, "/parameters/default"),
        ({"type": "object", "title": "\ud800"}, "/parameters/title"),
        ({"type": "object", "x": object()}, "/parameters/x"),
        ({"type": "object", "properties": {str(i): {} for i in range(30_000)}}, "/parameters"),
        ({"type": "object", "description": "x" * 2_000_000}, "/parameters/description"),
        ([], "/parameters"),
        ("{}", "/parameters"),
        (True, "/parameters"),
        ({"type": "string"}, "/parameters/type"),
        ({"title": "no properties"}, "/parameters/type"),
    ],
)
def test_hostile_schemas_end_in_an_error_that_names_the_place(schema: Any, where: str) -> None:
    """R5 Deep, huge, cyclic or non-JSON: an error in bounded time, never a crash."""
    start = time.perf_counter()
    found = _issues(spec_from_json_schema, "tool", schema)
    assert time.perf_counter() - start < 2.0
    assert any(place.startswith(where) for place in found), found


def test_cycles_in_objects_and_in_references() -> None:
    """A Python cycle is an error; a recursive schema is ordinary."""
    loop: dict[str, Any] = {"type": "object"}
    loop["properties"] = loop
    assert _issues(spec_from_json_schema, "tool", loop)
    tree = {
        "type": "object",
        "properties": {"child": {"$ref": "#"}, "node": {"$ref": "#/$defs/N"}, "email": {}},
        "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}},
    }
    assert "email" in spec_from_json_schema("send_tree", tree).profile.identity_args


class _Hostile:
    """Every attribute fails."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class _BadSchema:
    name = "x"
    description = ""

    @property
    def tool_call_schema(self) -> Any:
        raise ValueError("no schema")


class _BadModel:
    name = "x"
    description = ""

    class args_schema:
        @staticmethod
        def model_json_schema() -> Any:
            raise RecursionError


@pytest.mark.parametrize("kind", [_Hostile, _BadSchema, _BadModel, dict, list])
def test_objects_that_fail_when_looked_at(kind: type) -> None:
    """A foreign object's own exception becomes an error of the tool."""
    with pytest.raises(ToolSpecError):
        spec_from_any(kind())


_KEYS = st.sampled_from(
    [
        "type",
        "function",
        "name",
        "description",
        "parameters",
        "inputSchema",
        "input_schema",
        "outputSchema",
        "annotations",
        "properties",
        "required",
        "items",
        "$ref",
        "$defs",
        "anyOf",
        "enum",
        "readOnlyHint",
        "strict",
    ]
) | st.text(max_size=5)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["object", "function", "string", "#/$defs/a", "send_email"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=30,
)


@settings(max_examples=400)
@given(_JSON)
def test_anything_is_a_spec_or_a_tool_spec_error(value: Any) -> None:
    """P: no JSON value, and nothing that merely resembles a tool, raises anything else."""
    try:
        spec = spec_from_any(value)
    except ToolSpecError:
        return
    assert isinstance(spec, ToolSpec)
    assert spec.name.strip()
    assert spec.parameters.get("type", "object") in ("object", ["object"]) or isinstance(
        spec.parameters["type"], list
    )


@settings(max_examples=300)
@given(st.dictionaries(_KEYS, _JSON, max_size=5))
def test_any_parameters_are_a_schema_or_an_error(schema: dict[str, Any]) -> None:
    """P: the same for the schema of an otherwise good tool; kept schemas survive a round trip."""
    try:
        spec = spec_from_json_schema("send_email", schema)
    except ToolSpecError:
        return
    assert spec_from_json_schema("send_email", spec.parameters) == spec
