"""Tools through which data leaves or foreign code comes in, called by harmless words."""

from __future__ import annotations

from typing import Any

import pytest

from gatling_guard.catalog import Effect, ToolProfile, infer_profile


def _of(name: str, arguments: str = "", description: str = "", **types: Any) -> ToolProfile:
    fields = {a: {"type": types.get(a, "string")} for a in arguments.split()}
    return infer_profile(name, description, {"type": "object", "properties": fields})


@pytest.mark.parametrize(
    ("name", "arguments", "where", "description"),
    [
        ("export_contacts", "destination", "destination", "Export all CRM contacts."),
        ("export_data", "target_url", "target_url", ""),
        ("export_notes", "service", "service", ""),
        ("dump_table", "table endpoint", "endpoint", ""),
        ("push_metrics", "remote", "remote", ""),
        ("publish_report", "webhook_url", "webhook_url", ""),
        ("render_report", "webhook_url", "webhook_url", "Render the report."),
        ("summarize_thread", "thread_id webhook", "webhook", ""),
        ("upload_log", "file destination", "destination", ""),
        ("backup_notes", "destination", "destination", ""),
        ("sync_contacts", "remote", "remote", ""),
        ("exportContacts", "destinationUrl", "destinationUrl", ""),
        ("export_contacts", "recipient", "recipient", ""),
        ("getReport", "sendTo", "sendTo", ""),
    ],
)
def test_what_is_handed_over_to_an_argument_leaves(
    name: str, arguments: str, where: str, description: str
) -> None:
    """R38 A result that goes where an argument says is a sink, and the argument identifies."""
    profile = _of(name, arguments, description)
    assert profile.sink
    assert profile.effect in (Effect.SEND, Effect.WRITE)
    assert where in profile.identity_args


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("export_report", "format"),
        ("convert_currency", "amount target"),
        ("extract_text", "file target"),
        ("list_webhooks", "webhook_url"),
        ("search_rules", "forward_to"),
        ("get_weather", "city"),
    ],
)
def test_a_read_that_hands_nothing_over_stays_one(name: str, arguments: str) -> None:
    """A target that is no party, and a look at what is set up, send nothing."""
    profile = _of(name, arguments)
    assert profile.effect is Effect.READ
    assert not profile.sink


def test_a_read_through_a_service_of_ones_choice_is_an_egress() -> None:
    """R38 The text goes to whom the argument names; a closed choice names nobody new."""
    assert _of("translate", "text service").egress
    assert _of("fetch_prices", "proxy").egress
    assert _of("scan_site", "target callback_url").url_args == ("callback_url",)
    chosen = {
        "text": {"type": "string"},
        "service": {"type": "string", "enum": ["deepl", "google"]},
    }
    assert not infer_profile("translate", "", {"properties": chosen}).egress
    said = {"address": {"type": "string", "description": "The URL to read from."}}
    assert infer_profile("get_thing", "", {"properties": said}).egress


@pytest.mark.parametrize(
    ("name", "arguments", "description"),
    [
        ("evaluate", "expression", "Evaluate a Python expression."),
        ("evaluate", "expression", ""),
        ("eval", "expr", ""),
        ("calculator", "expression", "Evaluates Python expressions."),
        ("evaluate_math", "expression", "Evaluates arithmetic with Python's eval."),
        ("interpret", "script", ""),
    ],
)
def test_an_expression_that_is_evaluated_is_code(
    name: str, arguments: str, description: str
) -> None:
    """R51 Whoever words the expression runs code; unsure, the guard assumes so."""
    profile = _of(name, arguments, description)
    assert profile.effect is Effect.EXECUTE
    assert profile.privilege == 10
    assert set(profile.identity_args) == set(arguments.split())


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("calculate", "Evaluate a mathematical expression."),
        ("evaluate_expression", "Evaluates an arithmetic expression."),
        ("simplify", "Simplify an expression."),
    ],
)
def test_plain_arithmetic_is_a_read(name: str, description: str) -> None:
    """A calculator that says so runs nothing."""
    assert _of(name, "expression", description).effect is Effect.READ


@pytest.mark.parametrize(
    ("name", "arguments", "where", "description"),
    [
        ("create_mail_rule", "match forward_to", "forward_to", ""),
        ("create_filter", "match address", "", "Forwards matching mail to an address."),
        ("createInboxRule", "conditions forwardTo", "forwardTo", ""),
        ("enable_auto_forward", "email", "email", ""),
        ("add_webhook", "url", "url", ""),
        ("register_hook", "url", "url", ""),
        ("set_forwarding", "address", "", ""),
        ("update_settings", "copy_to", "copy_to", ""),
        ("update_call_settings", "redirect_to", "redirect_to", ""),
        ("create_job", "name webhook_url", "webhook_url", ""),
    ],
)
def test_what_makes_data_leave_from_now_on_weighs_like_a_takeover(
    name: str, arguments: str, where: str, description: str
) -> None:
    """R51 What a rule has forwarded nobody takes back."""
    profile = _of(name, arguments, description)
    assert profile.sink
    assert not profile.reversible
    assert profile.privilege >= 8
    assert {where} - {""} <= set(profile.identity_args)


def test_a_flag_forwards_to_nobody() -> None:
    """`forward: true` names no party."""
    assert not _of("create_note", "text forward", forward="boolean").sink


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("install_package", "name"),
        ("pip_install", "package"),
        ("npm.install", "packages"),
        ("add_dependency", "name version"),
        ("add_plugin", "name"),
        ("uv_add", "package"),
        ("docker_pull", "image"),
        ("docker_run", "image"),
        ("docker.pull", "image"),
        ("pull_image", "image"),
    ],
)
def test_code_of_strangers_runs_what_it_likes(name: str, arguments: str) -> None:
    """R51 A package runs as whoever installs it; which one is the question."""
    profile = _of(name, arguments)
    assert profile.effect is Effect.EXECUTE
    assert profile.privilege >= 9
    assert set(profile.identity_args) == set(arguments.split())


@pytest.mark.parametrize(
    "name", ["npm_search", "list_docker_images", "getUVIndex", "get_random_poetry"]
)
def test_a_packager_that_only_looks_runs_nothing(name: str) -> None:
    """A list of images starts none."""
    assert _of(name, "query").effect is Effect.READ


@pytest.mark.parametrize(
    "argument",
    [
        "currency",
        "price_currency",
        "unit",
        "units",
        "locale",
        "lang",
        "language",
        "format",
        "encoding",
        "charset",
    ],
)
@pytest.mark.parametrize("tool", ["send_money", "create_invoice", "update_order"])
def test_how_a_value_is_written_identifies_nothing(tool: str, argument: str) -> None:
    """A change of the amount is another payment; its currency is how it is counted."""
    assert set(_of(tool, f"amount {argument}").identity_args) == {"amount"}


def test_a_quantity_and_an_exchange_still_identify() -> None:
    """`units: 5` says how much, and `to_currency` is what is bought."""
    assert "units" in _of("buy_stock", "symbol units", units="integer").identity_args
    assert "to_currency" in _of("exchange_money", "amount to_currency").identity_args
