"""Recorded runs: what a guard may see, and what it may not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gatling_guard.catalog import spec_from_json_schema
from gatling_guard.errors import InputError, TraceError
from gatling_guard.trace import Recorder, append_trace, read_traces, trace_from_row

ROW = {
    "id": "suite/injection_task_1",
    "source": "s",
    "label": "attack",
    "attack_type": "direct",
    "user_instruction": "pay",
    "system": None,
    "tools": [{"name": "pay", "description": "", "parameters": {"type": "object"}}],
    "steps": [
        {
            "tool": "pay",
            "arguments": {"n": 1},
            "output": "ok",
            "output_untrusted": True,
            "malicious": True,
        }
    ],
    "meta": {"kind": "attack_succeeded"},
}


def test_a_guard_sees_no_label() -> None:
    """Never label, meta, malicious, output_untrusted; an id may tell as well."""
    trace = trace_from_row(ROW)
    assert (trace.label, trace.attack_type, trace.steps[0].malicious) == ("attack", "direct", True)
    seen = trace.visible()
    text = repr(dataclasses.asdict(seen))
    assert not [
        word
        for word in ("attack", "direct", "malicious", "untrusted", "injection", "kind")
        if word in text
    ]
    assert (seen.instruction, seen.steps[0].arguments, seen.steps[0].output) == (
        "pay",
        {"n": 1},
        "ok",
    )
    assert seen.tools == trace.tools


def test_a_row_survives_the_round_trip() -> None:
    row = trace_from_row(ROW).to_row()
    assert trace_from_row(row) == trace_from_row(ROW)
    assert row["meta"] == ROW["meta"]


def test_a_run_is_recorded(tmp_path: Path) -> None:
    recorder = Recorder("r1", tools=[spec_from_json_schema("pay", {"type": "object"})])
    recorder.observe(user="pay Bob", system="be kind")
    recorder.observe(user="now")
    first = recorder.call("pay", {"to": "Bob"})
    recorder.call("pay", {"to": "Ann"}, "c9")
    recorder.output(first, {"ok": True})
    append_trace(tmp_path / "t.jsonl", recorder.trace(label="benign"))
    append_trace(tmp_path / "t.jsonl", recorder.trace())
    first_read, _ = read_traces(tmp_path / "t.jsonl")
    assert first_read.instruction == "pay Bob\nnow"
    assert first_read.system == "be kind"
    assert first_read.label == "benign"
    assert [(s.call_id, s.arguments, s.output) for s in first_read.steps] == [
        ("call_0", {"to": "Bob"}, {"ok": True}),
        ("c9", {"to": "Ann"}, None),
    ]


def test_the_recorder_refuses_what_it_cannot_hold() -> None:
    recorder = Recorder("r")
    recorder.call("t", {}, "c1")
    with pytest.raises(TraceError, match="already"):
        recorder.call("t", {}, "c1")
    with pytest.raises(TraceError, match="never recorded"):
        recorder.output("c2", 1)
    with pytest.raises(InputError, match="/arguments/x"):
        recorder.call("t", {"x": float("nan")})


def test_toolsets_are_resolved_by_key() -> None:
    trace = trace_from_row({**ROW, "tools": None, "toolsets": ["a"]})
    spec = spec_from_json_schema("pay", {"type": "object"})
    assert trace.with_tools({"a": (spec,)}).tools == (spec,)
    with pytest.raises(TraceError, match="unknown toolsets: a"):
        trace.with_tools({})
