"""R146: what the documentation shows is true. Every block of README.md and docs/*.md is run.

A file is run from top to bottom in an empty folder of its own (with `examples/` linked in), so a
later block may use what an earlier one made:

- `python`: executed; the blocks of one file share a namespace. `python test="skip: why"` is not.
- `yaml` beginning with `version: 1`: loaded as a policy.
- `console test`: each line `$ gatling-guard ...` must exit with 0, or with N after `# exits N`.
- any block with `title="name"`: also written to that file.

A block inside an HTML comment is run too: that is the place for what a page needs and a reader
does not (a scripted model, a stand-in for a tool).
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]+)\n(?P<body>.*?)^(?P=indent)```\s*$", re.M | re.S
)
NAMED = re.compile(r'(\w+)="([^"]*)"')
EXITS = re.compile(r"#\s*exits (\d+)")


@dataclass(frozen=True)
class Block:
    """One fenced block, with the place of its first line."""

    language: str
    flags: frozenset[str]
    named: dict[str, str]
    body: str
    page: Path
    line: int


def blocks(page: Path, text: str) -> list[Block]:
    """The fenced blocks of a page that name a language."""
    found = []
    for match in FENCE.finditer(text):
        words = NAMED.sub("", match["info"]).split()
        line = text.count("\n", 0, match.start("body")) + 1
        body = textwrap.dedent(match["body"])
        named = dict(NAMED.findall(match["info"]))
        found.append(Block(words[0], frozenset(words[1:]), named, body, page, line))
    return found


def run_python(block: Block, namespace: dict[str, Any]) -> None:
    """Run a block so that a traceback shows the page and its line."""
    if not block.named.get("test", "").startswith("skip"):
        padded = "\n" * (block.line - 1) + block.body
        exec(compile(padded, str(block.page), "exec", dont_inherit=True), namespace)


def run_console(block: Block, folder: Path) -> None:
    """Run every `$ gatling-guard ...` line of a block."""
    for command in re.findall(r"^\$ (gatling-guard .*)$", block.body, re.M):
        exits = EXITS.search(command)
        arguments = shlex.split(command, comments=True)[1:]
        script = Path(sys.executable).with_name("gatling-guard")
        done = subprocess.run(
            [str(script), *arguments], cwd=folder, capture_output=True, text=True, timeout=100
        )
        wanted = int(exits[1]) if exits else 0
        assert done.returncode == wanted, f"{command}\n{done.stdout}\n{done.stderr}"


def run_page(page: Path, text: str, folder: Path) -> int:
    """Run all blocks of a page; returns how many of them were run or loaded."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for block in blocks(page, text):
        if "title" in block.named:
            (folder / block.named["title"]).write_text(block.body, encoding="utf-8")
        match block.language:
            case "python":
                run_python(block, namespace)
            case "yaml" if block.body.startswith("version: 1"):
                from gatling_guard.policy import load_policy

                load_policy(block.body)
            case "console" if "test" in block.flags:
                run_console(block, folder)
            case _:
                continue
        count += 1
    return count


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_the_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R146 code blocks of the documentation run."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    run_page(page, page.read_text(encoding="utf-8"), tmp_path)


def test_the_readme_has_blocks_that_run() -> None:
    """R146 a README whose fences are misspelt would pass the test above with nothing run."""
    readme = ROOT / "README.md"
    languages = {block.language for block in blocks(readme, readme.read_text(encoding="utf-8"))}
    assert "python" in languages


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n", AssertionError),
        ("```yaml\nversion: 1\nno_such_key: 3\n```\n", Exception),
        ("```console test\n$ gatling-guard no-such-verb\n```\n", AssertionError),
        ('```json title="a.json"\n{}\n```\n```python\nopen("b.json")\n```\n', FileNotFoundError),
    ],
)
def test_a_wrong_block_is_noticed(
    text: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R146 the runner itself: a block that is not true fails, and nothing is passed over."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        run_page(Path("page.md"), text, tmp_path)


def test_blocks_that_are_marked_are_passed_over(tmp_path: Path) -> None:
    """R146 only what is marked is left out: skipped Python, other languages, plain consoles."""
    text = '```python test="skip: needs a key"\n1 / 0\n```\n```console\n$ gatling-guard nope\n```\n'
    assert run_page(Path("page.md"), text, tmp_path) == 1
