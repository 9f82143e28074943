"""What the wheel holds, what an import costs, and which way imports run."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import nasopt
from nasopt import errors, results

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nasopt"
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"matplotlib", "numpy", "onnx", "onnx_ir", "onnxruntime", "pymoo", "ray", "scipy", "tensorflow", "torch", "torch_geometric"}
VERBS = {"apply", "bench", "compress", "diff", "doctor", "draw", "explain", "inspect", "predict", "proxies", "verify"}

# docs/architecture.md, "Imports run one way": what each room may import, besides itself and the modules at the top.
MAY_IMPORT = {
    "api": {"search", "mutations", "predictors", "runtime", "spaces", "graphs"},
    "cli": {"api", "report"},
    "graphs": set(),
    "mutations": {"graphs"},
    "predictors": {"spaces", "graphs"},
    "report": set(),
    "runtime": {"graphs"},
    "search": {"mutations", "predictors", "spaces", "graphs"},
    "spaces": {"graphs"},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def identifier(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a module imports from nasopt, wherever in the module it does so."""
    package = module_name(path.parent / "__init__.py").split(".")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def rooms(path: Path) -> set[str]:
    """The subpackages that a module imports; the verbs that `nasopt` itself offers count as `api`."""
    found = set()
    for name in imported(path):
        root, *rest = name.split(".")
        if root == "nasopt":
            first = rest[0] if rest else "api"
            found.add("api" if first in VERBS else first)
    return found & MAY_IMPORT.keys()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    # From a copy, because setuptools builds in the tree and would pack what an earlier build left there.
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(PACKAGE, source / "nasopt", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = target.iterdir()
    return zipfile.Path(built)


def test_wheel_puts_one_module_into_site_packages(wheel: zipfile.Path) -> None:
    assert {entry.name for entry in wheel.iterdir()} == {"nasopt", f"nasopt-{nasopt.__version__}.dist-info"}


def test_wheel_holds_every_file_of_the_package(wheel: zipfile.Path) -> None:
    packed = {name for name in wheel.root.namelist() if name.startswith("nasopt/") and not name.endswith("/")}
    files = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert packed == files


def test_wheel_installs_the_command(wheel: zipfile.Path) -> None:
    entry_points = wheel / f"nasopt-{nasopt.__version__}.dist-info" / "entry_points.txt"
    assert entry_points.read_text() == "[console_scripts]\nnasopt = nasopt.cli.main:main\n"


def test_imports_that_must_be_cheap() -> None:
    """Nothing heavy is loaded before a verb runs: else `nasopt --help` would take a second."""
    modules = ["nasopt", "nasopt.errors", "nasopt.results", "nasopt.api", *map(module_name, sorted((PACKAGE / "cli").rglob("*.py")))]
    program = f"""
import importlib, json, sys
loaded = {{}}
for module in {modules}:
    before = set(sys.modules)
    importlib.import_module(module)
    loaded[module] = sorted({HEAVY} & (set(sys.modules) - before))
print(json.dumps(loaded))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert {module: heavy for module, heavy in json.loads(done.stdout).items() if heavy} == {}


@pytest.mark.parametrize("path", [path for path in SOURCES if path.parent != PACKAGE], ids=identifier)
def test_imports_run_one_way(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    assert rooms(path) - {room} <= MAY_IMPORT[room]


@pytest.mark.parametrize("name", ["errors.py", "results.py"])
def test_contracts_import_no_room(name: str) -> None:
    assert rooms(PACKAGE / name) == set()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("import nasopt", {"api"}),
        ("from nasopt import verify, errors", {"api"}),
        ("from nasopt.runtime.session import run", {"runtime"}),
        ("def f():\n    import nasopt.search.problem", {"search"}),
        ("from ..graphs import cost", {"graphs"}),
        ("from . import sibling", {"mutations"}),
        ("import numpy", set()),
    ],
)
def test_rooms_are_recognised(statement: str, expected: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "nasopt" / "mutations" / "example.py"
    path.parent.mkdir(parents=True)
    path.write_text(statement)
    assert rooms(path) == expected


def test_every_room_says_what_it_is_for() -> None:
    packages = {path.parent for path in SOURCES}
    assert {path.name for path in packages if path.parent == PACKAGE} == MAY_IMPORT.keys()
    assert [path for path in packages if not ast.get_docstring(ast.parse((path / "__init__.py").read_text(encoding="utf-8")))] == []


@pytest.mark.parametrize("path", SOURCES, ids=identifier)
def test_modules_hold_one_idea(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    assert "utils" not in path.relative_to(PACKAGE).with_suffix("").parts


def test_every_public_name_is_offered_at_the_top() -> None:
    assert set(nasopt.__all__) == VERBS | set(errors.__all__) | set(results.__all__) | {"PredictResult", "Predicted", "ProxiesResult"}
    assert set(nasopt.__all__) <= set(dir(nasopt))
    for name in nasopt.__all__:
        assert getattr(nasopt, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'optimise'"):
        nasopt.optimise  # noqa: B018
