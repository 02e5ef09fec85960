"""How much one call asks for: rows, amounts, recipients, bytes, as budgets count them.

Every value counts as the most that it may mean: `1.000` is a thousand, `-5` is five, a default
stands for what is left out. What cannot be read is `None`, and breaks the budget.

Sees: arguments at any depth and in JSON that is a text; numbers as text in the usual notations.
Does not see: numbers in words, what a query will return that names no limit (counts as one row).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from gatling_guard.plan import canonical_json, leaves
from gatling_guard.rules.names import same_name
from gatling_guard.trace.amounts import currencies_of, number
from gatling_guard.trace.canonical import canonical
from gatling_guard.trace.entities import identity_keys

LIMIT_NAMES = frozenset(
    ("limit", "top", "topk", "count", "n", "num", "size", "pagesize", "perpage", "rows", "maxrows")
    + ("maxresults", "numresults", "max", "first", "take", "batchsize", "maxitems", "numrows")
)
AMOUNT_NAMES = frozenset(
    ("amount", "total", "sum", "value", "price", "cents", "payment", "money", "quantity", "fee")
    + ("totalamount", "paymentamount", "transferamount", "amountcents", "amountusd", "amounteur")
)
MAX_RECIPIENTS = 1000
"""Recipients of one call that are told apart; more cannot be read."""
_SPLIT = re.compile(r"[,;\n]|\s(?=\S+@)")

Found = list[tuple[str, Any]]
"""Arguments by `same_name`, at any depth."""


def named_values(value: Any) -> Found:
    """Every value with the name it stands under, lists opened, without repeats of a place."""
    found: Found = []
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            for name, child in item.items():
                found.append((same_name(name), child))
                stack.append(child)
        elif isinstance(item, list):
            stack += item
    return found


def rows(found: Found, names: Iterable[str], defaults: Mapping[str, Any]) -> Decimal | None:
    """The limit a call names, or the default of one, or the items it lists; at least one."""
    wanted = frozenset(map(same_name, names)) or LIMIT_NAMES
    limits = [v for name, v in found if name in wanted and not isinstance(v, (list, dict))]
    given = {name for name, _ in found}
    limits += [v for name, v in defaults.items() if name in wanted and name not in given]
    sizes = [_limit(value) for value in limits]
    if None in sizes:
        return None
    listed = sum(len(value) for _, value in found if isinstance(value, list))
    return max(Decimal(1), Decimal(listed), *(size for size in sizes if size is not None))


def _limit(value: Any) -> Decimal | None:
    """A limit; null, zero and less often mean that there is none."""
    found = number(value)
    return None if not found or str(value).strip().startswith(("-", "\u2212")) else found


def amounts(found: Found, names: Iterable[str], defaults: Mapping[str, Any]) -> list[Any]:
    """Every value that is an amount by its name."""
    wanted = frozenset(map(same_name, names)) or AMOUNT_NAMES
    given = {name for name, _ in found}
    values = [v for name, v in found if name in wanted and not isinstance(v, dict)]
    values += [v for name, v in defaults.items() if name in wanted and name not in given]
    items = [item for value in values for item in (value if isinstance(value, list) else [value])]
    # What an object or a list inside holds is looked at by its own names.
    return [item for item in items if not isinstance(item, (dict, list))]


def total(values: Iterable[Any]) -> Decimal | None:
    """The sum of amounts; None where there is none or one cannot be read."""
    sizes = [number(value) for value in values]
    known = [size for size in sizes if size is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(sizes) else None


def currency(found: Found, name: str, defaults: Mapping[str, Any]) -> set[str] | None:
    """The currencies a call names, case-folded; None where one is no text."""
    wanted = same_name(name)
    values = [value for key, value in found if key == wanted] or [defaults.get(wanted)]
    if not all(isinstance(value, str) for value in values):
        return None
    return {canonical(value) for value in values}


def agree(values: Iterable[Any], code: str) -> bool:
    """Whether no amount states a currency of its own that is another one (`500 USD`)."""
    stated = [codes for value in values if (codes := currencies_of(value)) is not None]
    return all(code in codes for codes in stated)


def recipients(found: Found, names: Iterable[str]) -> frozenset[str] | None:
    """The parties a call names, each as often as it is written differently; None: too many."""
    wanted = frozenset(map(same_name, names))
    parties: set[str] = set()
    for name, value in found:
        if name not in wanted:
            continue
        for leaf in leaves(value):
            if not isinstance(leaf.value, str):
                continue
            for part in _SPLIT.split(leaf.value):
                if canon := canonical(part):
                    parties |= identity_keys(canon, strict=True) or {canon}
                if len(parties) > MAX_RECIPIENTS:
                    return None
    return frozenset(parties)


def size(arguments: Any) -> Decimal:
    """Bytes of all arguments as JSON."""
    return Decimal(len(canonical_json(arguments).encode("utf-8", "replace")))
