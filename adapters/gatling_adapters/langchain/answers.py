"""What a person answered to a hold, read from the value of `Command(resume=...)`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from gatling_guard import Effect, Held, ToolCall, ToolSpec

UNNAMED = "unnamed (langgraph resume)"
MAX_SHOWN = 200
"""Characters of one argument in a question; all of them are in `arguments`."""
DOES = {
    Effect.READ: "read data",
    Effect.STATE_CHANGING_READ: "read data and change something by that",
    Effect.WRITE: "change data",
    Effect.SEND: "send something to another party",
    Effect.EXECUTE: "run something",
    Effect.DELETE: "delete something",
    Effect.PAY: "move money",
    Effect.PERMIT: "give somebody access",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one hold. Whatever could not be read is a denial."""

    decision: Literal["approve", "deny", "edit", "repair"]
    by: str = UNNAMED
    arguments: dict[str, Any] | None = None
    """For `edit`: the arguments to run with instead."""
    grant: bool = False
    """Let the same text direct such calls for the rest of the run (`Session.approve`)."""

    def to(self, held: Held) -> Answer:
        """The answer as far as the hold allows it: a yes to what may not run is a denial."""
        nothing = self.decision == "repair" and held.offer is None
        if nothing or (self.decision == "approve" and held.only_offer):
            return replace(self, decision="deny")
        return self


def question(held: Held, spec: ToolSpec | None, *, edit: bool = True) -> dict[str, Any]:
    """What the person is shown; the value of the interrupt. No model sees it.

    Args:
        held: the decision.
        spec: the tool as the guard knows it.
        edit: whether other arguments may be answered.

    Returns:
        `question` is text for the person; `answers` holds what to send back, once `by` is filled
        in with who answers.
    """
    arguments = dict(held.call.arguments) if held.call else {}
    wanted = {"approve": not held.only_offer, "repair": held.offer is not None, "deny": True,
              "edit": edit}  # fmt: skip
    options: dict[str, dict[str, Any]] = {
        name: {"decision": name, "by": "", "hold_id": held.hold_id}
        for name, shown in wanted.items() if shown
    }  # fmt: skip
    if edit:
        options["edit"]["arguments"] = arguments
    asked = {
        "question": _text(held, spec, arguments, list(options)),
        "type": "gatling_hold",
        "hold_id": held.hold_id,
        "tool": held.tool_name,
        "arguments": arguments,
        "reasons": list(held.reasons),
        "expires_in": held.expires_in,
        "answers": options,
    }
    if (offer := held.offer) is not None and isinstance(offer.repaired, ToolCall):
        asked["offer"] = {"arguments": dict(offer.repaired.arguments), "edits": list(offer.edits),
                          "similarity": offer.similarity}  # fmt: skip
    return asked


def _text(
    held: Held, spec: ToolSpec | None, arguments: Mapping[str, Any], options: Sequence[str]
) -> str:
    """The tool, what it would do, why it waits (the policy's own words first), how to answer.

    Not the tool's description: whoever serves a tool could talk to the approver through it.
    """
    shown = ", ".join(f"{_plain(k)}={_value(v)}" for k, v in arguments.items())
    does = DOES[spec.profile.effect] if spec else "do something that nobody has described"
    final = "" if spec and spec.profile.reversible else "; that cannot be undone"
    why = [finding.message for finding in held.findings if finding.action == "hold"]
    why = why or list(held.reasons[:1]) or ["the policy asks for a person"]
    lines = (
        f"The agent wants to call {_plain(held.tool_name)}({shown}).",
        f"It would {does}{final}.",
        f"Why it waits: {'; '.join(map(_plain, why))}",
        *_offered(held),
        f"Answer {', '.join(options[:-1])} or {options[-1]}, and say in `by` who you are.",
    )
    return "\n".join(lines)


def _offered(held: Held) -> list[str]:
    """What may run instead, and whether only that may."""
    if held.offer is None:
        return []
    only = " It may not run as it is." if held.only_offer else ""
    return [f"Could run instead (repair): {'; '.join(map(_plain, held.offer.edits))}.{only}"]


def _value(value: Any) -> str:
    """A value as JSON on one line; a long one is cut in the middle."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > MAX_SHOWN:
        half = MAX_SHOWN // 2
        text = f"{text[:half]} [... {len(text) - 2 * half} characters ...] {text[-half:]}"
    return _plain(text)


def _plain(text: str) -> str:
    """Without line breaks and characters that could disguise a text (direction, zero width)."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in " ".join(text.split()))


def read_answer(value: Any, hold_id: str, *, alone: bool = True) -> Answer:
    """The answer to `hold_id` inside a resume value.

    Args:
        value: `"approve"`, `True`, `"repair"`, `"deny"`, `False`, `{"decision", "by", "hold_id",
            "arguments", "grant"}`, `{"decisions": [...]}` or a list of those.
        hold_id: the hold that was asked about.
        alone: whether the answer can be to nothing else; if not, it counts if it names the hold.
    """
    for item in _items(value):
        if isinstance(item, Mapping):
            named = item.get("hold_id")
            if named == hold_id or (named is None and alone):
                return _from_mapping(item)
        elif alone:
            return _from_scalar(item)
    return Answer("deny", by="no answer that fits this hold")


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping) and isinstance(value.get("decisions"), (list, tuple)):
        return list(value["decisions"])
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _from_scalar(value: Any) -> Answer:
    if value == "repair":
        return Answer("repair")
    return Answer("approve" if value is True or value == "approve" else "deny")


def _from_mapping(item: Mapping[str, Any]) -> Answer:
    by = item.get("by")
    name = by if isinstance(by, str) and by.strip() else UNNAMED
    decision, arguments = item.get("decision"), item.get("arguments")
    if decision == "edit" and isinstance(arguments, Mapping):
        return Answer("edit", name, dict(arguments))
    if decision == "repair":
        return Answer("repair", name)
    approved = decision in ("approve", True)
    # Only the literal true: whatever else stands there, the narrower answer is meant.
    return Answer(
        "approve" if approved else "deny", name, grant=approved and item.get("grant") is True
    )


def typed(before: Any, after: Any) -> list[str]:
    """Values of an edit that the person wrote; those that were proposed stay the model's.

    What a person wrote is named by the trusted side. What they left standing, or only moved, is
    not: otherwise an edit of the amount would vouch for the recipient beside it.
    """
    proposed = set(_leaves(before))
    return [leaf for leaf in dict.fromkeys(_leaves(after)) if leaf not in proposed]


def _leaves(value: Any) -> list[str]:
    """Texts and numbers at any depth, keys left out."""
    found, waiting = [], [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple)):
            waiting.extend(item)
        elif isinstance(item, (str, int, float)) and not isinstance(item, bool):
            found.append(str(item))
    return found
