"""The house: a light import, rooms that import downwards, and a wheel that holds everything."""

from __future__ import annotations

import ast
import json
import os
import re
import statistics
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "langchain", "langchain_core", "langgraph", "networkx", "jsonschema"}
HEAVY |= {"typer", "rich", "yaml", "agentdojo", "numpy"}

PROBE = """
import json, sys, time
began = time.process_time()
import gatling_guard
took = time.process_time() - began
print(json.dumps([took, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def run(*command: str, **environment: str) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_import_is_light() -> None:
    """P7: no framework, no torch and no parser is loaded before it is needed; 200 ms at most.

    Processor time: on an idle machine it is the time that passes, on a busy one it still means
    something.
    """
    probes = [json.loads(run(sys.executable, "-c", PROBE)) for _ in range(5)]
    loaded = set(probes[0][1])
    assert not HEAVY & loaded
    assert statistics.median(took for took, _ in probes) <= 0.2


def test_rooms_import_downwards_only() -> None:
    """design.md 9: the order of the rooms, as written in pyproject.toml."""
    script = Path(sys.executable).with_name("lint-imports")
    assert "0 broken" in run(str(script), "--no-cache")


def foreign_imports(source: str) -> set[str]:
    """Modules of the core that a source imports, whole or in part."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.partition(".")[0] == "gatling_guard"}


def test_adapters_use_the_public_api_only() -> None:
    """An adapter that reaches into a room would break with it; `gatling_guard` is its one door."""
    files = sorted((ROOT / "adapters").rglob("*.py"))
    reached = {file.name: foreign_imports(file.read_text(encoding="utf-8")) for file in files}
    assert not {name: used for name, used in reached.items() if used - {"gatling_guard"}}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built offline with the hatchling of the environment."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


def packaged() -> set[str]:
    """Every file below the two import packages, by its path inside a wheel."""
    files = set()
    for source in (ROOT, ROOT / "adapters"):
        for package in ("gatling_guard", "gatling_adapters"):
            files |= {
                str(file.relative_to(source))
                for file in (source / package).rglob("*")
                if file.is_file() and "__pycache__" not in file.parts
            }
    return files


def test_the_wheel_holds_both_packages_and_every_data_file(wheel: Path) -> None:
    """Built-in policies, schemas and `py.typed` are easily left out of a wheel."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {"gatling_guard/py.typed", "gatling_adapters/py.typed"} <= inside
    assert "gatling_guard/pretrained/text-1/table.safetensors" in inside
    assert packaged() <= inside
    assert not {name for name in inside if name.startswith(("tests/", "adapters/", "scripts/"))}
    assert any(name.endswith("licenses/LICENSE") for name in inside)


def test_the_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """P7: the built-in policies load from what is installed, from another working directory."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import gatling_adapters, gatling_guard; from gatling_guard.policy import load_policy;"
        "load_policy('standard'); load_policy('strict'); print(gatling_guard.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))


def requirement_rows() -> list[list[str]]:
    """The cells of docs/requirements.md's table: number, text, status, test."""
    text = (ROOT / "docs/requirements.md").read_text(encoding="utf-8")
    rows = [line.strip().strip("|").split(" | ") for line in text.splitlines()]
    return [[cell.strip() for cell in row] for row in rows if row[0].strip().isdigit()]


def named_tests(cell: str) -> list[str]:
    """The paths in a table cell."""
    return re.findall(r"`([^`]+)`", cell)


def test_the_list_of_requirements_is_complete() -> None:
    """Each of the 163 once; what is done or begun names a test, what is open an issue."""
    rows = requirement_rows()
    assert [int(row[0]) for row in rows] == list(range(1, 164))
    for number, _, status, tests in rows:
        assert re.fullmatch(
            r"done|partly \(issue [\d, ]+\)|partly \(later\)"
            r"|open \((issue [\d, ]+|later)\)",
            status,
        ), (number, status)
        assert status.startswith("open") or named_tests(tests), number


def mentions(path: Path, number: str) -> bool:
    """Whether a test file, or a file below a test folder, names a requirement."""
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return any(re.search(rf"\bR{number}\b", file.read_text(encoding="utf-8")) for file in files)


def test_the_tests_named_for_a_requirement_exist_and_name_it() -> None:
    """A requirement called done whose test is gone, or checks another one, is not done."""
    missing = [
        f"R{number}: {name}"
        for number, _, _, tests in requirement_rows()
        for name in named_tests(tests)
        if not (ROOT / name).exists() or not mentions(ROOT / name, number)
    ]
    assert not missing
