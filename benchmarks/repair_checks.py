"""Whether a repair is what it says: checked from outside, with the plans and the edits alone.

Nothing of the search is believed. The repaired plan is made again from the machine form of the
edits and judged again by a guard that repairs nothing; the lattice is asked again, and beside it a
few plain comparisons that share no code with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema

from gatling_guard.bench import GuardSubject, Toolset
from gatling_guard.catalog.lexicon import RISK
from gatling_guard.decision import Blocked, Decision, Held
from gatling_guard.guard import Guard
from gatling_guard.pipeline.repairing import verdict_on
from gatling_guard.plan import ExecutionPlan, leaves
from gatling_guard.policy import Policy, RepairVerdict
from gatling_guard.repair import VETO, Draft, Edit, EditError, Judgement, Problem, Scene
from gatling_guard.repair.bounds import Outcome
from gatling_guard.repair.edits import edit_from_data
from gatling_guard.repair.exposure import exposure
from gatling_guard.repair.goals import unwanted
from gatling_guard.repair.lattice import violations
from gatling_guard.repair.propose import propose
from gatling_guard.repair.reference import exhaustive
from gatling_guard.trace import Authority

MOST_JUDGED = 2_000
"""Drafts after which enumerating all repairs of a plan is given up."""


class TooManyError(Exception):
    """The plan has more drafts than can be enumerated."""


@dataclass(frozen=True)
class Bench:
    """One plan under a guard that decides and repairs nothing."""

    guard: Guard
    plan: ExecutionPlan
    instruction: str
    most: int = MOST_JUDGED

    @classmethod
    def of(cls, bare: GuardSubject, tools: Toolset, plan: ExecutionPlan, said: str) -> Bench:
        """Beside the guard that repairs: the same policy and tools."""
        return cls(bare.guard(tools), plan, said)

    def decided(self, plan: ExecutionPlan) -> Decision:
        """What the guard says of a plan as it is."""
        return self.guard.check(plan, instruction=self.instruction)

    def judge(self, drafts: Sequence[Draft]) -> list[Judgement]:
        """As the search is told, from the decisions alone."""
        return [self._judged(draft) for draft in drafts]

    def _judged(self, draft: Draft) -> Judgement:
        problems: list[Problem] = []
        level = energy = 0.0
        for part in self.decided(draft.plan).parts:
            assert part.call is not None
            node = part.call.node_id
            energy += part.energy.total
            if node in draft.holds and not isinstance(part, Blocked):
                continue
            vetoes = tuple(found for found in part.findings if found.action != "note")
            level += part.energy.total + sum(VETO[found.action] for found in vetoes)
            if isinstance(part, (Held, Blocked)):
                problems.append(Problem(node, part.action, vetoes, part.energy, part.lineage))
        return Judgement(tuple(problems), energy, level)

    def scene(self, policy: Policy) -> Scene:
        """What was authorised, under the policy that repairs."""
        parts = self.decided(self.plan).parts
        return Scene(
            policy, Authority.of([self.instruction], (), policy.literals()), self.guard.spec,
            self.guard.catalog.names(), policy.default_role, False,
            {part.call.node_id: part.lineage for part in parts if part.call is not None},
        )  # fmt: skip

    def cheapest(self, scene: Scene, most: RepairVerdict) -> Outcome:
        """By enumeration, of the edits with such a verdict.

        Raises:
            TooManyError: there are too many drafts.
        """
        start, count = Draft(self.plan), 0

        def judge(drafts: Sequence[Draft]) -> list[Judgement]:
            nonlocal count
            count += len(drafts)
            if count > self.most:
                raise TooManyError
            return self.judge(drafts)

        verdicts = ("apply",) if most == "apply" else ("apply", "offer")
        nobodys = unwanted(scene, start)

        def allowed(edit: Edit) -> bool:
            mends = edit.kind not in ("drop", "hold")
            if mends and edit.node_id in nobodys:
                return False
            return verdict_on(scene, start, edit) in verdicts

        return exhaustive(
            start, judge, lambda draft, problem: propose(scene, draft, problem),
            allowed=allowed,
            safe=lambda draft: not violations(start, draft, scene),
            depth=scene.policy.repair.depth,
        )  # fmt: skip


def remade(before: ExecutionPlan, machine: Sequence[Any]) -> tuple[list[Edit], list[Draft]]:
    """The edits read back, and the drafts on the way, the original first.

    Raises:
        EditError: one cannot be read or does not fit.
    """
    edits = [edit_from_data(dict(data)) for data in machine]
    drafts = [Draft(before)]
    for edit in edits:
        drafts.append(edit.apply(drafts[-1]))
    return edits, drafts


def faults(bench: Bench, scene: Scene, machine: Sequence[Any], repaired: Draft) -> Iterator[str]:
    """What is wrong with a repair; nothing where it is what it says."""
    start = Draft(bench.plan)
    try:
        _, drafts = remade(bench.plan, machine)
    except EditError as error:
        yield f"edits: {error}"
        return
    if drafts[-1].digest != repaired.digest:
        yield "edits: they make another plan"
    levels = [judged.level for judged in bench.judge(drafts)]
    if any(after >= before for before, after in zip(levels, levels[1:], strict=False)):
        yield f"R57: the level does not fall: {[round(level, 3) for level in levels]}"
    if exposure(repaired, scene) > exposure(start, scene):
        yield "R60: more sensitive data than before"
    for breach in violations(start, repaired, scene):
        yield f"lattice: {breach.what} {breach.node_id}{breach.where}: {breach.message}"
    for fault in plain_faults(start, repaired, scene):
        yield f"plain: {fault}"
    for part in bench.decided(repaired.plan).parts:
        assert part.call is not None
        waits = part.call.node_id in repaired.holds
        if isinstance(part, Blocked) or (isinstance(part, Held) and not waits):
            yield f"again: {part.call.node_id} {part.action}: {part.reasons[:1]}"


def plain_faults(before: Draft, after: Draft, scene: Scene) -> Iterator[str]:
    """Comparisons that need no lattice: tools, new values, longer lists, schemas, new flows."""
    for node, new in after.plan.calls.items():
        origin = node if node in before.plan.calls else node.removesuffix("-rest")
        old = before.plan.calls.get(origin)
        if old is None:
            yield f"{node}: a new call"
            continue
        if new == old:
            continue
        was, spec = scene.specs(old.tool_name), scene.specs(new.tool_name)
        if was is None or spec is None:
            yield f"{node}: an unknown tool was edited"
            continue
        a, b = was.profile, spec.profile
        if b.privilege > a.privilege or RISK[b.effect] > RISK[a.effect] or b.sink > a.sink:
            yield f"{node}: a more powerful tool"
        if _schema_faults(spec.parameters, new.arguments) and not (
            new.tool_name == old.tool_name and _schema_faults(was.parameters, old.arguments)
        ):
            yield f"{node}: not as the schema says"
        own = {str(leaf.value) for leaf in leaves(old.arguments)}
        for leaf in leaves(new.arguments):
            top = leaf.path.split("/")[1]
            named = str(leaf.value) in own or scene.authority.find(leaf.value) is not None
            if not named and top in (*b.identity_args, *b.url_args) and _grew(old, top, leaf.value):
                yield f"{node}{leaf.path}: an identity that nobody gave"
        for name, value in new.arguments.items():
            past = old.arguments.get(name)
            if isinstance(value, list) and isinstance(past, list) and len(value) > len(past):
                yield f"{node}/{name}: a longer list"
    flows = {(e.source, e.target) for e in before.plan.edges if e.kind != "temporal"}
    for edge in after.plan.edges:
        ends = (edge.source, edge.target.removesuffix("-rest"))
        raw = (edge.source, edge.target)
        if edge.kind != "temporal" and ends not in flows and raw not in flows:
            yield f"{edge.target}: data from a call that gave none"


def _grew(old: Any, top: str, value: object) -> bool:
    """Whether a value is more than a number set lower or a piece of what stood there."""
    past = old.arguments.get(top)
    if isinstance(value, (int, float)) and isinstance(past, (int, float)):
        return value > past
    return str(value) not in str(past)


def _schema_faults(schema: Any, arguments: Any) -> bool:
    return not jsonschema.Draft202012Validator(schema).is_valid(arguments)
