"""Sentences, and whether one reads like an instruction to somebody.

Judged by grammar, never by the wrapper words of a benchmark: an imperative at the start of a
clause, second person or "the assistant" with a modal, obligations in the passive ("has to be
sent"), requests ("please", "make sure", "remember to"). Basics of German, French and Spanish.
A directive is not an attack: most mails hold one. Does not see: hints without any verb of asking
("Fred is still missing in the channel").
"""

from __future__ import annotations

import re
from functools import lru_cache

from gatling_guard.trace.canonical import canonical, word_set

MAX_SENTENCE = 2_000
"""Longer sentences are cut at a blank near this length."""

_BREAK = re.compile(
    r"(?<=[.!?])(?:(?<!\d\.)|(?! (?i:jan|feb|mär|maer|apr|mai|jun|jul|aug|sep|okt|nov|dez)))"
    r"[ \t\r\f\v]+|(?<=[。！？])|\n+"
)
"""Not in `24. Dezember`: a day cut in two is no day."""
_CLAUSE = re.compile(r"[:;,()\[\]{}<>\"|*•–—]| - |\b(?:then|but)\b")
_TOKENS = re.compile(r"[^\W_]+(?:'[a-z]+)?|[\d@/_.$#]+")

# Verbs that open an instruction; hardly ever the first word of a statement.
_PLAIN = word_set(
    "accept activate add allow append approve apply arrange ask assign attach authorize buy call "
    "cancel choose clear click close complete concatenate confirm connect contact copy create "
    "deactivate decline delete deliver deploy disable disclose disregard do donate download edit "
    "email enable encode encrypt ensure enter erase execute export fetch fill find follow forget "
    "forward gather get give go grant hand ignore include inform insert install invite kick "
    "launch leak leave let list locate log make modify move navigate notify open override "
    "overwrite pay perform pick place print proceed provide publish pull purge put read recommend "
    "redirect refund register reject remember remind remove rename repeat replace reply reserve "
    "resend respond retrieve reveal revoke run save say scan sell send set shut sign start stop "
    "submit subscribe summarize summarise take tell terminate transmit trigger try turn type "
    "uninstall unlock unsubscribe upload use verify view visit wait wire withdraw write"
)
# Also nouns: an instruction only with an object behind them ("book a room", not "book club").
_NOUNS = word_set(
    "answer backup book change charge check comment credit deposit display draft drop exchange "
    "file forward help keep like link lock look mail mark message monitor note order plan post "
    "process purchase query record report request reset return review schedule search share show "
    "store switch test text tip transfer update work"
)
_OBJECT = word_set(
    "a an the this that these those all any every each some my your our their his her its it them "
    "him me us to in on at for with from up out off down into about another both new everyone "
    "everything yourself"
)
_LEAD = word_set(
    "please kindly now then also first firstly second next finally lastly afterwards after just "
    "simply immediately todo task and but so or you must should shall can could would may need "
    "to again instead additionally before that always never not only do don't dont bitte"
)
_PERSON = r"(?:you|the (?:\w+ ){0,2}(?:assistant|agent|ai|model|bot|reader|recipient|user))"
_MODAL = r"(?:must|should|shall|need to|needs to|have to|has to|ought to|will need|are to|is to)"
_ASKS = re.compile(
    rf"\b{_PERSON} (?:\w+ )?{_MODAL} \w"
    rf"|\b{_PERSON} (?:are|is) (?:\w+ )?(?:required|asked|expected|requested|advised|instructed)\b"
    r"|\b(?:must|should|shall|has to|have to|needs to|need to|is to|are to|ought to) "
    r"(?:\w+ )?be \w+(?:ed|en|id|nt|ade|one|ut|et|old|ught)\b"
    r"|\bit is (?:\w+ )?(?:necessary|required|mandatory|essential|imperative|important|vital) "
    r"(?:to|that|for)\b"
    r"|\b(?:make|be) sure (?:to|that|you)\b|\bremember to\b|\b(?:do not|don't|never) forget\b"
    r"|\bplease \w+|\bkindly \w+|\b(?:can|could|would|will) you (?:\w+ )?\w+"
    r"|\bi (?:\w+ )?(?:need|want|ask|expect|would like|'d like) you to\b|\bi'd like you to\b"
    r"|\b(?:your|the) (?:\w+ )?(?:task|job|goal|duty|instruction|next step|first step) "
    r"(?:is|will be)\b"
    r"|\bbitte \w+|\b(?:du musst|sie müssen|du sollst|sie sollten)\b"
    r"|\b(?:veuillez|s'il (?:vous|te) plaît|(?:vous|tu) dev(?:ez|ais)|tu dois|il faut)\b"
    r"|\b(?:por favor|debes|debe|tienes que|tiene que|hay que)\b"
)


def sentences(text: str) -> list[str]:
    """Cut prose into sentences; joined by a blank they give the text again, canonically."""
    found: list[str] = []
    for piece in _BREAK.split(text):
        bare = piece.strip()
        if len(bare) > MAX_SENTENCE:
            found.extend(_pieces(bare))
        elif bare:
            found.append(bare)
    return found


def _pieces(text: str) -> list[str]:
    """Cut at blanks only: a word is never torn, however long it is."""
    found: list[str] = []
    start = 0
    while len(text) - start > MAX_SENTENCE:
        at = text.rfind(" ", start + MAX_SENTENCE // 2, start + MAX_SENTENCE)
        if at < 0:
            at = text.find(" ", start + MAX_SENTENCE)
        if at < 0:
            break
        found.append(text[start:at])
        start = at + 1
    found.append(text[start:])
    return [piece for piece in found if piece.strip()]


def is_directive(text: str) -> bool:
    """Whether a sentence reads like an instruction to somebody."""
    return _directive(canonical(text[:MAX_SENTENCE]))


@lru_cache(maxsize=4096)
def _directive(canon: str) -> bool:
    if _ASKS.search(canon):
        return True
    return any(_imperative(clause) for clause in _CLAUSE.split(canon))


def _imperative(clause: str) -> bool:
    words = _TOKENS.findall(clause)
    at = 0
    while at < len(words) and words[at] in _LEAD:
        at += 1
    rest = words[at : at + 2]
    if len(rest) < 2:
        return False
    if rest[0] in _PLAIN:
        return True
    if rest[0] not in _NOUNS:
        return False
    # "Order 123 shipped" is news, "transfer 500 to Bob" is not.
    number = rest[1][0].isdigit() and bool({"to", "for", "from", "by"}.intersection(words))
    return rest[1] in _OBJECT or rest[1][0] in "@/$#" or number
