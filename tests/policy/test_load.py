"""Loading: all faults at once, at their lines; hostile text in bounded time; nothing partial."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatling_guard.errors import GatlingError, PolicyError
from gatling_guard.policy import Policy, load_policy, policy_schema

ROOT = Path(__file__).parents[2]

BROKEN = """\
version: 2
nme: x
mode: enforc
on_error: blok
roles:
  a: {tools: [x, "b[c]"], scope: 11, efects: []}
  a: {tools: y}
  1: {tools: y}
default_role: zz
tools:
  send_email:
    effect: sned
    arguments:
      to: {pattern: "(?=x)"}
      cc: {patern: "x"}
      n: {minimum: "a", pattern: '^a'}
    origin: {to: [instructon]}
    hold: 3
    privilege: "5"
  x: null
flows:
  - deny: publik -> sink
  - "allow: a -> b"
  - deny: public -> sinc (identity)
holds:
  - reason: x
  - tools: a
energy: {allow_below: 9, block_above: 8, grey: maybe}
limits:
  deadline_ms: .inf
  max_calls: 0x10
"""
EXPECTED = [
    (1, "version", "should be 1"),
    (2, "nme", "did you mean 'name'?"),
    (3, "mode", "did you mean 'enforce'?"),
    (4, "on_error", "did you mean 'block'?"),
    (6, "roles.a.tools[1]", "only `*` and `?`"),
    (6, "roles.a.scope", "not 11"),
    (6, "roles.a.efects", "did you mean 'effects'?"),
    (7, "roles.a", "key appears twice (first on line 6)"),
    (8, "roles", "key '1' is not text"),
    (9, "default_role", "no role 'zz'"),
    (12, "tools.send_email.effect", "did you mean 'send'?"),
    (14, "tools.send_email.arguments.to.pattern", "look-ahead and look-behind"),
    (15, "tools.send_email.arguments.cc.patern", "did you mean 'pattern'?"),
    (16, "tools.send_email.arguments.n.minimum", "should be a number"),
    (16, "tools.send_email.arguments.n.pattern", "anchored at one end only"),
    (17, "tools.send_email.origin.to[0]", "did you mean 'instruction'?"),
    (18, "tools.send_email.hold", "should be a mapping"),
    (19, "tools.send_email.privilege", "should be a valid integer"),
    (20, "tools.x", "should be a mapping"),
    (22, "flows[0]", "did you mean 'public'?"),
    (23, "flows[1]", "`deny` or `hold`"),
    (24, "flows[2]", "did you mean 'sink'?"),
    (26, "holds[0].reason", "at least one of tools, effects, irreversible"),
    (27, "holds[1].reason", "is missing"),
    (28, "energy.block_above", "should not be below allow_below (9)"),
    (28, "energy.grey", "should be 'hold' or 'block'"),
    (30, "limits.deadline_ms", "plain decimal"),
    (31, "limits.max_calls", "plain decimal"),
]


def faults(text: str | Path | dict[str, Any]) -> tuple[Any, ...]:
    with pytest.raises(PolicyError) as caught:
        load_policy(text)
    return caught.value.issues


def attempt(source: Any) -> tuple[Policy | None, tuple[Any, ...]]:
    try:
        return load_policy(source), ()
    except PolicyError as error:
        return None, error.issues


def test_every_error_at_once_with_line_and_key() -> None:
    """Issue 2, item 5: each fault once, in the order of the file, with its exact line."""
    issues = faults(BROKEN)
    assert [(issue.line, issue.where) for issue in issues] == [e[:2] for e in EXPECTED]
    for issue, (_, _, text) in zip(issues, EXPECTED, strict=True):
        assert text in issue.message, issue


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("version: 1\n\nmod: shadow\n")
    (issue,) = faults(path)
    assert (issue.file, issue.line, issue.where) == (str(path), 3, "mod")
    assert str(issue).startswith(f"{path}:3: mod: unknown key; did you mean 'mode'?")


def test_json_has_lines_too(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(
        '{\n\t"version": 1,\n\t"limits": {\n\t\t"max_calls": 1e5,\n\t\t"dead": 1\n\t}\n}\n'
    )
    found = {(issue.line, issue.where) for issue in faults(path)}
    assert found == {(4, "limits.max_calls"), (5, "limits.dead")}
    path.write_text('{"version": 1,\n "name" "x"}')
    (issue,) = faults(path)
    assert issue.line == 2
    assert "not JSON" in issue.message


def test_json_and_yaml_say_the_same() -> None:
    data = {"version": 1, "name": "\U0001f600 \u00e4 \\ud83d / \\", "energy": {"allow_below": 1e-1}}
    from_json = load_policy(json.dumps(data))
    assert from_json == load_policy(data) == load_policy(json.dumps(data, indent=1))
    assert from_json.name == data["name"]
    yaml_text = "name: '\U0001f600 \u00e4 \\ud83d / \\'\nenergy: {allow_below: 0.1}"
    assert from_json.digest == load_policy(yaml_text).digest


def test_the_result_does_not_depend_on_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML comes with and without its C part; decisions must not differ (P9)."""
    import yaml

    text = json.dumps({"version": 1, "name": "\U0001f600", "tools": {"a*": {"scope": 2}}})
    with_c, faults_c = load_policy(text), faults(BROKEN)
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert load_policy(text) == with_c
    assert faults(BROKEN) == faults_c
    for hostile, _ in HOSTILE.values():
        assert faults(hostile)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
)

HOSTILE = {
    "bomb": (BOMB, "aliases are expanded"),
    "recursive alias": ("name: &a [*a]\n", "aliases are expanded"),
    "python tag": ("name: !!python/object/apply:os.system ['true']\n", "is not allowed"),
    "python scalar": ("name: !!python/name:os.system\nversion: 1\n", "is not allowed"),
    "binary": ("name: !!binary aGk=\nversion: 1\n", "is not allowed"),
    "merge key": ("limits: &x {max_calls: 1}\nenergy: {<<: *x}\n", "merge keys"),
    "tabs": ("roles:\n\ta: {tools: x}\n", "tabs"),
    "not closed": ("roles: {a: {tools: x}\n", "not YAML"),
    "two documents": ("version: 1\n---\nversion: 1\n", "not YAML"),
    "control character": ("name: a\x00b\nversion: 1\n", "not YAML"),
    "list": ("- a\n- b\n", "mapping of keys"),
    "null": ("~\n", "mapping of keys"),
    "empty": ("\n", "empty"),
    "comment only": ("# nothing\n", "empty"),
    "deep flow": ("name: " + "[" * 1000 + "]" * 1000 + "\n", "nested deeper than 40"),
    "deep block": ("".join("  " * i + "a:\n" for i in range(400)), "nested deeper than 40"),
    "deep json": ('{"a":' * 100_0 + "1" + "}" * 100_0, "nested deeper than 40"),
    "very deep json": ('{"a":' * 20_000 + "1" + "}" * 20_000, "nested deeper than 40"),
    "1 MB": ("name: " + "x" * 1_000_000 + "\n", "longer than"),
    "many values": ("x: [" + "a," * 100_000 + "]\n", "more than 20000 values"),
    "long number": ("limits: {max_calls: " + "9" * 100_000 + "}\nversion: 1", "plain decimal"),
    "long key": ("{" + '"' + "k" * 5000 + '": 1}', ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_in_bounded_time(name: str) -> None:
    """R140: a clear error, quickly; no tag is ever constructed."""
    text, message = HOSTILE[name]
    started = time.perf_counter()
    issues = faults(text)
    assert time.perf_counter() - started < 3
    assert any(message in issue.message for issue in issues), issues
    assert all(len(str(issue)) < 1000 for issue in issues)


def test_hostile_files(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"version: 1\nname: \xff\xfe\n")
    (issue,) = faults(path)
    assert (issue.line, "not UTF-8" in issue.message) == (2, True)
    path.write_bytes(b"#" * 300_000)
    assert "longer than" in faults(path)[0].message
    assert "no such file" in faults(tmp_path / "none.yaml")[0].message
    assert "not a regular file" in faults(tmp_path)[0].message
    assert "not a regular file" in faults(Path("/dev/zero"))[0].message
    assert "no such file; built-in are standard, strict; did you mean 'strict'?" in str(
        faults("stict")[0]
    )
    assert "no such file" in faults("x" * 10_000)[0].message
    assert "not int" in faults(5)[0].message  # type: ignore[arg-type]


def test_nothing_is_loaded_partially(tmp_path: Path) -> None:
    """One fault at the very end, and there is no policy at all."""
    path = tmp_path / "p.yaml"
    path.write_text("tools: {a: {allow: false}}\nmode: shadow\nx: 1\n")
    assert len(faults(path)) == 1
    path.write_text("tools: {a: {allow: false}}\nmode: shadow\n")
    assert load_policy(str(path)).mode == "shadow"


def test_a_mapping_is_checked_like_a_text() -> None:
    issues = faults({"mode": "x", "tools": {"a": {"arguments": {"to": {"pattern": "("}}}}})
    assert {issue.where for issue in issues} == {"mode", "tools.a.arguments.to.pattern"}
    assert "not a JSON value" in faults({"name": object()})[0].message
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"a": deep}
    assert "nested deeper" in faults({"tools": deep})[0].message


def test_aliases_of_values_work_within_bounds() -> None:
    policy = load_policy("roles:\n  a: &a {tools: [x]}\n  b: *a\n")
    assert policy.roles["a"] == policy.roles["b"]


def test_a_string_true_is_no_boolean() -> None:
    issues = faults('require_session: "true"\ntools: {a: {sink: 1}}\n')
    assert {issue.where for issue in issues} == {"require_session", "tools.a.sink"}


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_any_text_gives_a_policy_or_a_policy_error(text: str) -> None:
    policy, issues = attempt("\n" + text)
    assert (policy is None) is bool(issues)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
_keys = st.sampled_from(sorted(Policy.model_fields) + ["x", "tool"])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(_keys, _json, max_size=4))
def test_any_mapping_gives_a_policy_or_a_policy_error(data: dict[str, Any]) -> None:
    policy, issues = attempt(data)
    assert (policy is None) is bool(issues)
    if policy is not None:
        assert load_policy(policy.model_dump(mode="json")) == policy


def test_the_published_schema_is_current() -> None:
    published = json.loads((ROOT / "docs/schemas/policy.schema.json").read_text())
    assert published == policy_schema()


@pytest.mark.parametrize("name", ["standard", "strict"])
def test_built_in_policies_load_and_fit_the_published_schema(name: str) -> None:
    """P7: there is a policy without a policy file."""
    import jsonschema
    import yaml

    policy = load_policy(name)
    assert policy.name == name
    assert policy.unknown_tools == "block"
    assert policy.require_session is (name == "strict")
    assert load_policy(policy.model_dump(mode="json")).digest == policy.digest
    text = (ROOT / f"gatling_guard/policy/builtin/{name}.yaml").read_text()
    jsonschema.Draft202012Validator(policy_schema()).validate(yaml.safe_load(text))


def test_standard_has_the_documented_thresholds_and_no_holds() -> None:
    """R43: below 2 allow, above 8 block, between: hold what cannot be undone."""
    policy = load_policy("standard")
    energy = policy.energy
    assert (energy.allow_below, energy.block_above) == (2.0, 8.0)
    assert (energy.grey, energy.grey_reversible) == ("hold", "allow")
    assert [policy.holds, policy.flows, policy.roles, policy.literals()] == [(), (), {}, ()]
    assert policy.on_error.action == "block"
    assert all(policy.on_error.blocks(privilege) for privilege in range(1, 11))


def test_the_schema_refuses_what_the_loader_refuses() -> None:
    """The published schema is no decoration: structure is judged the same way by both."""
    import jsonschema

    validator = jsonschema.Draft202012Validator(policy_schema())
    refused: tuple[dict[str, Any], ...] = (
        {"version": 2},
        {"x": 1},
        {"mode": "off"},
        {"roles": {"a": {}}},
        {"roles": {"a": {"tools": "x", "scope": 0}}},
        {"tools": {"a": {"efect": "read"}}},
        {"tools": {"a": {"hold": 3}}},
        {"flows": ["deny public sink"]},
        {"holds": [{"tools": "x"}]},
        {"on_error": "allow"},
        {"energy": {"grey": "allow"}},
        {"limits": {"deadline_ms": 0}},
    )
    for bad in refused:
        assert not validator.is_valid(bad), bad
        with pytest.raises(PolicyError):
            load_policy(bad)


def test_the_example_in_the_documentation_loads() -> None:
    import jsonschema
    import yaml

    text = (ROOT / "docs/policy.md").read_text()
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found
    policy = load_policy(found[1])
    assert str(policy.flows[1]) == "deny: public -> sink (identity)"
    jsonschema.Draft202012Validator(policy_schema()).validate(yaml.safe_load(found[1]))
    for key in Policy.model_fields:
        assert f"`{key}`" in text, f"{key} is not documented"


def test_policy_errors_are_input_errors() -> None:
    with pytest.raises(GatlingError):
        load_policy("mode: 1\n")


GRANTS = """version: 1
roles: {clerk: {tools: "*"}}
grants:
  - source: {tool: read_file, were: {path: a}}
    effects: [pai]
    to: ["bill*@x"]
    limits: {amount: -1}
    reason: r
  - source: a
    reason: b
  - effects: [pay]
    reason: q
  - source: {tool: a, where: {p: "[x]"}}
    tools: b
    calls: 0
    expires_s: 0
    reason: c
"""


def test_the_faults_of_grants_are_named_with_line_and_key() -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy(GRANTS)
    found = {(issue.line, issue.where) for issue in caught.value.issues}
    assert found >= {
        (4, "grants[0].source.were"),
        (5, "grants[0].effects[0]"),
        (6, "grants[0].to[0]"),
        (7, "grants[0].limits.amount"),
        (10, "grants[1].reason"),
        (11, "grants[2].source"),
        (13, "grants[3].source.where.p"),
        (15, "grants[3].calls"),
        (16, "grants[3].expires_s"),
    }


def test_a_grant_is_for_roles_that_there_are() -> None:
    entry = {"source": "a", "effects": ["pay"], "roles": ["boss"], "reason": "r"}
    with pytest.raises(PolicyError, match="no role 'boss'"):
        load_policy({"version": 1, "roles": {"clerk": {"tools": "*"}}, "grants": [entry]})


def test_an_answer_cannot_be_written_into_a_policy() -> None:
    """What only a person's answer has (its text, its author) is no key of a file."""
    entry = {"source": "a", "effects": ["pay"], "reason": "r"}
    for key in ("by", "digests", "recipients", "tool_name", "basis"):
        with pytest.raises(PolicyError, match="unknown key"):
            load_policy({"version": 1, "grants": [{**entry, key: "x"}]})
