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
