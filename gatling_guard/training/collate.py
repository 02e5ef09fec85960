"""A list of items as one batch: padded documents, one list of calls, and who is whose negative.

Numbers and masks cover the whole batch in every process; features cover this process's share of it
(`share`), so that each encodes its part and the loss is that of the whole batch.

Shapes: B samples, M calls of all of them (sample after sample), b and m the share's; G gold
samples, Q attribution questions of the share, K texts of a question.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.batch import PlanBatch, plan_batch
from gatling_guard.encoders.calls import CallFeatures
from gatling_guard.encoders.documents import Documents, pad_documents
from gatling_guard.encoders.tree import Entries
from gatling_guard.training.dataset import Item

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
MOST_RIVALS = 8
"""Texts of one question beside the instruction."""


class Batch:
    """See the module. No dataclass: Fabric would copy it field by field."""

    def __init__(
        self, items: Sequence[Item], texts: Sequence[str], *, window: int, share: slice, seed: str
    ) -> None:
        """Makes the batch; `window` is the encoder's, `seed` that of the choice of questions."""
        mine = items[share]
        self.items, self.share = items, share
        self.label: Ints = np.array([item.label for item in items], np.int64)
        """`[B]`"""
        self.violates: Bools = np.array([item.violates for item in items], np.bool_)
        """`[B, 4]`"""
        self.sizes: Ints = np.array([len(item.calls) for item in items], np.int64)
        """`[B]` calls of each sample."""
        self.gold: Ints = np.flatnonzero(self.label == 0)
        """`[G]` rows of gold samples."""
        pairs = _pairs(items)
        self.plans_against: Bools = pairs[0][self.gold]
        """`[G, B]` plans that the authority of a gold sample does not cover."""
        self.authorities_against: Bools = pairs[1][self.gold]
        """`[G, B]` authorities that do not cover the plan of a gold sample."""
        self.own_violations: Bools = pairs[2][self.gold]
        """`[G, B]` the twins of a gold sample that are not gold."""
        self.next_rows, self.next_against = _next_calls(items)
        """`[P]` rows of gold calls among all M, `[P, M]` calls that could not come there."""

        self.calls: list[CallFeatures] = [call for item in mine for call in item.calls]
        """m"""
        self.plans: PlanBatch = plan_batch([item.graph for item in mine])
        authorities = {item.authority: item for item in reversed(mine)}
        policies = {item.policy_id: item.policy for item in authorities.values()}
        policy_row = {number: row for row, number in enumerate(policies)}
        row_of = {number: row for row, number in enumerate(authorities)}
        self.policies: Documents = documents(list(policies.values()), texts, window)
        """The distinct policies."""
        asked = _Asked(mine, [row_of[item.authority] for item in mine], random.Random(seed))
        self.policy_of: Ints = np.array(
            [policy_row[item.policy_id] for item in authorities.values()]
            + [policy_row[number] for number, _ in asked.rivals],
            np.int64,
        )
        """`[D]` row of each document's policy."""
        spoken = [item.context for item in authorities.values()]
        self.contexts: Documents = documents([*spoken, *asked.rivals.values()], texts, window)
        """D: the distinct authorities, then what stands in an instruction's place, once each."""
        self.authority_of: Ints = np.array([row_of[item.authority] for item in mine], np.int64)
        """`[b]` row of each sample's authority in `contexts`."""
        width = max(map(len, asked.texts), default=1)
        self.ask_there: Bools = np.arange(width) < np.array(
            [len(used) for used in asked.texts], np.int64
        ).reshape(-1, 1)
        """`[Q, K]`"""
        self.ask_text: Ints = np.zeros(self.ask_there.shape, np.int64)
        """`[Q, K]` row of each text in `contexts`; 0 where padded."""
        places = [len(spoken) + n if new else n for used in asked.texts for n, new in used]
        self.ask_text[self.ask_there] = places
        self.ask_call: Ints = np.array(asked.calls, np.int64)
        """`[Q]` the call to be explained, within the share's calls."""
        self.ask_true: Ints = np.array(asked.true, np.int64)
        """`[Q]` which of its texts explains it; 0: the instruction."""

    def __len__(self) -> int:
        """B."""
        return len(self.items)


class _Asked:
    """The questions of a share, and the distinct texts that are rivals in them."""

    def __init__(
        self, mine: Sequence[Item], authorities: Sequence[int], rng: random.Random
    ) -> None:
        self.rivals: dict[tuple[int, int], Entries] = {}
        """By policy and identity: equal texts of a dataset are one object."""
        self.texts: list[list[tuple[int, bool]]] = []
        """Of each question: row among the authorities, or among the rivals (True)."""
        self.calls: list[int] = []
        self.true: list[int] = []
        rows: dict[tuple[int, int], int] = {}
        start = 0
        for item, authority in zip(mine, authorities, strict=True):
            for at, answer, chosen in questions(item, rng):
                used = [(authority, False)]
                for entries in (item.rivals[k].entries for k in chosen):
                    key = item.policy_id, id(entries)
                    self.rivals.setdefault(key, entries)
                    used.append((rows.setdefault(key, len(rows)), True))
                self.texts.append(used)
                self.calls.append(start + at)
                self.true.append(answer)
            start += len(item.calls)


def documents(entries: Sequence[Entries], texts: Sequence[str], window: int) -> Documents:
    """Entries over the texts of a dataset as documents over the few texts of a batch."""
    used = np.unique(np.concatenate([[0], *(e.key for e in entries), *(e.value for e in entries)]))
    local = [
        replace(e, key=np.searchsorted(used, e.key), value=np.searchsorted(used, e.value))
        for e in entries
    ]
    table = {texts[number]: i for i, number in enumerate(used.tolist())}
    return pad_documents(local, table, window)


def _pairs(items: Sequence[Item]) -> tuple[Bools, Bools, Bools]:
    """`[B, B]` each; row i is only meaningful for a gold sample.

    A plan is against authority i when it differs and was either made for another family's authority
    or violates this one. Boundary plans are left to the bands: nearly right is not far away. So is
    a violation of another authority of the same family: what it does may be allowed here.
    """
    label = np.array([item.label for item in items])
    authority = np.array([item.authority for item in items])
    plan = np.array([item.plan_id for item in items])
    family = np.unique([item.family for item in items], return_inverse=True)[1]
    other_plan = plan[:, None] != plan
    other_authority = authority[:, None] != authority
    same_family = family[:, None] == family
    violated = (label == 2)[None, :]
    plans = other_plan & np.where(violated, other_authority ^ same_family, other_authority)
    plans &= ~((label == 1)[None, :] & same_family)
    # The same plan under an authority that does not allow it (a grant that is absent) counts too.
    authorities = other_authority & (other_plan | violated)
    return plans, authorities, same_family & (label != 0)[None, :]


def _next_calls(items: Sequence[Item]) -> tuple[Ints, Bools]:
    """Gold calls, and for each the calls that could not have come in its place.

    Calls that were ready too (all their sources ran) are none of them; neither are calls of other
    samples under the same authority, but for the violating twins'.
    """
    ids = np.concatenate([item.call_ids for item in items])
    sample = np.repeat(np.arange(len(items)), [len(item.calls) for item in items])
    starts = np.cumsum([0, *(len(item.calls) for item in items)])
    authority = np.array([item.authority for item in items])
    label = np.array([item.label for item in items])
    rows, against = [], []
    for i, item in enumerate(items):
        if item.label != 0:
            continue
        foreign = (authority != item.authority) | (label == 2)
        foreign[i] = True
        counts = foreign[sample]
        for t in range(len(item.calls)):
            ready = [
                j
                for j in range(t, len(item.calls))
                if j == t or all(s < t for s in item.graph.direct[j])
            ]
            rows.append(starts[i] + t)
            against.append(counts & ~np.isin(ids, item.call_ids[ready]))
    shape = (len(rows), len(ids))
    return np.array(rows, np.int64), np.array(against, np.bool_).reshape(shape)


def questions(item: Item, rng: random.Random) -> list[tuple[int, int, list[int]]]:
    """(call, which text explains it, rivals) of at most two calls: one injected, one honest.

    A call that a text asked for with authority is left out: both explain it.
    """
    injected: list[tuple[int, int, list[int]]] = []
    honest: list[tuple[int, int, list[int]]] = []
    for at in range(len(item.calls)):
        seen = [k for k, rival in enumerate(item.rivals) if rival.after < at]
        mine = [k for k in seen if at in item.rivals[k].goal_of]
        if not seen or any(item.rivals[k].authority for k in mine):
            continue
        rest = [k for k in seen if k not in mine[1:]]
        if len(rest) > MOST_RIVALS:
            kept = set(rng.sample(rest, MOST_RIVALS - 1)) | set(mine[:1])
            rest = [k for k in rest if k in kept]
        answer = 1 + rest.index(mine[0]) if mine else 0
        (injected if mine else honest).append((at, answer, rest))
    return [rng.choice(group) for group in (injected, honest) if group]
