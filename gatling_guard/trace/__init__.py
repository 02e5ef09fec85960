"""Canonical forms, spans of outputs, lineage of arguments, authority, recorded traces."""

from gatling_guard.trace.authority import Authority
from gatling_guard.trace.budget import Budget
from gatling_guard.trace.canonical import (
    canonical,
    find_bounded,
    hidden_text,
    trimmed,
    word_set,
    words_of,
)
from gatling_guard.trace.delegation import Delegation, NamedSource
from gatling_guard.trace.directive import is_directive, sentences
from gatling_guard.trace.entities import identity
from gatling_guard.trace.formats import load_toolsets, read_traces, tool_from_row, trace_from_row
from gatling_guard.trace.lineage import LineageIndex
from gatling_guard.trace.lookup import meets_by_chance
from gatling_guard.trace.mentions import addresses_in, as_number, dates_in, domain_of, numbers_in
from gatling_guard.trace.messages import (
    from_langchain_messages,
    from_openai_messages,
    to_openai_messages,
)
from gatling_guard.trace.objects import ObjectTaint
from gatling_guard.trace.recorder import RecordedStep, RecordedTrace, Recorder, append_trace
from gatling_guard.trace.sensitive import (
    lasting_file,
    sensitive_file,
    sensitive_name,
    sensitive_pieces,
    sensitive_text,
)
from gatling_guard.trace.spans import cut_spans
from gatling_guard.trace.types import Lineage, Match, Origin, Source, Span
from gatling_guard.trace.verbs import Ask, asks_for, fetch_verbs, name_words

__all__ = [
    "Ask",
    "Authority",
    "Budget",
    "Delegation",
    "Lineage",
    "LineageIndex",
    "Match",
    "NamedSource",
    "ObjectTaint",
    "Origin",
    "RecordedStep",
    "RecordedTrace",
    "Recorder",
    "Source",
    "Span",
    "addresses_in",
    "append_trace",
    "as_number",
    "asks_for",
    "canonical",
    "cut_spans",
    "dates_in",
    "domain_of",
    "fetch_verbs",
    "find_bounded",
    "from_langchain_messages",
    "from_openai_messages",
    "hidden_text",
    "identity",
    "is_directive",
    "lasting_file",
    "load_toolsets",
    "meets_by_chance",
    "name_words",
    "numbers_in",
    "read_traces",
    "sensitive_file",
    "sensitive_name",
    "sensitive_pieces",
    "sensitive_text",
    "sentences",
    "to_openai_messages",
    "tool_from_row",
    "trace_from_row",
    "trimmed",
    "word_set",
    "words_of",
]
