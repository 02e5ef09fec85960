"""What is known of the tools: their schemas and their profiles."""

from gatling_guard.catalog.build import spec_digest
from gatling_guard.catalog.declare import declare
from gatling_guard.catalog.foreign import (
    spec_from_any,
    spec_from_json_schema,
    spec_from_langchain,
    spec_from_mcp,
    spec_from_openai,
)
from gatling_guard.catalog.function import spec_from_function
from gatling_guard.catalog.infer import infer_profile
from gatling_guard.catalog.store import Catalog
from gatling_guard.catalog.types import Basis, Effect, ToolProfile, ToolSpec

__all__ = [
    "Basis",
    "Catalog",
    "Effect",
    "ToolProfile",
    "ToolSpec",
    "declare",
    "infer_profile",
    "spec_digest",
    "spec_from_any",
    "spec_from_function",
    "spec_from_json_schema",
    "spec_from_langchain",
    "spec_from_mcp",
    "spec_from_openai",
]
