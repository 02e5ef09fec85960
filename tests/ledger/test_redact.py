"""R145: secrets are replaced before anything is written; what is no secret stays readable."""

from __future__ import annotations

import base64
import json
import random
import string
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatling_guard.errors import ConfigurationError
from gatling_guard.ledger import Ledger, Redactor, redact
from gatling_guard.ledger.redact import _Cleaner
from gatling_guard.ledger.survey import Survey

# Assembled here so that no scanner takes this file for a leak.
PLANTED = {
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_secret": "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY",
    "gcp": "AIza" + "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "github": "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "slack": "xoxb-" + "2444333222111-aBcDeFgHiJkL",
    "openai": "sk-proj-" + "abcdefghijklmnopqrstuvwx",
    "stripe": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\n-----END RSA PRIVATE KEY-----",
    "random": "Zx9Qw8Er7Ty6Ui5Op4As3Df2Gh1Jk0LmNbVc",
    "card": "4111 1111 1111 1111",
    "card_plain": "5555555555554444",
    "amex": "3782-822463-10005",
}


@pytest.mark.parametrize("secret", PLANTED.values(), ids=PLANTED.keys())
@pytest.mark.parametrize(
    "frame", ["{}", "see {} here", "({})", "x\n{}\ny", 'key="{}";', "é{}é", "_{}_"]
)
def test_a_secret_is_found_by_its_shape(secret: str, frame: str) -> None:
    text = frame.format(secret)
    cleaned = redact({"note": text})["note"]
    assert secret not in cleaned
    assert "[redacted:" in cleaned
    assert redact([text])[0] == cleaned  # wherever it stands


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password: hunter2", "password: [redacted:password]"),
        ("The Password is  hunter2.", "The Password is  [redacted:password]"),
        ("my password was hunter2 before", "my password was [redacted:password] before"),
        ("log in with password hunter22 today", "log in with password [redacted:password] today"),
        ("DB_PASSWORD=hunter2", "DB_PASSWORD=[redacted:password]"),
        ("pass phrase => 'correct horse battery'", "pass phrase => [redacted:password]"),
        ('{"client_secret": "a b c"}', '{"client_secret": [redacted:secret]'),
        ('{\\"password\\": \\"hunter2\\"}', '{\\"password\\": [redacted:password]'),
        ("secretary: password: hunter2", "secretary: password: [redacted:password]"),
        ("Passwort hin, pin: 1234", "Passwort hin, pin: [redacted:pin]"),
        ('password: "a token: b c" tail', "password: [redacted:password] tail"),
        ("your PIN is 1234", "your PIN is [redacted:pin]"),
        ("verification code is 482913", "verification code is [redacted:pin]"),
        ("X-Api-Key: abc", "X-Api-Key: [redacted:key]"),
        ("https://x.org/?access_token=abc", "https://x.org/?access_token=[redacted:token]"),
        ("Authorization: Token a b c\nHost: x", "Authorization: [redacted:header]\nHost: x"),
        ("Set-Cookie: sid=1; HttpOnly", "Set-Cookie: [redacted:header]"),
        ("send Bearer abcdefgh1 along", "send Bearer [redacted:bearer] along"),
        ("Basic dXNlcjpwYXNz", "Basic [redacted:basic]"),
        ("postgres://bob:p@ss@db:5432/x", "postgres://[redacted:url]@db:5432/x"),
        ("<password>tulip77</password>", "<password>[redacted:password]</password>"),
        ("<a:ApiKey n='x'>\nab c\n</a:ApiKey>", "<a:ApiKey n='x'>[redacted:key]</a:ApiKey>"),
        ("<apikey n='x1234'>ab c</apikey>", "<apikey [redacted:key]"),
        ("<pin><v>4071</v></pin> ok", "<pin>[redacted:pin]</pin> ok"),
        ('<string name="api_key">x y</string>', '<string name="api_key">[redacted:key]</string>'),
        (
            "&lt;password&gt;tulip&lt;/password&gt;",
            "&lt;password&gt;[redacted:password]&lt;/password&gt;",
        ),
        ("<password><![CDATA[a<b]]></password>", "<password>[redacted:password]</password>"),
        ("<PASSWORD>tulip\nrest", "<PASSWORD>[redacted:password]\nrest"),
        ("card 4111 1111 1111 1111 12/27", "card [redacted:card] 12/27"),
    ],
)
def test_a_secret_is_found_by_what_is_said_about_it(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "basic training course for bearer certificates",
        "the secretary is Ann, tokenization: on",
        "https://host:8080/users/@bob and bob@corp.example",
        "DE89 3704 0044 0532 0130 00 and GB29NWBK60161331926819",
        "4111 1111 1111 1112",
        "order 1234567890123456, 2024-01-15T10:00:00.000000+00:00, 1700000000000",
        "/Users/alice/Documents/2024/Q3_Report_Final_v2.docx",
        "com.acme.AbstractSingletonProxyFactoryBean2Impl",
        "550e8400-e29b-41d4-a716-446655440000",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "password reset requested; token_count: 5",
        "<password/> <token_count>5</token_count> <keyboard>de</keyboard> a < pin",
        "</password> is a closing tag, <code>x = 1</code> is none of ours",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact({"text": text}) == {"text": text}


@pytest.mark.parametrize(
    "name",
    [
        "password", "Passwd", "user_password", "db-password", "DBPassword",
        "confirmPassword", "new_password_2", "secret", "clientSecret", "token",
        "accessToken", "ACCESS_TOKEN", "apiKey", "X-API-KEY", "apikey", "stripe_api_key",
        "authorization", "Proxy-Authorization", "privateKey", "private_key", "cvv", "CVC",
        "pin", "PIN_code", "otp", "cookie", "Set-Cookie", "session_cookie", "sessionid",
        "credentials", "secrets", "passwords", "aws_secret_access_key", "userpassword",
        "one_time_code",
    ],
)  # fmt: skip
def test_a_secret_is_found_by_its_key(name: str) -> None:
    for value in ("tulip", 4711, ["tulip"], {"a": {"b": "tulip"}}, 1.5):
        cleaned = redact({"outer": [{name: value, "other": "x"}]})["outer"][0]
        assert cleaned[name].startswith("[redacted:")
        assert cleaned["other"] == "x"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pinned", "x"), ("spinner", "x"), ("token_count", 5), ("max_tokens", 100), ("tokens", 7),
        ("password_changed", "yes"), ("password", None), ("password", ""), ("secret", False),
        ("compass", "north"), ("author", "Ann"), ("secretary", "Ann"), ("keyboard", "de"),
        ("token_type", "bearer"), ("key", "id"), ("code", "E12"),
    ],
)  # fmt: skip
def test_other_keys_stay(name: str, value: object) -> None:
    assert redact({name: value}) == {name: value}


def test_names_and_values_apart() -> None:
    assert redact(["run", "--password", "tulip"]) == ["run", "--password", "[redacted:password]"]
    assert redact([["token", "tulip"], ["to", "ann"]])[0] == ["token", "[redacted:token]"]
    assert redact({"name": "X-Api-Key", "value": "tulip"})["value"] == "[redacted:key]"
    assert redact({"name": "Subject", "value": "tulip"})["value"] == "tulip"


def test_a_value_known_by_its_key_is_found_elsewhere_too() -> None:
    body = {
        "arguments": {"password": "tulip-42", "to": "ann@corp.example"},
        "reasons": ["the value tulip-42 came from an untrusted span"],
    }
    assert "tulip-42" not in json.dumps(redact(body))
    assert redact(body)["arguments"]["to"] == "ann@corp.example"


def test_a_field_called_password_cannot_blank_out_the_evidence() -> None:
    """Whoever chooses the arguments must not choose what the auditor may read."""
    for claimed in ("mallory@evil.example", "https://evil.example/x1", "block", "send_email"):
        arguments = {"to": "mallory@evil.example", "url": "https://evil.example/x1"}
        body = {"action": "block", "tool": "send_email", "arguments": arguments}
        arguments["password"] = claimed
        cleaned = redact(body)
        assert cleaned["arguments"].pop("password") == "[redacted:password]"
        del arguments["password"]
        assert cleaned == body


def test_keys_are_looked_at_and_stay_apart() -> None:
    first, second = PLANTED["openai"], PLANTED["openai"] + "2"
    cleaned = redact({first: 1, second: 2, "x": 3})
    assert list(cleaned.values()) == [1, 2, 3]
    assert not any("sk-proj" in key for key in cleaned)


def test_numbers_can_be_cards() -> None:
    assert redact([5555555555554444, 1234567890123456]) == ["[redacted:card]", 1234567890123456]


def test_references_are_spared_the_test_for_randomness_only() -> None:
    assert redact({"file_id": PLANTED["random"]}) == {"file_id": PLANTED["random"]}
    assert redact({"file_id": PLANTED["github"]}) == {"file_id": "[redacted:github]"}


def test_random_tokens_are_found_and_digests_are_not() -> None:
    source = random.Random(7)
    letters = string.ascii_letters + string.digits
    tokens = ["".join(source.choices(letters, k=40)) for _ in range(500)]
    found = sum(redact(token) == "[redacted:token]" for token in tokens)
    assert found >= 495
    digests = [source.randbytes(32).hex() for _ in range(500)]
    assert redact(digests) == digests


def test_long_text_is_cut_with_its_digest_only_if_it_holds_no_secret() -> None:
    plain, guarded = "word " * 2000, "word " * 1500 + PLANTED["github"] + " word" * 400
    assert len(redact(plain)) <= 4096
    assert redact(plain).endswith("]")
    assert "10000 characters; sha256 " in redact(plain)
    assert "sha256" not in redact(guarded)
    straddling = "a " * 2040 + PLANTED["github"] + " a" * 3000
    assert "ghp_" not in redact(straddling)
    assert "16C7e42F" not in redact(straddling)


def test_extra_patterns() -> None:
    cleaner = Redactor([r"ACME-\d{4}", "^internal:.*$"])
    assert cleaner("see ACME-1234") == "see [redacted:custom]"
    assert cleaner({"ACME-1234": "internal: x"}) == {"[redacted:custom]": "[redacted:custom]"}
    assert cleaner("password: x") == "password: [redacted:password]"
    with Ledger(secret_patterns=[r"ACME-\d{4}"]) as ledger:
        entry = ledger.append("decision", run_id="ACME-1234", call_id=None, body={"a": "ACME-1234"})
        assert "ACME-1234" not in json.dumps(entry.as_dict())


@pytest.mark.parametrize("bad", ["(", r"(?=x)", r"\1", "", "x*", 5])
def test_a_bad_extra_pattern_is_refused(bad: str) -> None:
    with pytest.raises(ConfigurationError, match="secret pattern"):
        Redactor([bad])
    with pytest.raises(ConfigurationError, match="sequence"):
        Redactor("abc")


def bodies() -> list[dict[str, Any]]:
    """Every planted secret in every place."""
    found: list[dict[str, Any]] = [{"password": "tulip-4711-rose", "pin": 918273, "otp": "555777"}]
    for secret in PLANTED.values():
        found += [
            {"arguments": {"text": secret}},
            {"output": [[{"deep": [f"before {secret} after"]}]]},
            {secret: 1},
            {"reasons": [f"argument {secret!r} is not named"]},
            {"json": json.dumps({"inner": secret})},
        ]
    return found


def test_planted_secrets_never_reach_the_disk(tmp_path: Path) -> None:
    """R145, design 10: looked for in the raw bytes of the database and of its log."""
    needles = [s.encode() for s in PLANTED.values()] + [b"tulip-4711", b"918273", b"555777"]
    needles += [json.dumps(PLANTED["pem"])[1:-1].encode(), b"MIIEowIBAAKCAQEA7"]
    with Ledger(tmp_path / "l.db") as ledger:
        for body in bodies():
            ledger.append("outcome", run_id="r", call_id="c", body=body)
        for secret in PLANTED.values():
            # A random-looking id stays an id; what is surely a secret does not.
            ids = secret if secret not in (PLANTED["random"], PLANTED["aws_secret"]) else "c"
            ledger.append("decision", run_id=ids, call_id=ids, body={}, ref=ids)
            long = "r" * 300 + f" {ids}"
            ledger.append("decision", run_id=long, call_id=long, body={}, ref=long)
            ledger.claim(f"{ids} {len(ids)}", run_id=ids, call_id=ids, body={"text": secret})
        files = list(tmp_path.iterdir())
        assert any(path.name.endswith("-wal") for path in files)
        raw = b"".join(path.read_bytes() for path in files)
        assert ledger.verify() > 70
    raw += b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert [needle for needle in needles if needle in raw] == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(alphabet=st.characters(), max_size=20)
    | st.from_regex(r"(password|token|card|Bearer)[ :=]{1,2}[a-zA-Z0-9+/ ]{0,40}", fullmatch=True)
    | st.sampled_from(
        [*PLANTED.values(), "[redacted:password]", "password: [redacted:", "tulip-42"]
    ),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.text(max_size=8)
            | st.sampled_from(["password", "name", "value", "--token", "id", *PLANTED.values()]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(JSON)
@example({"password": "redacted:known]x1", "a": "redacted:known]x1 redacted"})
@example({"password": "a1[redacted:password]", "b": ["a1[redacted:password]" * 3]})
@example(["password", "token", "x"])
@example("password: " * 400)
@example("password: " * 900)
def test_redaction_is_idempotent_and_never_raises(value: Any) -> None:
    once = redact(value)
    assert redact(once) == once
    json.dumps(once, allow_nan=False).encode()


@settings(max_examples=100, deadline=None)
@given(JSON, st.sampled_from(sorted(PLANTED)))
@example({"id": PLANTED["aws_secret"]}, "aws_secret")
@example({"id": PLANTED["random"]}, "random")
@example({"id": [f"x {PLANTED['random']}"]}, "random")
def test_a_planted_secret_is_gone_wherever_it_is_put(value: Any, name: str) -> None:
    """R145: only a random word without a shape may be an id, and stays under an id's name."""
    secret = PLANTED[name]
    wrapped = {"a": [value, {"b": f"x {secret} y"}], secret: value}
    cleaned = redact(wrapped)
    shown = _without_ids(cleaned, secret) if name == "random" else cleaned
    assert secret not in json.dumps(shown, ensure_ascii=False)


def _without_ids(value: Any, word: str, name: str = "") -> Any:
    """`value` without `word` where it is a whole text under `id`, also in a list there."""
    if isinstance(value, dict):
        return {key: _without_ids(item, word, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_ids(item, word, name) for item in value]
    return None if name == "id" and value == word else value


@pytest.mark.parametrize("name", ["id", "file_id", "ids", "digest", "ref"])
@pytest.mark.parametrize("secret", sorted(PLANTED.keys() - {"random"}))
def test_a_secret_with_a_shape_goes_under_the_name_of_a_reference_too(
    secret: str, name: str
) -> None:
    """R145."""
    for value in (PLANTED[secret], [PLANTED[secret]], f"see {PLANTED[secret]}"):
        assert PLANTED[secret] not in json.dumps(redact({name: value}), ensure_ascii=False)


def test_only_one_word_is_a_reference() -> None:
    """R145: what stands beside an id is no id, and base64 with `/` or `+` is most likely a key."""
    assert redact({"id": PLANTED["random"]}) == {"id": PLANTED["random"]}
    assert PLANTED["random"] not in redact({"id": f"see {PLANTED['random']}"})["id"]
    assert redact({"id": PLANTED["aws_secret"]}) == {"id": "[redacted:token]"}


@pytest.mark.parametrize(
    "text",
    [
        "password: " * 100_000, "4 " * 500_000, "4111111111111112 " * 60_000, " " * 1_000_000,
        "-----BEGIN PRIVATE KEY-----" * 40_000, "a://:" * 200_000, "eyJ" * 300_000,
        "[redacted:" * 100_000, "AA00" * 250_000,
        base64.b64encode(bytes(range(256)) * 3000).decode(),
        "\ud800" * 1_000_000, "secretary: " * 90_000, 'password:"' * 90_000,
    ],
)  # fmt: skip
def test_a_megabyte_of_anything_takes_bounded_time(text: str) -> None:
    pieces = [text[n : n + 10_000] for n in range(0, len(text), 10_000)]
    for value in (text, pieces, {text: text}, dict.fromkeys(pieces, 1)):
        began = time.perf_counter()
        redact(value)
        assert time.perf_counter() - began < 3


def test_many_keys_made_equal_take_linear_time() -> None:
    value = {f"AKIA{n:016d}": n for n in range(6000)}
    began = time.perf_counter()
    assert list(redact(value).values()) == list(range(6000))
    assert time.perf_counter() - began < 3


@pytest.mark.parametrize(
    "text",
    [
        "<pin>x</a>" * 4000,
        "<pin>" * 8000,
        "<pin " * 8000,
        "&lt;key " * 6000,
        "<password>x\n" * 4000,
    ],
)
def test_hostile_markup_takes_bounded_time(text: str) -> None:
    started = time.perf_counter()
    cleaned = redact({"a": text})
    assert redact(cleaned) == cleaned
    assert time.perf_counter() - started < 2


_TEXTS = st.sampled_from(
    ("plain", "password: hunter22", "Zq8xW3bT9kLm2PvR7sYd4FhJ6nQc1AgE", "ann@corp.example", "id")
)
_RECORDS = st.recursive(
    _TEXTS | st.integers(-9, 9) | st.none(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(("node", "file_id", "text", "parts")), inner)
    ),
    max_leaves=30,
)


@given(_RECORDS)
def test_records_that_are_copied_as_a_whole_are_those_in_which_nothing_is_replaced(
    value: object,
) -> None:
    whole = {"parts": [value, {"text": "password: hunter22"}, {"deep": [value]}]}
    survey = Survey()
    copy = survey.copy(whole, 0)
    assert redact(whole) == _Cleaner(Redactor(), survey.known).clean(copy, False)
