"""What is kept of a repair that went well: where it was, of what kind and against what.

Covers: tool names, edges, kinds of edits, argument pointers, reasons, and the file of them. A
template holds no value, so that no file of templates can bring one into a call.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from gatling_guard.energy.risk import Frozen
from gatling_guard.errors import InputError, Issue, PlanError
from gatling_guard.plan import ExecutionPlan, ToolCall, digest, parse_json
from gatling_guard.repair.types import Draft, Edit, EditError, EditKind, Problem

SCHEMA: Final = 1
MAX_BYTES: Final = 4_000_000
MAX_TEMPLATES: Final = 1_000
MAX_CALLS: Final = 64
"""Larger plans are not kept: the search among their edits is what takes the time anyway."""
MAX_STEPS: Final = 16
_STRICT = Field(strict=False)  # a JSON list is no tuple

Name = Annotated[str, Field(min_length=1, max_length=256)]
Place = Annotated[int, Field(ge=0, lt=MAX_CALLS)]


class Shape(Frozen):
    """A plan without its arguments."""

    tools: Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=MAX_CALLS)]
    """In the order in which they run."""
    edges: Annotated[
        tuple[Annotated[tuple[Place, Place], _STRICT], ...], Field(strict=False, max_length=512)
    ] = ()
    """Source and target as positions in `tools`."""

    @classmethod
    def of(cls, plan: ExecutionPlan) -> Shape | None:
        """Of a plan; None where it is too large."""
        if len(plan) > MAX_CALLS or len(plan.edges) > 512:
            return None
        at = {node: place for place, node in enumerate(plan.order)}
        edges = sorted({(at[edge.source], at[edge.target]) for edge in plan.edges})
        return cls(tools=tuple(plan.calls[n].tool_name for n in plan.order), edges=tuple(edges))

    def plan(self) -> ExecutionPlan:
        """A plan of this shape: what an embedding is made of, so that it holds no value either.

        Raises:
            PlanError: an edge leads nowhere, or the edges form a cycle.
        """
        calls = [ToolCall(node_id=str(i), tool_name=tool) for i, tool in enumerate(self.tools)]
        edges = [(str(source), str(target)) for source, target in self.edges]
        return ExecutionPlan.model_validate({"nodes": calls, "edges": edges})


class Pattern(Frozen):
    """One edit of a repair, without its value."""

    kind: EditKind
    tool: Name
    """Of the call that it changed."""
    where: Annotated[str, Field(max_length=256)] = ""
    """See `place_of`."""
    reasons: Annotated[tuple[Name, ...], Field(strict=False, max_length=64)] = ()
    """Rules and kinds of energy that spoke against the call."""


class Template(Frozen):
    """A repair that went well."""

    shape: Shape
    patterns: Annotated[tuple[Pattern, ...],
                        Field(strict=False, min_length=1, max_length=MAX_STEPS)]  # fmt: skip


def place_of(where: str) -> str:
    """An argument pointer without list positions and inner keys, which may be data."""
    _, *parts = where.split("/")
    return "".join([*(f"/{part}" for part in parts[:1]), *("/*" for _ in parts[1:])])


def reasons_of(problem: Problem) -> frozenset[str]:
    """What spoke against a call, by name."""
    kinds = {share.kind or share.term for share in problem.energy.shares}
    return frozenset({finding.rule for finding in problem.findings} | kinds)


def template_of(
    start: Draft, problems: Sequence[Problem], edits: Sequence[Edit]
) -> Template | None:
    """What is kept of a repair; None where there is none, or it is too large.

    Args:
        start: before the repair.
        problems: of `start`.
        edits: in the order in which they are applied.

    Raises:
        EditError: they do not fit.
    """
    shape = Shape.of(start.plan)
    if shape is None or not 0 < len(edits) <= MAX_STEPS:
        return None
    against = {problem.node_id: reasons_of(problem) for problem in problems}
    patterns = []
    draft = start
    for edit in edits:
        call = draft.plan.calls.get(edit.node_id)
        if call is None:
            raise EditError(f"{edit.kind}: no call {edit.node_id!r}")
        patterns.append(
            Pattern(
                kind=edit.kind,
                tool=call.tool_name,
                where=place_of(edit.where)[:256],
                reasons=tuple(sorted(against.get(edit.node_id, ()))[:64]),
            )
        )
        draft = edit.apply(draft)
    return Template(shape=shape, patterns=tuple(patterns))


class _File(Frozen):
    schema_version: Literal[1] = SCHEMA
    templates: Annotated[tuple[Template, ...],
                         Field(strict=False, max_length=MAX_TEMPLATES)]  # fmt: skip


def to_text(templates: Sequence[Template]) -> str:
    """The file."""
    content = _File(templates=tuple(templates)).model_dump(mode="json")
    return json.dumps({"digest": digest(content), **content}, sort_keys=True) + "\n"


def read_templates(data: str | bytes, *, what: str = "repairs") -> tuple[Template, ...]:
    """The inverse of `to_text`.

    The digest finds damage, not a forger; what a forger can do is to have an edit tried first that
    the guard proposes, allows and judges itself.

    Raises:
        InputError: every fault by JSON pointer; a digest that is not its.
    """
    if len(data) > MAX_BYTES:
        raise InputError(f"longer than {MAX_BYTES} bytes", what=what)
    row = parse_json(data, what=what)
    if not isinstance(row, dict):
        raise InputError("must be an object", what=what)
    noted = row.pop("digest", None)
    try:
        read = _File.model_validate(row)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        places = ("".join(f"/{part}" for part in detail["loc"]) for detail in details)
        issues = [Issue(at, d["msg"]) for at, d in zip(places, details, strict=True)]
        raise InputError(issues, what=what) from None
    if noted != digest(read.model_dump(mode="json")):
        raise InputError([Issue("/digest", "is not that of the content")], what=what)
    for i, template in enumerate(read.templates):
        try:
            template.shape.plan()
        except PlanError as error:
            raise InputError([Issue(f"/templates/{i}/shape", str(error))], what=what) from None
    return read.templates
