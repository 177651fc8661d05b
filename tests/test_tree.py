"""The house stays as designed: the README's tree is the disk's, files and functions stay small, names say something, imports stay light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("bdh_reason", "tasks", "baselines", "tests")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
PAGES = sorted(path for kind in ("html", "css", "js") for path in (ROOT / "bdh_reason").rglob(f"*.{kind}"))


def test_every_file_of_the_readme_tree_exists_and_every_module_is_in_it() -> None:
    tree = re.search(r"```tree\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert tree
    named, folder = set(), Path()
    for line in tree[1].splitlines():
        name = line.split()[0]
        if line.startswith(" "):
            named.add(folder / name)
        else:
            folder = Path(name)
            named.add(folder)
    assert [str(path) for path in sorted(named) if not (ROOT / path).exists()] == []
    modules = {path.relative_to(ROOT) for path in SOURCES if path.name != "__init__.py" and path.parts[-2] not in ("tests", "golden", "benchmarks")}
    missing = {path for path in modules if path not in named and path.parent not in named}
    assert sorted(map(str, missing)) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_small_and_names_say_something(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    assert path.stem not in ("utils", "util", "common", "misc", "helpers", "helper", "base")
    long = [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 40 + len(node.args.args)
    ]
    assert long == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_pages_are_made_of_is_small_too(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 300
    assert max(map(len, lines)) <= 200


def test_no_generator_of_randomness_is_global() -> None:
    calls = re.compile(r"np\.random\.(?!Generator|Philox)|\brandom\.(random|randint|seed|choice)\(")
    assert [str(path) for path in SOURCES if "tests" not in path.parts and calls.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("bdh_reason.cli", ("torch", "numpy", "numba", "lightning", "pydantic", "rich")),
        ("bdh_reason.compare.table", ("torch", "numba", "lightning")),
        ("bdh_reason.compare.report", ("torch", "numba", "lightning", "matplotlib", "scipy", "polars")),
        ("bdh_reason.compare.refill", ("torch", "wandb", "polars")),
        ("bdh_reason.compare.gaps", ("torch", "numba", "lightning", "matplotlib", "scipy")),
        ("bdh_reason.compare.probe", ("torch", "numpy", "matplotlib")),
        ("bdh_reason.evaluate.probe", ("lightning", "networkx", "matplotlib")),
        ("bdh_reason.train.run", ("wandb", "polars")),
        ("bdh_reason.evaluate.exam", ("wandb", "polars", "lightning")),
        ("bdh_reason.data.build", ("torch", "polars")),
    ],
)
def test_imports_stay_light(module: str, absent: tuple[str, ...]) -> None:
    check = f"import sys, {module}; sys.exit(' '.join(set({absent!r}) & set(sys.modules)) or 0)"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
