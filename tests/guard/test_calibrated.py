"""A user's calibration in a session: it moves thresholds within limits, and is told of everywhere.

The heads are made by hand: their risk rises where untrusted text alone gives the party.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatling_guard import Blocked, ConfigurationError, Guard, InputError, ToolRequest
from gatling_guard.decision import Decision
from gatling_guard.energy.calibration import ToolsetCalibration, read_calibration
from gatling_guard.energy.conformal import Task, fit
from gatling_guard.energy.residual import Residual
from gatling_guard.energy.risk import RiskDefault, toolset_digest
from gatling_guard.pipeline import LearnedParts
from gatling_guard.policy import load_policy
from tests.pipeline.learned_parts import RandomScorer, heads_file, residual

TOOLS = (
    {"name": "read_inbox", "description": "Read the inbox.",
     "parameters": {"type": "object", "properties": {"folder": {"type": "string"}}}},
    {"name": "add_note", "description": "Add a note.",
     "parameters": {"type": "object", "properties": {"text": {"type": "string"}}}},
    {"name": "send_email", "description": "Send an email.",
     "parameters": {"type": "object", "properties": {"to": {"type": "string"},
                                                     "body": {"type": "string"}}}},
)  # fmt: skip
MAIL = "Please write to Bob about the roof: bob@corp.example."


def threshold(default: float, lowest: float, highest: float) -> dict[str, float]:
    return {"default": default, "lowest": lowest, "highest": highest}


def heads(bias: float = 1.0) -> Residual:
    """`calm` gives every judged call a risk of softplus(bias); `sensitive` next to none."""
    flat = {"margin": {"points": [[0.0, 0.0]]}}
    calm: dict[str, Any] = {"bias": bias, "curves": flat, "default": {
        "hold": threshold(2.0, 0.5, 4.0), "block": threshold(8.0, 5.0, 12.0)}}  # fmt: skip
    sensitive = {"bias": -20.0, "curves": flat,
                 "default": {**calm["default"], "may_block": False}}  # fmt: skip
    return residual(heads_file(calm=calm, sensitive=sensitive))


def parts(bias: float = 1.0) -> LearnedParts:
    return LearnedParts(RandomScorer(), heads(bias))


def guarded(learned: Any, **options: Any) -> Guard:
    guard = Guard(learned=learned, **options)
    for tool in TOOLS:
        guard.register(tool)
    return guard


def calibrated(
    learned: LearnedParts, values: Callable[[int], float], *, count: int = 300, **changes: Any
) -> ToolsetCalibration:
    """A calibration for `guarded(learned)`, of tasks with these highest risks."""
    made = [
        Task(f"t{i}", f"t{i}", {"calm": {"send": values(i)}, "sensitive": {"send": 0.0}})
        for i in range(count)
    ]
    served: dict[str, Any] = {
        "policy": load_policy("standard").digest,
        "toolset": toolset_digest(guarded("off").catalog),
    } | changes  # fmt: skip
    return fit(made, learned.defaults, learned.models, **served)


def mail(
    guard: Guard, run: str = "r", said: str = "Read my mails and write to bob@corp.example."
) -> Decision:
    """The decision on a mail that the user asked for, after an untrusted one was read."""
    with guard.session(run_id=run, instruction=said) as session:
        session.check(ToolRequest("read_inbox", {"folder": "inbox"}, "a"))
        session.settle("a", MAIL)
        decision = session.check(
            ToolRequest("send_email", {"to": "bob@corp.example", "body": "hello"}, "b")
        )
        session.settle("b", "sent")
    return decision


def low(i: int) -> float:
    return 0.1 + i / 1000


def high(i: int) -> float:
    return 3.0 + i / 300


def body_of(guard: Guard, call: str = "b") -> dict[str, Any]:
    return next(
        e.body for e in guard.ledger.entries() if e.kind == "decision" and e.call_id == call
    )


def test_a_calibration_moves_decisions_both_ways() -> None:
    """R44: users whose honest risks are lower hold sooner; users with higher ones hold later."""
    learned = parts(bias=1.0)  # a risk of 1.31: below the shipped threshold to hold
    plain = mail(guarded(learned))
    assert plain.action == "allow"
    assert plain.risks["calm"] == pytest.approx(1.313262, abs=1e-6)
    stricter = mail(guarded(learned, calibration=calibrated(learned, low)))
    assert stricter.action == "hold"
    assert stricter.risks == plain.risks  # the risk is the same, its energy is not

    learned = parts(bias=2.5)  # 2.58: above it
    assert mail(guarded(learned)).action == "hold"
    assert mail(guarded(learned, calibration=calibrated(learned, high))).action == "allow"


def test_no_runs_switch_the_heads_off() -> None:
    """Whatever the runs were, a risk beyond the highest limit is held."""
    learned = parts(bias=4.2)
    absurd = calibrated(learned, lambda i: 1e8, count=5000)
    assert mail(guarded(learned, calibration=absurd)).action == "hold"


def test_the_calibration_is_part_of_ids_and_receipts() -> None:
    """P9: another calibration is another decision."""
    learned = parts()
    ids = set()
    for made in (None, calibrated(learned, low), calibrated(learned, high)):
        guard = guarded(learned, calibration=made)
        ids.add(mail(guard).decision_id)
        body = body_of(guard)
        assert body["models"] == [*learned.ids, *([made.id] if made else [])]
        assert set(body["risks"]) == {"calm", "sensitive"}
        assert "uncalibrated" not in body
        assert (made.id if made else "calibration") in guard.mode or made is None
    assert len(ids) == 3


def test_from_a_file_read_once(tmp_path: Path) -> None:
    learned = parts()
    file = tmp_path / "calibration.json"
    made = calibrated(learned, low)
    file.write_text(made.to_text())
    guard = guarded(learned, calibration=str(file))
    file.unlink()
    assert mail(guard).action == "hold"
    assert made.id in guard.mode


@pytest.mark.parametrize(
    ("options", "why"),
    [({"policy": "strict"}, "the policy changed"), ({}, "the tools changed")],
)
def test_a_stale_calibration_is_not_used_and_told_of(options: dict[str, str], why: str) -> None:
    learned = parts()
    made = calibrated(learned, low)
    guard, plain = (guarded(learned, calibration=given, **options) for given in (made, None))
    if not options:
        for each in (guard, plain):
            each.register({"name": "other", "description": "", "parameters": {}})
    assert mail(guard).decision_id == mail(plain).decision_id
    assert why in guard.mode
    assert why in guard.session().mode
    assert why in body_of(guard)["uncalibrated"]
    assert made.id not in body_of(guard)["models"]
    assert guard.drift is not None
    assert guard.drift.served == 0


def test_a_reload_makes_it_stale_and_back() -> None:
    learned = parts()
    guard = guarded(learned, calibration=calibrated(learned, low))
    assert mail(guard, "1").action == "hold"
    guard.reload("strict")
    assert "stale" in guard.mode
    guard.reload("standard")
    assert mail(guard, "2").action == "hold"


def test_a_calibration_of_other_heads_is_refused() -> None:
    made = calibrated(parts(bias=1.0), low)
    guard = guarded(parts(bias=1.5), calibration=made)
    with pytest.raises(ConfigurationError, match="calibrated was 'heads-1-"):
        guard.session()
    plan = {"nodes": [{"node_id": "1", "tool_name": "add_note", "arguments": {},
                       "provenance_tier": 1, "scope_level": 1}], "edges": []}  # fmt: skip
    assert isinstance(guard.check(plan), Blocked)
    with pytest.raises(ConfigurationError, match="not usable"):
        _ = guard.mode


def test_one_beyond_the_limits_is_refused() -> None:
    learned = parts()
    wide = {
        name: RiskDefault.model_validate({
            "hold": threshold(2.0, 0.5, 400.0), "block": threshold(800.0, 500.0, 1200.0),
            "may_block": default.may_block,
        })
        for name, default in learned.defaults.items()
    }  # fmt: skip
    tasks = [Task(f"t{i}", f"t{i}", {"calm": {"send": 300.0}}) for i in range(300)]
    made = fit(tasks, wide, learned.models, policy=load_policy("standard").digest,
               toolset=toolset_digest(guarded("off").catalog))  # fmt: skip
    with pytest.raises(ConfigurationError, match="outside of its limits"):
        guarded(learned, calibration=made).session()


def test_what_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Guard(calibration=tmp_path / "none.json")
    broken = json.loads(calibrated(parts(), low).to_text())
    broken["pseudo_tasks"] = 31
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    with pytest.raises(InputError, match="/digest"):
        Guard(calibration=tmp_path / "broken.json")
    with pytest.raises(ConfigurationError, match="a path or a ToolsetCalibration"):
        Guard(calibration=3)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="learned is 'off'"):
        Guard(learned="off", calibration=calibrated(parts(), low))


def test_without_heads_the_structure_decides_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: files of the model that are missing stop nobody."""
    monkeypatch.setattr("gatling_guard.pipeline.learned.PRETRAINED", tmp_path)
    guard = guarded("auto", calibration=calibrated(parts(), low))
    decision = mail(guard)
    assert decision.risks == {}
    assert "structure only" in guard.mode
    assert "there are no learned heads" in guard.mode
    assert guard.drift is None


def test_drift_is_fed_once_per_session_and_instruction() -> None:
    learned = parts()
    guard = guarded(learned, calibration=calibrated(learned, low))
    mail(guard, "1", "Write to bob@corp.example.")
    assert guard.drift is not None
    assert (guard.drift.served, guard.drift.status) == (1, "quiet")
    mail(guard, "2", "write to  BOB@corp.example.")  # the same instruction
    assert guard.drift.served == 1
    with guard.session(instruction="Read my mails.") as session:
        session.check(ToolRequest("read_inbox", {"folder": "inbox"}, "a"))
    assert guard.drift.served == 1  # no call was judged
    session = guard.session_for("3")
    session.observe(user="Write to bob@corp.example again.")
    session.check(ToolRequest("read_inbox", {"folder": "inbox"}, "a"))
    session.settle("a", MAIL)
    session.check(ToolRequest("send_email", {"to": "bob@corp.example", "body": "x"}, "b"))
    session.close()
    session.close()
    assert guard.drift.served == 2


def test_the_alarm_is_in_the_ledger_once() -> None:
    learned = parts()
    guard = guarded(learned, calibration=calibrated(learned, low))
    for i in range(45):
        mail(guard, str(i), f"Write to bob@corp.example about roof {i}.")
    assert guard.drift is not None
    assert guard.drift.status == "alarm"
    (entry,) = [e for e in guard.ledger.entries() if e.kind == "drift"]
    assert entry.body["calibration"] == read_calibration(calibrated(learned, low).to_text()).digest
    assert entry.body["risks"]["calm"] == "higher"
    assert entry.body["served"] < 45


def test_a_guard_without_calibration_has_no_drift() -> None:
    guard = guarded(parts())
    mail(guard)
    assert guard.drift is None
