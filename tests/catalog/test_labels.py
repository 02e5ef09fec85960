"""The tools that were labelled by hand: the labels hold together, the rules keep their figures."""

from __future__ import annotations

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
SCARCE = "state_changing_read"
"""The catalog holds none of these that was not labelled before."""

# Precision and recall reached on the held-out half, with the second labels; see docs/catalog.md.
REACHED: dict[str, tuple[float, float]] = {
    "read": (0.988, 0.959),
    "write": (0.932, 0.971),
    "send": (0.950, 0.974),
    "execute": (1.000, 0.968),
    "delete": (1.000, 1.000),
    "pay": (0.900, 0.900),
    "permit": (0.917, 1.000),
    "irreversible": (0.904, 0.890),
    "sink": (0.744, 0.906),
    "third_party": (0.432, 0.950),
    "identity_args": (0.908, 0.892),
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
    for half in ("dev", "held"):
        counts = Counter(x["effect"] for x in labels.values() if x["half"] == half)
        assert sum(counts.values()) >= 150
        assert set(counts) | {SCARCE} == EFFECTS
        assert min(count for effect, count in counts.items() if effect != SCARCE) >= 10
    effects = Counter(label["effect"] for label in labels.values())
    assert min(effects.values()) >= 20
    assert len({label["source"] for label in labels.values()}) == 11


def test_every_label_is_complete_and_in_range(labels: dict[str, Any]) -> None:
    """A label names its tool, its effects are effects, none stands in both halves."""
    for key, label in labels.items():
        assert key == f"{label['name']}@{label['source']}-{label['digest']}"
        assert {label["effect"], *label["also"]} <= EFFECTS
        assert label["effect"] not in label["also"]
        flags = ("reversible", "sink", "third_party", "unsure")
        assert all(isinstance(label[flag], bool) for flag in flags)
        assert label["half"] in ("dev", "held")
        assert isinstance(label["notifies"], list)


def test_labels_hold_no_schema_and_no_description(labels: dict[str, Any]) -> None:
    """Nothing of the shared data is committed but names."""
    allowed = {"name", "source", "digest", "half", "effect", "also", "reversible", "sink"}
    allowed |= {"identity_args", "third_party", "unsure", "notifies"}
    assert all(set(label) == allowed for label in labels.values())


# ------------------------------------------------------------------------------ the rules
@pytest.mark.parametrize("name", REACHED)
def test_the_held_out_half_keeps_its_figures(cases: list[Any], name: str) -> None:
    """R51 Precision and recall stay within two points of what was reached."""
    half = PROFILES.half(cases, "held")
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
        ("comments.add", "", "send"),
        ("expense_report_modification", "", "write"),
        ("post_location", "", "send"),
        ("loan_repayment", "Calculates the monthly repayment", "read"),
        ("register_event", "Register for an event and purchase tickets", "pay"),
        ("customs_info", "Retrieve customs and trade information", "read"),
        ("balance", "The Balance API provides a count of credits.", "read"),
        ("search_cve", "Builds and sends a GET request to list them", "read"),
        ("cleanup", "Deletes all files and sends a GET request", "delete"),
        ("startMatch", "Start a new match", "write"),
        ("run_hypothesis_test", "Run a hypothesis test on a dataset", "read"),
        ("run_hardware_test", "Runs a hardware test on a device", "execute"),
        ("resolve_hostname", "", "read"),
        ("resolve_ticket", "", "write"),
        ("submit_job", "", "execute"),
        ("create_histogram", "", "read"),
        ("apply_for_leave", "Hand in an application for days off", "send"),
        ("file_grievance", "", "send"),
        ("file_folder", "Moves a folder into the archive", "write"),
        ("submit_room_request", "", "send"),
        ("create_pull_request", "", "write"),
        ("start_container", "", "execute"),
        ("start_timer", "", "write"),
        ("upgrade_firmware", "", "execute"),
        ("upgrade_seat", "", "write"),
        ("issue_command", "Issues a command to a satellite", "execute"),
        ("run_campaign", "Runs an advertising campaign", "write"),
        ("approve_vendor", "", "permit"),
        ("approve_draft", "", "write"),
        ("disable_firewall", "", "permit"),
        ("enable_firewall", "", "write"),
        ("add_user_to_blocklist", "", "write"),
        ("enroll_fingerprint", "", "permit"),
        ("set_lock_state", "Sets the state of a door lock", "permit"),
        ("create_role", "", "write"),
        ("grant_application_list", "", "read"),
        ("remove_background_noise", "", "read"),
        ("summariser", "A tool to cancel subscriptions", "delete"),
    ],
)
def test_what_the_labels_taught(name: str, description: str, effect: str) -> None:
    """R51 Each of the rules that the dev half and the unlabelled catalog led to."""
    assert infer_profile(name, description).effect.value == effect


def test_the_worst_that_an_action_argument_may_say_counts() -> None:
    """R51 One tool for several acts is judged by the worst of them."""
    schema = {"properties": {"action": {"enum": ["view", "update", "refund"]}}}
    assert infer_profile("manage_order", "Manage an order.", schema).effect is Effect.PAY
    quoted = {"properties": {"action": {"description": "one of 'update' and 'cancel'"}}}
    assert infer_profile("manage_order", "Manage an order.", quoted).effect is Effect.DELETE
    assert infer_profile("manage_order", "It says 'cancel'.").effect is Effect.WRITE


def test_participants_make_a_calendar_event_reach_others() -> None:
    """R51 Not the tool but the value decides: an event of one's own reaches nobody."""
    text = {"type": "string"}
    schema = {
        "properties": {
            "title": text,
            "participants": {"type": "array", "items": text},
            "guests": {"type": "integer"},
            "options": {"type": "object", "properties": {"notify_all": {"type": "boolean"}}},
        }
    }
    profile = infer_profile("create_calendar_event", "Creates an event", schema)
    assert (profile.effect, profile.reversible) == (Effect.WRITE, True)
    assert set(profile.notifies) == {"participants", "notify_all"}
    assert profile.notified({"title": "x", "participants": [], "guests": 3}) == ()
    assert profile.notified({"participants": ["a@b.example"]}) == (["a@b.example"],)
    assert profile.notified({"options": {"notify_all": True}}) == (True,)
    assert infer_profile("create_draft", "", {"properties": {"cc": text}}).notifies == ()
    assert infer_profile("send_email", "", {"properties": {"cc": text}}).notifies == ()
    deep: dict[str, object] = {}
    for _ in range(50):
        deep = {"x": deep}
    assert profile.notified(deep) != (), "what is too deep to look at counts as somebody"


_ARGUMENTS = st.lists(st.sampled_from(["iban", "dose_mg", "email", "hotel", "price", "url"]))


def _with(*arguments: str) -> dict[str, Any]:
    return {"properties": {name: {"type": "string"} for name in arguments}}


@pytest.mark.parametrize(
    ("name", "description", "arguments"),
    [
        ("set_payroll_account", "", ("employee", "iban")),
        ("change_payee", "", ("policy", "name")),
        ("edit_direct_deposit", "Edits the bank account of a worker", ("worker",)),
        ("replace_recovery_email", "", ("email",)),
        ("change_user_phone", "", ("user_id", "phone")),
        ("prescribe_drug", "", ("patient", "drug")),
        ("refill_prescription", "", ("patient", "dose_ml")),
        ("administer_insulin", "", ("patient", "dose_ml")),
    ],
)
def test_takeovers_and_medical_orders_weigh_as_much_as_access(
    name: str, description: str, arguments: tuple[str, ...]
) -> None:
    """R51 Where money or mail of an account goes, and what reaches a body: no plain write."""
    profile = infer_profile(name, description, _with(*arguments))
    assert profile.privilege >= 8
    assert not profile.reversible


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("update_note", ("id", "text")),
        ("update_contact", ("name", "email")),
        ("edit_email_draft", ("email_id", "body")),
        ("log_medication", ("drug", "dose_mg")),
        ("set_delivery_note", ("order_id", "note")),
    ],
)
def test_a_plain_change_is_no_takeover(name: str, arguments: tuple[str, ...]) -> None:
    """R51 An address in an address book and a diary of medicines can be put right."""
    profile = infer_profile(name, "", _with(*arguments))
    assert profile.privilege < 8
    assert profile.reversible


@given(_ARGUMENTS)
def test_more_arguments_make_a_change_no_milder(arguments: list[str]) -> None:
    """R51 P: an argument that says where money goes, or how much, never lowers a weight."""
    plain, given_more = (
        infer_profile("update_record"),
        infer_profile("update_record", "", _with(*arguments)),
    )
    assert given_more.privilege >= plain.privilege
    assert given_more.reversible <= plain.reversible
    assert given_more.sink >= plain.sink


@pytest.mark.parametrize(
    ("tool", "argument", "identity"),
    [
        ("place_order", "ship_to", True),
        ("place_order", "delivery_address", True),
        ("place_order", "billing_details", True),
        ("place_order", "delivery_date", False),
        ("place_order", "promo_code", False),
        ("issue_prescription", "dose_mg", True),
        ("issue_prescription", "drug", True),
        ("book_table", "number_of_guests", True),
        ("reserve_seats", "num_seats", True),
        ("create_project", "project_name", False),
        ("delete_project", "project_name", True),
        ("add_member", "member_name", True),
        ("calculate_loan", "loan_amount", False),
        ("pay_loan", "loan_amount", True),
    ],
)
def test_identity_arguments_of_a_change(tool: str, argument: str, identity: bool) -> None:
    """R51 Where goods go and how much is ordered; not the name of what is new."""
    profile = infer_profile(tool, "", _with(argument))
    assert (argument in profile.identity_args) is identity


def test_a_changed_record_that_is_shown_is_public_text() -> None:
    """R51 The receipt is the tool's own, an event's description is not."""
    profile = infer_profile("reschedule_event", "", _with("event_id", "time"))
    assert (profile.third_party, profile.text_tier) == ((), 3)
    assert infer_profile("log_verification", "", _with("user_id")).text_tier == 1
    assert "body" in infer_profile("delete_email", "", _with("id")).third_party


@pytest.mark.parametrize(
    ("name", "description", "reversible"),
    [
        ("delete_email", "Moves the email to the trash.", True),
        ("trash_message", "", True),
        ("delete_email", "Deletes the email.", False),
        ("update_note", "Updates a note.", True),
        ("update_note", "Permanently replaces a note; this cannot be undone.", False),
        ("create_issue", "Opens an issue in a repository.", False),
        ("update_issue", "Updates an issue.", True),
        ("list_files", "Lists files, also permanently deleted ones.", True),
        ("book_table", "Reserves a table in a restaurant.", False),
        ("make_reservation", "", False),
        ("schedule_viewing", "Schedules a viewing of a flat.", False),
        ("schedule_meeting", "", True),
        ("book_table", "Reserves a table; it can be cancelled free of charge.", True),
        ("get_booking", "Shows a booking.", True),
        ("launch_product", "", False),
        ("empty", "Removes all items from the cart.", True),
        ("purge", "Removes all files.", False),
    ],
)
def test_what_reaches_others_or_leaves_no_copy_is_irreversible(
    name: str, description: str, reversible: bool
) -> None:
    """R51 A trash can keeps a copy; what others see at once cannot be called back."""
    assert infer_profile(name, description).reversible is reversible
