"""Whether a text says nothing but that a call was done: its own arguments and status words.

"Order 123 cancelled" after `cancel_order(order_id=123)` carries nobody else's information, whatever
the tool. Such a text is no better than the call's arguments: the caller keeps their floor.

Finding a text here makes it trusted, so the comparison is strict: an argument is echoed whole or
not at all (words picked out of a long argument could be put together into another sentence), every
other word must stand in a closed list, and a number stands in no list. Verbs that could ask for
something (send, pay, call) are not in the list.
Does not see: words in another script or language, a value that the tool printed in another form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gatling_guard.catalog.names import words

MAX_TEXT = 600
"""Characters; a longer text is never a mere status."""
MAX_VALUES = 64
"""Argument values that are looked at."""
MAX_VALUE = 200
"""Characters of one value; a longer one is free text."""
_TOKEN = re.compile(r"\w+")

_STATUS = """
a accepted account added already an and applied appointment approved archived are arguments
available back been booking calendar canceled cancelled changed closed complete completed confirmed
correctly created credited deactivated deleted delivered details disabled done draft enabled error
event executed failed false file finished for found from has have id in information invalid is item
logged marked missing moved no none not now null of ok on opened or order paid pending placed posted
processed queued read received record refunded registered rejected removed renamed request
reservation reset restored result retrieved saved scheduled sent set shared started status stopped
submitted success successful successfully task the ticket to transaction transferred true unchanged
unknown unlocked updated uploaded user valid verified was were with
"""
STATUS = frozenset(_STATUS.split())
"""Words with which tools report: participles, record nouns, function words."""


def is_echo(text: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a text holds only whole argument values, names of arguments and status words.

    Args:
        text: one sentence or field of the output of the call.
        arguments: of that call.

    Returns:
        False where in doubt: too long, no word at all, more nesting than 8. Never raises.
    """
    tokens = _tokens(text) if len(text) <= MAX_TEXT else []
    if not tokens:
        return False
    values, names = _parts(arguments)
    at = 0
    while at < len(tokens):
        whole = next((v for v in values if tuple(tokens[at : at + len(v)]) == v), ())
        if not whole and tokens[at] not in STATUS and tokens[at] not in names:
            return False
        at += len(whole) or 1
    return True


def _tokens(text: str) -> list[str]:
    return [token.lower() for token in _TOKEN.findall(text)]


def _parts(arguments: Mapping[str, Any]) -> tuple[list[tuple[str, ...]], frozenset[str]]:
    """Token sequences of the values, longest first, and the words of the names of arguments."""
    values: list[tuple[str, ...]] = []
    names: set[str] = set()
    stack: list[tuple[Any, int]] = [(value, 0) for value in list(arguments.values())[:MAX_VALUES]]
    for name in list(arguments)[:MAX_VALUES]:
        names.update((name.lower(), *words(name)))
    while stack and len(values) < MAX_VALUES:
        node, depth = stack.pop()
        if isinstance(node, (dict, list, tuple)):
            inner = node.values() if isinstance(node, dict) else node
            stack += [(v, depth + 1) for v in list(inner)[:MAX_VALUES]] if depth < 8 else []
        elif isinstance(node, (str, int, float)) and not isinstance(node, bool):
            shown = node if isinstance(node, str) else repr(node)
            found = tuple(_tokens(shown)) if len(shown) <= MAX_VALUE else ()
            values += [found] if found else []
    return sorted(values, key=len, reverse=True), frozenset(names)
