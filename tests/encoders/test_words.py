"""The words that reach z_g, z_e and a call's embedding past all blocks: whose, and how loud."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatling_guard import ExecutionPlan, ToolCall
from gatling_guard.catalog import Effect, ToolProfile, ToolSpec
from gatling_guard.encoders.calls import CallInput, call_features
from gatling_guard.encoders.config import CONFIGS, EncoderConfig
from gatling_guard.encoders.execution import LOUDEST, ExecutionEncoder
from gatling_guard.encoders.governance import GovernanceEncoder
from gatling_guard.encoders.layers import TextProjection, initialise, unit_scale
from gatling_guard.encoders.manifest import _parameters
from gatling_guard.encoders.plans import prepared
from gatling_guard.encoders.predictor import Predictor
from gatling_guard.encoders.text import STATIC_DIM
from gatling_guard.errors import ConfigurationError
from gatling_guard.trace import Lineage, Origin
from tests.encoders.conftest import TINY
from tests.encoders.plans import plan_of
from tests.encoders.test_agreement import z_of
from tests.encoders.test_execution import cosine, fresh

SPEC = ToolSpec(
    "send_email",
    "Send a message to a person.",
    {"properties": {"to": {}, "body": {}, "mode": {"enum": ["urgent", "normal"]}}},
    profile=ToolProfile(Effect.SEND, identity_args=("to",), content_args=("body",)),
)


def lineage_of(path: str, value: str, source: str) -> Lineage:
    """`value` at `path`, word for word from `source`."""
    origin = Origin(source, "exact", 3 if source == "output" else 1)  # type: ignore[arg-type]
    return Lineage(path, path[1:], value, (origin,))


def words(encoder: ExecutionEncoder, *calls: CallInput) -> Tensor:
    """`[M, w]`"""
    with torch.no_grad():
        x0 = encoder.embed([call_features(call) for call in calls])[0]
    return x0[:, encoder.config.hidden_dim :]


def send(to: str, source: str, **arguments: str) -> CallInput:
    call = ToolCall(node_id="a", tool_name="send_email", arguments={"to": to, **arguments})
    return CallInput(call, SPEC, [lineage_of("/to", to, source)])


@pytest.fixture(scope="module")
def pair() -> tuple[GovernanceEncoder, ExecutionEncoder]:
    """Untrained, and with one map of words: what `Jepa.start` makes of them, for words alike."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        governance, execution = GovernanceEncoder("small"), ExecutionEncoder("small")
    with torch.no_grad():
        execution.plan.z_words.weight.copy_(governance.context.z_words.weight)
    return governance, execution


# --- what they are for ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_an_instruction_is_nearest_to_the_plan_that_does_it(seed: int) -> None:
    """Untrained, by the words that both have in common."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        governance, execution = GovernanceEncoder("small"), ExecutionEncoder("small")
    with torch.no_grad():
        execution.plan.z_words.weight.copy_(governance.context.z_words.weight)
        z_g = governance(None, None, "Send 40 to Nora")[0].numpy()

    def plan(tool: str, **arguments: Any) -> NDArray[np.float32]:
        call = ToolCall(node_id="a", tool_name=tool, arguments=arguments)
        said = [lineage_of(f"/{k}", v, "instruction") for k, v in arguments.items()]
        one = ExecutionPlan(nodes=(call,))
        with torch.no_grad():
            return np.asarray(execution(one, lineage={"a": said}).numpy()[0])

    right = cosine(z_g, plan("send_money", to="Nora", amount="40"))
    for other in (
        plan("send_money", to="Igor", amount="75"),
        plan("read_calendar", day="Friday"),
        plan("delete_file", path="notes"),
    ):
        assert right > cosine(z_g, other) + 0.03


def test_both_encoders_start_with_the_same_words_and_other_blocks(
    pair: tuple[GovernanceEncoder, ExecutionEncoder],
) -> None:
    governance, execution = pair
    h = governance.config.hidden_dim
    assert governance.text.static is not None
    assert execution.text.static is not None
    mine, other = governance.text.static.weight, execution.text.static.weight
    assert torch.equal(mine[h:], other[h:])
    assert not torch.equal(mine[:h], other[:h])


@pytest.mark.parametrize("tokenizer", ["static", "md5"])
@pytest.mark.parametrize("dim", [64, STATIC_DIM])
def test_words_start_with_unit_length_and_keep_what_is_near(tokenizer: Any, dim: int) -> None:
    """`words_dim` of the features: they go through as they are."""
    config = EncoderConfig.named("small", words_dim=dim, tokenizer=tokenizer, vocabulary=50)
    made = []
    for seed in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            text = TextProjection(config)
            initialise(text)
            text.start(config.hidden_dim)
        made.append(text)
    given = nn.functional.normalize(torch.randn(40, STATIC_DIM), dim=-1)
    x = given if tokenizer == "static" else torch.arange(40)
    with torch.no_grad():
        one, other = (text(x)[:, config.hidden_dim :] for text in made)
    assert torch.equal(one, other)
    lengths = one.norm(dim=-1)[1:]
    assert 0.6 < float(lengths.min()) <= float(lengths.max()) < 1.5
    if tokenizer == "md5":
        assert not one[0].any()  # the empty text
    elif dim == STATIC_DIM:
        assert torch.equal(one, given)


# --- P8 -------------------------------------------------------------------------------------------


def test_untrusted_text_never_reaches_the_words(encoder: ExecutionEncoder) -> None:
    """P8: not from a tool's output, not from the model, not from what nothing traced."""
    for source in ("output", "model"):
        one, other = send("nora@bank.example", source), send("igor@bank.example", source)
        assert set(call_features(one).texts) == {""}
        assert torch.equal(*words(encoder, one, other))
        plan = [ExecutionPlan(nodes=(each.call,)) for each in (one, other)]
        specs = {"send_email": SPEC}.get
        with torch.no_grad():
            found = [
                encoder(p, specs, {"a": each.lineage})
                for p, each in zip(plan, (one, other), strict=True)
            ]
        assert torch.equal(*found)  # nor z_e: of one kind, one length, one set of characters
    bare = [dataclasses.replace(send(to, "output"), lineage=None) for to in ("nora", "igor")]
    assert torch.equal(*words(encoder, *bare))


def test_trusted_text_does(encoder: ExecutionEncoder) -> None:
    said = [send(to, "instruction") for to in ("nora@bank.example", "igor@bank.example")]
    assert not torch.equal(*words(encoder, *said))
    modes = [send("a@b.example", "output", mode=mode) for mode in ("urgent", "normal")]
    assert not torch.equal(*words(encoder, *modes))  # the catalog's own words


def test_keys_that_no_schema_declares_do_not_reach_the_words(encoder: ExecutionEncoder) -> None:
    calls = [
        CallInput(ToolCall(node_id="a", tool_name="send_email", arguments={key: 1}), SPEC)
        for key in ("give all to igor", "to whom it may go")
    ]
    assert torch.equal(*words(encoder, *calls))


# --- how loud -------------------------------------------------------------------------------------


@pytest.mark.parametrize("filler", [[1] * 255, ["urgent"] * 255, [["x"]] * 5000])
def test_one_call_does_not_drown_the_words_of_others(filler: list[Any]) -> None:
    """As `test_padding_does_not_hide_where_a_value_came_from`: 255 items, each with its key."""
    encoder = fresh(0, "small")
    pay = CallInput(ToolCall(node_id="a", tool_name="transfer_money", arguments={"amount": 40}))
    mail = ToolCall(node_id="b", tool_name="send_email", arguments={"mode": filler})
    long = CallInput(mail, SPEC)
    name = CallInput(mail.model_copy(update={"arguments": {}}), SPEC)
    one, loud, alone = words(encoder, pay, long, name)
    assert float(loud.norm()) <= LOUDEST + 1
    assert float(torch.cosine_similarity(loud + one, one, dim=0)) > 0.12
    assert float(torch.cosine_similarity(loud, alone, dim=0)) > 0.12


def test_common_calls_are_not_changed_by_the_bound(encoder: ExecutionEncoder) -> None:
    calls = [CallInput(node) for seed in range(5) for node in plan_of(8, seed).nodes]
    found = words(encoder, *calls)
    assert float(found.norm(dim=-1).max()) < LOUDEST
    texts = [call_features(call) for call in calls]
    for row, call in zip(found, texts, strict=True):
        with torch.no_grad():
            vectors = encoder.text(
                torch.from_numpy(encoder.features([call.name, call.description, *call.keys]))
            )[:, encoder.config.hidden_dim :]
        expected = 0.6 * vectors[0] + 0.1 * vectors[1] + 0.1 * vectors[2:].sum(0)
        assert torch.allclose(row, expected, atol=1e-5)


def test_unit_scale() -> None:
    x = torch.tensor([[3.0, -3.0], [0.0, 0.0], [1e-3, 1e-3]])
    found = unit_scale(x)
    assert torch.allclose(found[0], torch.tensor([1.0, -1.0]), atol=1e-3)
    assert not found[1].any()
    assert bool(found.isfinite().all())


def test_an_empty_instruction_has_no_words(
    pair: tuple[GovernanceEncoder, ExecutionEncoder],
) -> None:
    governance, _ = pair
    with torch.no_grad():
        before = governance(None, None, None)
        kept = governance.context.z_words.weight.clone()
        governance.context.z_words.weight.zero_()
        after = governance(None, None, None)
        governance.context.z_words.weight.copy_(kept)
    assert torch.equal(before, after)


def test_padding_has_no_words(pair: tuple[GovernanceEncoder, ExecutionEncoder]) -> None:
    """R11: whatever stands in the value of a padded entry."""
    context, config = pair[0].context, pair[0].config
    place, h = (1, 2, config.window), config.hidden_dim
    draw = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    mask = torch.ones(place, dtype=torch.bool)
    mask[0, 1, 3:] = False
    features = context.share.in_features
    inputs = [
        drawn(1, config.global_tokens, h), drawn(*place, h), drawn(*place, h),
        drawn(*place, config.text_dim), drawn(*place, features),
        torch.zeros(place, dtype=torch.int64), mask,
    ]  # fmt: skip
    wild = [x.clone() for x in inputs]
    wild[3][0, 1, 3:] = 1e6
    wild[4][0, 1, 3:] = 7.0
    with torch.no_grad():
        calm, storm = context(*inputs), context(*wild)
        assert torch.allclose(calm, storm, atol=1e-5)
        wild[3][0, 0, 0, h:] += 1.0
        assert not torch.allclose(calm, context(*wild), atol=1e-3)


# --- what is learned ------------------------------------------------------------------------------


def test_shares_start_at_one_and_are_learned(encoder: ExecutionEncoder) -> None:
    """The weight of an argument starts the same for all and is the network's to choose."""
    with torch.no_grad():
        assert not encoder.calls.share.weight.any()
        assert not encoder.calls.share.bias.any()
    trained = fresh(2)
    with torch.no_grad():
        trained.calls.share.bias.fill_(-30.0)
        trained.calls.shares[2] = 0.0
    given = send("nora", "instruction")
    silent, loud = words(trained, given), words(fresh(2), given)
    assert float(silent.norm()) < float(loud.norm())
    name = words(trained, CallInput(ToolCall(node_id="a", tool_name="send_email"), SPEC))
    assert torch.allclose(silent, name, atol=1e-6)


def test_the_gradient_of_context_words_is_the_slope() -> None:
    """R15, in float64: `z_words` and `share` of the authority."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        context = GovernanceEncoder(TINY).context.double()
    draw = torch.Generator().manual_seed(2)
    place = (2, 2, TINY.window)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    mask = torch.rand(place, generator=draw) > 0.3
    inputs = [
        drawn(2, TINY.global_tokens, TINY.hidden_dim), drawn(*place, TINY.hidden_dim),
        drawn(*place, TINY.hidden_dim), drawn(*place, TINY.text_dim),
        drawn(*place, context.share.in_features), torch.zeros(place, dtype=torch.int64), mask,
    ]  # fmt: skip
    weights = drawn(TINY.latent_dim)

    def value() -> Tensor:
        return torch.as_tensor((context(*inputs) @ weights).sum())

    parameters = [context.z_words.weight, context.share.weight, context.share.bias]
    gradients = torch.autograd.grad(value(), parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        assert bool(gradient.any())
        direction, step = drawn(*parameter.shape), 1e-6
        with torch.no_grad():
            parameter.add_(direction, alpha=step)
            above = value()
            parameter.add_(direction, alpha=-2 * step)
            slope = float(above - value()) / (2 * step)
            parameter.add_(direction, alpha=step)
        expected = float((gradient * direction).sum())
        assert abs(slope - expected) < 1e-5 * (1 + abs(expected))


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["small", "base"])
def test_the_bound_on_parameters_counts_the_words(name: str) -> None:
    """What a manifest may ask for: an estimate by large matrices, not below nine tenths."""
    config = CONFIGS[name]
    networks = ExecutionEncoder(config), GovernanceEncoder(config), Predictor(config)
    count = sum(p.numel() for network in networks for p in network.parameters())
    assert _parameters(config) > 0.9 * count
    wider = dataclasses.replace(config, words_dim=config.words_dim * 1000)
    assert _parameters(wider) > 1000 * config.words_dim * config.latent_dim


def test_words_are_split_among_the_heads_of_the_pool() -> None:
    with pytest.raises(ConfigurationError, match="words_dim 30 is no multiple of pool_heads 4"):
        EncoderConfig.named("small", words_dim=30)
    assert EncoderConfig.named("small").text_dim == 128 + 256


def test_a_word_in_a_call_moves_the_plan(encoder: ExecutionEncoder) -> None:
    """Past the blocks too: with all that they put out held still."""
    quiet = fresh(7)
    with torch.no_grad():
        quiet.plan.z_down.weight.zero_()
    plan = plan_of(3, 2)
    other = ExecutionPlan(
        nodes=(plan.nodes[0].model_copy(update={"tool_name": "pay"}), *plan.nodes[1:]),
        edges=plan.edges,
    )
    assert np.abs(z_of(quiet, plan) - z_of(quiet, other)).max() > 1e-3
    state = quiet.start()
    for node in plan.order:
        state.append(plan.calls[node], sources=[e for e in plan.edges if e.target == node])
    assert np.abs(state.z_e - z_of(quiet, plan)).max() < 1e-5  # type: ignore[operator]
    assert prepared(plan).calls[0].name
