"""What an operator could do about a decision (R50): an answer, a line of policy, a question.

Every policy text is built from values by a YAML writer and escapes what is not plain ASCII: the
values are an attacker's as likely as not. It is a fragment to merge, and loads on its own.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from gatling_guard.policy import Boundary
from gatling_guard.report.types import Advice, Argument, Explanation, Rule

_HOST = re.compile(r"[a-z]{2,6}://([a-z0-9.-]{1,253})(?::\d+)?(?:[/?#]|\Z)", re.IGNORECASE)
_CUT = ("...", "[cut:", "[redacted:")
_FEW = 3


def advise(found: Explanation) -> tuple[Advice, ...]:
    """What could be done, the mildest first; all of it for a person to judge."""
    if found.tool == "plan" and not found.arguments:
        return ()
    if found.verdict in ("allow", "repair"):
        return tuple(_tighten(found))
    advice = list(_answer(found)) if found.verdict == "hold" else []
    for rule in found.rules:
        if rule.action in ("block", "hold"):
            advice.extend(_about_rule(rule, found))
    if found.by == "energy" or found.verdict == "hold":
        advice.extend(_about_values(found))
    return tuple(dict.fromkeys(advice))


def _answer(found: Explanation) -> Iterator[Advice]:
    if found.hold_id and found.mode == "enforce" and not found.approved_by:
        yield Advice(
            "Approve it once",
            "It runs once, with exactly these arguments, when it is proposed again. Read the "
            "quotes below first: whoever wrote them may want this call.",
            f'session.approve("{found.hold_id}", by="your name")',
        )
        yield Advice("Refuse it", "", f'session.deny("{found.hold_id}", by="your name")')


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
                _yaml({"boundary": entry}),
            )
    names = list(dict.fromkeys(leaf.argument for leaf in suspects if leaf.tier == 3))[:_FEW]
    if names and _plain(found.tool):
        wanted = ["instruction", "system", "policy", "internal"]
        yield Advice(
            "To stop such calls by a rule, whatever the score",
            "The value must then come from the user, the policy or own records.",
            _yaml({"tools": {found.tool: {"origin": dict.fromkeys(names, wanted)}}}),
        )


def _vouches(entry: dict[str, list[str]]) -> bool:
    """Whether the entry names the very value; a host or folder only says where data may go."""
    return "addresses" in entry or "accounts" in entry


def _boundary(leaf: Argument) -> dict[str, list[str]] | None:
    """The entry under which a value counts as inside, if there is one that says nothing more."""
    value = leaf.value.strip()
    if not _whole(value) or value.replace(".", "").replace(",", "").isdigit() and len(value) < 8:
        return None
    if "@" in value and "/" not in value:
        entry = {"addresses": [value]}
    elif host := _HOST.match(value):
        entry = {"domains": [host[1]]}
    elif value.startswith(("/", "~")):
        entry = {"paths": [posixpath.dirname(posixpath.normpath(value)) or value]}
    elif " " in value.strip() and not any(char.isdigit() for char in value):
        return None
    else:
        entry = {"accounts": [value]}
    if entry.get("paths") in (["/"], ["~"]):
        return None
    try:
        return entry if Boundary(**entry).inside(value) else None  # type: ignore[arg-type]
    except ValidationError:
        return None


def _about_rule(rule: Rule, found: Explanation) -> Iterator[Advice]:
    head, _, tail = rule.rule.partition(".")
    if rule.rule == "origin.required":
        yield from _origin(rule, found)
    elif head == "flow":
        yield from _flow(tail, rule)
    elif head == "argument":
        yield Advice("Look at the constraint", f"`arguments` of the policy: {rule.message}")
    elif rule.rule in _REMEDIES:
        title, detail, entry = _REMEDIES[rule.rule]
        sure = _plain(found.tool) and _plain(found.role or "ROLE")
        code = _yaml(entry(found)) if sure else ""
        yield Advice(title, detail, code)
    elif head == "schema":
        yield Advice("Look at the call", "It does not fit the tool's own schema.")
    elif head == "hold" and found.verdict == "hold":
        yield Advice("The policy wants a person to see such calls", "See its `holds` and `hold`.")


def _for_tool(**entry: Any) -> Callable[[Explanation], dict[str, Any]]:
    return lambda found: {"tools": {found.tool: entry}}


def _for_role(**entry: Any) -> Callable[[Explanation], dict[str, Any]]:
    return lambda found: {"roles": {found.role or "ROLE": {"tools": [found.tool], **entry}}}


_ROLE = ("Give the role this tool", "Or use another role.", _for_role())
_REMEDIES: Mapping[str, tuple[str, str, Callable[[Explanation], dict[str, Any]]]] = {
    "tool.unknown": (
        "Make the tool known",
        "With `guard.register(tool)`, whose schema lets its calls be judged, or in the policy.",
        _for_tool(effect="write", allow=True),
    ),
    "tool.denied": (
        "Allow the tool",
        "Where its entry says `allow: false`.",
        _for_tool(allow=True),
    ),
    "role.tool": _ROLE,
    "role.denied": _ROLE,
    "role.unknown": _ROLE,
    "role.missing": _ROLE,
    "role.effect": (
        "Give the role this effect",
        "",
        lambda found: _for_role(effects=[found.effect or "read"])(found),
    ),
    "scope.cap": ("Raise the scope of the role", "", _for_role(scope=10)),
    "schema.extra": (
        "Allow arguments that the schema lacks",
        "Better: add the argument to the tool's schema.",
        _for_tool(extra_arguments="allow"),
    ),
    "limit.tool_calls": ("Raise the limit", "Of calls per session.", _for_tool(max_calls=100)),
    "limit.calls": ("Raise the limit", "", lambda _: {"limits": {"max_calls": 20_000}}),
}
"""By rule: title, detail and the fragment of a policy that would let the call pass the rule."""


def _origin(rule: Rule, found: Explanation) -> Iterator[Advice]:
    """What would have been needed for the value to be accepted."""
    leaf = next((a for a in found.arguments if a.path == rule.where), None)
    tools = [f"tool:{s.tool}" for s in leaf.sources if s.tool] if leaf else []
    tools = [tool for tool in dict.fromkeys(tools) if _plain(tool)]
    if leaf and tools and _plain(found.tool):
        yield Advice(
            f"Accept {leaf.argument} from {tools[0].removeprefix('tool:')}",
            "Only if everything that this tool returns may say so.",
            _yaml({"tools": {found.tool: {"origin": {leaf.argument: ["instruction", tools[0]]}}}}),
        )
    yield Advice("Ask the user", "What the user names needs no other origin, where `origin` lists "
                 "`instruction`.")  # fmt: skip


def _flow(path: str, rule: Rule) -> Iterator[Advice]:
    source, _, target = path.partition("-")
    if rule.action == "block" and source and target:
        yield Advice(
            "Have a person decide on this flow",
            "In place of the policy's `deny:` line.",
            _yaml({"flows": [f"hold: {source} -> {target}"]}),
        )
    yield Advice("Have the user name the value", "What the instruction names is no flow.")


def _tighten(found: Explanation) -> Iterator[Advice]:
    """For a call that ran and should not have: only where it does something."""
    if found.effect in ("", "read", "state_changing_read") or not _plain(found.tool):
        return
    yield Advice("Have a person see such calls", "", _tool(found.tool, hold=True))
    public = [a.argument for a in found.arguments
              if a.kind == "identity" and a.tier == 3 and not a.named]  # fmt: skip
    if public:
        yield Advice("Or only where the value is a stranger's", "",
                     _yaml({"flows": [f"hold: public -> {found.effect} (identity)"]}))  # fmt: skip


def _tool(tool: str, **entry: Any) -> str:
    return _yaml({"tools": {tool: entry}})


def _yaml(value: Any) -> str:
    # Through JSON, so that equal lists are written out: an alias could not be merged by hand.
    plain = json.loads(json.dumps(value))
    return yaml.safe_dump(plain, sort_keys=False, width=10_000, default_flow_style=None).rstrip()


def _plain(name: str) -> bool:
    """Whether a tool's name may stand in a policy: globs would mean other tools as well."""
    return bool(re.fullmatch(r"\w[\w.:/ -]{0,198}", name)) and name == name.strip()


def _whole(value: str) -> bool:
    return bool(value) and not any(mark in value for mark in _CUT) and value.isprintable()
