"""What edits cost: the less of the meaning of a plan changes, the less.

The order matters, not the distance: a number that is lowered leaves the task as it was, a list that
is thinned leaves most of it, a call that is held is done later as it was meant, another tool or
another address is another act, and a call that is dropped is not done at all. `PER_VALUE` orders
edits of one kind and never lifts an edit above the next kind.
"""

from __future__ import annotations

NUMBER = 1.0
"""A number, a day or a switch is set lower."""
LIST = 2.0
"""Elements are left out of a list."""
ARGUMENT = 3.0
"""An optional argument is left out."""
REDACT = 4.0
HOLD = 5.0
SPLIT = 6.0
SWAP = 7.0
RESOURCE = 8.0
"""An identity becomes another one."""
DROP = 10.0
"""For the call and again for each one that depends on it."""
PER_VALUE = 0.1
MOST_VALUES = 9


def with_values(base: float, values: int) -> float:
    """The cost of an edit that changes so many values."""
    return base + PER_VALUE * min(max(values, 1), MOST_VALUES)
