"""What a profile says beyond the effect: arguments, output, sink, weight, annotations."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatling_guard.catalog import Effect, ToolProfile, declare, infer_profile
from gatling_guard.errors import ToolSpecError
from gatling_guard.plan import Provenance


def _of(name: str, arguments: str = "", description: str = "", **more: Any) -> ToolProfile:
    schema = {"type": "object", "properties": {a: {"type": "string"} for a in arguments.split()}}
    return infer_profile(name, description, schema, **more)


# ------------------------------------------------------------------------------ arguments
@pytest.mark.parametrize(
    ("name", "arguments", "identity", "content"),
    [
        ("send_email", "recipients cc bcc subject body", "recipients cc bcc", "subject body"),
        ("send_money", "recipient amount subject date", "recipient amount", "subject"),
        ("update_password", "password", "password", ""),
        ("append_to_file", "file_id content", "file_id", "content"),
        ("run_command", "command timeout", "command", ""),
        ("share_file", "file_id email permission", "file_id email permission", ""),
        ("update_user_info", "first_name street city", "first_name street city", ""),
        ("reserve_hotel", "hotel start_day", "hotel", ""),
        ("TwilioSendSms", "to_phone_numbers message", "to_phone_numbers", "message"),
        ("transferFunds", "from_account_number toAccountNumber", "from_account_number toAccountNumber", ""),  # noqa: E501
        ("create_calendar_event", "title participants description", "participants", "title description"),  # noqa: E501
        ("send_email_template", "email_subject email_body contact_email", "contact_email", "email_subject email_body"),  # noqa: E501
        ("search_web", "query limit", "", "query"),
    ],
)  # fmt: skip
def test_arguments_are_sorted_by_what_they_carry(
    name: str, arguments: str, identity: str, content: str
) -> None:
    """R51 Who, where, which and how much are told apart from free text."""
    profile = _of(name, arguments)
    assert set(profile.identity_args) == set(identity.split())
    assert set(profile.content_args) == set(content.split())


def test_a_recipient_inside_an_object_is_found_and_so_is_its_holder() -> None:
    """Neither who looks at leaves nor who looks at top-level arguments may miss it."""
    to = {"type": "array", "items": {"$ref": "#/$defs/Person"}}
    schema = {
        "type": "object",
        "properties": {
            "message": {"type": "object", "properties": {"to": to, "body": {"type": "string"}}},
            "note": {"type": "string"},
        },
        "$defs": {"Person": {"type": "object", "properties": {"email": {"type": "string"}}}},
    }
    profile = infer_profile("send_message", "", schema)
    assert {"message", "to", "email"} <= set(profile.identity_args)
    assert set(profile.content_args) == {"body", "note"}


def test_a_url_makes_a_read_an_egress() -> None:
    """R38 Data can leave inside the address that is read from."""
    assert _of("get_webpage", "url").egress
    assert _of("fetch_feed", "feed_link").url_args == ("feed_link",)
    by_format = {"properties": {"where": {"type": "string", "format": "uri"}}}
    assert infer_profile("get_thing", "", by_format).egress
    assert not _of("get_weather", "city").egress


def test_flags_carry_no_identity() -> None:
    """A boolean called `email` says whether, not to whom."""
    schema = {"properties": {"email": {"type": "boolean"}, "user": {"type": "string"}}}
    assert infer_profile("delete_user", "", schema).identity_args == ("user",)


# ------------------------------------------------------------------------------ output
@pytest.mark.parametrize(
    ("name", "arguments", "tier"),
    [
        ("get_webpage", "url", Provenance.PUBLIC),
        ("google_search", "query", Provenance.PUBLIC),
        ("search_tweets", "query", Provenance.PUBLIC),
        ("read_file", "path", Provenance.INTERNAL),
        ("get_rating_reviews_for_hotels", "hotel_names", Provenance.INTERNAL),
        ("read_document", "document_id", Provenance.INTERNAL),
        ("search", "query", Provenance.INTERNAL),
        ("run_command", "command", Provenance.INTERNAL),
    ],
)
def test_running_text_is_third_party_as_a_whole(
    name: str, arguments: str, tier: Provenance
) -> None:
    """R51 Web pages are public; files and reviews are read at home but written by anyone."""
    profile = _of(name, arguments)
    assert profile.third_party == ("*",)
    assert profile.tier is tier


@pytest.mark.parametrize(
    ("name", "text", "plain"),
    [
        ("search_emails", "subject body", "id sender timestamp"),
        ("read_inbox", "body", "sender"),
        ("get_day_calendar_events", "title description location", "id start_time"),
        ("get_most_recent_transactions", "subject", "amount recipient iban"),
        ("list_files", "content", "file_id filename"),
        ("delete_file", "content", "file_id"),
        ("list_issues", "title body comments", "number state"),
    ],
)
def test_records_are_third_party_in_their_free_text_only(name: str, text: str, plain: str) -> None:
    """Ids and senders of a record stay usable; what somebody worded does not."""
    patterns = _of(name).third_party

    def matched(field: str) -> bool:
        return any(fnmatch.fnmatchcase(field, pattern) for pattern in patterns)

    assert all(matched(field) for field in text.split())
    assert not any(matched(field) for field in plain.split())


@pytest.mark.parametrize(
    "name",
    [
        "get_balance",
        "get_iban",
        "get_user_info",
        "get_channels",
        "get_users_in_channel",
        "get_current_day",
        "get_all_hotels_in_city",
        "calculate",
        "send_email",
        "create_file",
        "find_user_id_by_email",
    ],
)
def test_own_data_and_own_text_are_no_third_party_text(name: str) -> None:
    """Tools that return figures, names, or what was put into them."""
    assert _of(name).third_party == ()


def test_the_output_schema_names_the_fields() -> None:
    """Where the tool says what it returns, its own field names are used."""
    fields = {"ticketId": {"type": "string"}, "ticketBody": {"type": "string"}}
    out = {"type": "object", "properties": fields}
    assert infer_profile("get_ticket", output_schema=out).third_party == ("ticketBody",)
    text = {"type": "string"}
    assert infer_profile("get_ticket", output_schema=text).third_party == ("*",)


# ------------------------------------------------------------------------------ weight
def test_sinks() -> None:
    """R38 Mail, money and access leave; a write leaves when it names another party."""
    for name in ("send_email", "send_money", "share_file", "upload_file", "create_gist"):
        assert _of(name).sink, name
    assert _of("create_calendar_event", "title participants").sink
    assert _of("set_webhook", "webhook_url").sink
    assert not _of("create_calendar_event", "title").sink
    assert not _of("find_user_id_by_email", "email").sink
    assert not _of("delete_contact", "email").sink


def test_weight_follows_the_effect() -> None:
    """R35 Privilege grows from looking to moving money; a shell reaches everything."""
    names = "get_current_day search_emails create_file send_email delete_file update_password"
    levels = [_of(name).privilege for name in [*names.split(), "send_money"]]
    assert levels == sorted(levels)
    assert levels[0] <= 2
    assert levels[-1] == 10
    shell = _of("run_command", "command")
    assert (shell.privilege, shell.scope, shell.reversible) == (10, 9, False)
    assert _of("get_iban").privilege > _of("get_current_day").privilege
    assert _of("delete_all_users").scope > _of("delete_user", "user_id").scope


@pytest.mark.parametrize(
    ("name", "reversible"),
    [
        ("create_calendar_event", True),
        ("update_contact", True),
        ("get_balance", True),
        ("remove_from_cart", True),
        ("delete_file", False),
        ("send_money", False),
        ("send_email", False),
        ("update_password", False),
        ("reset_device", False),
        ("run_command", False),
    ],
)
def test_reversible(name: str, reversible: bool) -> None:
    """Whether an ordinary user could take it back."""
    assert _of(name).reversible is reversible


# ------------------------------------------------------------------------------ annotations
def test_an_untrusted_annotation_never_lowers_the_risk() -> None:
    """A server that calls its deletion read-only is not believed, unless the caller trusts it."""
    hints = {"readOnlyHint": True, "destructiveHint": False}
    assert infer_profile("delete_file", annotations=hints) == infer_profile("delete_file")
    trusted = infer_profile("delete_file", annotations=hints, trust_annotations=True)
    assert (trusted.effect, trusted.basis) == (Effect.READ, "annotated")


def test_an_annotation_may_raise_the_risk() -> None:
    """R51 What the server itself warns of is taken seriously."""
    changing = infer_profile("get_token", annotations={"readOnlyHint": False})
    assert (changing.effect, changing.basis) == (Effect.STATE_CHANGING_READ, "annotated")
    harsh = {"readOnlyHint": False, "destructiveHint": True}
    assert infer_profile("get_token", annotations=harsh).effect is Effect.WRITE
    update = infer_profile("update_record", annotations={"destructiveHint": True})
    assert not update.reversible
    assert update.privilege > infer_profile("update_record").privilege
    open_read = infer_profile("get_price", annotations={"openWorldHint": True})
    assert (open_read.tier, open_read.third_party) == (Provenance.PUBLIC, ("*",))
    assert infer_profile("create_record", annotations={"openWorldHint": True}).sink


def test_an_annotation_decides_where_the_name_is_silent() -> None:
    """An unknown verb with a read-only hint is a read, of unknown text."""
    profile = infer_profile("frobnicate", annotations={"readOnlyHint": True})
    assert (profile.effect, profile.basis) == (Effect.READ, "annotated")
    assert profile.third_party == ("*",)


_HINTS = st.dictionaries(
    st.sampled_from(["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"]),
    st.booleans(),
)
_NAMES = st.sampled_from(
    [
        "get_mail",
        "delete_file",
        "send_money",
        "update_item",
        "share_doc",
        "run_code",
        "create_event",
        "mark_seen",
    ]
)


@given(_NAMES, _HINTS)
def test_hints_are_monotone_without_trust(name: str, hints: dict[str, bool]) -> None:
    """P: for tools whose name speaks, no set of hints makes any part of the profile milder."""
    plain, hinted = infer_profile(name), infer_profile(name, annotations=hints)
    order = list(Effect)
    if hinted.effect is not plain.effect:
        assert order.index(hinted.effect) > order.index(plain.effect)
    assert hinted.privilege >= plain.privilege
    assert hinted.tier >= plain.tier
    assert hinted.sink >= plain.sink
    assert hinted.reversible <= plain.reversible
    assert bool(hinted.third_party) >= bool(plain.third_party)


_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["properties", "items", "anyOf", "$ref", "type", "to", "url"])
            | st.text(max_size=6),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=200)
@given(st.text(max_size=60), st.text(max_size=200), _ANY_JSON, _ANY_JSON)
def test_inference_never_raises(name: str, text: str, schema: Any, annotations: Any) -> None:
    """P: whatever a server sends, there is a profile with every field in its range."""
    hints = annotations if isinstance(annotations, dict) else None
    profile = infer_profile(name, text, schema, hints)
    assert 1 <= profile.privilege <= 10
    assert 1 <= profile.scope <= 10
    assert 0.0 <= profile.confidence <= 1.0


# ------------------------------------------------------------------------------ declared
def test_declared_fields_replace_inferred_ones() -> None:
    """R51 The author knows better than the rules; the rest stays inferred."""
    inferred = _of("frobnicate", "email")
    profile = declare(inferred, effect="send", tier=2, third_party=["notes"], scope=7)
    assert profile.effect is Effect.SEND
    assert profile.tier is Provenance.PARTNER
    assert profile.third_party == ("notes",)
    assert (profile.scope, profile.basis, profile.confidence) == (7, "declared", 1.0)
    assert profile.identity_args == inferred.identity_args
    assert declare(inferred) is inferred


def test_a_declared_effect_brings_what_follows_from_it() -> None:
    """A tool that turns out to pay is a sink, weighs 10 and cannot be undone."""
    pays = declare(_of("frobnicate"), effect=Effect.PAY)
    assert (pays.sink, pays.privilege, pays.reversible) == (True, 10, False)
    reads = declare(_of("send_email"), effect=Effect.READ)
    assert (reads.sink, reads.reversible) == (False, True)
    kept = declare(_of("frobnicate"), effect="pay", privilege=3, reversible=True)
    assert (kept.privilege, kept.reversible) == (3, True)


def test_every_bad_declaration_is_named_at_once() -> None:
    """One run shows all faults, each with its field."""
    bad = {
        "effect": "explode",
        "tier": 9,
        "third_party": "body",
        "sink": "yes",
        "privilege": 11,
        "scope": True,
        "cost": float("nan"),
        "confidence": 2,
        "identity_args": [""],
        "colour": "red",
    }
    with pytest.raises(ToolSpecError) as caught:
        declare(_of("x"), **bad)
    assert {issue.where for issue in caught.value.issues} == {f"/profile/{key}" for key in bad}


def test_an_unknown_field_is_compared_with_the_known_ones() -> None:
    """R146: `provenance` is one of them, in decorators as in policies."""
    with pytest.raises(ToolSpecError) as caught:
        declare(_of("x"), provenence=1, zzz=1)
    misspelt, unknown = caught.value.issues
    assert "did you mean 'provenance'?" in misspelt.message
    assert "provenance, reversible" in unknown.message
    assert "did you mean" not in unknown.message
