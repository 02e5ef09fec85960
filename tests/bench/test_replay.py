from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatling_guard import TraceError
from gatling_guard.bench import Replay, find_toolsets, open_lines, replay_trace
from gatling_guard.trace import trace_from_row

TOOLS = [
    {"name": name, "description": name, "parameters": {"type": "object", "properties": {}}}
    for name in ("read", "write")
]


def row(name: str = "secret-attack-id", **fields: Any) -> dict[str, Any]:
    given = {
        "id": name,
        "source": "SOURCE-MARK",
        "label": "attack",
        "attack_type": "TYPE-MARK",
        "user_instruction": "please read",
        "system": "be good",
        "tools": TOOLS,
        "steps": [
            {"tool": "read", "arguments": {"q": 1}, "output": "one", "malicious": False},
            {"tool": "write", "arguments": {"q": 2}, "output": "two", "malicious": True,
             "output_untrusted": True},
            {"tool": "read", "arguments": {"q": 3}, "output": "three", "malicious": None},
        ],
        "meta": {"kind": "KIND-MARK", "injections": {"v": "INJECTION-MARK"}},
    }  # fmt: skip
    return {**given, **fields}


def by_tool(verdict: str | dict[str, Any]) -> Callable[[str, dict[str, Any]], Any]:
    return lambda tool, arguments: verdict if tool == "write" else "allow"


def test_the_guard_is_told_nothing_but_what_the_data_rules_allow(scripted: Any) -> None:
    """data/README.md: never label, meta, malicious, output_untrusted, nor the telling id."""
    subject = scripted(by_tool("allow"))
    replay_trace(subject, trace_from_row(row()))
    told = repr(subject.runs)
    for mark in ("MARK", "secret-attack-id", "malicious", "untrusted"):
        assert mark not in told
    (run,) = subject.runs
    assert (run.instruction, run.system) == ("please read", "be good")
    assert [spec.name for spec in run.tools.specs] == ["read", "write"]


def test_a_step_is_decided_before_anything_of_it_or_of_later_steps_is_shown(scripted: Any) -> None:
    seen: list[tuple[str, list[Any]]] = []

    def rule(tool: str, arguments: dict[str, Any]) -> str:
        seen.append((str(arguments["q"]), list(subject.runs[0].settled.values())))
        return "allow"

    subject = scripted(rule)
    replay_trace(subject, trace_from_row(row()))
    assert seen == [("1", []), ("2", ["one"]), ("3", ["one", "two"])]


@pytest.mark.parametrize("action", ["block", "hold"])
def test_a_stopped_call_shows_no_output_and_later_steps_are_still_judged(
    scripted: Any, action: str
) -> None:
    subject = scripted(by_tool(action))
    verdict = replay_trace(subject, trace_from_row(row()))
    assert [step["action"] for step in verdict["steps"]] == ["allow", action, "allow"]
    assert list(subject.runs[0].settled.values()) == ["one", "three"]


def test_a_verdict_line_has_the_documented_form(scripted: Any) -> None:
    verdict = replay_trace(scripted(by_tool({"q": 0})), trace_from_row(row()))
    assert verdict["id"] == "secret-attack-id"
    step = verdict["steps"][1]
    assert set(step) == {"action", "energy", "arguments", "reasons"}
    assert (step["action"], step["arguments"]) == ("repair", {"q": 0})
    assert set(step["energy"]) == {"hierarchy", "provenance", "scope", "flow", "total"}
    assert verdict["steps"][0]["arguments"] == {"q": 1}
    json.dumps(verdict)


def test_the_arguments_of_a_stopped_call_are_the_recorded_ones(scripted: Any) -> None:
    verdict = replay_trace(scripted(by_tool("block")), trace_from_row(row()))
    assert verdict["steps"][1]["arguments"] == {"q": 2}
    assert verdict["steps"][1]["reasons"] == ["scripted"]


def test_every_trace_is_a_run_of_its_own_and_equal_tools_have_equal_keys(scripted: Any) -> None:
    subject = scripted(by_tool("allow"))
    for name, tools in (("a", TOOLS), ("b", TOOLS), ("c", TOOLS[:1])):
        replay_trace(subject, trace_from_row(row(name, tools=tools)))
    keys = [run.tools.key for run in subject.runs]
    assert keys[0] == keys[1] != keys[2]


def written(path: Path, *lines: str) -> Path:
    with open_lines(path) as file:
        file.writelines(line + "\n" for line in lines)
    return path


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.xz"])
def test_a_bad_line_is_named_and_loses_no_other(tmp_path: Path, scripted: Any, name: str) -> None:
    """Must show: bad traces give a clear error with the place; nothing lost."""
    good = json.dumps(row("good"))
    nan = good.replace('"q": 1', '"q": NaN')
    unknown = json.dumps(row("needs", tools=[], toolsets=["none/such"]))
    deep = json.dumps(row("deep")).replace('{"q": 1}', '{"q": ' + "[" * 999 + "]" * 999 + "}")
    file = written(tmp_path / name, good, "{broken", nan, unknown, deep, good)
    job = Replay(file)
    found = list(job.run(scripted(by_tool("block"))))
    assert [trace.id for trace, _ in found] == ["good", "good"]
    assert [issue.line for issue in job.issues] == [2, 3, None, 5]
    assert "needs" in job.issues[2].where
    summary = job.summary()
    assert (summary["rows"], summary["bad_lines"], summary["steps"]) == (2, 4, 6)
    assert summary["actions"] == {"allow": 4, "repair": 0, "hold": 0, "block": 2}


def test_a_file_that_breaks_off_is_an_error_after_what_could_be_read(
    tmp_path: Path, scripted: Any
) -> None:
    whole = lzma.compress("".join(json.dumps(row(str(i))) + "\n" for i in range(3000)).encode())
    file = tmp_path / "cut.jsonl.xz"
    file.write_bytes(whole[: len(whole) // 2])
    job, subject = Replay(file), scripted(by_tool("allow"))
    with pytest.raises(TraceError, match=r"cut\.jsonl\.xz"):
        list(job.run(subject))
    assert len(subject.runs) == job.rows > 0


def test_the_limit_stops_early(tmp_path: Path, scripted: Any) -> None:
    file = written(tmp_path / "t.jsonl", *(json.dumps(row(str(i))) for i in range(9)), "{broken")
    job = Replay(file, limit=4)
    assert [trace.id for trace, _ in job.run(scripted(by_tool("allow")))] == ["0", "1", "2", "3"]
    assert not job.issues


def test_toolsets_are_found_beside_the_folder_of_the_traces(tmp_path: Path) -> None:
    catalog, eval_ = tmp_path / "catalog", tmp_path / "eval"
    catalog.mkdir()
    eval_.mkdir()
    assert find_toolsets(eval_ / "t.jsonl") == {}
    (catalog / "toolsets.json.xz").write_bytes(lzma.compress(json.dumps({"k": TOOLS}).encode()))
    assert [s.name for s in find_toolsets(eval_ / "t.jsonl")["k"]] == ["read", "write"]
    with pytest.raises(TraceError):
        find_toolsets(eval_ / "t.jsonl", tmp_path / "missing.json")
