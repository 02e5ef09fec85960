"""Samples become items, items become batches, and nothing crosses a split."""

from __future__ import annotations

import dataclasses
import lzma
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.encoders.bundle import create
from gatling_guard.encoders.governance import GovernanceEncoder
from gatling_guard.errors import InputError, Issue
from gatling_guard.training import dataset as module
from gatling_guard.training import samples_of
from gatling_guard.training.batching import batches
from gatling_guard.training.collate import Batch
from gatling_guard.training.dataset import Item, load, prepare, split_of
from gatling_guard.training.demo_samples import samples
from gatling_guard.training.sample import Sample, to_line
from tests.training.samples import TINY, dataset, write


def batch_of(items: list[Item], texts: list[str]) -> Batch:
    return Batch(items, texts, window=TINY.window, share=slice(0, len(items)), seed="0")


@given(st.lists(st.text(max_size=8), max_size=40), st.integers(0, 99))
def test_a_family_is_in_one_split(families: list[str], seed: int) -> None:
    """R67: by name and seed alone, in whatever order."""
    once = {family: split_of(family, seed) for family in families}
    assert {family: split_of(family, seed) for family in reversed(families)} == once


def test_splits_are_80_10_10() -> None:
    """R67."""
    found = [split_of(f"f/{i}", seed=3) for i in range(5000)]
    shares = [found.count(name) / 5000 for name in ("train", "validation", "test")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.015)
    assert found != [split_of(f"f/{i}", seed=4) for i in range(5000)]


@given(st.permutations(range(60)))
def test_no_family_in_two_splits(order: list[int]) -> None:
    """R67: of prepared samples too, in any order."""
    rows = list(samples(60))
    found = prepare([rows[i] for i in order])
    families = [{item.family for item in items} for items in found.splits.values()]
    assert sum(map(len, families)) == len(set.union(*families)) == 20
    assert sum(map(len, found.splits.values())) + found.left_out == 60


def test_held_out_names_are_in_the_test_split_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def held(kind: str, name: str) -> bool:
        return (kind, name) in {("domain", "database"), ("mutation", "exfiltration_pivot"),
                                ("tool", "share_file")}  # fmt: skip

    monkeypatch.setattr(module, "is_held_out", held)
    found = prepare(samples(120))
    for split in ("train", "validation"):
        for item in found.splits[split]:
            assert item.domain != "database"
            assert item.mutation != "exfiltration_pivot"
            assert "share_file" not in item.tools
    assert found.left_out > 0
    assert {item.domain for item in found.held_out("domain")} == {"database"}
    assert {item.mutation for item in found.held_out("mutation")} == {"exfiltration_pivot"}
    assert all("share_file" in item.tools for item in found.held_out("tool"))


def test_bad_lines_are_left_out_and_told(tmp_path: Path) -> None:
    """R65: a line that is no JSON, one that is no sample, one whose facts do not fit its plan."""
    good = list(samples(30))
    odd = dataclasses.replace(good[1], facts={"zz": {}})
    lines = [to_line(good[0]), "{", '{"schema": 1}', to_line(odd), *map(to_line, good[2:])]
    path = tmp_path / "some.jsonl.xz"
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines))
    found = load([path])
    assert sum(map(len, found.splits.values())) == 29
    places = {(issue.file, issue.line) for issue in found.bad}
    assert {(str(path), 2), (str(path), 3)} <= places
    assert any(odd.id in issue.where for issue in found.bad)
    with pytest.raises(InputError, match=r"some.jsonl.xz:2"):
        load([path], strict=True)


def test_nothing_usable_is_an_error() -> None:
    bad: list[Issue] = []
    with pytest.raises(InputError, match="no usable sample"):
        prepare([], bad=bad)
    odd = [dataclasses.replace(sample, facts={"zz": {}}) for sample in samples(2)]
    with pytest.raises(InputError, match="no usable sample") as error:
        prepare(odd, bad=bad)
    assert odd[0].id in str(error.value)


def test_a_dataset_is_the_same_however_it_is_read(tmp_path: Path) -> None:
    one, two = load([write(tmp_path / "a.jsonl")]), load([write(tmp_path / "b.jsonl")])
    assert one.hash == two.hash
    assert one.hash != load([write(tmp_path / "c.jsonl", 9)]).hash


def test_twins_share_what_is_equal() -> None:
    """Equal calls and policies are kept once, and an equal authority has an equal number."""
    gold, boundary, attack = _family(list(dataset(12).splits.values()))
    assert gold.policy is boundary.policy
    assert gold.calls[1] is boundary.calls[1]
    assert gold.calls[0] is not boundary.calls[0]
    assert gold.authority == boundary.authority == attack.authority
    assert len({gold.plan_id, boundary.plan_id, attack.plan_id}) == 3


def test_both_seed_schemas_train(tmp_path: Path) -> None:
    """R65, R66: a policy with a plan and explicit hard negatives is a family."""
    plan = {"nodes": [{"node_id": 1, "tool_name": "read", "arguments": {"n": 1}}], "edges": []}
    worse = {"nodes": [{"node_id": 1, "tool_name": "read", "arguments": {"n": 9}}], "edges": []}
    row = {"policy": {"allow": ["read"]}, "execution_plan": plan, "hard_negatives": [worse, worse]}
    found = prepare(samples_of(row, name="one"))
    (items,) = (i for i in found.splits.values() if i)
    assert [item.label for item in items] == [0, 2, 2]
    batch = batch_of(items, found.texts)
    assert batch.own_violations.tolist() == [[False, True, True]]


@given(st.integers(0, 1000), st.integers(2, 20))
def test_an_epoch_has_every_item_once_and_families_whole(seed: int, size: int) -> None:
    """R66: the negatives of a plan are in its own batch."""
    items = ITEMS
    found = batches(items, size, seed=str(seed))
    assert found == batches(items, size, seed=str(seed))
    flat = [item.id for batch in found for item in batch if size >= 3 or item.label]
    assert sorted(flat) == sorted(item.id for item in items if size >= 3 or item.label)
    if size >= 3:
        for batch in found:
            for item in batch:
                assert sum(other.family == item.family for other in batch) == 3
    assert max(len(batch) for batch in found) <= max(4, 3 * size // 2)


ITEMS = dataset(60).splits["train"]


def test_a_large_family_comes_in_parts_each_with_its_gold() -> None:
    """R66: variable counts of negatives."""
    gold = next(item for item in ITEMS if item.label == 0)
    many = [dataclasses.replace(gold, id=f"n{i}", label=2, plan_id=i) for i in range(20)]
    found = batches([gold, *many], 8, seed="0")
    assert all(any(item.label == 0 for item in batch) for batch in found)
    assert sorted(i.id for b in found for i in b if i.label) == sorted(i.id for i in many)


def test_equal_authorities_keep_out_of_one_batch() -> None:
    """G14: 12 families of which half have the same authority, in batches of 3 families."""
    gold = [item for item in dataset(120).splits["train"] if item.label == 0][:12]
    items = [dataclasses.replace(item, authority=i if i % 4 else 0) for i, item in enumerate(gold)]
    for batch in batches(items, 3, seed="1"):
        numbers = [item.authority for item in batch]
        assert len(set(numbers)) == len(numbers)


def test_batches_hold_plans_of_similar_length() -> None:
    base = ITEMS[0]
    items = [
        dataclasses.replace(
            base, id=f"{i}", family=f"{i}", authority=i, calls=base.calls[:1] * (1 + i % 10)
        )
        for i in range(400)
    ]
    spread = [
        max(len(i.calls) for i in batch) - min(len(i.calls) for i in batch)
        for batch in batches(items, 16, seed="0")
    ]
    assert np.mean(spread) < 2.5


def test_masks_of_a_batch() -> None:
    """The plan of a violating twin is against the authority, a boundary twin's is not."""
    data = dataset(24)
    items = [item for split in data.splits.values() for item in split]
    batch = batch_of(items, data.texts)
    for row, g in enumerate(batch.gold):
        for column, item in enumerate(items):
            twin = item.family == items[g].family
            expected = item.label == 2 if twin else item.plan_id != items[g].plan_id
            assert batch.plans_against[row, column] == expected
            assert batch.own_violations[row, column] == (twin and item.label != 0)
            assert not batch.authorities_against[row, column] or not twin


def test_an_absent_grant_is_against_the_same_plan() -> None:
    """The same plan under another authority that forbids it: only the authority can be wrong."""
    gold = next(item for item in ITEMS if item.label == 0)
    denied = dataclasses.replace(gold, id="denied", label=2, authority=gold.authority + 1)
    batch = batch_of([gold, denied], dataset(60).texts)
    assert batch.plans_against.tolist() == [[False, False]]
    assert batch.authorities_against.tolist() == [[False, True]]


def test_calls_that_were_ready_are_no_negatives() -> None:
    """Of a -> b, c: before a, b and c cannot come; after a, b and c are as good as each other."""
    tools = {name: {"description": name, "parameters": None} for name in "abc"}
    nodes = [{"node_id": name, "tool_name": name} for name in "abc"]
    sample = Sample("s", "s", "t", "gold", {"nodes": nodes, "edges": [["a", "b"], ["a", "c"]]},
                    {"policy": None, "role": None, "context": {}}, tools)  # fmt: skip
    data = prepare([sample])
    (items,) = (i for i in data.splits.values() if i)
    against = batch_of(items, data.texts).next_against
    assert against.tolist() == [[False, True, True], [True, False, False], [True, True, False]]


def test_questions_ask_what_explains_a_call() -> None:
    """P3: of an injected call the text that asked for it, of an honest one the instruction."""
    data = dataset(60)
    items = [
        i for split in data.splits.values() for i in split if i.mutation == "exfiltration_pivot"
    ]
    batch = batch_of(items, data.texts)
    sample = np.repeat(np.arange(len(items)), batch.sizes)
    rows = zip(batch.ask_call, batch.ask_true, batch.ask_there, batch.ask_text, strict=True)
    for call, true, there, text in rows:
        name = batch.calls[call].name
        assert text[0] == batch.authority_of[sample[call]]
        assert true == (2 if name == "send_mail" else 0)  # texts: instruction, a fact, the order
        assert there.tolist() == [True, True, True]
    assert 2 in batch.ask_true
    assert 0 in batch.ask_true


def test_a_text_with_authority_is_no_question() -> None:
    """Delegation: the user and the text both explain the call."""
    rows = [s for s in samples(60) if s.mutation == "exfiltration_pivot"]
    for sample in rows:
        sample.texts = [{**text, "authority": True} for text in sample.texts]
    data = prepare(rows)
    items = [item for split in data.splits.values() for item in split]
    batch = batch_of(items, data.texts)
    assert "send_mail" not in {batch.calls[call].name for call in batch.ask_call}


def test_cached_documents_give_what_the_encoder_gives() -> None:
    """z_g of a batch is that of the same policies, roles and contexts given as such."""
    rows = list(samples(9))
    data = prepare(rows)
    items = [item for split in data.splits.values() for item in split]
    encoder = create(TINY, seed=0)["governance"]
    assert isinstance(encoder, GovernanceEncoder)
    batch = batch_of(items, data.texts)
    found = encoder.run_context(encoder.run_policy(batch.policies)[batch.policy_of], batch.contexts)
    found = found[batch.authority_of]
    given = {
        s.id: (s.governance["policy"], s.governance["role"], s.governance["context"]) for s in rows
    }
    expected = encoder.encode_batch([given[item.id] for item in items])
    assert np.abs((found - expected).detach().numpy()).max() < 1e-5


def _family(splits: list[list[Item]]) -> tuple[Item, Item, Item]:
    items = next(items for items in splits if items)
    first, second, third = sorted(
        (item for item in items if item.family == items[0].family), key=lambda item: item.label
    )
    return first, second, third
