"""Where in a text a secret stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.trace import sensitive_pieces, sensitive_text

KEY = "sk_live_51HabcdeF9ghijkLmnop"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"The key is ({KEY}), keep it.", [KEY]),
        ("log in with password: hunter2secret, then go", ["password: hunter2secret"]),
        ("card 4111 1111 1111 1111 and ssn 078-05-1120.", ["4111 1111 1111 1111", "078-05-1120."]),
        (
            "a -----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY----- b",
            ["-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----"],
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIEabc and no end", None),
        ("nothing to see here, only words", []),
    ],
)
def test_whole_secrets_are_found(text: str, wanted: list[str] | None) -> None:
    """Half a secret that is left is one as well."""
    found = [text[start:end] for start, end in sensitive_pieces(text)]
    assert found == ([text] if wanted is None else wanted)


@given(st.text(max_size=40), st.text(max_size=40))
def test_without_the_pieces_no_shape_is_left(before: str, after: str) -> None:
    """Ranges rise and are disjoint; what is left is not sensitive any more."""
    text = f"{before} {KEY} {after}"
    pieces = sensitive_pieces(text)
    assert pieces
    left, end = [], 0
    for start, stop in pieces:
        assert end <= start < stop <= len(text)
        left.append(text[end:start])
        end = stop
    assert not sensitive_text(" . ".join([*left, text[end:]]))
