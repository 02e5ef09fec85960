"""A whole plan before and after its repair: what changed, why, and what it is worth.

Sees: one plan, which is decided on anew after each edit, by the same policy with repairs off.
Does not see: what the tools will return. Argument values are redacted as in a ledger.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from gatling_guard.decision import Allowed, Blocked, Decision, Held, Repair, Repaired
from gatling_guard.guard import Guard
from gatling_guard.ledger import redact
from gatling_guard.plan import ExecutionPlan, ToolCall, canonical_json, escape
from gatling_guard.policy import Policy
from gatling_guard.repair import Draft
from gatling_guard.repair.edits import edit_from_data
from gatling_guard.report.sources import explain
from gatling_guard.report.types import Explanation, Link, Node

CallState = Literal["same", "changed", "left out", "waits", "new"]
PATIENCE_MS = 60_000
"""Of one check: a busy machine decides alike. The search has limits of its own."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place of a call's arguments."""

    where: str
    before: str | None
    """JSON; None where nothing stood there."""
    after: str | None


@dataclass(frozen=True, slots=True)
class CallChange:
    """One call of both plans."""

    node: str
    tool: str
    state: CallState
    before: str
    """What was decided on it: `allow`, `hold`, `block`; "" where it is new."""
    after: str
    """`repair` where it is changed and may run, "" where it is left out."""
    energy_before: float
    energy_after: float
    tool_after: str = ""
    """Another tool, where it was swapped."""
    same: tuple[tuple[str, str], ...] = ()
    """Arguments that stay, with their JSON."""
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class EditEffect:
    """One edit, in the order in which they are made."""

    kind: str
    node: str
    where: str
    sentence: str
    cost: float
    removes: tuple[str, ...]
    """What stood against a call before it, and no longer does."""
    energy_before: float
    """Of all calls that do not wait for a person."""
    energy_after: float


@dataclass(frozen=True)
class RepairReport:
    """What `gatling-guard repair` shows."""

    decision: Decision
    repair: Repair | None
    policy: str
    """Its digest."""
    before: Explanation
    after: Explanation | None = None
    calls: tuple[CallChange, ...] = ()
    edits: tuple[EditEffect, ...] = ()
    note: str = ""
    """Why there is no repair, where one was looked for."""

    @property
    def offered(self) -> bool:
        """Whether a person has to say yes."""
        return self.repair is not None and not isinstance(self.decision, Repaired)

    @property
    def plan(self) -> ExecutionPlan | None:
        """The repaired plan."""
        repaired = self.repair.repaired if self.repair is not None else None
        return repaired if isinstance(repaired, ExecutionPlan) else None

    @property
    def energy(self) -> tuple[float, float]:
        """Of all calls, before; of those that do not wait for a person, after all edits."""
        before = sum(call.energy_before for call in self.calls)
        return before, (self.edits[-1].energy_after if self.edits else before)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values; `repaired` is the plan itself, as `--apply` writes it."""
        body: dict[str, Any] = {
            "action": self.decision.action, "offered": self.offered, "policy": self.policy,
            "reasons": list(self.decision.reasons), "note": self.note,
            "energy_before": self.energy[0], "energy_after": self.energy[1],
            "calls": [asdict(call) for call in self.calls], "repair": None,
        }  # fmt: skip
        if self.repair is not None and self.plan is not None:
            found = self.repair
            body["repair"] = {
                "edits": [asdict(edit) for edit in self.edits],
                "machine": [dict(edit) for edit in found.machine], "holds": list(found.holds),
                "cost": found.cost, "similarity": found.similarity, "minimal": found.minimal,
                "explored": found.explored, "ms": round(1000 * found.seconds, 3),
                "repaired": self.plan.model_dump(mode="json"),
            }  # fmt: skip
        return body

    def text(self, *, width: int = 100, colour: bool = False, why: bool = False) -> str:
        """For a terminal of `width` columns; `why`: what each edit removes."""
        from gatling_guard.report.repair_text import as_text

        return as_text(self, width=width, colour=colour, why=why)

    def html(self) -> str:
        """A page of its own: no script, no request, light and dark."""
        from gatling_guard.report.repair_page import as_page

        return as_page(self)


def repair_report(
    guard: Guard, plan: ExecutionPlan, *, instruction: str | None = None, role: str | None = None
) -> RepairReport:
    """Decide on a plan, repair it where it may not run as it is, and look at each edit.

    Args:
        guard: its policy and tools; its ledger gets the decision.
        plan: the plan.
        instruction: what the user asked for.
        role: a role of the policy.
    """
    decision = guard.check(plan, role=role, instruction=instruction)
    if isinstance(decision, Allowed) and decision.would is not None:
        decision = decision.would
    plain = _Unrepaired(guard, role, instruction)
    before = explain(plain.of(plan), ledger=plain.guard.ledger)
    repair = _repair_of(decision)
    if repair is None or not isinstance(repair.repaired, ExecutionPlan):
        note = next((str(e.body.get("unrepaired") or "") for e in guard.ledger.entries(kind="plan")
                     if e.body.get("decision_id") == decision.decision_id), "")  # fmt: skip
        calls = tuple(_calls(plan, plan, before, before, ()))
        return RepairReport(decision, None, guard.policy.digest, before, None, calls, (), note)
    after = explain(plain.of(repair.repaired), ledger=plain.guard.ledger)
    calls = tuple(_calls(plan, repair.repaired, before, after, repair.holds))
    edits = tuple(_effects(plain, plan, repair))
    return RepairReport(decision, repair, guard.policy.digest, before, after, calls, edits)


def patient(policy: Policy, *, seconds: float | None = None) -> Policy:
    """The policy with time enough for whoever looks at a plan and does not run it.

    Args:
        policy: any.
        seconds: of the search; None: as the policy says.
    """
    limits = policy.limits.model_copy(update={"deadline_ms": PATIENCE_MS})
    if seconds is None:
        return policy.model_copy(update={"limits": limits})
    repair = policy.repair.model_copy(update={"deadline_ms": max(1, round(1000 * seconds))})
    return policy.model_copy(update={"limits": limits, "repair": repair})


def drawings(found: RepairReport) -> Iterator[tuple[str, tuple[Node, ...], tuple[Link, ...]]]:
    """The plan before and, where there is a repair, after: title, calls, data flow.

    What is changed is marked as such, and what is left out still has its place.
    """
    order = {call.node: place for place, call in enumerate(found.calls)}
    ordered = sorted(found.before.nodes, key=lambda node: order.get(node.id, len(order)))
    yield "as it was asked for", tuple(ordered), found.before.links
    if found.after is None:
        return
    states = {call.node: call for call in found.calls}
    nodes = [replace(node, action=states[node.id].after) if node.id in states else node
             for node in found.after.nodes]  # fmt: skip
    gone = {call.node for call in found.calls if call.state == "left out"}
    nodes += [replace(n, action="gone", energy=0.0) for n in found.before.nodes if n.id in gone]
    title = "as it is offered" if found.offered else "repaired"
    nodes.sort(key=lambda node: order.get(node.id, len(order)))
    yield title, tuple(nodes), found.after.links


def _repair_of(decision: Decision) -> Repair | None:
    if isinstance(decision, Repaired):
        return decision.repair
    return decision.offer if isinstance(decision, Held) else None


class _Unrepaired:
    """The same guard, whose policy lets nothing be repaired."""

    def __init__(self, guard: Guard, role: str | None, instruction: str | None) -> None:
        off = guard.policy.repair.model_copy(update={"mode": "off"})
        policy = patient(guard.policy).model_copy(update={"repair": off})
        self.guard = Guard(policy, catalog=guard.catalog, shadow=False)
        self._asked = {"role": role, "instruction": instruction}

    def of(self, plan: ExecutionPlan) -> Decision:
        """What is decided on a plan."""
        return self.guard.check(plan, **self._asked)


def _calls(
    old: ExecutionPlan, new: ExecutionPlan, before: Explanation, after: Explanation,
    holds: tuple[str, ...],
) -> Iterator[CallChange]:  # fmt: skip
    """All calls of both plans: those of the old one in their order, then new ones."""
    was = {node.id: node for node in before.nodes}
    now = {node.id: node for node in after.nodes}
    none = Node("", "", "")
    for name in dict.fromkeys((*old.calls, *new.calls)):
        first, then = old.calls.get(name), new.calls.get(name)
        a = was.get(name, none) if first is not None else none
        b = now.get(name, none) if then is not None else none
        same, differences = _compared(first, then)
        swapped = first is not None and then is not None and first.tool_name != then.tool_name
        # By the values themselves: two secrets look the same once they are redacted.
        changed = first is not None and then is not None and first.arguments != then.arguments
        state: CallState = "changed" if changed or swapped else "same"
        if then is None:
            state = "left out"
        elif name in holds:
            state = "waits"
        elif first is None:
            state = "new"
        action = "hold" if state == "waits" else b.action
        shown = first or then
        assert shown is not None
        yield CallChange(
            name, shown.tool_name, state, a.action,
            "repair" if state in ("changed", "new") and action == "allow" else action,
            a.energy, b.energy, then.tool_name if swapped and then is not None else "",
            same, differences,
        )  # fmt: skip


def _compared(
    first: ToolCall | None, then: ToolCall | None
) -> tuple[tuple[tuple[str, str], ...], tuple[Difference, ...]]:
    """Arguments that stay, and places that do not. A call that is gone or new stays as a whole."""
    only = first or then
    assert only is not None
    if first is None or then is None:
        return tuple((name, _json(value)) for name, value in _safe(only).items()), ()
    old, new = _safe(first), _safe(then)
    found = tuple(_differences("", old, new))
    tops = {item.where.split("/")[1] for item in found}
    same = tuple((name, _json(new[name])) for name in new if escape(name) not in tops)
    return same, found


def _differences(where: str, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys((*old, *new)):
            at = f"{where}/{escape(str(name))}"
            if name not in new:
                yield Difference(at, _json(old[name]), None)
            elif name not in old:
                yield Difference(at, None, _json(new[name]))
            else:
                yield from _differences(at, old[name], new[name])
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_differences(where, old, new)
    elif canonical_json(old) != canonical_json(new):
        yield Difference(where, _json(old), _json(new))


def _list_differences(where: str, old: list[Any], new: list[Any]) -> Iterator[Difference]:
    a, b = [canonical_json(item) for item in old], [canonical_json(item) for item in new]
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for at in range(max(i2 - i1, j2 - j1)):
            i, j = i1 + at, j1 + at
            if i < i2 and j < j2:
                yield from _differences(f"{where}/{i}", old[i], new[j])
            elif i < i2:
                yield Difference(f"{where}/{i}", _json(old[i]), None)
            else:
                yield Difference(f"{where}/{j}", None, _json(new[j]))


def _safe(call: ToolCall) -> dict[str, Any]:
    """Its arguments without secrets."""
    found: dict[str, Any] = redact(dict(call.arguments))
    return found


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _effects(plain: _Unrepaired, plan: ExecutionPlan, repair: Repair) -> Iterator[EditEffect]:
    """Each edit made on what those before it left, and decided on anew."""
    draft, last = Draft(plan), _standing(plain.of(plan), frozenset())
    for raw, sentence in zip(repair.machine, repair.edits, strict=True):
        edit = edit_from_data(raw)
        draft = edit.apply(draft)
        now = _standing(plain.of(draft.plan), draft.holds)
        removed = tuple(_removed(last, now))
        yield EditEffect(
            edit.kind, edit.node_id, edit.where, sentence, edit.cost, removed,
            last.energy, now.energy,
        )  # fmt: skip
        last = now


@dataclass(frozen=True, slots=True)
class _Standing:
    """What stands against the calls of a draft."""

    problems: dict[str, tuple[str, ...]]
    energy: float


def _standing(decision: Decision, holds: frozenset[str]) -> _Standing:
    problems: dict[str, tuple[str, ...]] = {}
    energy = 0.0
    for part in decision.parts:
        assert part.call is not None
        node = part.call.node_id
        if node in holds and not isinstance(part, Blocked):
            continue
        energy += part.energy.total
        if isinstance(part, (Held, Blocked)):
            problems[node] = tuple(part.reasons)
    return _Standing(problems, energy)


def _removed(last: _Standing, now: _Standing) -> Iterator[str]:
    """Of a call that is no problem any more what decided; of another the findings that are gone."""
    for node, reasons in last.problems.items():
        if node not in now.problems:
            yield f"{node}: {reasons[0]}" if reasons else node
            continue
        left = set(now.problems[node])
        # The sentence about the energy says another figure each time: the figures tell that.
        gone = [r for r in reasons if r not in left and not r.startswith("energy ")]
        yield from (f"{node}: {reason}" for reason in gone)
