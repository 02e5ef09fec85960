"""The command class of every verb: a help text that a terminal of any width can fold."""

from __future__ import annotations

import inspect
from typing import Any

from typer.core import TyperCommand


class Verb(TyperCommand):
    """A command whose help loses the line breaks of the docstring, paragraphs apart."""

    def __init__(self, *args: Any, help: str | None = None, **options: Any) -> None:
        super().__init__(*args, help=help and folded(help), **options)


def folded(text: str) -> str:
    """Each paragraph on one line."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
