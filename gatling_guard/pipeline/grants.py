"""The grants of one session: those of its policy, those that answers made, and their use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gatling_guard.catalog import ToolSpec
from gatling_guard.decision import Held
from gatling_guard.errors import ConfigurationError
from gatling_guard.ledger import CallSecrets
from gatling_guard.policy import AnsweredGrant, Grant, GrantSource, GrantTerms
from gatling_guard.trace import Lineage, LineageIndex
from gatling_guard.trace.amounts import names_amount, names_party
from gatling_guard.trace.grants import (
    GrantFacts,
    SourceCall,
    Sources,
    amount_called,
    covering,
    directed_leaves,
    expired,
    fixed_values,
    origin_spans,
    own_name,
)

if TYPE_CHECKING:
    from gatling_guard.pipeline.stages import Work


@dataclass
class GrantBook:
    """Not thread-safe: the session locks."""

    started: float = 0.0
    """When the session began, by the guard's clock."""
    sources: Sources = field(default_factory=Sources)
    answered: list[AnsweredGrant] = field(default_factory=list)
    revoked: set[str] = field(default_factory=set)
    """Ids of grants that no longer count in this session."""
    changes: int = 0
    """Grows when a grant comes or goes: earlier answers are then looked at again."""
    uses: dict[str, int] = field(default_factory=dict)

    def valid(self, policy: Sequence[Grant], now: float) -> tuple[Grant, ...]:
        """The grants that count now, in the order in which they are tried."""
        if not policy and not self.answered:
            return ()
        return tuple(
            grant
            for grant in (*policy, *self.answered)
            if grant.grant_id not in self.revoked and not expired(grant, now, self.started)
        )

    def cover(self, work: Work) -> Grant | None:
        """The grant that covers a call, or None."""
        grants = self.valid(work.policy.grants, work.now) if work.spec else ()
        if not grants or work.spec is None:
            return None
        reserved = work.reserved.grant_id if work.reserved else ""
        return covering(
            grants,
            GrantFacts(
                work.spec, work.lineage, work.index, self.sources, work.role,
                now=work.now, started=self.started,
                uses=lambda g: self.uses.get(g.grant_id, 0) - (g.grant_id == reserved),
            ),
        )  # fmt: skip

    def count(self, grant: Grant | None, step: int) -> None:
        """Reserve a use, or give it back."""
        if grant is not None:
            self.uses[grant.grant_id] = self.uses.get(grant.grant_id, 0) + step

    def add(self, grant: AnsweredGrant) -> None:
        """A person gave it."""
        self.answered.append(grant)
        self.changes += 1

    def revoke(self, grant: Grant) -> None:
        """It counts no more; what it let through stays counted."""
        self.revoked.add(grant.grant_id)
        self.changes += 1


def answered_grant(
    held: Held, spec: ToolSpec | None, terms: GrantTerms, *, by: str, now: float,
    index: LineageIndex, sources: Sources,
) -> AnsweredGrant:  # fmt: skip
    """The grant that a person's answer to a hold makes.

    Raises:
        ConfigurationError: it could never apply: a rule holds such calls each time, or no source
            of the held call is known.
    """
    if rules := [f.rule for f in held.findings if f.action != "note"]:
        raise ConfigurationError(f"no grant clears a rule ({rules[0]}); approve this call alone")
    if held.call is None or spec is None:
        raise ConfigurationError("nothing is known of the held tool, so nothing can be granted")
    calls = _sources_of(held.lineage, index, sources)
    recipients, limits = _bounds(held.lineage, spec)
    limits = limits if terms.limits is None else terms.limits
    fixed = fixed_values(held.lineage, spec, (*limits, *terms.free))
    return AnsweredGrant.model_construct(
        source=GrantSource.model_construct(
            tool=tuple(dict.fromkeys(c.tool for c in calls)), where={}, fields={}
        ),
        effects=terms.effects or (spec.profile.effect,),
        tools=terms.tools,
        to=terms.to,
        limits=limits,
        calls=terms.calls,
        expires_s=terms.expires_s,
        roles=None,
        reason=terms.reason or f"answer to the hold of {spec.name}",
        by=by,
        hold_id=held.hold_id,
        created=now,
        digests=tuple(dict.fromkeys(c.digest for c in calls)),
        tool_name="" if terms.tools else spec.name,
        recipients=None if terms.to else recipients,
        fixed=None if terms.tools else fixed,
        free=terms.free,
    )


def _sources_of(
    lineage: tuple[Lineage, ...], index: LineageIndex, sources: Sources
) -> list[SourceCall]:
    found: dict[int, SourceCall] = {}
    for leaf in directed_leaves(lineage):
        for at in origin_spans(leaf, index):
            call = sources.at(at) if at >= 0 else None
            if call is None or not call.tool:
                raise ConfigurationError(
                    f"where {leaf.argument!r} came from is not certain; approve this call alone"
                )
            found[call.first] = call
    if not found:
        raise ConfigurationError("no untrusted text directed this call: there is no source")
    return list(found.values())


def _bounds(
    lineage: tuple[Lineage, ...], spec: ToolSpec
) -> tuple[tuple[str, ...], dict[str, float]]:
    """The held call's recipients, and its amounts, each the sum of all under its name."""
    identity = {*spec.profile.identity_args, *spec.profile.url_args}
    recipients: dict[str, None] = {}
    limits: dict[str, float] = {}
    for leaf in lineage:
        name = leaf.argument if names_amount(leaf.argument) else own_name(leaf)
        total = amount_called(name, lineage) if names_amount(name) else None
        if total is not None:
            limits[name] = total
        elif leaf.argument in identity and names_party(leaf.argument) and not leaf.trivial:
            recipients[str(leaf.value)] = None
    return tuple(recipients), limits


def grant_body(grant: Grant, arguments: Any = None) -> dict[str, Any]:
    """A grant for the ledger, without what the call says is secret."""
    hide = CallSecrets(arguments or {}).hide
    body = grant.model_dump(mode="json")
    for key in ("recipients", "to"):
        body[key] = [hide(text) for text in body[key]] if body.get(key) else body.get(key)
    if body.get("fixed"):
        body["fixed"] = [[path, hide(text)] for path, text in body["fixed"]]
    return {"id": grant.grant_id, "basis": grant.basis, **body, "reason": hide(grant.reason)}
