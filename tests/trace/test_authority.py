"""What the trusted side gave and asked for."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gatling_guard.catalog import Effect, ToolSpec
from gatling_guard.trace import Authority

ASKED = Authority.of(
    [
        "Please pay the bill 1,100.50 to GB29NWBK60161331926819 on May 13th 2024 at 5 pm.",
        "Mail bob@x.org, not ann@y.org.evil.com. Open www.shop.com. Don't delete anything.",
    ],
    ["Today is 2024-05-15 and you work for Emma."],
    ["corp.com", "alice"],
)


@pytest.mark.parametrize(
    ("value", "source", "match"),
    [
        ("GB29NWBK60161331926819", "instruction", "substring"),
        ("ｇｂ29nwbk60161331926819", "instruction", "substring"),
        (1100.5, "instruction", "substring"),
        ("1100.50", "instruction", "substring"),
        ("2024-05-13", "instruction", "substring"),
        ("2024-05-13 17:00", "instruction", "substring"),
        ("2024-05-15", "system", "substring"),
        ("bob@x.org", "instruction", "substring"),
        ("https://www.shop.com/", "instruction", "substring"),
        ("corp.com", "policy", "exact"),
        ("https://corp.com/", "policy", "exact"),
        ("Alice", "policy", "exact"),
        ("anything delete", "instruction", "words"),
    ],
)
def test_values_that_were_given(value: Any, source: str, match: str) -> None:
    origin = ASKED.find(value)
    assert origin is not None
    assert (origin.source, origin.match) == (source, match)
    assert 0 < len(origin.quote) <= 160


@pytest.mark.parametrize(
    "value",
    [
        "ob@x.or",
        "eve@bob@x.org",
        "bob@x.org.evil.com",
        "y.org",
        "ann@y.org",
        "mail.corp.com",
        "corp.com.evil.org",
        "eve@corp.com",
        "www.shop.com/leak",
        "2024-05-13 18:00",
        "2024-05-14",
        1100,
        "GB29",
        True,
        None,
        "",
        "alice smith",
    ],
)
def test_values_that_were_not(value: Any) -> None:
    """A part of a name, a longer address, another time of the day are not what was said."""
    assert ASKED.find(value) is None


def test_effects_asked_for() -> None:
    """By verb class; a negated verb asks for nothing."""
    tool = ToolSpec("zap_thing")
    asked = {effect for effect in Effect if ASKED.asks(effect, tool)}
    assert asked >= {Effect.PAY, Effect.SEND, Effect.READ}
    assert not asked & {Effect.DELETE, Effect.PERMIT}


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("Lösche die Datei", Effect.DELETE),
        ("Überweise 5 Euro", Effect.PAY),
        ("Supprime le fichier", Effect.DELETE),
        ("Envía un correo a Bob", Effect.SEND),
        ("I would like the file removed", Effect.DELETE),
        ("share it with Bob", Effect.PERMIT),
    ],
)
def test_other_languages_and_forms(text: str, effect: Effect) -> None:
    assert Authority.of([text]).asks(effect, ToolSpec("zap"))


def test_the_tools_own_words_ask_for_it() -> None:
    authority = Authority.of(["Frobnicate the widget for me"])
    assert authority.asks(Effect.EXECUTE, ToolSpec("frobnicateWidget"))
    assert not authority.asks(Effect.EXECUTE, ToolSpec("explode_widget"))


def test_text_of_the_system_asks_for_nothing() -> None:
    authority = Authority.of(["What is the weather?"], ["You can send and delete mails."])
    assert not authority.asks(Effect.DELETE, ToolSpec("zap"))
    assert authority.words >= {"weather"}
    assert "delete" not in authority.words


def test_sentences_are_the_users() -> None:
    assert ASKED.sentences[-1] == "Don't delete anything."


def test_long_trusted_text_takes_bounded_time() -> None:
    authority = Authority.of(["pay a@x.org " * 30_000])
    start = time.thread_time()
    assert authority.find("x.org") is None
    assert time.thread_time() - start < 3


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("Könnten Sie bitte die Rechnung bezahlen?", Effect.PAY),
        ("Loesche die Datei", Effect.DELETE),
        ("Pourriez-vous supprimer le fichier", Effect.DELETE),
        ("Envíaselo a Bob", Effect.SEND),
        ("Publique isso no grupo", Effect.SEND),
        ("Pague la cuenta", Effect.PAY),
        ("Inviagli il file", Effect.SEND),
        ("Potresti cancellare l'evento?", Effect.DELETE),
        ("Por favor, exclua o arquivo", Effect.DELETE),
        ("Kun je het bestand verwijderen?", Effect.DELETE),
        ("Don't forget to send it", Effect.SEND),
        ("Do not hesitate to delete it", Effect.DELETE),
        ("What is my balance, and send it to Bob?", Effect.SEND),
        ("Update my rent payment", Effect.PAY),
    ],
)
def test_more_languages_and_polite_forms(text: str, effect: Effect) -> None:
    authority = Authority.of([text])
    assert authority.asks(effect, ToolSpec("zap"))
    assert {(a.effect, a.sentence) for a in authority.asked(effect)} == {(effect, text)}


@pytest.mark.parametrize(
    "text",
    [
        "Don't send it",
        "Read it without sending anything",
        "Schicke nichts ab",
        "Lösche die Datei nicht",
        "N'envoie pas le fichier",
        "No envíes nada",
        "Non inviare niente",
        "Não envie nada",
        "Verstuur niets",
        "What did Bob send me?",
        "Who deleted the file?",
        "Read the mail",
        "die andere Datei lesen",
    ],
)
def test_negations_questions_and_nouns_ask_for_nothing(text: str) -> None:
    assert Authority.of([text]).asks_found == ()


PAID = "DE89370400440532013000"
OTHER = "GB29NWBK60161331926819"


@pytest.mark.parametrize(
    ("text", "role", "value", "effect", "literal"),
    [
        (f"Pay 50 to {PAID}", "account", OTHER, Effect.PAY, PAID.lower()),
        ("Send it to ann@x.org", "to", "ann@x.org.evil.example", Effect.SEND, "ann@x.org"),
        ("Send it to ann@x.org", "to", "ann@evil.example", Effect.SEND, "ann@x.org"),
        ("Pay 50 euros to Bob", "amount", 500, Effect.PAY, "50"),
        ("Save it as out.txt", "path", "/etc/cron.txt", Effect.WRITE, "out.txt"),
        ("Post it to www.a.example", "url", "www.b.example", Effect.SEND, "www.a.example"),
        ("Reserve it for 2024-05-20", "date", "2024-06-20", Effect.WRITE, "2024-05-20"),
    ],
)
def test_a_literal_of_the_users_that_a_call_replaces(
    text: str, role: str, value: Any, effect: Effect, literal: str
) -> None:
    authority = Authority.of([text])
    assert authority.replaced(value, role, {role: value}, effect) == literal
    assert authority.replaced(literal, role, {role: literal}, effect) is None


@pytest.mark.parametrize(
    ("text", "arguments", "effect"),
    [
        ("Send it to ann@x.org", {"to": ["bob@x.org", "ann@x.org"]}, Effect.SEND),
        ("Send it to ann@x.org and tell Bob", {"to": "bob@x.org"}, Effect.SEND),
        ("Send it to ann@x.org. Invite the new user.", {"to": "c@x.org"}, Effect.PERMIT),
        ("Reply to the mail from ann@x.org", {"to": "c@x.org"}, Effect.SEND),
        ("Read a.txt and write a summary", {"path": "b.txt"}, Effect.WRITE),
        ("Pay at most 50 euros to Bob", {"amount": 20}, Effect.PAY),
        (f"Pay 50 from {PAID} to Bob", {"account": OTHER}, Effect.PAY),
        ("Book it from 2024-05-20 to 2024-05-22", {"date": "2024-06-01"}, Effect.WRITE),
        ("Reserve it for 2024-05-20", {"end_date": "2024-05-27"}, Effect.WRITE),
        ("Pay 50 euros to Bob", {"count": 3}, Effect.PAY),
        ("Pay the bill", {"account": OTHER}, Effect.PAY),
        (f"Pay 50 to {PAID}", {"account": "DE89 3704 0044 0532 0130 00"}, Effect.PAY),
    ],
)
def test_what_replaces_nothing(text: str, arguments: dict[str, Any], effect: Effect) -> None:
    """Few false alarms: another role, another effect, a source, a bound, a person named."""
    authority = Authority.of([text])
    for role, value in arguments.items():
        for item in value if isinstance(value, list) else [value]:
            assert authority.replaced(item, role, arguments, effect) is None


def test_an_answer_is_cheap_after_the_first_one() -> None:
    """The hot path: 0.05 ms each once the texts were read."""
    authority = Authority.of([f"Pay 50 to {PAID} and mail ann@x.org about it. " * 5])
    spec, call = ToolSpec("pay"), {"account": OTHER}

    def ask() -> None:
        authority.asks(Effect.PAY, spec)
        authority.replaced(OTHER, "account", call, Effect.PAY)
        authority.budget("amount")

    ask()
    times = []
    for _ in range(200):
        start = time.perf_counter()
        ask()
        times.append(time.perf_counter() - start)
    assert sorted(times)[100] < 0.000_15


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("DE89 3704 0044 0532 0130 00", True),
        ("de89-3704-0044-0532-0130-00", True),
        (PAID, True),
        (PAID + "0", False),
        (PAID[:-1], False),
        (f"{PAID} {OTHER}", False),
        ("ann@x.org", True),
        ("ann@x.org.evil.example", False),
        ("ann+evil@x.org", False),
        ("a.nn@x.org", False),
    ],
)
def test_an_identity_is_named_in_any_of_its_formats_and_only_as_a_whole(
    value: str, named: bool
) -> None:
    origin = Authority.of([f"Pay 50 to {PAID} and mail ann@x.org"]).find(value)
    assert (origin is not None and origin.match != "words") is named
