"""A family in the making: twins of one story under one policy and one set of tools."""

from __future__ import annotations

from collections.abc import Sequence

from gatling_guard.training.phrasing import earlier_turns
from gatling_guard.training.plans import Json, Plan
from gatling_guard.training.policies import policy
from gatling_guard.training.sample import Sample
from gatling_guard.training.seed_catalog import words
from gatling_guard.training.tasks import Story
from gatling_guard.training.toolsets import Tool
from gatling_guard.training.values import World

_MORE = ("Also {}.", "And {}.", "Besides, {}.", "Then {}.", "Please {} too.", "Could you {}?")


class Family:
    """Collects the samples of one family.

    Args:
        name: of the family; samples are `name/mark`.
        source: of the samples.
        story: what it is about.
    """

    def __init__(self, name: str, source: str, story: Story) -> None:
        self.name, self.source, self.story = name, source, story
        self.samples: list[Sample] = []
        self._said: list[str] = []
        self._tools: Json = {}

    def add(
        self, mark: str, said: str, plan: Plan, violates: Sequence[str] = (), mutation: str = ""
    ) -> None:
        """One twin: what the user said, what the agent does."""
        self._tools.update(plan.tools)
        self._said.append(said)
        self.samples.append(
            Sample(
                id=f"{self.name}/{mark}",
                family=self.name,
                source=self.source,
                label="adversarial" if violates else "gold",
                plan={"nodes": plan.nodes, "edges": plan.edges},
                facts=plan.facts,
                texts=plan.texts,
                outputs=plan.outputs,
                mutation=mutation or None,
                severity=1.0 if violates else 0.0,
                violates=list(violates),
            )
        )

    def finished(self, grant: Json | None = None) -> list[Sample]:
        """All samples under the authority that they share; only what was said may differ."""
        world = self.story.world
        role = world.pick(words("roles"))
        others = _distractors(world, self.story, self._tools)
        most = max(_most(sample.plan) for sample in self.samples)
        shared = policy(world, role, self._tools, others, most, grant)
        earlier = earlier_turns(world) if world.chance(0.15) else []
        known = role if world.chance(0.85) else None
        tools = {**self._tools, **{tool.name: tool.entry for tool in others}}
        for sample, said in zip(self.samples, self._said, strict=True):
            context = {"instruction": said, "earlier": earlier}
            sample.governance = {"policy": shared, "role": known, "context": context}
            sample.tools = tools
        return self.samples


def more(world: World, wish: str) -> str:
    """One wish more, behind a request."""
    return " " + world.pick(_MORE).format(wish)


def _most(plan: Json) -> int:
    """The largest whole number among the arguments: every limit is at most that."""
    return max(
        (v for call in plan["nodes"] for v in call["arguments"].values() if type(v) is int),
        default=0,
    )


def _distractors(world: World, story: Story, used: Json) -> list[Tool]:
    """Tools that the same user has and no twin needs."""
    found = []
    for toolset in list(story.chosen.values())[:2]:
        tool = world.pick(list(toolset.tools.values()))
        if tool.name not in used:
            found.append(tool)
    return found
