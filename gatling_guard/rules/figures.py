"""How much one call asks for: rows, amounts, recipients, bytes, as budgets count them.

Every value counts as the most that it may mean: `1.000` is a thousand, `-5` is five, a default
stands for what is left out. What cannot be read is `None`, and breaks the budget.

Sees: arguments at any depth and in JSON that is a text; numbers as text in the usual notations.
Does not see: numbers in words, what a query will return that names no limit (counts as one row).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from gatling_guard.plan import canonical_json, leaves
from gatling_guard.rules.names import same_name
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
_LARGEST, _SMALLEST = Decimal("1e18"), Decimal("1e-9")
"""What is larger is above every budget, what is smaller counts as this: so that sums are exact in
the 28 digits of a `Decimal`, and nothing is lost when a charge is given back."""
_NUMBER = re.compile(r"[-+]?[0-9][0-9.,' _]{0,60}(?:e[-+]?[0-9]{1,4})?\Z")
_GROUPED = re.compile(r"[-+]?[0-9]{1,3}(?:\.[0-9]{3})+\Z")
_CURRENCY = re.compile(r"\A[^\W\d]{1,4}[ .]?(?=[-+0-9])|(?<=[0-9])[ ]?[^\W\d]{1,4}\Z|[$€£¥₹]")
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


def number(value: Any) -> Decimal | None:
    """The largest size that a value may mean, without its sign; None where it is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    texts = _readings(value) if isinstance(value, str) else [repr(value)]
    found = [size for text in texts if (size := _decimal(text)) is not None]
    return max(found, default=None)


def _readings(value: str) -> Iterator[str]:
    if len(value) > 200:
        return
    text = _CURRENCY.sub("", canonical(value)).strip()
    if not _NUMBER.match(text):
        return
    plain = text.replace("'", "").replace(" ", "").replace("_", "")
    yield plain.replace(",", "")
    if "," in plain or _GROUPED.match(plain):
        yield plain.replace(".", "").replace(",", ".")


def _decimal(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except (InvalidOperation, ValueError):
        return None
    if not found.is_finite():
        return None
    if found.adjusted() >= 18:
        return _LARGEST
    return max(found.copy_abs(), _SMALLEST) if found else Decimal(0)


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


def amount(found: Found, names: Iterable[str], defaults: Mapping[str, Any]) -> Decimal | None:
    """The sum of all amounts; None where there is none or one cannot be read."""
    wanted = frozenset(map(same_name, names)) or AMOUNT_NAMES
    given = {name for name, _ in found}
    values = [v for name, v in found if name in wanted and not isinstance(v, dict)]
    values += [v for name, v in defaults.items() if name in wanted and name not in given]
    total, some = Decimal(0), False
    for value in values:
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, (dict, list)):  # what it holds is looked at by its own names
                continue
            size = number(item)
            if size is None:
                return None
            total, some = total + size, True
    return total if some else None


def currency(found: Found, name: str, defaults: Mapping[str, Any]) -> set[str] | None:
    """The currencies a call names, case-folded; None where one is no text."""
    wanted = same_name(name)
    values = [value for key, value in found if key == wanted] or [defaults.get(wanted)]
    if not all(isinstance(value, str) for value in values):
        return None
    return {canonical(value) for value in values}


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
