"""Patterns that let through too much are refused at load, or warned of, with a counter-example."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from gatling_guard.cli import app
from gatling_guard.errors import PolicyError
from gatling_guard.policy import full_match, load_policy, policy_warnings, read_source
from gatling_guard.policy.lint import lint_arguments, pattern_flaws, searched
from gatling_guard.policy.samples import samples, text_of


@pytest.mark.parametrize(
    ("pattern", "lets"),
    [
        (".*@ourcompany.com", "attacker@ourcompanyXcom"),
        ("^.*ourcompany.com$", "attackerourcompanyXcom"),
        (r".*ourcompany\.com", "evilourcompany.com"),
        (r".*ourcompany\.com.*", "evilourcompany.coma"),
        (r"https://ourcompany\.com.*", None),
        (r"https://our.*", None),
        (r"https://.*\.ourcompany\.com/.*", None),
        (r"https://[^/]+\.ourcompany\.com/.*", None),
        (r"http.*ourcompany\.com/.*", None),
        (r"(.*\.)?ourcompany\.com", None),
        (r"[a-z]+@.*\.ourcompany\.com", None),
        ("https://ourcompany.com/.*", None),
        ("report.pdf", "reportXpdf"),
        (r"https://corp\.example[/.].*", None),
        (r"https://corp\.example(.)*", None),
        (r"https://corp\.example((?:.))*", None),
        (r"https://corp\.example(?:.|\n)*", None),
        (r"https://corp\.example.{0,3}/.*", None),
        (r"https://corp\.example.?/.*", None),
        (r"[[:alpha:]]+@[[:alpha:]]*corp\.example", None),
        (r"https://10\.0\.0\..*", None),
    ],
)
def test_a_pattern_that_leads_elsewhere_is_refused(pattern: str, lets: str | None) -> None:
    """R22, P5, evidence 6: unanchored patterns, suffix domains. The counter-example really runs."""
    (flaw,) = pattern_flaws(pattern)
    assert flaw.severity == "error"
    assert flaw.example is not None
    assert full_match(pattern, flaw.example)
    assert lets in (None, flaw.example)
    with pytest.raises(PolicyError) as caught:
        load_policy({"tools": {"t": {"arguments": {"to": {"pattern": pattern}}}}})
    (issue,) = caught.value.issues
    assert issue.where == "tools.t.arguments.to.pattern"
    assert repr(flaw.example) in issue.message


@pytest.mark.parametrize(
    ("pattern", "lets"),
    [
        (r".*@ourcompany\.com", "attacker@evil.example,a@ourcompany.com"),
        (r"(?s:.)*@ourcompany\.com", "attacker@evil.example,a@ourcompany.com"),
        (r"10\.0\.0\..*", "10.0.0.evil"),
        (r"\S+@ourcompany\.com", "attacker@evil.example,a@ourcompany.com"),
        (r"[^@]+@ourcompany\.com", "a\nb@ourcompany.com"),
        ("v1.2", "v1X2"),
    ],
)
def test_a_pattern_with_room_for_more_is_warned_of(pattern: str, lets: str) -> None:
    (flaw,) = pattern_flaws(pattern)
    assert (flaw.severity, flaw.example) == ("warning", lets)
    assert full_match(pattern, lets)
    load_policy({"tools": {"t": {"arguments": {"to": {"pattern": pattern}}}}})


@pytest.mark.parametrize(
    "pattern",
    [
        r"[^@\s,;]+@ourcompany\.com",
        r"[\w.+-]+@(corp|dept)\.example",
        r"(ann|bob)@corp\.example",
        r"https://corp\.example/.*",
        r"https://corp\.example(:\d+)?/\S*",
        r"https://([a-z0-9-]+\.)*corp\.example/.*",
        r"([a-z0-9-]+\.)*corp\.example",
        r"/home/ann/.*",
        r".*",
        r"https://.*",
        r"[A-Z]{2}[0-9]{2,30}",
        r"report-\d+\.pdf",
        r"SELECT .* FROM [a-z]+",
        r"#[a-z-]{1,80}",
        r"10\.0\.0\.[0-9]{1,3}",
        r"v?[0-9]+\.[0-9]+\.[0-9]+",
        r"[[:alpha:]]+@corp\.example",
        r"https://corp\.example[/?].*",
        r"(?s:.*)",
    ],
)
def test_honest_patterns_have_no_findings(pattern: str) -> None:
    assert pattern_flaws(pattern) == []


def test_a_half_anchored_pattern_is_refused_with_what_a_search_would_pass() -> None:
    assert searched("^ann@corp") == "ann@corp.evil.example"
    with pytest.raises(PolicyError, match=r"lets 'ann@corp\.evil\.example' through"):
        load_policy({"tools": {"t": {"arguments": {"to": {"pattern": "^ann@corp"}}}}})
    with pytest.raises(PolicyError, match=r"as a search it lets"):
        load_policy({"tools": {"t": {"arguments": {"to": {"pattern": "^a|b$"}}}}})


def test_a_denied_pattern_without_room_is_warned_of() -> None:
    found = lint_arguments({"q": {"not": {"pattern": "DROP"}}})
    assert [(p.path, p.flaw.severity, p.flaw.example) for p in found] == [
        (("q", "not", "pattern"), "warning", "x DROP x")
    ]
    assert lint_arguments({"q": {"not": {"pattern": ".*DROP.*"}}}) == []
    assert lint_arguments({"not": {"pattern": ".*@a.example"}})[0].flaw.severity == "error"


def test_faults_have_file_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "version: 1\ntools:\n  t:\n    arguments:\n"
        "      to: {pattern: '.*@corp.example'}\n      cc: {pattern: '.*@corp\\.example'}\n"
    )
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    (issue,) = caught.value.issues
    assert (issue.file, issue.line) == (str(path), 5)
    (warning,) = policy_warnings(read_source(path))
    assert (warning.line, warning.where) == (6, "tools.t.arguments.cc.pattern")
    shown = CliRunner().invoke(app, ["policy", "lint", str(path)])
    assert shown.exit_code == 1
    assert "attacker@corpXexample" in shown.output
    assert "1 error, 1 warning" in shown.output
    as_json = CliRunner().invoke(app, ["policy", "lint", str(path), "--json"])
    assert '"severity": "warning"' in as_json.output
    path.write_text("version: 1\n")
    assert CliRunner().invoke(app, ["policy", "lint", str(path)]).exit_code == 0
    assert CliRunner().invoke(app, ["policy", "lint", str(tmp_path / "no")]).exit_code == 2


@pytest.mark.parametrize(
    "pattern",
    ["(a|bc)" * 150, "(a*|b)?" * 120, "((((x|yz)?){9}){9}){9}", "(" * 300 + "a" + ")" * 300],
)
def test_the_search_for_counter_examples_is_bounded(pattern: str) -> None:
    started = time.perf_counter()
    pattern_flaws(pattern + r"@corp\.example")
    assert time.perf_counter() - started < 2


@given(st.text(alphabet=r"ab.@/\*+?()[]|^${}:1-", max_size=30))
def test_any_pattern_can_be_examined_and_findings_are_true(pattern: str) -> None:
    assert pattern_flaws(pattern) == pattern_flaws(pattern)
    for flaw in pattern_flaws(pattern):
        assert flaw.example is None or full_match(pattern, flaw.example)


@pytest.mark.parametrize("pattern", [r"\C+@corp\.example", r"(?P<a>.)(?U).*@corp\.example"])
def test_what_is_not_understood_is_warned_of(pattern: str) -> None:
    (flaw,) = pattern_flaws(pattern)
    assert (flaw.severity, flaw.example) == ("warning", None)
    assert "it lets" not in str(flaw)


@pytest.mark.parametrize(
    "pattern", [r"a\.b", "[x-z]{3}", r"(a|b)+\d", r"\x{61}\z", "[^a]b", r"\pLx"]
)
def test_samples_match_their_pattern(pattern: str) -> None:
    found = samples(pattern)
    assert found
    assert all(full_match(pattern, text_of(sample)) for sample in found)
