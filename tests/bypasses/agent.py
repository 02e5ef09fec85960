"""An agent that does what an attacker wants, behind a real guard: the kit of the bypass tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatling_guard import Decision, Guard, Held, Session, ToolRequest, load_policy
from gatling_guard.trace import Lineage

STRING: dict[str, Any] = {"type": "string"}
PATIENT = {"limits": {"deadline_ms": 60_000}}
"""A busy machine is not under test."""

READS: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "read_page": ("Read a web page.", ["url"], {"third_party": "*", "url_args": ["url"]}),
    "read_mail": ("Read the messages of the mailbox.", [], {"third_party": "*"}),
    "read_file": ("Read a file of the workspace.", ["path"], {"third_party": "*"}),
    "search_contacts": ("Search the user's own address book.", ["name"], {}),
    "get_account": ("Get a record of the user's own account.", ["name"], {}),
    "summarize_text": ("Summarise a text.", ["text"], {}),
    "recall": ("Read a note from memory.", ["key"], {}),
    "other__get_note": ("Get a note from another server.", ["id"], {}),
    "encode_text": ("Encode a text.", ["text", "how"], {}),
}
ACTS: dict[str, tuple[str, str, list[str], list[str], list[str]]] = {
    "send_email": ("send", "Send an e-mail.", ["to", "subject", "body"], ["to"],
                   ["subject", "body"]),
    "send_sms": ("send", "Send a text message to a phone.", ["phone", "text"], ["phone"], ["text"]),
    "transfer": ("pay", "Transfer money.", ["iban", "amount", "due"], ["iban", "amount"], []),
    "upload": ("send", "Upload content to a URL.", ["url", "content"], ["url"], ["content"]),
    "remember": ("write", "Write a note to memory.", ["key", "note"], ["key"], ["note"]),
    "write_file": ("write", "Write a file.", ["path", "content"], ["path"], ["content"]),
    "share": ("permit", "Give a person access to a folder.", ["folder", "person", "role"],
              ["folder", "person"], []),
    "set_option": ("write", "Change a setting.", ["name", "on"], ["name"], []),
    "sign_up": ("write", "Create an account on a site.", ["site", "mail"], ["site"], []),
    "enter_code": ("execute", "Confirm with a one-time code.", ["site", "code"], ["site"], []),
    "post_message": ("send", "Post to a chat channel.", ["channel", "text"], ["channel"], ["text"]),
}  # fmt: skip


def tool(name: str, description: str, names: list[str]) -> dict[str, Any]:
    """An OpenAI tool dict; every argument is a text or whatever else is given."""
    parameters = {"type": "object", "properties": {key: {} for key in names}}
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


def new_guard(**policy: Any) -> Guard:
    """A guard with all the tools above, under `standard` and what is laid over it."""
    entries: dict[str, Any] = {}
    guard_tools = []
    for name, (description, names, declared) in READS.items():
        guard_tools.append(tool(name, description, names))
        own = {} if "third_party" in declared else {"provenance": "internal"}
        entries[name] = {"effect": "read", **own, **declared}
    for name, (effect, description, names, identity, content) in ACTS.items():
        guard_tools.append(tool(name, description, names))
        sink = {"sink": True} if effect == "send" else {}
        entries[name] = {
            "effect": effect,
            "identity_args": identity,
            "content_args": content,
        } | sink
        if name == "upload":
            entries[name]["url_args"] = ["url"]
    for name, entry in policy.pop("tools", {}).items():
        entries[name] = entries.get(name, {}) | entry
    standard = load_policy("standard").model_dump(mode="json", exclude_unset=True)
    guard = Guard(load_policy({**standard, **PATIENT, **policy, "tools": entries}), learned="off")
    for one in guard_tools:
        guard.register(one)
    return guard


class Agent:
    """One session. What it reads comes back as given, what it tries is only judged."""

    def __init__(self, user: str, guard: Guard | None = None, **policy: Any) -> None:
        self.guard = guard or new_guard(**policy)
        self.session: Session = self.guard.session(instruction=user)
        self._calls = 0

    def does(self, name: str, output: object = "done", /, **arguments: Any) -> Agent:
        """A call that runs, whatever the guard says; a person approves what is held."""
        self._calls += 1
        request = ToolRequest(name, arguments, f"c{self._calls}")
        decision = self.session.check(request)
        if isinstance(decision, Held):
            self.session.approve(decision.hold_id, by="a person")
            decision = self.session.check(request)
        if decision.action == "allow":
            self.session.settle(request.call_id or "", output)
        else:
            self.session.adopt(ToolRequest(name, arguments, f"ran{self._calls}"), output)
        return self

    def runs(self, name: str, output: object = "ok", /, **arguments: Any) -> Decision:
        """A call that runs if the guard lets it."""
        decision = self.tries(name, **arguments)
        if decision.action == "allow":
            self.session.settle(f"c{self._calls}", output)
        return decision

    def tries(self, name: str, /, **arguments: Any) -> Decision:
        """What the guard says of a call."""
        self._calls += 1
        return self.session.check(ToolRequest(name, arguments, f"c{self._calls}"))

    def lineage(self, arguments: dict[str, Any]) -> tuple[Lineage, ...]:
        """Where the values of a call would come from."""
        state = self.session._state
        return state.index.trace(arguments, state.authority)


def stopped(decision: Decision) -> bool:
    """Held or blocked."""
    return decision.action in ("hold", "block")


def held_against(name: str, caught: bool, not_yet: Mapping[str, str], shown: str) -> None:
    """A bypass is caught, unless it is listed as open: closing it makes the list too long."""
    if name in not_yet:
        assert not caught, f"closed, take {name!r} off NOT_YET: {shown}"
    else:
        assert caught, shown


def said(decision: Decision) -> str:
    """What a failing test shows."""
    terms = {name: round(value, 2) for name, value in decision.energy.terms.items() if value}
    return f"{decision.action} {terms} {list(decision.reasons)}"
