"""What a dataset says of a plan's values, as the lineage that the tracer would have found.

A generated sample knows its facts by construction, so no tracer runs while training. The lineage
made here answers every question that `encoders.calls` asks (tier, named, only untrusted, sensitive,
disguised, caused) as the facts say it. Does not cover: quotes and spans that a rule or an energy
would show to an operator; they hold no text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatling_guard.errors import InputError, Issue
from gatling_guard.plan import Provenance, ToolCall
from gatling_guard.plan.values import leaves
from gatling_guard.trace import Lineage, Origin, Span

_FLAGS = ("named", "untrusted", "sensitive", "disguised", "caused")


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of one argument leaf."""

    tier: int = 1
    """Worst tier of the places it came from."""
    named: bool = False
    """The user, the system text or the policy gave it."""
    untrusted: bool = False
    """It came from tier-3 text and from nowhere better."""
    sensitive: bool = False
    """It came out of a secret or of personal data."""
    disguised: bool = False
    """It was encoded or put together from pieces."""
    caused: bool = False
    """It came out of a call that untrusted content caused."""

    @classmethod
    def read(cls, raw: object, where: str) -> Fact:
        """Checked fields.

        Raises:
            InputError: an unknown field, a wrong type, or facts that contradict one another.
        """
        if not isinstance(raw, Mapping):
            raise InputError([Issue(where, "should be an object")], what="facts")
        issues = [
            Issue(f"{where}/{key}", "unknown fact") for key in raw if key not in ("tier", *_FLAGS)
        ]
        tier = raw.get("tier", 1)
        if type(tier) is not int or tier not in (1, 2, 3):
            issues.append(Issue(f"{where}/tier", "should be 1, 2 or 3"))
        for key in _FLAGS:
            if not isinstance(raw.get(key, False), bool):
                issues.append(Issue(f"{where}/{key}", "should be true or false"))
        if raw.get("untrusted") is True and (raw.get("named") or tier != 3):
            issues.append(Issue(where, "untrusted means tier 3 and not named"))
        if issues:
            raise InputError(issues, what="facts")
        return cls(**raw)


def lineages(
    calls: Mapping[str, ToolCall], facts: Mapping[str, Any]
) -> dict[str, tuple[Lineage, ...]]:
    """Lineage of the argument leaves by node id; a call without facts has none.

    Args:
        calls: of the plan, by node id.
        facts: node id -> JSON pointer inside the arguments -> fields of `Fact`.

    Raises:
        InputError: a node or a leaf that the plan does not have, or a faulty fact.
    """
    found: dict[str, tuple[Lineage, ...]] = {}
    issues: list[Issue] = []
    for node, given in facts.items():
        where = f"/facts/{node}"
        if node not in calls or not isinstance(given, Mapping):
            fault = "should be an object" if node in calls else "no such node in the plan"
            issues.append(Issue(where, fault))
            continue
        values = {leaf.path: leaf.value for leaf in leaves(calls[node].arguments)}
        rows = []
        for path, raw in given.items():
            if path not in values:
                issues.append(Issue(f"{where}{path}", "no such leaf in the arguments"))
                continue
            try:
                rows.append(lineage_of(path, values[path], Fact.read(raw, where + path)))
            except InputError as error:
                issues += error.issues
        found[node] = tuple(rows)
    if issues:
        raise InputError(issues, what="facts")
    return found


def lineage_of(path: str, value: Any, fact: Fact) -> Lineage:
    """The lineage of one leaf of which `fact` holds, word for word."""
    tier = Provenance(fact.tier)
    origins = []
    if fact.named:
        origins.append(Origin("instruction", "exact", Provenance.INTERNAL))
    if fact.tier > 1 or fact.sensitive or fact.caused or fact.disguised:
        span = Span(0, "", "", "", "", "", tier, cause="call" * fact.caused,
                    sensitive=fact.sensitive)  # fmt: skip
        origins.append(Origin("output", "encoded" if fact.disguised else "exact", tier, span))
        if fact.tier == 3 and not fact.untrusted and not fact.named:
            # Something better than tier 3 vouches for it too.
            origins.append(Origin("output", "exact", Provenance.INTERNAL))
    top = path.split("/")[1].replace("~1", "/").replace("~0", "~")
    trivial = (
        value is None or isinstance(value, bool) or (isinstance(value, str) and not value.strip())
    )
    return Lineage(path, top, value, tuple(origins), trivial)
