"""All proposers together: which edits may help against a problem.

A proposer says what may help, not what is allowed: the policy, the lattice and the guard itself
judge every edit. No value is proposed but one that stands in the call, in its schema, in the policy
or in what the user said: what an attacker wrote is never a candidate.
"""

from __future__ import annotations

from collections.abc import Collection

from gatling_guard.repair.propose_calls import drop, hold, split
from gatling_guard.repair.propose_narrow import narrow
from gatling_guard.repair.propose_redact import redact
from gatling_guard.repair.propose_resource import resource
from gatling_guard.repair.propose_swap import swap
from gatling_guard.repair.types import (
    KINDS,
    Draft,
    Edit,
    EditError,
    EditKind,
    Problem,
    Proposer,
    Scene,
)

PROPOSERS: dict[EditKind, Proposer] = {
    "narrow": narrow,
    "redact": redact,
    "hold": hold,
    "split": split,
    "swap": swap,
    "resource": resource,
    "drop": drop,
}
STEP: frozenset[EditKind] = frozenset(("narrow", "redact", "resource"))
"""What can be done with one call of a running session."""
MOST = 8
"""Edits of one kind for one problem; the first are the best."""


def propose(
    scene: Scene, draft: Draft, problem: Problem, kinds: Collection[EditKind] = KINDS
) -> tuple[Edit, ...]:
    """Edits that fit the draft, the cheapest first; of equal cost in the order proposed."""
    found: list[Edit] = []
    for kind, proposer in PROPOSERS.items():
        if kind not in kinds or (scene.step and kind not in STEP):
            continue
        fitting: list[Edit] = []
        for edit in proposer(scene, draft, problem):
            if edit not in fitting and _fits(edit, draft):
                fitting.append(edit)
            if len(fitting) == MOST:
                break
        found += fitting
    return tuple(sorted(found, key=lambda edit: edit.cost))


def _fits(edit: Edit, draft: Draft) -> bool:
    try:
        edit.apply(draft)
    except EditError:
        return False
    return True
