"""The execution encoder of the founding document, node by node: what `encoders.py` compares with.

It is what a competent engineer would have written from that document, in torch, about 21 M
parameters. Its measured defects that change results are repaired, so that both sides do the same
job: targets read their sources (not the reverse), all submodules are in eval mode, the pooling sees
nodes only, and a plan that does not fit is refused instead of cut.

What loops, because the document does: the embedding of tokens (node by node, token by token), the
message passing (target by target, incoming edge by incoming edge, in each block) and the batch
(plan by plan). What does not: Q, K, V, output projection, feed-forward, norms, pooling and the
final projection are applied to all nodes at once.

`VectorisedLoop` is the same network with the same weights where everything dense is done at once,
the token table, the edge projection and the scores included: only the aggregation still loops, once
per target. It stands beside the loop so that nobody need wonder how much of a ratio is the loop.

What the document leaves open, and what was taken: node features are summed and normalised; norms
stand after the residual; the edge projection goes straight to one bias per head (with a hidden
layer of 512 the whole would have 23 M); an argument is the token `key=value`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gatling_guard.plan import ExecutionPlan, ToolCall

VOCABULARY, MAX_NODES, TIERS, SCOPES = 10_000, 100, 3, 10
HIDDEN, HEADS, BLOCKS, FFN = 512, 8, 4, 4
PROJECTION, LATENT = 2048, 1024
HEAD_DIM = HIDDEN // HEADS

Sources = list[list[int]]
"""For each node, by position in execution order, the positions of the nodes it reads."""


def token(text: str) -> int:
    """Row of the token table: MD5, so that it is the same in every process."""
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), 16) % VOCABULARY


def argument_tokens(call: ToolCall) -> list[int]:
    """One token per argument, of `key=value`."""
    return [token(f"{key}={value}") for key, value in call.arguments.items()]


class GraphAttention(nn.Module):
    """Edge-aware multi-head attention of each node over its direct sources."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(HIDDEN, HIDDEN)
        self.key = nn.Linear(HIDDEN, HIDDEN)
        self.value = nn.Linear(HIDDEN, HIDDEN)
        self.edge = nn.Linear(2 * HIDDEN, HEADS)
        self.out = nn.Linear(HIDDEN, HIDDEN)
        self.scale = HEAD_DIM**-0.5

    def forward(self, x: Tensor, sources: Sources) -> Tensor:
        """`[n, h]` -> `[n, h]`; a node without sources gets the zero message."""
        n = len(x)
        q = self.query(x).view(n, HEADS, HEAD_DIM)
        k = self.key(x).view(n, HEADS, HEAD_DIM)
        v = self.value(x).view(n, HEADS, HEAD_DIM)
        return torch.as_tensor(self.out(self.messages(x, q, k, v, sources)))

    def messages(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, sources: Sources) -> Tensor:
        """`[n, h]`: for each target the weighted sum over its sources."""
        rows = []
        for target, incoming in enumerate(sources):
            if not incoming:
                rows.append(x.new_zeros(HEADS, HEAD_DIM))
                continue
            scores = []
            for source in incoming:
                bias = self.edge(torch.cat([x[source], x[target]]))
                scores.append((q[target] * k[source]).sum(dim=-1) * self.scale + bias)
            weights = torch.stack(scores).softmax(dim=0)  # [edges, heads]
            rows.append((weights.unsqueeze(-1) * v[incoming]).sum(dim=0))
        return torch.stack(rows).flatten(1)


class VectorisedAttention(GraphAttention):
    """The same, with the scores of all edges at once; only the aggregation loops."""

    def messages(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, sources: Sources) -> Tensor:
        """`[n, h]`, as in `GraphAttention`."""
        source = torch.tensor([s for incoming in sources for s in incoming], dtype=torch.long)
        counts = torch.tensor([len(incoming) for incoming in sources])
        target = torch.repeat_interleave(torch.arange(len(x)), counts)
        bias = self.edge(torch.cat([x[source], x[target]], dim=-1))  # [edges, heads]
        scores = (q[target] * k[source]).sum(dim=-1) * self.scale + bias
        values = v[source]
        found = x.new_zeros(len(x), HEADS, HEAD_DIM)
        start = 0
        for node, incoming in enumerate(sources):
            if incoming:
                end = start + len(incoming)
                weights = scores[start:end].softmax(dim=0)
                found[node] = (weights.unsqueeze(-1) * values[start:end]).sum(dim=0)
                start = end
        return found.flatten(1)


class Block(nn.Module):
    """Attention and feed-forward, each with residual and norm."""

    def __init__(self, attention: GraphAttention) -> None:
        super().__init__()
        self.attention = attention
        self.norm1 = nn.LayerNorm(HIDDEN)
        self.ffn = nn.Sequential(
            nn.Linear(HIDDEN, FFN * HIDDEN), nn.GELU(), nn.Linear(FFN * HIDDEN, HIDDEN)
        )
        self.norm2 = nn.LayerNorm(HIDDEN)

    def forward(self, x: Tensor, sources: Sources) -> Tensor:
        """`[n, h]` -> `[n, h]`."""
        x = self.norm1(x + self.attention(x, sources))
        return torch.as_tensor(self.norm2(x + self.ffn(x)))


class FoundingLoop(nn.Module):
    """Plan -> z_e, as the founding document describes it. Made in eval mode.

    Args:
        seed: of the weights; torch's global generator is left as it was.
    """

    attention: type[GraphAttention] = GraphAttention

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.tokens = nn.Embedding(VOCABULARY, HIDDEN)
            self.positions = nn.Embedding(MAX_NODES, HIDDEN)
            self.tiers = nn.Embedding(TIERS, HIDDEN)
            self.scopes = nn.Embedding(SCOPES, HIDDEN)
            self.norm = nn.LayerNorm(HIDDEN)
            self.blocks = nn.ModuleList(Block(self.attention()) for _ in range(BLOCKS))
            self.pool = nn.Linear(HIDDEN, 1)
            self.projection = nn.Sequential(
                nn.Linear(HIDDEN, PROJECTION), nn.GELU(), nn.Linear(PROJECTION, LATENT)
            )
        self.eval()

    @torch.inference_mode()
    def forward(self, plan: ExecutionPlan) -> Tensor:
        """`[1, 1024]`.

        Raises:
            ValueError: more nodes than there are positions.
        """
        x = self.states(plan)
        weights = self.pool(x).softmax(dim=0)  # [n, 1]: one plan has no pads
        return torch.as_tensor(self.projection((weights * x).sum(dim=0, keepdim=True)))

    def encode_batch(self, plans: Sequence[ExecutionPlan]) -> Tensor:
        """`[B, 1024]`, plan by plan, as the document has it."""
        return torch.cat([self(plan) for plan in plans])

    @torch.inference_mode()
    def states(self, plan: ExecutionPlan) -> Tensor:
        """`[n, h]`: the nodes after the last block, in execution order."""
        if len(plan) > MAX_NODES:
            raise ValueError(f"{len(plan)} nodes; the founding design has {MAX_NODES} positions")
        row = {node: i for i, node in enumerate(plan.order)}
        sources = [[row[source] for source in plan.parents[node]] for node in plan.order]
        x = self.norm(self.embed([plan.calls[node] for node in plan.order]))
        for block in self.blocks:
            x = block(x, sources)
        return torch.as_tensor(x)

    def embed(self, calls: Sequence[ToolCall]) -> Tensor:
        """`[n, h]`: tool, position, tier, scope and the mean of the arguments, summed."""
        rows = []
        for position, call in enumerate(calls):
            tool = self.tokens(torch.tensor(token(call.tool_name)))
            at = self.positions(torch.tensor(position))
            tier = self.tiers(torch.tensor(call.provenance_tier - 1))
            scope = self.scopes(torch.tensor(call.scope_level - 1))
            arguments = torch.zeros(HIDDEN)
            if call.arguments:
                found = [self.tokens(torch.tensor(i)) for i in argument_tokens(call)]
                arguments = torch.stack(found).mean(dim=0)
            rows.append(tool + at + tier + scope + arguments)
        return torch.stack(rows)


class VectorisedLoop(FoundingLoop):
    """The same network and weights; one table look-up for all tokens, one product for all edges."""

    attention = VectorisedAttention

    def embed(self, calls: Sequence[ToolCall]) -> Tensor:
        """`[n, h]`, as in `FoundingLoop`."""
        arguments = [argument_tokens(call) for call in calls]
        counts = torch.tensor([len(found) for found in arguments])
        node = torch.repeat_interleave(torch.arange(len(calls)), counts)
        flat = torch.tensor([i for found in arguments for i in found], dtype=torch.long)
        total = torch.zeros(len(calls), HIDDEN).index_add_(0, node, self.tokens(flat))
        return torch.as_tensor(
            self.tokens(torch.tensor([token(call.tool_name) for call in calls]))
            + self.positions(torch.arange(len(calls)))
            + self.tiers(torch.tensor([call.provenance_tier - 1 for call in calls]))
            + self.scopes(torch.tensor([call.scope_level - 1 for call in calls]))
            + total / counts.clamp(min=1).unsqueeze(-1)
        )


def census(model: nn.Module) -> dict[str, int]:
    """Parameters of each part by name, the four blocks by kind of layer, and `total`."""
    found: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        path = name.split(".")
        if path[0] == "blocks":  # blocks.0.attention.query.weight, blocks.0.norm1.weight
            path = ["blocks", *path[2 : 4 if path[2] == "attention" else 3]]
        else:
            path = path[:1]
        part = ".".join(path)
        found[part] = found.get(part, 0) + parameter.numel()
    return {**found, "total": sum(found.values())}
