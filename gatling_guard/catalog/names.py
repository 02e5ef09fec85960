"""Words of a tool's name, its description and its argument names.

All scanning is linear in the text and stops at a bound: names and descriptions are foreign input.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from functools import lru_cache

MAX_NAME = 256
"""Characters of a name that are looked at."""
MAX_DESCRIPTION = 2_000
"""Characters of a description that are looked at: the verb stands at the start."""

# Runs of one case class: "HTTPServer2" -> HTTP, Server; no quantifier is nested.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SEGMENT = re.compile(r"[./\\]+|:(?!\s)|__+")
_PATH_PARAMETER = re.compile(r"/[:{][\w-]{1,80}\}?")
_URL = re.compile(r"\bhttps?://\S{0,300}")
_TAG = re.compile(r"<[^<>]{0,40}>")
_PLAIN = re.compile(r"[A-Za-z]+")
_END = re.compile(r"[.;!?\n]\s")
_LABEL = re.compile(r"(?i)\bdescription:\s")
_PHRASAL = {
    "back": {"up"},
    "check": {"in", "out"},
    "clock": {"in", "out"},
    "log": {"in", "out"},
    "opt": {"in", "out"},
    "roll": {"back"},
    "set": {"up"},
    "shut": {"down"},
    "sign": {"in", "out", "up"},
    "top": {"up"},
}


def words(name: str) -> tuple[str, ...]:
    """Lower-case words of an identifier: snake, camel, kebab, dotted, spaced or mixed.

    >>> words("GmailAddOrUpdateContact")
    ('gmail', 'add', 'or', 'update', 'contact')
    """
    return _words(name[:MAX_NAME])


@lru_cache(maxsize=8192)
def _words(name: str) -> tuple[str, ...]:
    return tuple(_joined(word.lower() for word in _WORD.findall(name)))


def _joined(found: Iterable[str]) -> Iterator[str]:
    """Phrasal verbs as one word: "check_in" is no check."""
    before = ""
    for word in found:
        if word in _PHRASAL.get(before, ()):
            before += word
            continue
        if before:
            yield before
        before = word
    if before:
        yield before


def segments(name: str) -> tuple[tuple[str, ...], ...]:
    """The words of each part of a dotted or slashed name, parts without any left out.

    >>> segments("spotify.playlists.delete")
    (('spotify',), ('playlists',), ('delete',))
    """
    plain = _PATH_PARAMETER.sub("/", name[:MAX_NAME])
    parts = (words(part) for part in _SEGMENT.split(plain))
    return tuple(part for part in parts if part)


@lru_cache(maxsize=8192)
def singular(word: str) -> str:
    """The singular of a regular English plural; other words as they are."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


_INFLECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ies", ("y",)),
    ("es", ("", "e")),
    ("s", ("",)),
    ("ing", ("", "e")),
    ("ied", ("y",)),
    ("ed", ("", "e")),
)
_ACTION_NOUNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ification", ("ify",)),
    ("etion", ("ete",)),
    ("ation", ("ate", "e", "")),
    ("ition", ("it",)),
    ("ction", ("ct",)),
    ("ption", ("pt",)),
    ("ment", ("", "e")),
    ("al", ("", "e")),
    ("ing", ("", "e")),
    ("ier", ("y",)),
    ("er", ("", "e")),
    ("or", ("", "e")),
)


def base_form(word: str, known: Container[str]) -> str | None:
    """The form of a regular inflected verb that is in `known`; "sent" is not covered."""
    return word if word in known else _stem(word, known, _INFLECTIONS)


def nominal(word: str, known: Container[str]) -> str | None:
    """The verb behind an action noun or its doer: deletion, management, hijacking, sender."""
    return _stem(word, known, _ACTION_NOUNS)


def _stem(
    word: str, known: Container[str], endings: tuple[tuple[str, tuple[str, ...]], ...]
) -> str | None:
    for ending, repairs in endings:
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < 2:
            continue
        forms = [stem + repair for repair in repairs]
        if stem[-1] == stem[-2]:
            forms.append(stem[:-1])  # "running", "getter"
        found = next((form for form in forms if form in known), None)
        if found:
            return found
    return None


def sentence(description: str) -> tuple[str, ...]:
    """Lower-case words of the first sentence, or of the one after a label "description:"."""
    # An address is no text: "https://investing.com" invests nothing.
    text = _TAG.sub(" ", _URL.sub(" ", description[:MAX_DESCRIPTION])).strip()
    label = _LABEL.search(text)
    text = text[label.end() :] if label else text
    end = _END.search(text, 12)
    first = text[: end.start()] if end else text
    return tuple(_joined(word.lower() for word in _PLAIN.findall(first)[:40]))
