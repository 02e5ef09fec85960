"""`make mutants`: what it changes, and that it notices what a test notices and nothing else."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "scripts" / "mutants"


@pytest.fixture
def operators(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("operators")
    sys.modules.pop("operators", None)


@pytest.fixture
def runner(operators: Any) -> Iterator[Any]:
    yield importlib.import_module("runner")
    sys.modules.pop("runner", None)


SOURCE = '''"""Ünïcode before the changes: columns count bytes."""
CHECKS: tuple[str, ...] = ("first", "second")
WEIGHTS = {"a": 1, "b": 2}
PAIR = ("ü",)


def check(n: int | None, seen: set[int]) -> bool:
    """Documented."""
    if n is None or n < 3:
        return False
    seen.add(n)
    return n in seen and all(x > 0 for x in seen if x)


def shown(text: str) -> str:
    return "ü" + text


def findings(n: int):
    if n:
        yield "finding"
'''


@pytest.fixture
def module(tmp_path: Path, operators: Any) -> Any:
    path = tmp_path / "m.py"
    path.write_text(SOURCE, "utf-8")
    return operators.Module(path)


def test_every_mutant_is_another_program_and_parses(module: Any, operators: Any) -> None:
    found = list(operators.small_changes(module))
    plain = ast.dump(ast.parse(SOURCE))
    assert len(found) > 15
    for mutant in found:
        assert ast.dump(ast.parse(mutant.apply(module.source))) != plain, mutant.what


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("if n is None or n < 3:", "if (not (n is None or n < 3)):"),
        ("n is None or n < 3", "((n is None))"),
        ("n < 3", "(n <= 3)"),
        ("    seen.add(n)\n", "    pass\n"),
        ("for x in seen if x)", "for x in seen if True)"),
        ('"ü" + text', "(text)"),
        ('("first", "second")', '("second", )'),
        ('{"a": 1, "b": 2}', '{"a": 1, }'),
        ("    if n is None", "    if True: return True\n    if n is None"),
        ('    return "ü" + text', '    if True: return text\n    return "ü" + text'),
    ],
)
def test_the_small_changes(module: Any, operators: Any, before: str, after: str) -> None:
    texts = [m.apply(module.source).decode() for m in operators.small_changes(module)]
    assert SOURCE.replace(before, after, 1) in texts


def test_annotations_and_docstrings_are_left_alone(module: Any, operators: Any) -> None:
    for mutant in operators.small_changes(module):
        text = mutant.apply(module.source).decode()
        assert "n: int | None" in text
        assert '"""Documented."""' in text


def test_whole_checks_are_taken_away_one_by_one(module: Any, operators: Any) -> None:
    take = operators.TAKE
    assert len(list(take["items"](module, "CHECKS"))) == 2
    assert [m.text for m in take["yields"](module, "*")] == ["pass"]
    assert [m.text.split("\n")[0] for m in take["functions"](module, "ch*")] == [
        "if True: return False"
    ]
    assert len(list(take["statements"](module, "check"))) == 1


def test_a_mutant_that_a_test_notices_is_killed_and_the_source_put_back(
    tmp_path: Path, operators: Any, runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second change of one module must not run the first one's compiled file."""
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.setattr(runner, "OPTIONS", ("-x", "-q", "-p", "no:cacheprovider"))
    copy = tmp_path / "copy"
    for folder in (tmp_path, copy):
        folder.mkdir(exist_ok=True)
        (folder / "small.py").write_text("def double(n: int) -> int:\n    return n + n\n")
        (folder / "test_small.py").write_text(
            "from small import double\n\ndef test_it():\n    assert double(3) == 6\n"
        )
    source = operators.Module(tmp_path / "small.py")
    harmless = operators.Mutant(source.path, 2, "w", *source.span(source.tree.body[0].body[0]),
                                "return 2 * n")  # fmt: skip
    harmful = next(operators.small_changes(source))
    fates = [
        runner._tried(mutant, copy, ("test_small.py",), 60.0)
        for mutant in (harmless, harmful, harmless)
    ]
    assert fates == ["survived", "killed", "survived"]
    assert (copy / "small.py").read_bytes() == source.source


@pytest.mark.parametrize(
    ("tests", "fate"),
    [
        ({"a.py": "def test_a(): pass", "b.py": "def test_b(): assert 0"}, "killed"),
        ({"a.py": "def test_a(): pass"}, "survived"),
        ({"a.py": ""}, "no tests"),
        ({}, "no tests"),
        ({"a.py": "def test_a():\n    while True: pass"}, "timeout"),
    ],
)
def test_folders_of_tests_run_one_after_the_other(
    tmp_path: Path, runner: Any, monkeypatch: pytest.MonkeyPatch, tests: dict[str, str], fate: str
) -> None:
    monkeypatch.setattr(runner, "OPTIONS", ("-x", "-q", "-p", "no:cacheprovider"))
    for name, text in tests.items():
        (tmp_path / name).write_text(text)
    limit = 5.0 if fate == "timeout" else 100.0
    assert runner.run_tests(tmp_path, ("a.py", "b.py"), limit) == fate
