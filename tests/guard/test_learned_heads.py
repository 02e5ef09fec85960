"""Fitted heads inside a session: over random files, scorers and judges they only make it stricter.

The heads are small files that the tests write; what ships is not looked at (see test_default.py).
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gatling_guard import Allowed, Blocked, Decision, Guard, Held, ToolRequest
from gatling_guard.energy import CAPS, STRUCTURAL, TERMS, Composite, Energy, EnergyFacts
from gatling_guard.energy.features import FEATURES
from gatling_guard.pipeline import LearnedParts
from tests.conftest import ROOT
from tests.energy.test_heads import rising
from tests.guard.test_learned import CALLS, MAIL, PLAIN, guarded, run, session_of
from tests.pipeline.learned_parts import (
    AnyJudge,
    RandomScorer,
    head,
    heads_file,
    installed,
    residual,
    write_heads,
)

FACTORS = ("steering", "unasked", "follow-up", "trust-gap", "carried")
LONG = {"limits": {"deadline_ms": 60_000}, "repair": {"mode": "off"}}
RULES = {
    "version": 1,
    "unknown_tools": "hold",
    **LONG,
    "tools": {"delete_file": {"allow": False}},
    "holds": [{"tools": ["send_money"], "reason": "money"}],
    "flows": ["deny: public -> send (content)"],
}
EVERYWHERE = (-2.0, 2.0)
"""A grey band in which the judge is always asked."""


@dataclass(frozen=True)
class Recording(Composite):
    """The structure, which keeps what it said."""

    said: list[Energy] = field(default_factory=list)

    def __call__(self, facts: EnergyFacts) -> Energy:
        """What the structure says."""
        found = super().__call__(facts)
        self.said.append(found)
        return found


def parts(content: dict[str, Any], seed: int = 0, judge: AnyJudge | None = None) -> LearnedParts:
    return LearnedParts(RandomScorer(seed), residual(content), judge)


def certain(risk: float, **more: Any) -> dict[str, Any]:
    """A head that gives about this risk to every call that it may compare."""
    return head({"margin": [(0.0, risk)]}, **more)


def verdict(decision: Decision) -> str:
    return (getattr(decision, "would", None) or decision).action


# ------------------------------------------------------------------ whatever the file says

SOBER = settings(deadline=None, phases=(Phase.explicit, Phase.generate))
"""Whole sessions are slow to shrink, and what falsifies them is small as it is."""
heads = st.builds(
    lambda points, bias, hold, above: (points, bias, hold, hold + above),
    st.dictionaries(st.sampled_from(sorted(FEATURES)), rising(), min_size=1, max_size=5),
    st.floats(-10, 10), st.floats(0.01, 5), st.floats(0.01, 5),
)  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """A random heads.json that is none of the refused ones."""
    found = {}
    for name in ("calm", "sensitive"):
        points, bias, hold, block = draw(heads)
        blocks = name == "calm" and draw(st.booleans())
        found[name] = head(points, bias=bias, hold=hold, block=block, may_block=blocks)
    named = draw(st.sets(st.sampled_from(sorted(found)), min_size=1))
    grey = draw(st.sampled_from([EVERYWHERE, (0.0, 1.0), (1.0, -1.0)]))
    factors = draw(st.dictionaries(st.sampled_from(FACTORS), st.floats(0, 1)))
    content = heads_file(grey=grey, factors=factors, **{name: found[name] for name in named})
    if draw(st.booleans()):
        by = draw(st.sets(st.sampled_from(["own", "own-effects", "judged"]), min_size=1))
        curve = {"points": [list(point) for point in draw(rising())]}
        kinds = draw(st.sampled_from([list(FACTORS), list(FACTORS[:1])]))
        content["restored"] = [{"kinds": kinds, "by": dict.fromkeys(sorted(by), curve)}]
    return content


anything = st.floats(allow_nan=True, allow_infinity=True)


@settings(SOBER, max_examples=30)
@given(content=files(), seed=st.integers(0, 10_000), judged=anything)
def test_whatever_the_file_no_learned_part_lowers_the_structure(
    content: dict[str, Any], seed: int, judged: float
) -> None:
    """P1, design 10: on the same work each term is at least the structure's scaled one.

    Where there is nothing to compare a call with, it is the structure's own.
    """
    composite = Recording(STRUCTURAL.terms, STRUCTURAL.weights)
    learned = parts(content, seed, AnyJudge(judged))
    decisions = run(guarded(learned, shadow=True, composite=composite))
    structures = iter(composite.said)
    for (tool, _, _), decision in zip(CALLS, decisions, strict=True):
        if tool == "unheard_of":
            continue
        structure = next(structures)
        floor = structure.scaled(content["factors"])
        for term in TERMS:
            assert decision.energy.terms[term] >= floor.terms[term] - 1e-9
            assert decision.energy.terms[term] <= CAPS[term] + 1e-9
            assert math.isfinite(decision.energy.terms[term])
        if tool == "read_inbox":
            assert decision.energy == structure
    assert next(structures, None) is None


def test_where_nothing_is_compared_the_structure_counts_in_full() -> None:
    """P1, P7: factors are for calls that the heads look at; not for plans, not without texts."""
    content = heads_file(calm=certain(40.0), factors=dict.fromkeys(FACTORS, 0.0))
    plan = {
        "nodes": [
            {"node_id": "1", "tool_name": "read_inbox", "arguments": {"folder": "x"}},
            {"node_id": "2", "tool_name": "send_money", "arguments": {"recipient": "$1.name"}},
        ],
        "edges": [{"source": "1", "target": "2", "argument": "/recipient"}],
    }  # fmt: skip
    plain, found = (guarded(how).check(plan) for how in ("off", parts(content)))
    assert plain.energy == found.energy
    assert {"trust-gap", "unasked"} <= plain.energy.kinds().keys()

    def after_one_word(learned: Any) -> Decision:
        session = session_of(guarded(learned))
        session.check(ToolRequest("read_inbox", {"folder": "x"}, "a"))
        session.settle("a", "Kestrel-Velvet")
        call = {"recipient": "Kestrel-Velvet", "amount": 40}
        return session.check(ToolRequest("send_money", call, "b"))

    first, second = after_one_word("off"), after_one_word(parts(content))
    assert first.energy == second.energy
    assert first.action == second.action
    assert not first.energy.kinds().keys().isdisjoint(FACTORS)


RULED = run(guarded("off", policy=RULES, shadow=True))


@settings(SOBER, max_examples=30)
@given(content=files(), seed=st.integers(0, 10_000), judged=anything)
def test_whatever_the_file_no_rule_is_cleared(
    content: dict[str, Any], seed: int, judged: float
) -> None:
    """P1, R3: what a rule blocks or holds is so with every learned part, and never allowed."""
    assert {d.action for d in RULED if d.findings} >= {"block", "hold"}
    learned = parts(content, seed, AnyJudge(judged))
    found = run(guarded(learned, policy=RULES, shadow=True))
    for plain, decision in zip(RULED, found, strict=True):
        assert plain.findings == decision.findings
        if any(finding.action in ("block", "hold") for finding in plain.findings):
            assert decision.action == plain.action != "allow"


@settings(SOBER, max_examples=15)
@given(content=files(), seed=st.integers(0, 100))
def test_no_number_from_the_judge_is_never_milder(content: dict[str, Any], seed: int) -> None:
    """Fail closed: a judge that breaks lets nothing through that a number would stop."""
    content = {**content, "grey": list(EVERYWHERE)}
    order = {"allow": 0, "hold": 1, "block": 2}

    def last(judged: float) -> tuple[int, float]:
        """The first call that acts after the mail was read."""
        found = run(guarded(parts(content, seed, AnyJudge(judged)), shadow=True))[1]
        return order[found.action], found.energy.total

    said = [last(judged) for judged in (-9.0, 0.0, 9.0)]
    for broken in (math.nan, math.inf, -math.inf):
        action, total = last(broken)
        assert all(action >= other and total >= energy - 1e-9 for other, energy in said)


def test_a_judge_that_breaks_blocks() -> None:
    """Fail closed: an error inside is a refusal, as everywhere."""

    def broken(*_: str) -> float:
        raise RuntimeError("broken judge")

    content = heads_file(grey=EVERYWHERE, calm=certain(0.0))
    session = session_of(guarded(parts(content, judge=AnyJudge(broken))))
    session.check(ToolRequest("read_inbox", {"folder": "x"}, "a"))
    session.settle("a", MAIL)
    decision = session.check(ToolRequest("send_money", {"recipient": "Bob", "amount": 4}, "b"))
    assert isinstance(decision, Blocked)
    assert "broken judge" in decision.reasons[0]


# ------------------------------------------------------------------ which calls are held


def after_mail(content: dict[str, Any], tool: str, **policy: Any) -> Decision:
    """The decision on one call of the user's session after a mail was read."""
    guard = guarded(parts(content), policy={"version": 1, **LONG, **policy})
    session = guard.session(run_id="r", instruction="Read my mails and add a note on the report.")
    session.check(ToolRequest("read_inbox", {"folder": "x"}, "a"))
    session.settle("a", MAIL)
    arguments = next(arguments for name, arguments, _ in CALLS if name == tool)
    return session.check(ToolRequest(tool, arguments, "b"))


OFF: dict[str, Any] = {"factors": dict.fromkeys(FACTORS, 0.0)}
"""No structure to speak of, so that a decision is the heads' own."""


def test_the_calm_head_blocks_and_the_sensitive_one_only_holds() -> None:
    """Issue 6, deliverables 3 and 5, on a call that cannot be undone."""
    calm = after_mail(heads_file(**OFF, calm=certain(40.0)), "send_money")
    assert isinstance(calm, Blocked)
    sensitive = after_mail(
        heads_file(**OFF, sensitive=certain(40.0, may_block=False)), "send_money"
    )
    assert isinstance(sensitive, Held)
    assert any("learned" in reason for reason in sensitive.reasons)


def test_the_sensitive_head_lets_pass_what_can_be_undone() -> None:
    content = heads_file(**OFF, sensitive=certain(40.0, may_block=False))
    decision = after_mail(content, "add_note")
    assert isinstance(decision, Allowed)
    assert "learned" not in decision.energy.kinds()


@pytest.mark.parametrize(("least", "held"), [(2.5, True), (7.9, False)])
def test_what_can_be_undone_is_held_only_from_the_policys_level_on(
    least: float, held: bool
) -> None:
    """Issue 6, deliverable 5: `energy.hold_reversible_from`, of learned energy alone."""
    content = heads_file(**OFF, calm=certain(2.0, hold=1.0, block=3.0))
    found = after_mail(content, "add_note", energy={"hold_reversible_from": least})
    learned = found.energy.kinds()["learned"]
    assert 2.5 < learned < 7.9
    assert found.energy.total < 8.0
    assert isinstance(found, Held if held else Allowed)


def test_structure_alone_never_holds_what_can_be_undone_by_that_level() -> None:
    """The level is one of learned energy: a structural one has no part in it."""
    found = after_mail(heads_file(calm=certain(0.0)), "add_note", energy={
        "hold_reversible_from": 0.01, "allow_below": 0.001,
    })  # fmt: skip
    assert found.energy.total >= 0.01 > found.energy.kinds().get("learned", 0.0)
    assert isinstance(found, Allowed)


def test_heads_go_by_the_levels_of_the_policy() -> None:
    """A policy with other levels moves what the heads say with them."""
    content = heads_file(**OFF, sensitive=certain(40.0, may_block=False))
    for low, high in ((1.0, 4.0), (2.0, 8.0), (4.0, 12.0)):
        levels = {"allow_below": low, "block_above": high}
        assert isinstance(after_mail(content, "send_money", energy=levels), Held)


# ------------------------------------------------------------------ grants

BILL = "Please transfer 98.70 to DE89370400440532013000 for the rental car."
PAY = {"account": "DE89370400440532013000", "amount": 98.7}
GRANTS = [{"source": "read_file", "effects": ["pay"], "reason": "bills are paid as they say"}]


def paid(**policy: Any) -> Decision:
    guard = Guard({"version": 1, **LONG, **policy}, learned=parts(heads_file(calm=certain(2.0))))
    guard.register(_read_file, effect="read", third_party=["*"])
    guard.register(_pay, effect="pay", reversible=False, identity_args=["account", "amount"])
    session = guard.session(instruction="Pay my open bills.")
    session.check(ToolRequest("_read_file", {"path": "bill.txt"}, "r"))
    session.settle("r", BILL)
    return session.check(ToolRequest("_pay", PAY, "p"))


def _read_file(path: str) -> str:
    """Read a file."""
    return path


def _pay(account: str, amount: float) -> str:
    """Pay an amount of money to an account."""
    return account


def test_a_grant_silences_the_heads_for_the_call_that_it_covers() -> None:
    """Issue 6, deliverable 5: a delegated flow asks once, or not where the policy grants it."""
    held = paid()
    assert held.energy.kinds()["learned"] >= 2.0
    assert not isinstance(held, Allowed)
    granted = paid(grants=[{**GRANTS[0], "source": "_read_file"}])
    assert "learned" not in granted.energy.kinds()
    assert isinstance(granted, Allowed)


# ------------------------------------------------------------------ what is installed


def test_without_the_judge_the_heads_decide_and_the_guard_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: `judged` is None for every call, the mode names the file, no receipt names a judge."""
    install(tmp_path, monkeypatch, heads_file(grey=EVERYWHERE, **OFF, calm=certain(40.0)))
    guard = guarded("auto")
    assert "precise-3/manifest.json is missing" in guard.mode
    assert guard.mode.startswith("structure + scorer-1-")
    session = session_of(guard)
    session.check(ToolRequest("read_inbox", {"folder": "x"}, "a"))
    session.settle("a", MAIL)
    decision = session.check(ToolRequest("send_money", {"recipient": "Bob", "amount": 4}, "b"))
    assert isinstance(decision, Blocked)
    assert decision.energy.kinds()["learned"] > 0
    body = next(e.body for e in guard.ledger.entries() if "attribution" in e.body)
    assert body["attribution"]["judged"] is None
    assert [name.rsplit("-", 1)[0] for name in body["models"]] == ["scorer-1", "heads-1"]


def test_without_heads_the_structure_decides_and_every_receipt_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: also with a scorer and a judge beside the missing heads."""
    install(tmp_path, monkeypatch, heads_file(calm=certain(40.0)))
    (tmp_path / "heads-1" / "manifest.json").unlink()
    guard = guarded("auto", shadow=True)
    assert [d.action for d in run(guard)] == [d.action for d in PLAIN]
    assert guard.mode == "structure only: heads-1/manifest.json is missing"
    receipts = [e.body for e in guard.ledger.entries() if "models" in e.body]
    assert receipts
    for body in receipts:
        assert (body["models"], body["unlearned"]) == ([], "heads-1/manifest.json is missing")


def install(folder: Path, patch: pytest.MonkeyPatch, content: dict[str, Any]) -> None:
    """An installation of the real scorer and these heads, without a judge."""
    from gatling_guard.energy.residual import Residual

    installed(folder, patch)
    patch.setattr("gatling_guard.energy.residual.Residual", Residual)
    write_heads(folder / "heads-1", content)


# ------------------------------------------------------------------ the same everywhere


def fingerprint() -> list[Any]:
    """Ids, actions, energies and shares of a session with fixed heads and a fixed judge."""
    curves = {name: [(-1.0, 0.0), (0.0, 0.3), (1.0, 1.1)] for name in sorted(FEATURES)}
    content = heads_file(
        grey=EVERYWHERE, factors={"steering": 0.3, "unasked": 0.7},
        calm=head(curves, bias=-2.0), sensitive=head(curves, bias=-1.0, may_block=False),
    )  # fmt: skip
    curve = {"points": [[-1.0, 0.0], [1.0, 1.0]]}
    content["restored"] = [{"kinds": ["steering", "unasked"], "by": {"own": curve}}]
    judge = AnyJudge(lambda said, call, rival: float(len(rival) % 5))
    return [
        [d.decision_id, d.action, d.energy.as_dict(), d.energy.kinds(), d.reasons]
        for d in run(guarded(parts(content, 7, judge), shadow=True))
    ]


def test_decisions_with_heads_are_bit_equal_in_another_process() -> None:
    """P6, R45: nothing depends on the order of a set, on the clock, or on a temporary folder."""
    here = json.loads(json.dumps(fingerprint()))
    assert any("learned" in kinds for _, _, _, kinds, _ in here)
    code = "import json; from tests.guard.test_learned_heads import fingerprint as f;"
    for seed in ("1", "4242"):
        environment = {
            **os.environ, "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")]),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", f"{code} print(json.dumps(f()))"],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert json.loads(done.stdout) == here
