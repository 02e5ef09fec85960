"""The four networks of `encoders.bundle.create`, trained together, and what a batch costs them.

One forward pass encodes this process's share of a batch, gathers the embeddings of all processes,
and gives every loss of the whole batch. So several processes compute the loss of one.

Shapes: B samples, N calls of the longest plan, M calls in all, L `latent_dim`, C `call_dim`,
h `hidden_dim`, Q attribution questions, K texts of a question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from gatling_guard.encoders.bundle import create
from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.energies import EnergyHead
from gatling_guard.encoders.execution import ExecutionEncoder
from gatling_guard.encoders.governance import MASKED, GovernanceEncoder
from gatling_guard.encoders.predictor import Predictor, TargetEncoder
from gatling_guard.encoders.text import TextFeatures
from gatling_guard.training import losses
from gatling_guard.training.args import TrainArgs
from gatling_guard.training.collate import Batch

_MOST_TEXTS = 200_000
"""Texts whose features are kept: 400 MB with the static tokeniser."""


def worst(energies: Tensor, valid: Tensor) -> Tensor:
    """Energies of calls `[M, T]`, calls of plans `[B, N]` -> of plans `[B, T]`: their largest."""
    shape = (*valid.shape, energies.shape[-1])
    table = energies.new_zeros(shape).masked_scatter(valid.unsqueeze(-1), energies)
    return torch.as_tensor(table.amax(1))  # no energy is below 0


@dataclass(slots=True)
class Encoded:
    """A batch as embeddings; of one process's share, or gathered from all."""

    z_g: Tensor
    """`[B, L]`"""
    z_e: Tensor
    """`[B, L]`"""
    half: Tensor
    """`[B, L]` of the first half of each plan: the other view of pre-training."""
    own: Tensor
    """`[M, C]` every call by itself."""
    target: Tensor
    """`[M, C]` the same under the EMA encoder, without gradient."""
    predicted: Tensor
    """`[M, C]` what the predictor expected in its place."""
    scores: Tensor
    """`[Q, K]` how well each text explains each call in question, over tau."""
    terms: Tensor
    """`[B, 4]` energies of each plan."""


class Jepa(nn.Module):
    """Encoders, predictor, EMA target and energies of one run.

    Args:
        config: shape of the networks.
        args: of the run.
    """

    def __init__(self, config: EncoderConfig, args: TrainArgs) -> None:
        super().__init__()
        made: dict[str, Any] = create(config, args.seed)
        self.execution: ExecutionEncoder = made["execution"]
        self.governance: GovernanceEncoder = made["governance"]
        self.predictor: Predictor = made["predictor"]
        self.target = TargetEncoder(self.execution, decay=args.ema)
        self.energy: EnergyHead = made["energy"]
        self.config, self.args = config, args
        features = _Kept(self.execution.features)
        self.execution.features = self.governance.features = features
        self.target.encoder.features = features

    def networks(self) -> dict[str, nn.Module]:
        """What a model folder holds."""
        return {
            "execution": self.execution,
            "governance": self.governance,
            "predictor": self.predictor,
            "energy": self.energy,
        }

    @torch.no_grad()
    def start(self, groups: Sequence[Batch]) -> None:
        """Initial weights that the data gives in closed form; for new weights only.

        The words of an authority and those of its plan go through the directions in which they
        vary together (`correlated`). The mean is taken out of z_g and z_e: untrained embeddings
        share one large direction each (mean cosine 0.7 between authorities), which a softmax over
        cosines takes hundreds of steps to unlearn. What they are to have in common, `args.shared`,
        lies in a direction that no word uses.
        """
        context, plan = self.governance.context, self.execution.plan
        words = [self._words(batch) for batch in groups]
        said, done = (torch.cat(side) for side in zip(*words, strict=True))
        maps = correlated(said, done)
        turn = torch.empty(self.config.latent_dim, self.config.latent_dim)
        nn.init.orthogonal_(turn, generator=torch.Generator().manual_seed(0))
        turn = turn.to(self.execution.device)
        for layer, found in zip((context.z_words, plan.z_words), maps, strict=True):
            directions = found[: self.config.latent_dim]
            layer.weight.copy_(turn[:, : len(directions)] @ directions)
        encoded = [self.encode(batch) for batch in groups]
        z_g, z_e = (torch.cat([getattr(e, name) for e in encoded]) for name in ("z_g", "z_e"))
        for layer, z in ((context.z_down, z_g), (plan.z_down, z_e)):
            own = (z - z.mean(0)).norm(dim=1).mean()
            common = (self.args.shared / (1 - self.args.shared)) ** 0.5 * own * turn[:, -1]
            layer.bias.add_(common - z.mean(0))
        self.target.encoder.load_state_dict(self.execution.state_dict())

    def _words(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the words of gold samples are, at unit scale: `[G, w]` said and `[G, w]` done."""
        kept: dict[nn.Module, Tensor] = {}

        def keep(layer: nn.Module, given: tuple[Tensor]) -> None:
            kept[layer] = given[0]

        layers = self.governance.context.z_words, self.execution.plan.z_words
        hooks = [layer.register_forward_pre_hook(keep) for layer in layers]
        try:
            self.encode(batch)
        finally:
            for hook in hooks:
                hook.remove()
        said, done = (kept[layer] for layer in layers)
        gold = self._put(batch.gold)
        last = self._put(batch.plans.valid).bool().sum(1)[gold] - 1
        return said[self._put(batch.authority_of)[gold]], done[gold, last]

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Every loss by name; `loss` is their weighted sum."""
        local = self.encode(batch)
        found = _gathered(local, batch) if len(batch.plans.valid) < len(batch) else local
        return self.losses(batch, found)

    def encode(self, batch: Batch) -> Encoded:
        """The embeddings of the share of a batch."""
        put = self._put
        summary = self.governance.run_policy(batch.policies)[put(batch.policy_of)]
        spoken = self.governance.run_context(summary, batch.contexts)  # [D, L]
        z_g = spoken[put(batch.authority_of)]
        x0, own = self.execution.embed(batch.calls)
        with torch.no_grad():
            target = self.target.encoder.embed(batch.calls)[1]
        z_after, states = self._prefixes(batch, x0)
        valid = put(batch.plans.valid).bool()
        sizes = valid.sum(1)
        rows = torch.arange(len(sizes), device=sizes.device)
        z_e, half = z_after[rows, sizes - 1], z_after[rows, (sizes - 1) // 2]
        # What was before each call: nothing, or the plan up to the call before it.
        z_before, before = _shifted(z_after)[valid], _shifted(states)[valid]  # [M, L], [M, h]
        sample = rows.repeat_interleave(sizes)
        predicted = self.predictor(z_g[sample], z_before, before)
        of_calls = self.energy(z_g[sample], z_after[valid], states[valid], own, predicted)
        terms = worst(of_calls, valid)
        scores = self._explained(batch, spoken, z_before, before, target)
        return Encoded(z_g, z_e, half, own, target, predicted, scores, terms)

    def _prefixes(self, batch: Batch, x0: Tensor) -> tuple[Tensor, Tensor]:
        """z_e after each call `[B, N, L]`, and the calls' states `[B, N, h]`.

        A call's state never depends on later calls, so one pass over the plan serves all of its
        prefixes; pooling over a prefix is a softmax that sees no further.
        """
        plan, given = self.execution.plan, batch.plans
        put = self._put
        place = put(given.position), put(given.relation), put(given.valid)
        states = plan(x0[put(given.calls)], *place, *self.execution._start())[1]
        calls = states.shape[1]
        seen = torch.ones(calls, calls, device=states.device).tril()
        mask = seen * self._put(given.valid).unsqueeze(1)  # [B, N, N]
        logits = plan.pool_logits(states).unsqueeze(1) + ((1 - mask) * MASKED).unsqueeze(-1)
        weights = torch.softmax(logits.float(), 2)  # [B, N, N, P]
        values = plan.values(states, x0[put(given.calls)])  # [B, N, P, (h + w)/P]
        means = torch.einsum("btnp,bnpd->btpd", weights.to(values.dtype), values)
        return plan.pooled(means), states

    def _explained(
        self, batch: Batch, spoken: Tensor, z_before: Tensor, before: Tensor, target: Tensor
    ) -> Tensor:
        """`[Q, K]`: agreement of each call with what each text would have predicted, over tau."""
        there = self._put(batch.ask_there)
        question = torch.nonzero(there)[:, 0]
        call = self._put(batch.ask_call)[question]
        z_g = spoken[self._put(batch.ask_text)[there]]
        predicted = self.predictor(z_g, z_before[call], before[call])
        fit = ((predicted * target[call]).sum(-1) / self.args.tau).float()
        table: Tensor = fit.new_zeros(there.shape).masked_scatter(there, fit)
        return table

    def losses(self, batch: Batch, found: Encoded) -> dict[str, Tensor]:
        """Every loss of a whole batch by name, and their weighted sum as `loss`."""
        args, put = self.args, self._put
        spread = losses.variance_term(found.own * found.own.shape[-1] ** 0.5)
        if args.objective == "vicreg":
            gold = put(batch.gold)
            return {"loss": losses.vicreg(found.z_e[gold], found.half[gold]), "variance": spread}
        parts = self._cosine_losses(batch, found)
        parts["next_call"] = losses.next_call(
            found.predicted[put(batch.next_rows)], found.target, put(batch.next_rows),
            put(batch.next_against), tau=args.tau,
        )  # fmt: skip
        parts["attribution"] = self._attribution(batch, found)
        parts["variance"] = spread
        if args.objective == "energy":
            parts |= self._energy_losses(batch, found)
        parts["loss"] = torch.stack(
            [getattr(args, f"{name}_weight") * value.float() for name, value in parts.items()]
        ).sum()
        return parts

    def _cosine_losses(self, batch: Batch, found: Encoded) -> dict[str, Tensor]:
        put = self._put
        gold = put(batch.gold)
        near_plans = losses.cosines(found.z_g[gold], found.z_e)  # [G, B]
        near_authorities = losses.cosines(found.z_e[gold], found.z_g)
        # What all cosines share squeezes the rest of them, and the temperature with it.
        tau = self.args.tau * (1 - self.args.shared)
        forth = losses.masked_infonce(near_plans / tau, gold, put(batch.plans_against))
        back = losses.masked_infonce(near_authorities / tau, gold, put(batch.authorities_against))
        positive = near_plans.gather(1, gold.unsqueeze(1)).squeeze(1)
        # Of the same authority: another one of the family may allow what the twin does.
        against = put(batch.own_violations & batch.plans_against)
        return {
            "cosine": (forth + back) / 2,
            "align": (1 - positive).mean() if len(positive) else positive.sum(),
            "margin": losses.margin_loss(positive, near_plans, against, margin=self.args.margin),
        }

    def _energy_losses(self, batch: Batch, found: Encoded) -> dict[str, Tensor]:
        put = self._put
        terms = found.terms.float()
        total = terms.sum(-1)
        keep = put(batch.own_violations)
        negatives = losses.typed(terms, put(batch.violates)).expand(keep.shape)
        infonce = losses.energy_infonce(
            total[put(batch.gold)], negatives, keep, temperature=self.args.energy_temperature
        )
        return {"energy": infonce, "band": losses.ordinal_bands(total, put(batch.label))}

    def _attribution(self, batch: Batch, found: Encoded) -> Tensor:
        """Of this process's questions: their mean over all processes is what is wanted."""
        true, there = self._put(batch.ask_true), self._put(batch.ask_there)
        own = losses.attribution(found.scores, true, there)
        if not _several(batch):
            return own
        counts = torch.tensor([float(len(true))], device=own.device)
        dist.all_reduce(counts)
        # Each process's gradient is averaged, so that its part counts as many times as there are.
        mine = own * len(true) / counts[0].clamp_min(1) * dist.get_world_size()
        shown = mine.detach().clone()
        dist.all_reduce(shown)
        return mine + (shown / dist.get_world_size() - mine.detach())

    def _put(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.execution.device)


def correlated(a: Tensor, b: Tensor, ridge: float = 0.1) -> tuple[Tensor, Tensor]:
    """Canonical correlation analysis (Hotelling 1936): maps under which equal rows are close.

    Args:
        a: `[n, w]` one side of n pairs.
        b: `[n, w]` the other.
        ridge: of the mean variance, added to every direction's.

    Returns: two maps `[k, w]`, each direction weighted by its correlation, scaled to a mean square
        of 1 over the outputs of these rows; k is at most half of w.
    """
    a, b = (x.double() - x.double().mean(0) for x in (a, b))
    n, width = a.shape

    def whitening(x: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(x.T @ x / n)
        scales = (values.clamp_min(0) + ridge * values.mean() + 1e-12).sqrt()
        return torch.as_tensor(vectors / scales @ vectors.T)

    left, right = whitening(a), whitening(b)
    u, s, v = torch.linalg.svd(left @ (a.T @ b / n) @ right)
    k = max(1, width // 2)
    maps = []
    for x, half in ((a, left @ u[:, :k] * s[:k]), (b, right @ v[:k].T * s[:k])):
        maps.append((half / (x @ half).square().mean().sqrt().clamp_min(1e-12)).T.float())
    return maps[0], maps[1]


def _shifted(x: Tensor) -> Tensor:
    """`[B, N, D]` -> what stood one place before, zeros at the start."""
    return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)


class _Kept:
    """Text features by text: an epoch asks for the same few thousand again and again."""

    def __init__(self, features: TextFeatures) -> None:
        self._features, self.id = features, features.id
        self._rows: dict[str, NDArray[Any]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[Any]:
        fresh = [text for text in texts if text not in self._rows]
        if len(self._rows) + len(fresh) > _MOST_TEXTS:
            self._rows.clear()
            fresh = [*texts]
        if fresh:
            self._rows |= zip(fresh, self._features(fresh), strict=True)
        return np.stack([self._rows[text] for text in texts])


def _several(batch: Batch) -> bool:
    return len(batch.plans.valid) < len(batch)


def _gathered(local: Encoded, batch: Batch) -> Encoded:
    """The embeddings of the whole batch, in its order; `scores` stay this process's own."""
    world = dist.get_world_size()
    shares = [share_of(len(batch), rank, world) for rank in range(world)]
    samples = [share.stop - share.start for share in shares]
    calls = [int(batch.sizes[share].sum()) for share in shares]

    def rows(x: Tensor, counts: list[int]) -> Tensor:
        padded = nn.functional.pad(x, (0, 0, 0, max(counts) - len(x)))
        every = _AllGather.apply(padded).unflatten(0, (world, -1))  # type: ignore[no-untyped-call]
        return torch.cat([every[rank, :count] for rank, count in enumerate(counts)])

    return Encoded(
        z_g=rows(local.z_g, samples),
        z_e=rows(local.z_e, samples),
        half=rows(local.half, samples),
        own=rows(local.own, calls),
        target=rows(local.target, calls),
        predicted=rows(local.predicted, calls),
        scores=local.scores,
        terms=rows(local.terms, samples),
    )


def share_of(size: int, rank: int, world: int) -> slice:
    """The samples of a batch that one process encodes."""
    return slice(size * rank // world, size * (rank + 1) // world)


class _AllGather(torch.autograd.Function):
    """`[n, D]` of every process, one after another, with gradients to all of them.

    torch.distributed's own does the same with an all-to-all, which gloo has on some systems only.
    Every process computes the loss of all rows, so the sum of their gradients is as many times
    the true one as there are processes, and the mean over processes that follows is the true one.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """`[world * n, D]`."""
        every = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(every, x.contiguous())
        return torch.cat(every)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """`[n, D]`: this process's part of the sum."""
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]
