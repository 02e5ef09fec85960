"""What new weights are given in closed form, and what a plan's energies are made of."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gatling_guard.encoders.energies import EnergyHead
from gatling_guard.training.batching import batches
from gatling_guard.training.collate import Batch
from gatling_guard.training.model import Jepa, correlated, worst
from tests.training.samples import TINY, args, dataset

DATA = dataset(240)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def groups(size: int = 40, most: int = 3) -> list[Batch]:
    return [
        Batch(items, DATA.texts, window=TINY.window, share=slice(0, len(items)), seed="start")
        for items in batches(DATA.splits["train"], size, seed="start")[:most]
    ]


@pytest.fixture(scope="module")
def given_groups() -> list[Batch]:
    return groups()


@pytest.fixture(scope="module")
def started(given_groups: list[Batch]) -> Jepa:
    model = Jepa(TINY, args())
    model.start(given_groups)
    return model


def embeddings(model: Jepa, some: list[Batch]) -> tuple[Tensor, Tensor]:
    """z_g and z_e of all samples."""
    with torch.no_grad():
        found = [model.encode(batch) for batch in some]
    return torch.cat([e.z_g for e in found]), torch.cat([e.z_e for e in found])


def nearest(model: Jepa, batch: Batch) -> float:
    """Share of gold plans of a batch whose authority is the nearest of those that differ."""
    with torch.no_grad():
        found = model.encode(batch)
    gold = torch.from_numpy(batch.gold)
    near = torch.cosine_similarity(found.z_g[gold, None], found.z_e[None], dim=-1)
    keep = torch.from_numpy(batch.plans_against)
    own = near.gather(1, gold[:, None])
    return float((own > near.masked_fill(~keep, -2.0).amax(1, keepdim=True)).float().mean())


# --- correlated -----------------------------------------------------------------------------------


def test_canonical_correlations_are_those_of_numpy() -> None:
    """Without a ridge, by the textbook: singular values of Q_a^T Q_b; each direction's output has a
    variance in proportion to its squared correlation, and both sides correlate by exactly that."""
    source = np.random.default_rng(0)
    shared = source.normal(size=(400, 3))
    a = shared @ source.normal(size=(3, 6)) + 0.5 * source.normal(size=(400, 6)) + 3
    b = shared @ source.normal(size=(3, 6)) + 0.5 * source.normal(size=(400, 6)) - 1
    q_a, q_b = (np.linalg.qr(x - x.mean(0))[0] for x in (a, b))
    expected = np.linalg.svd(q_a.T @ q_b)[1][:3]
    left, right = correlated(torch.from_numpy(a).float(), torch.from_numpy(b).float(), ridge=0.0)
    assert left.shape == right.shape == (3, 6)
    out_a, out_b = (a - a.mean(0)) @ left.numpy().T, (b - b.mean(0)) @ right.numpy().T
    for k in range(3):
        assert np.corrcoef(out_a[:, k], out_b[:, k])[0, 1] == pytest.approx(expected[k], abs=1e-4)
    variances = (out_a**2).mean(0)
    assert np.allclose(variances / variances[0], (expected / expected[0]) ** 2, atol=1e-4)
    for out in (out_a, out_b):
        assert float((out**2).mean()) == pytest.approx(1.0, abs=1e-4)
        cross = np.corrcoef(out.T)
        assert np.abs(cross - np.eye(3)).max() < 1e-3


def test_by_hand() -> None:
    """Only the first of two dimensions is shared, by the other's second, with its sign turned."""
    x, noise = torch.tensor([1.0, 1, -1, -1]), torch.tensor([1.0, -1, 1, -1])
    left, right = correlated(torch.stack([x, noise], 1), torch.stack([noise * 0, -2 * x], 1))
    assert left.shape == (1, 2)
    assert abs(float(left[0, 0])) == pytest.approx(1.0, abs=1e-4)
    assert abs(float(right[0, 1])) == pytest.approx(0.5, abs=1e-4)
    assert float(left[0, 0] * right[0, 1]) < 0
    assert abs(float(left[0, 1])) < 1e-4
    assert abs(float(right[0, 0])) < 1e-4


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_or_equal_rows_give_finite_maps(rows: int) -> None:
    """Fewer rows than dimensions, and none that vary at all."""
    for a, b in ((torch.randn(rows, 8), torch.randn(rows, 8)), (torch.ones(rows, 8),) * 2):
        for found in correlated(a, b):
            assert found.shape == (4, 8)
            assert bool(found.isfinite().all())


def test_what_varies_alone_gets_no_direction() -> None:
    draw = torch.Generator().manual_seed(0)
    shared, alone = torch.randn(500, 2, generator=draw), torch.randn(500, 4, generator=draw)
    left, _ = correlated(torch.cat([shared, 5 * alone[:, :2]], 1),
                         torch.cat([shared, 5 * alone[:, 2:]], 1))  # fmt: skip
    assert float(left[:, :2].norm()) > 5 * float(left[:, 2:].norm())


# --- start ----------------------------------------------------------------------------------------


def test_the_start_takes_the_mean_out(given_groups: list[Batch]) -> None:
    model = Jepa(TINY, args(shared=0.0))
    model.start(given_groups)
    for z in embeddings(model, given_groups):
        assert float(z.mean(0).abs().max()) < 1e-4 * float(z.norm(dim=-1).mean())


def test_what_is_shared_is_one_direction_that_no_word_uses(
    started: Jepa, given_groups: list[Batch]
) -> None:
    """`args.shared`: about that cosine between any authority and any plan."""
    z_g, z_e = embeddings(started, given_groups)
    means = z_g.mean(0), z_e.mean(0)
    assert float(torch.cosine_similarity(means[0], means[1], dim=0)) > 0.9999
    for network in (started.governance.context, started.execution.plan):
        weight = network.z_words.weight.detach()
        for mean in means:
            assert float((mean @ weight).norm() / mean.norm() / weight.norm()) < 1e-4
    near = torch.cosine_similarity(z_g[:, None], z_e[None], dim=-1)
    assert abs(float(near.mean()) - started.args.shared) < 0.15


def test_the_start_is_that_of_the_same_data(started: Jepa, given_groups: list[Batch]) -> None:
    """Bit for bit, whatever torch's generator stands at; and other data, other weights."""
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again, other = Jepa(TINY, args()), Jepa(TINY, args())
    again.start(groups())
    other.start(given_groups[:1])
    assert torch.equal(torch.get_rng_state(), before)
    left, right, third = (m.state_dict() for m in (started, again, other))
    assert all(torch.equal(left[name], right[name]) for name in left)
    assert not torch.equal(left["execution.plan.z_words.weight"],
                           third["execution.plan.z_words.weight"])  # fmt: skip


def test_the_start_touches_the_ends_alone_and_the_target_is_the_encoder(started: Jepa) -> None:
    plain = Jepa(TINY, args()).state_dict()
    changed = {
        name
        for name, value in started.state_dict().items()
        if not name.startswith("target.") and not torch.equal(value, plain[name])
    }
    ends = {"z_words.weight", "z_down.bias"}
    parts = "governance.context", "execution.plan"
    assert changed == {f"{part}.{end}" for part in parts for end in ends}
    mine, target = started.execution.state_dict(), started.target.encoder.state_dict()
    assert all(torch.equal(mine[name], target[name]) for name in mine)


def test_the_start_stays_where_the_weights_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meta stands in for an accelerator: it refuses to be added to what lies on the CPU."""
    model = Jepa(TINY, args()).to("meta")
    words = torch.zeros(4, TINY.words_dim, device="meta")
    z = torch.zeros(4, TINY.latent_dim, device="meta")
    monkeypatch.setattr(model, "_words", lambda batch: (words, words))
    monkeypatch.setattr(model, "encode", lambda batch: SimpleNamespace(z_g=z, z_e=z))
    model.start(groups(most=1))
    assert {p.device.type for p in model.parameters()} == {"meta"}


def test_the_start_finds_the_plan_of_an_authority(started: Jepa) -> None:
    """On samples of the other splits, which it did not see: several times as often as without."""
    items = [*DATA.splits["validation"], *DATA.splits["test"]]
    seen = Batch(items, DATA.texts, window=TINY.window, share=slice(0, len(items)), seed="x")
    before, after = nearest(Jepa(TINY, args()), seen), nearest(started, seen)
    assert after > before + 0.2
    assert after > 0.5


def test_words_of_gold_samples_are_those_of_their_whole_plans(given_groups: list[Batch]) -> None:
    model, batch = Jepa(TINY, args()), given_groups[0]
    with torch.no_grad():
        said, done = model._words(batch)
        z_g = said @ model.governance.context.z_words.weight.T
        z_e = done @ model.execution.plan.z_words.weight.T
        whole = model.encode(batch)
        for network in (model.governance.context, model.execution.plan):
            network.z_words.weight.zero_()
        rest = model.encode(batch)
    gold = torch.from_numpy(batch.gold)
    assert torch.allclose(whole.z_g[gold] - rest.z_g[gold], z_g, atol=1e-4)
    assert torch.allclose(whole.z_e[gold] - rest.z_e[gold], z_e, atol=1e-4)
    assert not model.governance.context.z_words._forward_pre_hooks


# --- energies -------------------------------------------------------------------------------------


def test_worst_by_hand() -> None:
    """Two calls, then three: term by term the largest, and padding is none of them."""
    energies = torch.tensor([[1.0, 0], [0, 5], [2, 0], [9, 1], [3, 3]])
    valid = torch.tensor([[True, True, False], [True, True, True]])
    assert worst(energies, valid).tolist() == [[1.0, 5.0], [9.0, 3.0]]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 2**20))
def test_one_bad_call_decides_wherever_it_stands(sizes: list[int], seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    energies = torch.rand(sum(sizes), 4, generator=draw)
    valid = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]
    found = worst(energies, valid)
    parts: list[Tensor] = list(torch.split(energies, sizes))
    assert torch.equal(found, torch.stack([part.amax(0) for part in parts]))
    shuffled = [part[torch.randperm(len(part), generator=draw)] for part in parts]
    assert torch.equal(worst(torch.cat(shuffled), valid), found)
    wide = torch.nn.functional.pad(valid, (0, 3))
    assert torch.equal(worst(energies, wide), found)
    at = int(torch.randint(len(energies), (1,), generator=draw))
    energies[at, 2] = 7.0
    raised = worst(energies, valid)
    plan = next(i for i in range(len(sizes)) if at < sum(sizes[: i + 1]))
    assert float(raised[plan, 2]) == 7.0
    raised[plan, 2] = found[plan, 2]
    assert torch.equal(raised, found)


def test_the_gradient_of_the_worst_reaches_the_worst_call_alone() -> None:
    energies = torch.tensor([[1.0], [4.0], [2.0], [3.0]], requires_grad=True)
    valid = torch.tensor([[True, True, True], [True, False, False]])
    worst(energies, valid).sum().backward()  # type: ignore[no-untyped-call]
    assert energies.grad is not None
    assert energies.grad[:, 0].tolist() == [0.0, 1.0, 0.0, 1.0]


def test_the_energy_of_a_call_depends_on_all_it_is_given() -> None:
    """R33, R15: a gradient at every input and every parameter, and no energy below 0."""
    torch.manual_seed(0)
    head = EnergyHead(TINY)
    wide, call = TINY.latent_dim, TINY.call_dim
    inputs = [
        torch.randn(5, width, requires_grad=True)
        for width in (wide, wide, TINY.hidden_dim, call, call)
    ]
    energies = head(*inputs)
    assert energies.shape == (5, 4)
    assert bool((energies >= 0).all())
    torch.autograd.backward((energies * torch.randn(5, 4)).sum())
    for given_input in inputs:
        assert given_input.grad is not None
        assert bool((given_input.grad.abs().amax(1) > 0).all())
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name
    shorter = [inputs[0] * 9, inputs[1] * 0.1, *inputs[2:]]
    assert torch.allclose(head(*shorter), energies, atol=1e-5)  # lengths of z_g, z_e do not count


def test_energies_of_plans_are_the_worst_of_their_calls_and_learn(
    started: Jepa, given_groups: list[Batch]
) -> None:
    model, batch = copy.deepcopy(started), given_groups[0]
    found = model.encode(batch)
    assert found.terms.shape == (len(batch), 4)
    model.zero_grad()
    model.losses(batch, found)["loss"].backward()  # type: ignore[no-untyped-call]
    silent = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    # No context of these samples is nested, so that no entry has a path.
    assert silent == ["governance.context.entry.path.weight"]
