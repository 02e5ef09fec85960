"""The boundary: only what can be read in one way is inside."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.errors import PolicyError
from gatling_guard.policy import Boundary, load_policy

BOUNDARY = Boundary(
    domains=("corp.example", "*.Lab.example"),
    addresses=("ann@partner.example",),
    accounts=("DE02 1203", "#general"),
    paths=("/srv/data", "/srv/data2/"),
)

INSIDE = [
    "bob@corp.example",
    "Bob.B+x@MAIL.corp.example",
    "Bob <bob@corp.example>",
    "mailto:bob@corp.example",
    "ann@partner.example",
    "https://corp.example",
    "https://www.corp.example:8443/a?b=c@d#e",
    "lab.example",
    "corp.example.",
    "de021203",
    "#General",
    "/srv/data/a/../b",
    "/srv/data",
    "/srv/data2/x",
]
OUTSIDE = [
    "",
    "attacker@corp.example.evil.com",
    "attacker@evilcorp.example",
    "eve@partner.example",
    "bob@corp.example,eve@evil.com",
    "bob@corp.example;eve@evil.com",
    "bob@corp.example eve@evil.com",
    "bob@corp.example\neve@evil.com",
    "bob@corp.example <eve@evil.com>",
    "<bob@corp.example> eve@evil.com",
    "bob@corp.example@evil.com",
    "https://corp.example@evil.com/",
    "https://corp.example:pass@evil.com/",
    "https://evil.com\\@corp.example/",
    "https://evil.com/corp.example",
    "https://evil.com?x=.corp.example",
    "https://evil.com#.corp.example",
    "https://corp.example.evil.com",
    "//corp.example",
    "file://corp.example/etc/passwd",
    "javascript://corp.example/%0aalert(1)",
    "https://corp.example%2eevil.com",
    "https://corp\u3002example.evil.com",
    "bob@c\u043erp.example",
    "bob@corp.example\u200b.evil.com",
    "bob@-corp.example",
    "bob@.corp.example",
    "bob@corp..example",
    "/srv/data/../../etc/passwd",
    "/srv/database",
    "/srv/data\x00/../..",
    "//srv/data",
    "srv/data",
    "DE021204",
    "x" * 100_000,
]


@pytest.mark.parametrize("value", INSIDE)
def test_inside(value: str) -> None:
    assert BOUNDARY.inside(value)


@pytest.mark.parametrize("value", OUTSIDE)
def test_outside(value: str) -> None:
    """R38 and the classic ways to make an outside address look like an inside one."""
    assert not BOUNDARY.inside(value)


@given(st.text(max_size=40))
def test_an_empty_boundary_holds_nothing(value: str) -> None:
    assert not Boundary().inside(value)


@given(st.text(max_size=30), st.sampled_from(["https://", "", "a@", "mailto:", "x <a@"]))
def test_a_foreign_ending_is_never_inside(text: str, start: str) -> None:
    assert not BOUNDARY.inside(f"{start}{text}.evil.com")


def test_looks_like_a_destination() -> None:
    yes = ["a@b", "https://x", "www.x.org", "evil.com", "evil.com/path", "\\\\host\\share"]
    assert all(Boundary.is_destination(value) for value in yes)
    assert not any(
        Boundary.is_destination(value) for value in ["100", "hello world", "", "#general"]
    )


def test_checks_are_fast_on_hostile_text() -> None:
    started = time.perf_counter()
    for text in ("a." * 2000, "a@" * 2000, "-" * 4000, "https://" + "a-" * 2000, "<" * 4000):
        BOUNDARY.inside(text)
        Boundary.is_destination(text)
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("domains", "corp"),
        ("domains", "https://corp.example"),
        ("domains", "a@corp.example"),
        ("domains", "c\u043erp.example"),
        ("addresses", "corp.example"),
        ("addresses", "a@b, c@d"),
        ("paths", "srv"),
        ("paths", "/srv/../etc"),
        ("accounts", ""),
    ],
)
def test_a_boundary_entry_that_is_none_is_refused(field: str, value: str) -> None:
    with pytest.raises(PolicyError, match=rf"boundary\.{field}\[0\]"):
        load_policy({"boundary": {field: [value]}})
