"""Every error this package raises, as one tree.

    GatlingError
    |- InputError            foreign input is wrong; `issues` lists every fault, with its place
    |  |- PlanError          an execution plan
    |  |  `- CycleError      ... whose edges form a cycle (`cycle` names the nodes)
    |  |- PolicyError        a policy file
    |  |- ToolSpecError      a tool description
    |  `- TraceError         a recorded trace or a message list
    |- ConfigurationError    this package was set up wrongly by its user
    |- StoppedError          a call was not executed (`decision` says how and why)
    |  |- BlockedError
    |  `- HeldError
    `- LedgerError           the ledger could not be read or written
       `- LedgerTamperedError

`InputError` is deliberately no `ValueError`: pydantic would swallow it into a `ValidationError`
and the place would be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatling_guard.decision import Blocked, Held


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong in a piece of foreign input."""

    where: str
    """JSON pointer (`/nodes/3/arguments/to`) or dotted key (`roles.analyst.scope`)."""
    message: str
    """What is wrong and, where it can be said, what would be right."""
    file: str | None = None
    line: int | None = None
    """1-based line in `file`."""

    def __str__(self) -> str:
        """`file:line: where: message`, leaving out what is not known."""
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        return ": ".join(part for part in (place, self.where, self.message) if part)


class GatlingError(Exception):
    """The root of every error raised by this package."""


class InputError(GatlingError):
    """Foreign input is wrong.

    Attributes:
        issues: every fault that was found, in the order of the input.
    """

    def __init__(self, issues: Sequence[Issue] | str, *, what: str = "input") -> None:
        self.issues: tuple[Issue, ...] = (
            (Issue("", issues),) if isinstance(issues, str) else tuple(issues)
        )
        count = len(self.issues)
        head = f"{what}: " if count == 1 else f"{what}: {count} problems\n  "
        super().__init__(head + "\n  ".join(str(issue) for issue in self.issues))


class PlanError(InputError):
    """An execution plan is not valid."""

    def __init__(self, issues: Sequence[Issue] | str, *, what: str = "plan") -> None:
        super().__init__(issues, what=what)


class CycleError(PlanError):
    """The edges of a plan form a cycle; a plan is always acyclic.

    Attributes:
        cycle: node ids in order, the first repeated at the end.
    """

    def __init__(self, cycle: Sequence[str]) -> None:
        self.cycle = tuple(cycle)
        shown = " -> ".join(self.cycle[:12]) + (" -> ..." if len(self.cycle) > 12 else "")
        super().__init__([Issue("/edges", f"the edges form a cycle: {shown}")])


class PolicyError(InputError):
    """A policy is not valid."""

    def __init__(self, issues: Sequence[Issue] | str, *, what: str = "policy") -> None:
        super().__init__(issues, what=what)


class ToolSpecError(InputError):
    """A tool description is not valid."""

    def __init__(self, issues: Sequence[Issue] | str, *, what: str = "tool") -> None:
        super().__init__(issues, what=what)


class TraceError(InputError):
    """A recorded trace or a list of messages is not valid."""

    def __init__(self, issues: Sequence[Issue] | str, *, what: str = "trace") -> None:
        super().__init__(issues, what=what)


class ConfigurationError(GatlingError):
    """The package was set up wrongly by its user (not: a call was stopped)."""


class StoppedError(GatlingError):
    """A call was not executed. The text is what a model may be shown.

    Attributes:
        decision: the `Blocked` or `Held` value behind it, with everything an operator may know.
    """

    decision: Blocked | Held

    def __init__(self, decision: Blocked | Held) -> None:
        self.decision = decision
        super().__init__(decision.message)


class BlockedError(StoppedError):
    """The call was blocked."""


class HeldError(StoppedError):
    """The call waits for a person."""


class LedgerError(GatlingError):
    """The ledger could not be read or written."""


class LedgerTamperedError(LedgerError):
    """The hash chain of the ledger does not hold.

    Attributes:
        seq: sequence number of the first entry that does not fit.
    """

    def __init__(self, seq: int, message: str) -> None:
        self.seq = seq
        super().__init__(f"entry {seq}: {message}")
