"""The tools that were labelled by hand: the labels hold together, the rules keep their figures."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.catalog import Effect, infer_profile

ROOT = Path(__file__).resolve().parents[2]
EFFECTS = {effect.value for effect in Effect}
SLACK = 0.02

# Precision and recall reached on the test half; see docs/catalog.md.
REACHED: dict[str, tuple[float, float]] = {
    "read": (0.989, 0.936),
    "state_changing_read": (1.000, 0.929),
    "write": (0.872, 0.971),
    "send": (0.812, 1.000),
    "execute": (1.000, 1.000),
    "delete": (1.000, 1.000),
    "pay": (1.000, 0.955),
    "permit": (1.000, 1.000),
    "irreversible": (0.894, 0.938),
    "sink": (0.700, 0.977),
    "identity_args": (0.918, 0.937),
}


def _benchmark() -> ModuleType:
    """`benchmarks/profiles.py`, which is no package."""
    spec = importlib.util.spec_from_file_location(
        "profiles_benchmark", ROOT / "benchmarks" / "profiles.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up.
    spec.loader.exec_module(module)
    return module


PROFILES = _benchmark()


@pytest.fixture(scope="module")
def labels() -> dict[str, dict[str, Any]]:
    """The committed labels."""
    found: dict[str, dict[str, Any]] = PROFILES.read_labels()
    return found


@pytest.fixture(scope="module")
def cases(shared: Path, labels: dict[str, dict[str, Any]]) -> list[Any]:
    """Every labelled tool with what the rules say."""
    found: list[Any] = PROFILES.read_cases(shared, labels)
    return found


# ------------------------------------------------------------------------------ the labels
def test_at_least_300_tools_of_many_sources_are_labelled(labels: dict[str, Any]) -> None:
    """R51 Both halves are there, every effect in both, and no source is left out."""
    assert len(labels) >= 300
    for half in ("dev", "test"):
        counts = Counter(x["effect"] for x in labels.values() if x["half"] == half)
        assert sum(counts.values()) >= 150
        assert set(counts) == EFFECTS
        assert min(counts.values()) >= (10 if half == "test" else 5)
    effects = Counter(label["effect"] for label in labels.values())
    assert min(effects.values()) >= 20
    assert len({label["source"] for label in labels.values()}) == 11


def test_every_label_is_complete_and_in_range(labels: dict[str, Any]) -> None:
    """A label names its tool, its effects are effects, its half follows from its name."""
    for key, label in labels.items():
        assert key == f"{label['name']}@{label['source']}-{label['digest']}"
        assert {label["effect"], *label["also"]} <= EFFECTS
        assert label["effect"] not in label["also"]
        flags = ("reversible", "sink", "third_party", "unsure")
        assert all(isinstance(label[flag], bool) for flag in flags)
        even = hashlib.sha256(label["name"].encode()).digest()[0] % 2 == 0
        assert label["half"] == ("dev" if even else "test")


def test_labels_hold_no_schema_and_no_description(labels: dict[str, Any]) -> None:
    """Nothing of the shared data is committed but names."""
    allowed = {"name", "source", "digest", "half", "effect", "also", "reversible", "sink"}
    allowed |= {"identity_args", "third_party", "unsure"}
    assert all(set(label) == allowed for label in labels.values())


# ------------------------------------------------------------------------------ the rules
@pytest.mark.parametrize("name", REACHED)
def test_the_test_half_keeps_its_figures(cases: list[Any], name: str) -> None:
    """R51 Precision and recall stay within two points of what was reached."""
    half = PROFILES.half(cases, "test")
    rate = (PROFILES.effect_rates(half) | PROFILES.flag_rates(half))[name]
    precision, recall = REACHED[name]
    assert rate.precision >= precision - SLACK, rate
    assert rate.recall >= recall - SLACK, rate


def test_every_labelled_tool_is_in_the_catalog(cases: list[Any], labels: dict[str, Any]) -> None:
    """A label whose digest no longer matches would silently drop out."""
    assert {case.key for case in cases} == set(labels)
    for case in cases:
        assert set(case.label["identity_args"]) <= case.leaves, case.key


def test_without_the_data_the_benchmark_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing folder is a sentence and an exit status, no traceback."""
    monkeypatch.setattr(PROFILES, "ROOT", tmp_path / "checkout")
    assert PROFILES.main([]) == 2
    assert "does not exist" in capsys.readouterr().out


def test_the_rates_count_what_they_say() -> None:
    """A rate of one hit in two predictions and four labels is 1/2 and 1/4."""
    rate = PROFILES.flag_rate([(True, True), (False, True), (True, False)] + [(True, False)] * 2)
    assert (rate.precision, rate.recall) == (0.5, 0.25)


# ------------------------------------------------------------------------------ unsure
_WORDS = st.sampled_from(
    ["leagues", "zorp", "user", "get", "alarms", "post", "mix", "of", "the", "blorps", "send"]
)


@given(st.lists(_WORDS, max_size=4), st.lists(_WORDS, max_size=6))
def test_where_it_is_unsure_it_is_no_read(name: list[str], description: list[str]) -> None:
    """R51 P: below 0.5 the profile itself is the worse candidate, whoever reads it."""
    profile = infer_profile("_".join(name), " ".join(description))
    assert profile.confidence >= 0.5 or profile.effect.side_effect


def test_no_unsure_tool_of_the_catalog_is_a_read(shared: Path) -> None:
    """R51 The same for every tool of the catalog, and there are unsure ones."""
    unsure = Counter(
        profile.effect
        for tool in PROFILES.read_tools(shared)
        for profile in [infer_profile(tool["name"], tool["description"] or "", tool["parameters"])]
        if profile.confidence < 0.5
    )
    assert sum(unsure.values()) >= 20
    assert not [effect for effect in unsure if not effect.side_effect]


def test_a_bare_plural_is_taken_for_a_write() -> None:
    """R51 "leagues" most likely lists them; it is not known, so the worse of the two counts."""
    profile = infer_profile("football.leagues")
    assert (profile.effect, profile.confidence < 0.5) == (Effect.WRITE, True)


@pytest.mark.parametrize(
    ("name", "description", "effect"),
    [
        ("login", "Authenticate and log in a user", "state_changing_read"),
        ("draw_card", "Draw a card from the deck", "state_changing_read"),
        ("manage_appointments", "List, create, update, and delete appointments.", "delete"),
        ("modify_reminder", "The API for deleting a reminder.", "delete"),
        ("drop_table", "Drop an existing table from a database", "delete"),
        ("logout", "Logs out the user", "delete"),
        ("call_contract_function", "", "execute"),
        ("add_team_to_user", "Associates a user with a specified team.", "permit"),
        ("top_up_data", "Adds data to the line and charges the customer.", "pay"),
        ("order_food", "Orders food for a customer.", "pay"),
        ("safeway.order", "Order specified items from a shop.", "pay"),
        ("checkout_cart", "Proceed to checkout", "pay"),
        ("tweet.tweet_detail", "Tweet detail", "read"),
        ("product_search.execute", "Performs a search for products", "read"),
        ("list_prices", "page source: https://www.investing.com/prices", "read"),
        ("zip_code", "ZIP code", "read"),
        ("get_building_size", "Retrieve building size information", "read"),
    ],
)
def test_what_the_labels_taught(name: str, description: str, effect: str) -> None:
    """R51 Each of the rules that the dev half and the unlabelled catalog led to."""
    assert infer_profile(name, description).effect.value == effect
