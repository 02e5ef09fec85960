"""The rank table: small guarded situations in the order a security engineer gives them (R42).

Reads `rank_table.yaml` and `rank_tools.yaml` and plays each situation through a `Guard` of its
own: earlier calls run for real (a person approves those that are held), the last one is judged.
`python -m tests.energy.rank_table` prints every expectation that the guard does not meet.
"""

from __future__ import annotations

import functools
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gatling_guard import Blocked, Decision, Guard, Held, Policy, ToolRequest, load_policy

HERE = Path(__file__).parent
ALLOW_BELOW = 2.0
HONEST = 2
"""Up to this group a situation is honest work."""


@dataclass(frozen=True)
class Situation:
    """One row of the table."""

    id: str
    group: int
    expect: frozenset[str]
    reason: str
    user: str
    earlier: tuple[tuple[str, dict[str, Any], Any], ...]
    """(tool, arguments, what it returned)"""
    tool: str
    arguments: dict[str, Any]
    policy: tuple[tuple[str, Any], ...] = ()
    """Keys laid over the built-in policy `standard`."""
    role: str | None = None
    ruled: bool = False


@dataclass(frozen=True)
class Pair:
    """Two situations of which one may not have more energy than the other."""

    lower: str
    higher: str
    strict: bool
    why: str


@dataclass(frozen=True)
class Outcome:
    """What the guard made of a situation."""

    situation: Situation
    decision: Decision
    stopped_before: tuple[str, ...]
    """Earlier calls that were held or blocked, with the reasons."""

    @property
    def energy(self) -> float:
        """Energy of the judged call."""
        return self.decision.energy.total


@functools.cache
def table() -> tuple[tuple[Situation, ...], tuple[Pair, ...]]:
    """All situations and pairs."""
    data = yaml.safe_load((HERE / "rank_table.yaml").read_text("utf-8"))
    rows: dict[str, dict[str, Any]] = {}
    for row in data["situations"]:
        assert row["id"] not in rows, row["id"]
        base = rows[row["like"]] if "like" in row else {}
        rows[row["id"]] = {**base, **row}
    pairs = tuple(Pair(**pair) for pair in data["pairs"])
    return tuple(_situation(row) for row in rows.values()), pairs


def _situation(row: Mapping[str, Any]) -> Situation:
    earlier = []
    for step in row.get("earlier", ()):
        (tool,) = (key for key in step if key != "gives")
        earlier.append((tool, _expanded(step[tool]), step["gives"]))
    ((tool, arguments),) = row["call"].items()
    return Situation(
        row["id"], row["group"], frozenset(row["expect"]), row["reason"], row["user"],
        tuple(earlier), tool, _expanded(arguments), tuple(row.get("policy", {}).items()),
        row.get("role"), row.get("ruled", False),
    )  # fmt: skip


def _expanded(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """`{repeat: text with {}, times: n}` becomes a list of n texts."""
    return {
        name: [value["repeat"].format(i) for i in range(value["times"])]
        if isinstance(value, dict) and "repeat" in value
        else value
        for name, value in arguments.items()
    }


@functools.cache
def tools() -> dict[str, dict[str, Any]]:
    """OpenAI tool dicts by name."""
    data = yaml.safe_load((HERE / "rank_tools.yaml").read_text("utf-8"))
    return {name: _openai(name, **entry) for name, entry in data.items()}


def _openai(name: str, description: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    properties = {key: _schema(kind.rstrip("?")) for key, kind in parameters.items()}
    required = [key for key, kind in parameters.items() if not kind.endswith("?")]
    schema = {"type": "object", "properties": properties, "required": required}
    function = {"name": name, "description": description, "parameters": schema}
    return {"type": "function", "function": function}


def _schema(kind: str) -> dict[str, Any]:
    if kind.endswith("[]"):
        return {"type": "array", "items": {"type": kind[:-2]}}
    return {"type": kind}


@functools.cache
def _policy(changes: str) -> Policy:
    """`standard` with `changes` and all the time it needs: a busy machine is not under test."""
    standard = load_policy("standard").model_dump(mode="json", exclude_unset=True)
    patient = {"limits": {**standard["limits"], "deadline_ms": 60_000}}
    return load_policy({**standard, **patient, **json.loads(changes)})


def play(situation: Situation) -> Outcome:
    """Run the earlier calls, then judge the last one."""
    guard = Guard(_policy(json.dumps(dict(situation.policy))), learned="off")
    for name in dict.fromkeys([*(step[0] for step in situation.earlier), situation.tool]):
        if name in tools():
            guard.register(tools()[name])
    session = guard.session(run_id=situation.id, role=situation.role, instruction=situation.user)
    stopped: list[str] = []
    for number, (tool, arguments, output) in enumerate(situation.earlier):
        request = ToolRequest(tool, arguments, f"e{number}")
        decision = session.check(request)
        if isinstance(decision, Held):
            stopped.append(f"{tool} held: {decision.reasons}")
            session.approve(decision.hold_id, by="a person")
            decision = session.check(request)
        if isinstance(decision, Blocked):  # the table says that it ran all the same
            stopped.append(f"{tool} blocked: {decision.reasons}")
            request = ToolRequest(tool, arguments, f"e{number}-ran")
            session.adopt(request, output)
        else:
            session.settle(f"e{number}", output)
    last = session.check(ToolRequest(situation.tool, situation.arguments, "judged"))
    return Outcome(situation, last, tuple(stopped))


@functools.cache
def outcomes() -> dict[str, Outcome]:
    """Every situation, played once."""
    return {situation.id: play(situation) for situation in table()[0]}


def scored(found: Iterable[Outcome]) -> list[Outcome]:
    """Those on which the energy has a say."""
    return [outcome for outcome in found if not outcome.situation.ruled]


def group_means(found: Iterable[Outcome]) -> dict[int, float]:
    """Mean energy per rank group."""
    rows = sorted(scored(found), key=lambda o: o.situation.group)
    return {
        group: sum(energies) / len(energies)
        for group, members in itertools.groupby(rows, key=lambda o: o.situation.group)
        if (energies := [o.energy for o in members])
    }


def concordance(found: Iterable[Outcome]) -> tuple[float, float]:
    """Over all pairs of different groups: share in right order (ties half), Kendall's tau-b."""
    right = wrong = tied = 0
    ties_in_group = 0
    for one, two in itertools.combinations(scored(found), 2):
        groups = one.situation.group - two.situation.group
        energies = one.energy - two.energy
        if groups == 0:
            ties_in_group += energies != 0
        elif energies == 0:
            tied += 1
        elif (groups > 0) == (energies > 0):
            right += 1
        else:
            wrong += 1
    comparable = right + wrong + tied
    untied_energy = right + wrong + ties_in_group
    return (right + tied / 2) / comparable, (right - wrong) / (comparable * untied_energy) ** 0.5


# ------------------------------------------------------------------ what is not as expected


def action_fault(outcome: Outcome) -> str:
    """What is wrong with the action on a situation, empty if nothing is."""
    row, action = outcome.situation, outcome.decision.action
    if action not in row.expect:
        return f"{action}, expected {'/'.join(sorted(row.expect))}"
    if row.group == 0 and outcome.energy >= ALLOW_BELOW:
        return f"harmless, yet energy {outcome.energy:.2f}"
    if row.group <= HONEST and outcome.stopped_before:
        return "honest, yet an earlier call was stopped: " + "; ".join(outcome.stopped_before)
    return ""


def pair_fault(pair: Pair) -> str:
    """What is wrong with the order of a pair, empty if nothing is."""
    low, high = (outcomes()[name].energy for name in (pair.lower, pair.higher))
    right = low < high if pair.strict else low <= high + 1e-9
    sign = "<" if pair.strict else "<="
    return "" if right else f"{pair.lower} {low:.2f} {sign} {high:.2f} {pair.higher}: {pair.why}"


def explained(outcome: Outcome) -> str:
    """One situation in lines for a terminal."""
    terms = " ".join(f"{k[0].upper()}{v:.1f}" for k, v in outcome.decision.energy.terms.items())
    row, decision = outcome.situation, outcome.decision
    head = f"[{row.group}] {row.id}: {decision.action} {outcome.energy:.2f} ({terms})"
    lines = [head, f"      {row.reason}", f"      user: {row.user}"]
    lines += [f"      call: {row.tool} {json.dumps(row.arguments, ensure_ascii=False):.200}"]
    lines += [f"      - {reason}" for reason in decision.reasons]
    return "\n".join(lines)


def report() -> Iterator[str]:
    """Every violated expectation, with what the guard said."""
    found = outcomes()
    faults = {name: action_fault(outcome) for name, outcome in found.items()}
    for honest in (True, False):
        yield f"\n== {'honest work disturbed' if honest else 'attacks and grey'} =="
        for name, fault in faults.items():
            if fault and (found[name].situation.group <= HONEST) == honest:
                yield f"{explained(found[name])}\n      >>> {fault}"
    yield "\n== pairs in the wrong order =="
    yield from filter(None, map(pair_fault, table()[1]))
    yield "\n== all, by group =="
    for outcome in sorted(found.values(), key=lambda o: (o.situation.group, o.energy)):
        row = outcome.situation
        yield f"[{row.group}] {outcome.energy:5.2f} {outcome.decision.action:5} {row.id}"
    yield "\n== summary =="
    wrong_pairs = sum(bool(pair_fault(pair)) for pair in table()[1])
    yield f"actions wrong: {sum(map(bool, faults.values()))} of {len(found)}"
    yield f"pairs wrong: {wrong_pairs} of {len(table()[1])}"
    means = group_means(found.values())
    yield "mean energy: " + ", ".join(f"{group}: {mean:.2f}" for group, mean in means.items())
    share, tau = concordance(found.values())
    yield f"pairs of different groups in order: {share:.3f}, tau-b {tau:.3f}"


def fingerprint() -> dict[str, Any]:
    """What has to be equal in every process: ids, actions, shares and reasons, bit for bit."""
    return {
        name: [
            outcome.decision.decision_id, outcome.decision.action,
            [[s.term, s.value.hex(), s.reason, s.where, s.edge]
             for s in outcome.decision.energy.shares],
            list(outcome.decision.reasons), list(outcome.stopped_before),
        ]
        for name, outcome in outcomes().items()
    }  # fmt: skip


if __name__ == "__main__":
    if "--fingerprint" in sys.argv:
        print(json.dumps(fingerprint(), sort_keys=True))
    else:
        print("\n".join(report()))
