"""GovernanceEncoder: what z_g sees, that it sees all of it, and that every path agrees."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.documents import MAX_PADDED, Documents, pad_documents
from gatling_guard.encoders.export import export_graph, text_graph
from gatling_guard.encoders.governance import GovernanceEncoder, export_parts
from gatling_guard.encoders.governance_onnx import OnnxGovernanceEncoder
from gatling_guard.encoders.projected import ProjectedText
from gatling_guard.encoders.runtime import OnnxGraph
from gatling_guard.encoders.tree import policy_entries, text_table
from gatling_guard.errors import InputError

POLICY: dict[str, Any] = {
    "roles": {"analyst": {"tools": ["read_file"]}, "admin": {"tools": ["*"]}},
    "tools": {"send_mail": {"max_calls": 10}},
    "deny": ["delete_user"],
}
ASKED = "Send the report to Ann."


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(before)


def made(**overrides: Any) -> GovernanceEncoder:
    torch.manual_seed(0)
    return GovernanceEncoder(EncoderConfig.named("small", **overrides))


@pytest.fixture(scope="module")
def encoder() -> GovernanceEncoder:
    return made()


def first_block(encoder: GovernanceEncoder) -> Any:
    return next(iter(encoder.policy.blocks))


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / a.norm())


def random_policy(seed: int) -> dict[str, Any]:
    """Keys, lists, numbers and booleans, 5 to about 200 entries."""
    random = np.random.default_rng(seed)
    verbs, nouns = ("read", "send", "delete", "pay"), ("file", "mail", "user", "invoice")

    def tool() -> str:
        return f"{random.choice(verbs)}_{random.choice(nouns)}_{random.integers(30)}"

    return {
        f"{random.choice(['allow', 'deny', 'limits', 'tools'])}_{i}": {
            "tools": [tool() for _ in range(random.integers(0, 8))],
            "max": int(random.integers(1, 10_000)),
            "reversible": bool(random.integers(2)),
            "nested": {tool(): {"scope": float(random.random())}},
        }
        for i in range(random.integers(1, 14))
    }


def random_items(count: int) -> list[tuple[dict[str, Any], str, str]]:
    return [
        (random_policy(i), f"role {i % 5}", f"Please do task {i}. Then stop.") for i in range(count)
    ]


# What z_g sees


def test_each_of_the_three_inputs_counts(encoder: GovernanceEncoder) -> None:
    """R26, G6."""
    z = encoder(POLICY, "analyst", ASKED)
    assert z.shape == (1, 1024)
    assert z.dtype == torch.float32
    for other in (
        encoder({**POLICY, "deny": []}, "analyst", ASKED),
        encoder(POLICY, "admin", ASKED),
        encoder(POLICY, "analyst", "Delete all users."),
        encoder(POLICY, "analyst", {"instruction": ASKED, "history": ["Hello."]}),
        encoder(POLICY, "analyst", {"instruction": ASKED, "tenant": "acme"}),
        encoder(None, "analyst", ASKED),
        encoder(POLICY, None, ASKED),
        encoder(POLICY, "analyst", None),
    ):
        assert distance(z, other) > 0.01
    assert torch.isfinite(encoder(None, None, None)).all()


@pytest.mark.parametrize("seed", range(4))
def test_allowed_and_forbidden_are_far_apart(seed: int) -> None:
    """R29, G6: untrained, and further than another word for the same thing."""
    torch.manual_seed(seed)
    encoder = GovernanceEncoder("small")

    def z(policy: Any) -> Tensor:
        return torch.as_tensor(encoder(policy, "analyst", ASKED))

    both = z({"allowed": ["delete_file"], "forbidden": ["send_mail"]})
    turned = z({"allowed": ["send_mail"], "forbidden": ["delete_file"]})
    other_word = z({"allowed": ["remove_file"], "forbidden": ["send_mail"]})
    assert distance(both, turned) > 1.1 * distance(both, other_word)
    alone = z({"allowed": ["delete_file"]})
    forbidden = distance(alone, z({"forbidden": ["delete_file"]}))
    assert forbidden > 1.2 * distance(alone, z({"allowed": ["remove_file"]}))
    assert forbidden > 1.05 * distance(alone, z({"permitted": ["delete_file"]}))
    assert forbidden > 0.2
    mixed = z({"delete": True, "read": False})
    assert distance(mixed, z({"delete": False, "read": True})) > 0.1


@pytest.mark.parametrize("seed", range(3))
def test_what_a_context_forbids_is_not_what_it_asks_for(seed: int) -> None:
    """R29, G6, for role and session: words past the blocks must not drown the polarity."""
    torch.manual_seed(seed)
    encoder = GovernanceEncoder("small")

    def z(context: Any) -> Tensor:
        return torch.as_tensor(encoder(None, "analyst", context))

    def told(key: str, tool: str) -> Tensor:
        return z({"instruction": ASKED, key: [tool]})

    allowed = told("allowed", "delete_file")
    turned = distance(allowed, told("forbidden", "delete_file"))
    assert turned > 1.1 * distance(allowed, told("allowed", "remove_file"))
    asked = z("Delete the file.")
    never = distance(asked, z("Never delete the file."))
    assert never > 1.5 * distance(asked, z("Please delete the file."))


def test_numbers_keys_and_order_count(encoder: GovernanceEncoder) -> None:
    """R29: 10 is not 1000; `a: b` is not `b: a`; the order of a list counts."""

    def z(policy: Any) -> Tensor:
        return torch.as_tensor(encoder(policy, "analyst", ASKED))

    ten = z({"max": 10})
    apart = [distance(ten, z({"max": n})) for n in (12, 50, 1000)]
    assert apart == sorted(apart)
    assert apart[2] > 0.03
    assert distance(ten, z({"max": "10"})) > 0.05
    assert distance(z({"send": "mail"}), z({"mail": "send"})) > 0.05
    assert distance(z({"a": ["x", "y"]}), z({"a": ["y", "x"]})) > 0.005
    assert distance(z({"a": {"b": {"c": 1}}}), z({"a": {"b": {}, "c": 1}})) > 0.01


@pytest.mark.parametrize("count", [599, 2000])
def test_the_last_entry_counts(encoder: GovernanceEncoder, count: int) -> None:
    """R32, G16: a forbidden list behind 2,000 keys; a 600th entry."""
    long: dict[str, Any] = {f"key_{i:04}": i for i in range(count)}
    z = encoder(long, "analyst", ASKED)
    assert distance(z, encoder({**long, "zz_deny": ["delete_user"]}, "analyst", ASKED)) > 1e-4


def test_six_hundred_sections_and_thirty_levels(encoder: GovernanceEncoder) -> None:
    """G16, R27: both crashed the founding design."""
    wide = {f"section {i}": {"tools": [f"tool_{i}"]} for i in range(600)}
    changed = {**wide, "section 77": {"tools": ["delete_user"]}}
    assert distance(encoder(wide), encoder(changed)) > 1e-4

    def deep(leaf: str) -> Any:
        found: Any = leaf
        for level in range(30):
            found = {f"level {level}": found}
        return found

    assert distance(encoder(deep("a")), encoder(deep("b"))) > 1e-3


# Padding, windows, cost


def documents(*policies: Any, window: int, extra: int = 0) -> Documents:
    texts = text_table()
    found = pad_documents([policy_entries(p, None, texts) for p in policies], texts, window)
    if not extra:
        return found
    wider = [(0, 0), (0, extra), (0, 0)]
    return Documents(
        found.texts, found.key, found.value, found.levels, found.slots,
        np.pad(found.features, [*wider, (0, 0)], constant_values=9.0),
        np.pad(found.polarity, wider, constant_values=2),
        np.pad(found.mask, wider),
    )  # fmt: skip


@pytest.mark.parametrize("policy", [None, {"a": 1}, random_policy(7)])
def test_padding_changes_nothing(encoder: GovernanceEncoder, policy: Any) -> None:
    """R11, R28, G1: whatever stands in the padding."""
    window = encoder.config.window
    want = encoder.run_policy(documents(policy, window=window))
    for extra in (1, 5):
        found = encoder.run_policy(documents(policy, window=window, extra=extra))
        assert float((want - found).abs().max()) < 1e-6 * float(want.abs().max()) + 1e-6


def test_an_entry_sees_three_windows_and_the_tokens(encoder: GovernanceEncoder) -> None:
    """R28: with the global tokens held fixed nothing comes from further away."""
    local = first_block(encoder).local
    w, h = encoder.config.window, encoder.config.hidden_dim
    torch.manual_seed(1)
    x, tokens = torch.randn(1, 7, w, h), torch.randn(1, 4, h)
    mask = torch.ones(1, 7, w, dtype=torch.bool)
    before = local(x, tokens, mask)
    changed = x.clone()
    changed[0, 3, 5] += torch.randn(h)
    moved = (local(changed, tokens, mask) - before).abs().amax((0, 2, 3))
    assert (moved[[0, 1, 5, 6]] == 0).all()
    assert (moved[[2, 3, 4]] > 1e-4).all()
    masked = mask.clone()
    masked[0, 3, 5] = False
    hidden = local(changed, tokens, masked) - local(x, tokens, masked)
    hidden[0, 3, 5] = 0
    assert float(hidden.abs().max()) == 0
    other = local(x, tokens + torch.randn(4, h), mask) - before
    assert float(other.abs().amax(-1).min()) > 1e-4


def test_cost_is_linear(encoder: GovernanceEncoder) -> None:
    """R28: four times the entries; about 4 times the time, 16 were attention not local."""

    def seconds(count: int) -> float:
        one = documents({f"k{i}": i for i in range(count)}, window=encoder.config.window)
        inputs = encoder.entry_inputs(one)
        times = []
        for _ in range(5):
            start = time.thread_time()
            encoder.policy(*inputs)
            times.append(time.thread_time() - start)
        return min(times)

    assert seconds(4000) < 8 * seconds(1000)


# Call forms, determinism


def test_all_call_forms_agree(encoder: GovernanceEncoder) -> None:
    """R12, R147."""
    items = random_items(9)
    singles = torch.cat([encoder(*item) for item in items])
    scale = float(singles.abs().max())
    assert float((encoder.encode_batch(items) - singles).abs().max()) < 1e-5 * scale
    assert torch.equal(encoder.forward(*items[0]), singles[:1])
    summary = encoder.summary(*items[0][:2])
    assert torch.equal(encoder.encode_contexts(summary, [items[0][1:]]), singles[:1])
    contexts = [item[2] for item in items]
    found = encoder.counterfactuals(items[0][0], "role 0", contexts)
    want = torch.cat([encoder(items[0][0], "role 0", context) for context in contexts])
    assert float((found - want).abs().max()) < 1e-5 * scale
    assert distance(found[0], found[1]) > 0.01
    assert (
        encoder.encode_batch([]).shape == encoder.counterfactuals(None, None, []).shape == (0, 1024)
    )
    with pytest.raises(InputError):
        encoder(3)


def test_created_in_eval_mode_and_repeats_are_bit_equal() -> None:
    """R14, G3."""
    encoder = made(dropout=0.5)
    assert not any(module.training for module in encoder.modules())
    first = encoder(POLICY, "analyst", ASKED)
    assert all(torch.equal(first, encoder(POLICY, "analyst", ASKED)) for _ in range(20))
    assert all(module.training for module in encoder.train().modules())
    assert not torch.equal(first, encoder(POLICY, "analyst", ASKED))
    assert not any(module.training for module in encoder.eval().modules())
    assert torch.equal(first, encoder(POLICY, "analyst", ASKED))


_CHILD = """
import hashlib, sys, torch
torch.set_num_threads(1)
torch.manual_seed(0)
from gatling_guard.encoders.governance import GovernanceEncoder
encoder = GovernanceEncoder("small")
with torch.no_grad():
    found = {r: encoder({"roles": {r: {"tools": ["x"]}}}, r, "Go.") for r in sys.argv[1:]}
for role in sorted(found):
    print(role, hashlib.sha256(found[role].numpy().tobytes()).hexdigest())
"""


def test_roles_do_not_depend_on_process_or_order_of_arrival() -> None:
    """R7, R30, G4, G6."""
    roles = ["analyst", "admin", "Ärztin", "a role nobody has seen"]

    def run(seed: str, order: list[str]) -> str:
        environ = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", _CHILD, *order]
        return subprocess.run(
            command, env=environ, check=True, capture_output=True, text=True
        ).stdout

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(run, ("1", "2"), (roles, roles[::-1]))
    assert one == two
    assert len({line.rsplit(" ", 1)[1] for line in one.splitlines()}) == len(roles)


def test_constructor_overrides() -> None:
    """R149."""
    encoder = GovernanceEncoder("small", latent_dim=64, hidden_dim=32)
    assert encoder(None, "a", "b").shape == (1, 64)
    assert encoder.config.hidden_dim == 32
    md5 = made(tokenizer="md5")
    assert distance(md5(POLICY, "a", ASKED), md5(POLICY, "b", ASKED)) > 0.01


def test_state_dict_keys_are_stable() -> None:
    """R149: a checkpoint of this version loads in the next."""
    keys = sorted({key.replace(".0.", ".N.") for key in made().state_dict()})
    assert len(keys) == 106
    assert hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16] == "bd71bba368d2de4e"


# Gradients


def test_gradients_reach_every_parameter() -> None:
    """R15, G11."""
    encoder = made(policy_blocks=3, context_blocks=2).train()
    with torch.enable_grad():
        context = {"instruction": ASKED, "tenant": {"name": "acme", "size": 3}}
        items = [(policy, role, context) for policy, role, _ in random_items(4)]
        torch.autograd.backward(encoder.encode_batch(items).square().sum())
    dead = [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().any()]
    assert dead == []


def test_finite_differences() -> None:
    """R15: the gradient is the slope, in double precision on a tiny encoder."""
    torch.manual_seed(3)
    tiny = EncoderConfig(
        hidden_dim=8, heads=2, pool_heads=2, projection_dim=8, latent_dim=4, window=2,
        global_tokens=2, policy_blocks=1,
    )  # fmt: skip
    encoder = GovernanceEncoder(tiny).double()
    one = documents({"a": [1, 2, 3], "deny": {"x": "y"}}, window=2)
    parameter = first_block(encoder).local.kv.weight
    inputs = [x.double() if x.is_floating_point() else x for x in made_inputs(encoder, one)]

    def loss() -> Tensor:
        z: Tensor = encoder.context(encoder.policy(*inputs), *inputs)
        return z.square().sum()

    with torch.enable_grad():
        torch.autograd.backward(loss())
    assert parameter.grad is not None
    for at in ((0, 0), (3, 5), (11, 2)):
        step = 1e-5
        parameter[at] += step
        up = loss()
        parameter[at] -= 2 * step
        slope = (up - loss()) / (2 * step)
        parameter[at] += step
        assert float(slope) == pytest.approx(float(parameter.grad[at]), rel=1e-4, abs=1e-7)


def made_inputs(encoder: GovernanceEncoder, one: Documents) -> tuple[Tensor, ...]:
    single = GovernanceEncoder(encoder.config)
    return single.entry_inputs(one)


# ONNX


@pytest.fixture(scope="module")
def onnx(
    encoder: GovernanceEncoder, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, OnnxGovernanceEncoder]:
    folder = tmp_path_factory.mktemp("onnx")
    for part in (text_graph("text", encoder), *export_parts(encoder)):
        export_graph(part, folder)

    def graph(name: str) -> OnnxGraph:
        return OnnxGraph((folder / f"{name}.onnx").read_bytes())

    text = ProjectedText(encoder.features, graph("text.fp32"))
    return {
        kind: OnnxGovernanceEncoder(
            encoder.config,
            text,
            policy=graph(f"policy.{kind}"),
            context=graph(f"context.{kind}"),
            model=kind,
        )
        for kind in ("fp32", "int8")
    }


def test_onnx_agrees(encoder: GovernanceEncoder, onnx: dict[str, OnnxGovernanceEncoder]) -> None:
    """R18, R19: 50 policies of 5..200 entries, and none."""
    cosines = []
    for item in [*random_items(50), (None, None, None)]:
        want = encoder(*item).numpy()
        full, small = onnx["fp32"](*item), onnx["int8"](*item)
        assert full.dtype == np.float32
        assert np.abs(full - want).max() < 1e-4 * max(1.0, np.abs(want).max())
        cosines.append(float((small * want).sum() / np.linalg.norm(small) / np.linalg.norm(want)))
    assert min(cosines) >= 0.99


def test_onnx_call_forms(
    encoder: GovernanceEncoder, onnx: dict[str, OnnxGovernanceEncoder]
) -> None:
    """R12, R147: batches, one window and many, and what is computed together."""
    items = random_items(7)
    want = encoder.encode_batch(items).numpy()
    assert np.abs(onnx["fp32"].encode_batch(items) - want).max() < 1e-4 * np.abs(want).max()
    contexts = ["One thing.", "Another thing. And more.", None]
    found = onnx["fp32"].counterfactuals(POLICY, "analyst", contexts)
    reference = encoder.counterfactuals(POLICY, "analyst", contexts).numpy()
    assert np.abs(found - reference).max() < 1e-4 * np.abs(reference).max()
    assert onnx["fp32"].encode_batch([]).shape == (0, 1024)
    assert np.array_equal(onnx["int8"].forward(*items[0]), onnx["int8"](*items[0]))


def test_one_long_span_does_not_widen_all_others(
    encoder: GovernanceEncoder,
    onnx: dict[str, OnnxGovernanceEncoder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Spans are an attacker's: 200 beside one of 4,096 sentences took 13 GB."""
    padded = []
    for found in (encoder, onnx["fp32"]):
        run = found.run_context

        def counted(summary: Any, documents: Any, run: Any = run) -> Any:
            padded.append(documents.mask.size)
            return run(summary, documents)

        monkeypatch.setattr(found, "run_context", counted)
    contexts = [f"Pay {i}. Twice." for i in range(20)]
    contexts.insert(7, "Do it. " * 3000)
    rows = [encoder.counterfactuals(POLICY, "analyst", [text]).numpy() for text in contexts]
    want = np.concatenate(rows)
    padded.clear()
    for got in (
        encoder.counterfactuals(POLICY, "analyst", contexts).numpy(),
        onnx["fp32"].counterfactuals(POLICY, "analyst", contexts),
    ):
        assert np.abs(got - want).max() < 1e-4 * np.abs(want).max()
    assert max(padded) <= MAX_PADDED
    items = [(POLICY, "analyst", text) for text in contexts]
    assert np.abs(encoder.encode_batch(items).numpy() - want).max() < 1e-4 * np.abs(want).max()


def test_onnx_from_many_threads(onnx: dict[str, OnnxGovernanceEncoder]) -> None:
    """P9: bit-equal whoever asks, and in whatever order."""
    items = random_items(8)
    want = [onnx["int8"](*item) for item in items]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            found = list(pool.map(lambda item: onnx["int8"](*item), items))
            assert all(np.array_equal(a, b) for a, b in zip(want, found, strict=True))


def test_onnx_path_does_not_import_torch() -> None:
    """R19."""
    code = "import gatling_guard.encoders.governance_onnx, gatling_guard.encoders.cache, sys, json;"
    code += "print(json.dumps([m for m in sys.modules if m in ('torch', 'onnx', 'sklearn')]))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert json.loads(found.stdout) == []
