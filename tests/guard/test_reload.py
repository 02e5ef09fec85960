"""A policy that changes while it is in force: atomic, and a broken one changes nothing."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gatling_guard import Allowed, Blocked, ConfigurationError, Guard, Held, ToolRequest
from gatling_guard.errors import PolicyError
from gatling_guard.policy import PolicyFile, load_policy

SLOW = "limits: {deadline_ms: 20000}\n"  # a busy machine decides nothing here
LOOSE = SLOW + "version: 1\nname: loose\ntools:\n  send: {effect: read}\n"
TIGHT = SLOW + "version: 1\nname: tight\ntools:\n  send: {allow: false}\n"
HOLDS = "version: 1\nname: {}\ntools:\n  send: {{effect: read, hold: true}}\n"


def send(to: str) -> str:
    """Send a message."""
    return "sent"


def guard(policy: Any, **options: Any) -> Guard:
    made = Guard(policy, **options)
    made.register(send)
    return made


def asked(session: Any, call_id: str | None = None) -> Any:
    return session.check(ToolRequest("send", {"to": "ann"}, call_id))


def errors(made: Guard) -> list[str]:
    texts = [entry.body["error"] for entry in made.ledger.entries() if entry.kind == "error"]
    return [text for text in texts if text.startswith("policy not reloaded")]


def test_a_running_session_goes_on_under_the_new_policy() -> None:
    made = guard(LOOSE)
    session = made.session()
    assert isinstance(asked(session, "1"), Allowed)
    new = made.reload(TIGHT)
    assert made.policy is new
    again = asked(session, "1")  # allowed before, not run yet: it is decided again
    assert isinstance(again, Blocked)
    assert again.policy_digest == new.digest
    made.reload()
    assert isinstance(asked(session, "2"), Allowed)
    assert [e.kind for e in made.ledger.entries()].count("policy") == 2


@pytest.mark.parametrize(
    "broken", ["version: 2\n", "a: [", "tools:\n  x: {patern: 1}\n", "/no/file"]
)
def test_a_broken_policy_is_refused_and_the_old_one_stays(broken: str) -> None:
    """Issue 3, item 5: the exception for who asked, an entry in the ledger for the operator."""
    made = guard(TIGHT)
    before = made.policy
    with pytest.raises(PolicyError):
        made.reload(broken)
    assert made.policy is before
    assert isinstance(asked(made.session()), Blocked)
    (text,) = errors(made)
    assert "policy not reloaded: PolicyError" in text


def test_a_hold_of_the_old_policy_is_none_of_the_new_one() -> None:
    """Hold ids are bound to the policy: an approval must not move to a policy nobody showed."""
    made = guard(HOLDS.format("one"))
    session = made.session()
    held = asked(session, "1")
    assert isinstance(held, Held)
    session.approve(held.hold_id, by="ann")
    made.reload(HOLDS.format("two"))
    again = asked(session, "1")
    assert isinstance(again, Held)
    assert again.hold_id != held.hold_id
    session.approve(again.hold_id, by="ann")
    assert isinstance(asked(session, "1"), Allowed)


def test_values_that_the_new_policy_names_reach_running_sessions() -> None:
    entry = "effect: send, sink: true, origin: {to: policy}"
    made = guard(f"version: 1\ntools:\n  send: {{{entry}}}\n")
    session = made.session()
    assert isinstance(asked(session), Blocked)
    made.reload(f"version: 1\nboundary: {{accounts: [ann]}}\ntools:\n  send: {{{entry}}}\n")
    assert isinstance(asked(session), Allowed)
    made.reload(f"version: 1\ntools:\n  send: {{{entry}}}\n")
    assert isinstance(asked(session), Blocked)


def test_the_mode_and_the_profiles_change_with_the_policy() -> None:
    made = guard(TIGHT)
    made.reload(TIGHT + "mode: shadow\n")
    assert isinstance(asked(made.session()), Allowed)
    made.reload("version: 1\ntools:\n  send: {privilege: 9}\n")
    spec = made.spec("send")
    assert spec is not None
    assert spec.profile.privilege == 9


def test_budgets_keep_what_was_spent() -> None:
    text = "version: 1\nname: {}\ntools:\n  send: {{effect: read, budgets: {{calls: 1}}}}\n"
    made = guard(text.format("one"))
    session = made.session()
    assert isinstance(asked(session, "1"), Allowed)
    made.reload(text.format("two"))
    assert isinstance(asked(session, "2"), Blocked)


def test_every_check_sees_one_policy_from_start_to_end() -> None:
    """Threads check while another one reloads: digest and verdict always belong together."""
    loose, tight = load_policy(LOOSE), load_policy(TIGHT)
    made = guard(loose)
    kinds = {loose.digest: Allowed, tight.digest: Blocked}
    stop, wrong, seen = threading.Event(), [], set()

    def check() -> None:
        session = made.session()
        while not stop.is_set():
            decision = asked(session)
            seen.add(decision.policy_digest)
            if not isinstance(decision, kinds[decision.policy_digest]):
                wrong.append(decision)
            plan = made.check({"nodes": [{"node_id": "1", "tool_name": "send",
                                          "arguments": {"to": "ann"}}]})  # fmt: skip
            if not isinstance(plan, kinds[plan.policy_digest]):
                wrong.append(plan)

    threads = [threading.Thread(target=check) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(60):
        made.reload((tight, loose)[i % 2])
        time.sleep(0.005)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert seen == {loose.digest, tight.digest}


def watching(path: Path) -> tuple[Guard, Any]:
    made = guard(path, reload_every=0)
    return made, made.session()


def test_a_changed_file_is_taken_over_once_two_looks_agree(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(TIGHT)
    made, session = watching(path)
    assert isinstance(asked(session), Blocked)
    path.write_text(LOOSE)
    assert isinstance(asked(session), Blocked)
    assert isinstance(asked(session), Allowed)
    assert made.policy.name == "loose"


def test_half_of_a_file_is_never_in_force(tmp_path: Path) -> None:
    """Half of a policy is often a valid one, and a weaker one."""
    path = tmp_path / "p.yaml"
    path.write_text(TIGHT)
    _, session = watching(path)
    assert isinstance(asked(session), Blocked)
    whole = TIGHT + "energy: {allow_below: 1}\n"
    for end in range(len(whole) + 1):  # a writer that writes one byte between two checks
        path.write_text(whole[:end])
        assert isinstance(asked(session), Blocked)


@pytest.mark.parametrize("fault", ["broken", "deleted", "folder", "not UTF-8"])
def test_a_file_gone_wrong_changes_nothing_and_is_told_once(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(TIGHT)
    made, session = watching(path)
    path.unlink()
    if fault == "broken":
        path.write_text("tools: [")
    elif fault == "folder":
        path.mkdir()
    elif fault == "not UTF-8":
        path.write_bytes(b"\xff\xfe\x00")
    for _ in range(5):
        assert isinstance(asked(session), Blocked)
    assert len(errors(made)) == 1
    if fault == "folder":
        path.rmdir()
    path.write_text(LOOSE)
    asked(session)
    assert isinstance(asked(session), Allowed)


def test_a_swapped_link_is_a_change(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TIGHT)
    (tmp_path / "b.yaml").write_text(LOOSE)
    link = tmp_path / "p.yaml"
    link.symlink_to("a.yaml")
    _, session = watching(link)
    assert isinstance(asked(session), Blocked)
    new = tmp_path / "new"
    new.symlink_to("b.yaml")
    new.replace(link)
    asked(session)
    assert isinstance(asked(session), Allowed)


def test_looks_are_so_far_apart(tmp_path: Path) -> None:
    path, now = tmp_path / "p.yaml", [0]
    path.write_text(TIGHT)
    watched = PolicyFile(path, 10, clock=lambda: now[0])
    path.write_text(LOOSE)
    found = []
    for second in range(0, 40, 5):
        now[0] = second
        found.append((second, watched.look()))
    assert [at for at, policy in found if policy is not None] == [20]


@pytest.mark.parametrize("policy", ["standard", TIGHT, {"version": 1}])
def test_only_a_file_can_be_watched(policy: Any) -> None:
    with pytest.raises(ConfigurationError, match="a policy that is a file"):
        Guard(policy, reload_every=1)


def test_a_whole_plan_is_judged_by_one_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that is put in force between two calls of a plan judges the next plan."""
    made = guard(LOOSE)
    nodes = [{"node_id": str(i), "tool_name": "send", "arguments": {}} for i in range(3)]
    monitor, plain = made._monitor, made._monitor.work

    def work(*args: Any, **fields: Any) -> Any:
        found = plain(*args, **fields)
        monitor.adopt(load_policy(TIGHT))
        return found

    monkeypatch.setattr(monitor, "work", work)
    decision = made.check({"nodes": nodes})
    assert len({part.policy_digest for part in decision.parts} | {decision.policy_digest}) == 1
