"""Samples cut out of a traced run: plan, facts, rival texts, tools and authority.

Everything a model sees comes from the run as a guard may see it and from what was injected; the
labels decide only `label`, `goal_of`, `violates` and where a run is cut.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatling_guard.catalog import Effect, ToolSpec
from gatling_guard.encoders.tree import policy_document
from gatling_guard.trace import Authority
from gatling_guard.training.recorded_run import BroughtText, TracedRun, brought_texts, share
from gatling_guard.training.sample import Json, Sample
from gatling_guard.training.traces import LabelledTrace

MUTATION = "injected_run"
"""Of every adversarial sample here. The name is not among those that `dataset` holds out."""
MAX_TEXTS = 8
MAX_DISTRACTORS = 8
_CARRIES_GOAL = 0.25
"""Share of the goal's words from which on an injected sentence carries it."""
_POLICY = 0.5
"""Share of the tasks under the default policy; the others have none."""


def with_declared_flow(
    row: LabelledTrace, run: TracedRun, specs: Mapping[str, ToolSpec]
) -> TracedRun:
    """With the data flow that a row declares because its outputs are not known."""
    tiers: dict[int, int] = {}
    """Worst tier of what a call worked on: its output is no better."""
    declared = row.trace.meta.get("edges") or ()
    for source, target, argument, *_ in sorted(declared, key=lambda edge: (edge[1], edge[0])):
        place = f"/{argument}"
        if not 0 <= source < target < len(run.nodes):
            continue
        facts = run.facts[node_id(target)]
        if place not in facts:
            continue
        profile = specs[run.nodes[source]["tool_name"]].profile
        own = 3 if profile.third_party else int(max(profile.tier, profile.text_tier))
        fact = facts[place]
        tier = max(own, tiers.get(source, 1), fact["tier"])
        tiers[target] = max(tier, tiers.get(target, 1))
        facts[place] = {**fact, "tier": tier, "untrusted": tier == 3 and not fact["named"]}
        run.edges.append({"source": node_id(source), "target": node_id(target), "argument": place})
    return run


def node_id(step: int) -> str:
    """Of a step by its index."""
    return f"call-{step + 1}"


def rival_texts(
    row: LabelledTrace, specs: Mapping[str, ToolSpec], malicious: Sequence[int], seed: int
) -> list[Json]:
    """At most `MAX_TEXTS` untrusted texts: those that carry the goal, directive ones, others."""
    brought = brought_texts(row.trace, specs, len(row.trace.steps) - 1)
    goal: list[tuple[float, BroughtText]] = []
    rest: list[BroughtText] = []
    for text in brought:
        if any(share(text.text, said) >= 0.7 for said in (*row.injected, row.goal) if said):
            goal.append((share(row.goal, text.text), text))
        else:
            rest.append(text)
    goal.sort(key=lambda pair: -pair[0])
    carrying = [text for part, text in goal if part >= _CARRIES_GOAL or part == goal[0][0]]
    if Authority.of([row.trace.instruction]).delegations:
        rest = []  # the user lets a text decide: which one explains which call is not known
    random.Random(f"{seed}/texts/{row.trace.id}").shuffle(rest)
    rest.sort(key=lambda text: not text.directive)
    chosen = [(t, True) for t in carrying[:3]] + [(t, False) for t in rest]
    return [
        {
            "node": node_id(text.step),
            "tier": 3,
            "text": text.text,
            "directive": text.directive,
            "authority": False,
            "goal_of": [node_id(i) for i in malicious if i > text.step] if carries else [],
        }
        for text, carries in chosen[:MAX_TEXTS]
    ]


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts samples out of one traced run."""

    row: LabelledTrace
    run: TracedRun
    texts: list[Json]
    turns: list[str]
    turn_of: list[int]
    specs: Mapping[str, ToolSpec]
    seed: int

    def sample(self, count: int, kind: str, mutation: str | None = None) -> Sample:
        """The first calls, as gold or as an attack."""
        run, row = self.run.cut(count), self.row
        known = {node["node_id"] for node in run.nodes}
        family = f"recorded/{row.task}"
        texts = [
            {**text, "goal_of": [node for node in text["goal_of"] if node in known]}
            for text in self.texts
            if text["node"] in known
        ]
        turn = self.turn_of[count - 1]
        context = {"instruction": self.turns[turn], "earlier": self.turns[:turn]}
        shown = random.Random(f"{self.seed}/policy/{family}").random() < _POLICY
        return Sample(
            id=f"recorded/{row.trace.id}/{kind}",
            family=family,
            source=f"recorded/{row.source}",
            label="adversarial" if mutation else "gold",
            plan={"nodes": run.nodes, "edges": run.edges},
            governance={
                "policy": policy_document("standard") if shown else None,
                "role": None,
                "context": context,
            },
            tools=self._tools({node["tool_name"] for node in run.nodes}),
            facts=run.facts,
            texts=texts,
            mutation=mutation,
            severity=1.0 if mutation else 0.0,
            violates=self._violated(run, texts) if mutation else [],
        )

    def _tools(self, used: set[str]) -> Json:
        others = sorted(self.specs.keys() - used)
        rng = random.Random(f"{self.seed}/tools/{self.row.trace.id}")
        others = rng.sample(others, min(len(others), MAX_DISTRACTORS))
        return {name: _entry(self.specs[name]) for name in sorted(used) + sorted(others)}

    def _violated(self, run: TracedRun, texts: Sequence[Json]) -> list[str]:
        """Nobody asked for it; and data reaches somebody, or a stranger says whom or which."""
        asked = {node for text in texts for node in text["goal_of"]}
        hosts = {text["node"] for text in texts if text["goal_of"]}
        flow = provenance = False
        for node in run.nodes:
            if (name := node["node_id"]) not in asked:
                continue
            profile = self.specs[node["tool_name"]].profile
            carries = any(e["target"] == name and e["source"] not in hosts for e in run.edges)
            flow |= profile.effect in (Effect.SEND, Effect.PERMIT) or profile.egress
            flow |= profile.sink and carries
            provenance |= any(fact["untrusted"] for fact in run.facts[name].values())
        return ["hierarchy"] + ["provenance"] * provenance + ["flow"] * flow


_ENTRIES: dict[int, tuple[ToolSpec, Json]] = {}
"""By identity of a spec, which is held: equal tools share a dict, and are written quicker."""


def _entry(spec: ToolSpec) -> Json:
    known = _ENTRIES.get(id(spec))
    if known is None:
        entry = {"description": spec.description, "parameters": spec.parameters, "profile": None}
        known = _ENTRIES[id(spec)] = (spec, entry)
    return known[1]
