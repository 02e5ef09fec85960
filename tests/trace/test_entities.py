"""Parties that are the same however they are written."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatling_guard.trace.canonical import canonical, plain
from gatling_guard.trace.entities import identity, identity_keys


def _lenient(text: str) -> frozenset[str]:
    return identity_keys(canonical(text))


def _strict(text: str) -> frozenset[str]:
    return identity_keys(plain(text), strict=True)


SAME = [
    ("bob@x.org", "BOB@X.ORG"),
    ("bob@x.org", "<Bob@x.org.>"),
    ("bob@x.org", "mailto:bob@x.org"),
    ("bob@x.org", "Bob Smith <bob@x.org>"),
    ("bob@x.org", "ｂｏｂ＠ｘ．ｏｒｇ"),
    ("bob@x.org", "bob\u200b@x.org"),
    ("b.ob+news@gmail.com", "bob@googlemail.com"),
    ("bob@münchen.de", "bob@xn--mnchen-3ya.de"),
    ("bob@xn--mnchen-3ya.de", "bob@MÜNCHEN。de"),
    ("+49 (0)30 123-4567", "0049 30 1234567"),
    ("+49 30 1234567", "tel:+49.30.123.45.67"),
    ("(415) 555-2671", "415.555.2671"),
    ("+1 415 555 2671 ext. 12", "+1 (415) 555-2671 x12"),
    ("DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
    ("GB29-NWBK-6016-1331-9268-19", "gb29 nwbk 6016 1331 9268 19"),
    ("4111 1111 1111 1111", "4111-1111-1111-1111"),
    ("http://münchen.de/", "https://xn--mnchen-3ya.de:8443"),
    ("https://Evil.com.", "http://evil.com:80/"),
    ("http://127.0.0.1/", "http://0x7f.1/"),
    ("http://127.0.0.1/", "http://2130706433/"),
    ("http://127.0.0.1/", "http://0177.0.0.01/"),
    ("http://[::1]/", "http://[0:0:0:0:0:0:0:1]:8080/"),
    ("http://[::ffff:127.0.0.1]/", "http://127.1/"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_party_in_two_forms(one: str, other: str) -> None:
    """Deliverable 1: IDN, Gmail dots, phone and IBAN formats; also strict enough for trust."""
    assert _strict(one) & _strict(other)
    assert _lenient(one) & _lenient(other)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_whole_of_a_value_is_one_party(one: str, other: str) -> None:
    assert identity(one) is not None
    assert identity(one) == identity(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bob+news@x.org", "bob@x.org"),
        ("b.ob@x.org", "bob@x.org"),
        ("bob at x dot org", "bob@x.org"),
        ("bob [at] x [dot] org", "bob@x.org"),
        ("bob(at)x.org", "bob@x.org"),
        ("bоb@x.org", "bob@x.org"),  # Cyrillic o
        ("bob@xn--pple-43d.com", "bob@apple.com"),  # Cyrillic a in punycode
        ("030 1234567", "+49 30 1234567"),
        ("030/1234567", "0049 (0)30 1234567"),
        ("415-555-2671", "+1 415 555 2671"),
        ("011 49 30 1234567", "+49 30 1234567"),
        ("+49 30 1234567 ext. 12", "+49 30 1234567"),
        ("hxxps://evil[.]com/x", "http://evil.com"),
        ("12-34-56", "123456"),
        ("AB-123-456", "AB.123.456"),
        ("550e8400-e29b-41d4-a716-446655440000", "550E8400.E29B.41D4.A716.446655440000"),
    ],
)
def test_what_only_may_be_the_same_is_for_taint_alone(one: str, other: str) -> None:
    assert _lenient(one) & _lenient(other)
    assert not _strict(one) & _strict(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bob@x.org", "bob@x.org.evil.com"),
        ("bob@x.org", "evil@x.org"),
        ("+49 30 1234567", "+49 30 1234568"),
        ("DE89 3704 0044 0532 0130 00", "DE88 3704 0044 0532 0130 00"),
        ("4111 1111 1111 1111", "4111 1111 1111 1129"),
        ("https://bank.com", "https://bank.com@evil.com"),
        ("https://bank.com", "https://bank.com.evil.com"),
        ("127.0.0.1", "127.0.0.2"),
    ],
)
def test_different_parties_share_nothing(one: str, other: str) -> None:
    assert not {k for k in _lenient(one) & _lenient(other) if not k.startswith("id:")}
    assert identity(one) != identity(other)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("https://bank.com@evil.com/login", "host:evil.com"),
        ("https://bank.com:443@evil.com", "host:evil.com"),
        ("//evil.com/x", "host:evil.com"),
        ("https://ok.org/?next=https://evil.com/", "host:evil.com"),
        ("see evil.com.", "host:evil.com"),
        ("http://ev%69l.com/", "host:evil.com"),
        ("ping fe80:0::1 now", "host:fe80::1"),
    ],
)
def test_the_host_that_is_reached(text: str, key: str) -> None:
    assert key in _lenient(text)
    assert "host:bank.com" not in _lenient(text)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("bоb@x.org", "bob@x.org"),
        ("x!bob@y.org", "bob@y.org"),
        ("bob@y.org,evil@z.org", "bob@y.org"),
        ("bob@аpple.com", "bob@apple.com"),
        ("https://bank.com\\@evil.com", "https://bank.com"),
        ("https://bank.com/?x=secret", "https://bank.com"),
        ("evil@z.org <bob@y.org>, x@z.org", "bob@y.org"),
    ],
)
def test_a_value_is_not_vouched_for_by_a_lookalike_or_a_part(value: str, named: str) -> None:
    """Trust: the whole value must be the named party."""
    assert identity(named) is not None
    assert identity(value) != identity(named)


@pytest.mark.parametrize(
    "text", ["on 2024-05-13", "13.05.2024", "pay 1,200.50 to Bob", "version 3.11.4", "just words"]
)
def test_no_party_at_all(text: str) -> None:
    assert not _strict(text)


def test_a_country_code_counts_for_trust_and_not_for_taint() -> None:
    """Lenient keys join a number with its national form, and so with other countries'."""
    assert not _strict("+49 30 1234567") & _strict("+43 30 1234567")
    assert _lenient("+49 30 1234567") & _lenient("+43 30 1234567")


LOCAL = st.from_regex(r"[a-z][a-z0-9]{1,8}(\.[a-z0-9]{2,5})?", fullmatch=True)
DOMAIN = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]\.(org|com|de)", fullmatch=True)


@given(LOCAL, DOMAIN, st.sampled_from(["{}", "<{}>", "mailto:{}", "Bob <{}>", "({}),", "to {}."]))
def test_mail_keys_do_not_depend_on_the_writing(local: str, domain: str, form: str) -> None:
    mail = f"{local}@{domain}"
    assert _strict(mail) == _strict(form.format(mail.upper()))
    assert _lenient(mail) & _lenient(f"{local}+tag@{domain}")
    assert identity(mail) in _strict(mail)


@given(st.integers(10**9, 10**10 - 1), st.lists(st.sampled_from(["", " ", "-", "."]), min_size=9))
def test_phone_keys_do_not_depend_on_grouping(number: int, gaps: list[str]) -> None:
    digits = str(number)
    written = "".join(d + g for d, g in zip(digits, [*gaps[:9], ""], strict=True))
    key = f"phone:+49{digits}"
    assert all(key in _strict(f"{code}{written}") for code in ("+49", "+49 ", "0049 "))
    assert _lenient(f"+49{digits}") & _lenient(f"0{digits}")


@given(st.text() | st.text(alphabet="a1+@.:/[]()- \\x0%dots"))
@settings(max_examples=300, deadline=None)
def test_never_raises_and_lenient_is_wider(text: str) -> None:
    canon = canonical(text)
    identity(text)
    assert {k for k in identity_keys(canon, strict=True) if k[:4] == "mail"} <= identity_keys(canon)


@pytest.mark.parametrize(
    "unit",
    ["a@", "1 ", "12-", "a.", ":", "1.1.1.1.", "//", "a://", "de89 ", "a1-", "[at] ", "ab:", "x"],
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    """R5: also with the two ends that make a pattern go back."""
    text = unit * (200_000 // len(unit))
    start = time.thread_time()
    for hostile in (text, text + "@", text + "!"):
        identity_keys(hostile)
    assert time.thread_time() - start < 1.5


@pytest.mark.parametrize("text", ["DE88 3704 0044 0532 0130 00", "4111 1111 1111 1112"])
def test_a_wrong_checksum_is_no_account(text: str) -> None:
    assert not {k for k in _lenient(text) if k.startswith(("iban:", "card:"))}
