"""What an operator could do about a decision (R50): an answer, a line of policy, a question.

Every policy text is built from values by a YAML writer and escapes what is not plain ASCII: the
values are an attacker's as likely as not. It is a fragment to merge, and loads on its own.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from gatling_guard.policy import Boundary
from gatling_guard.report.remedies import about_rule, fragment, plain_name
from gatling_guard.report.types import Advice, Argument, Explanation

_HOST = re.compile(r"[a-z]{2,6}://([a-z0-9.-]{1,253})(?::\d+)?(?:[/?#]|\Z)", re.IGNORECASE)
_CUT = ("...", "[cut:", "[redacted:")
_FEW = 3
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.\w{2,}")
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{7,63}")
_DATE = re.compile(r"\d{1,4}-\d{1,2}-\d{1,4}")
_DIGITS = 6
"""An account has as many; a word, a currency or a label has not."""
_PLACEHOLDER = re.compile(r"\$[A-Za-z_{(]|\{\{|<\w{1,40}>")
"""A value that is still to be filled in, as plans write it."""
_ANSWERS = ("approval", "denial", "execution")


def advise(found: Explanation) -> tuple[Advice, ...]:
    """What could be done, the mildest first; all of it for a person to judge."""
    if found.tool == "plan" and not found.arguments:
        return ()
    if found.verdict in ("allow", "repair"):
        return tuple(_tighten(found))
    advice = list(_answer(found)) if found.verdict == "hold" else []
    for rule in found.rules:
        if rule.action in ("block", "hold"):
            advice.extend(about_rule(rule, found))
    # Rules that ask for a person, or count, are not met by naming a value.
    if found.by == "energy" or (found.verdict == "hold" and not _counts(found)):
        advice.extend(_about_values(found))
    return tuple(dict.fromkeys(advice))


def _answer(found: Explanation) -> Iterator[Advice]:
    if not found.hold_id or found.mode != "enforce" or found.approved_by or _answered(found):
        return
    only = found.repair is not None and found.repair.only
    if found.repair is not None and found.repair.offered:
        yield Advice(
            "Let the repaired call run instead",
            "It runs once, as offered above, when the same call is proposed again; the call itself "
            "does not.",
            f'session.approve("{found.hold_id}", by="your name", offer=True)',
        )
    directed = any(s.quote for leaf in found.arguments for s in leaf.sources)
    if not only:
        yield from _once(found, directed)
    yield Advice("Refuse it", "", f'session.deny("{found.hold_id}", by="your name")')


def _once(found: Explanation, directed: bool) -> Iterator[Advice]:
    """The call itself may run, with or without further ones."""
    quotes = " Whoever wrote what is quoted above may want this call." if directed else ""
    yield Advice(
        "Approve it once",
        "It runs once, with exactly these arguments, when it is proposed again under the same "
        f"call id{f' ({found.node})' if found.node else ''}.{quotes}",
        f'session.approve("{found.hold_id}", by="your name")',
    )
    if _grantable(found):
        yield Advice(
            "Approve it, and let the text that directed it direct further calls",
            "For the rest of the session: this tool, the same recipients, amounts up to these. "
            "Only if that text may steer the agent.",
            f'session.approve("{found.hold_id}", by="your name", grant=True)',
        )


def _answered(found: Explanation) -> bool:
    """Whether a person answered the hold, or the call ran: it waits for nobody then."""
    return any(item.split(" ")[1:2] == [kind] for item in found.history for kind in _ANSWERS)


def _grantable(found: Explanation) -> bool:
    """No grant clears a rule, and one needs a source: a call whose output directed this one."""
    vetoed = any(rule.action in ("block", "hold") for rule in found.rules)
    return not vetoed and any(
        source.source == "output" and source.call
        for leaf in found.arguments
        if leaf.tier > 1 and not leaf.named
        for source in leaf.sources
    )


def _counts(found: Explanation) -> bool:
    """Whether only budgets and the policy's own holds stand against the call."""
    vetoes = [rule.rule for rule in found.rules if rule.action in ("block", "hold")]
    return bool(vetoes) and all(rule.startswith(("budget.", "hold.")) for rule in vetoes)


def _about_values(found: Explanation) -> Iterator[Advice]:
    suspects = [a for a in found.arguments if a.kind == "identity" and a.tier > 1 and not a.named]
    values = list(dict.fromkeys(a.value for a in suspects if _whole(a.value)))[:_FEW]
    if values:
        yield Advice(
            "Ask the user",
            "What the user names counts as asked for. The user has to write it, in a message of "
            f"the user's own: {', '.join(values)}.",
        )
    for leaf in suspects[:_FEW]:
        entry = _boundary(leaf)
        if entry and (_vouches(entry) or any(share.term == "flow" for share in found.shares)):
            yield Advice(
                f"If {leaf.value} is the user's own side: add it to the boundary",
                "Data may then go there in every call from now on, whoever proposes it."
                + ("" if _vouches(entry) else " The value itself still counts as unnamed."),
                fragment({"boundary": entry}),
            )
    names = list(dict.fromkeys(leaf.argument for leaf in suspects if leaf.tier == 3))[:_FEW]
    if names and plain_name(found.tool):
        wanted = ["instruction", "system", "policy", "internal"]
        yield Advice(
            "To stop such calls by a rule, whatever the score",
            "The value must then come from the user, the policy or own records.",
            fragment({"tools": {found.tool: {"origin": dict.fromkeys(names, wanted)}}}),
        )


def _vouches(entry: dict[str, list[str]]) -> bool:
    """Whether the entry names the very value; a host or folder only says where data may go."""
    return "addresses" in entry or "accounts" in entry


def _boundary(leaf: Argument) -> dict[str, list[str]] | None:
    """The entry under which a value counts as inside, if there is one that says nothing more."""
    value = leaf.value.strip()
    if not _whole(value) or value.replace(".", "").replace(",", "").isdigit() and len(value) < 8:
        return None
    if _ADDRESS.fullmatch(value) and "/" not in value:
        entry = {"addresses": [value]}
    elif host := _HOST.match(value):
        entry = {"domains": [host[1]]}
    elif value.startswith(("/", "~")):
        entry = {"paths": [posixpath.dirname(posixpath.normpath(value)) or value]}
    elif _is_account(value):
        entry = {"accounts": [value]}
    else:
        return None
    if entry.get("paths") in (["/"], ["~"]):
        return None
    try:
        return entry if Boundary(**entry).inside(value) else None  # type: ignore[arg-type]
    except ValidationError:
        return None


def _is_account(value: str) -> bool:
    digits = sum(char.isdigit() for char in value)
    return bool(_ACCOUNT.fullmatch(value)) and digits >= _DIGITS and not _DATE.search(value)


def _tighten(found: Explanation) -> Iterator[Advice]:
    """For a call that ran and should not have: only where it does something."""
    if found.effect in ("", "read", "state_changing_read") or not plain_name(found.tool):
        return
    yield Advice("Have a person see such calls", "", _tool(found.tool, hold=True))
    public = [a.argument for a in found.arguments
              if a.kind == "identity" and a.tier == 3 and not a.named]  # fmt: skip
    if public:
        flow = f"hold: public -> {found.effect} (identity)"
        yield Advice("Or only where the value is a stranger's", "", fragment({"flows": [flow]}))


def _tool(tool: str, **entry: Any) -> str:
    return fragment({"tools": {tool: entry}})


def _whole(value: str) -> bool:
    """Whether the value is all there: not cut, not a placeholder, nothing hidden in it."""
    cut = any(mark in value for mark in _CUT) or _PLACEHOLDER.search(value)
    return bool(value) and not cut and value.isprintable()
