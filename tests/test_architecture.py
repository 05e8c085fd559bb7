"""ARCHITECTURE.md says what is so: its floors and its files."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import PROJECT

PAGE = (PROJECT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PACKAGE = PROJECT / "constructs" / "astro_xcom"
FLOORS = [
    re.findall(r"`([a-z_]+)(?:/|\.py)`", row.split("|")[2])
    for row in re.findall(r"^\| .*`.*$", PAGE.partition("## A setting")[0], re.M)
]
HEIGHT = {name: -floor for floor, names in enumerate(FLOORS) for name in names}
NOT_IMPORTED = ("in_pod", "templates")  # they run elsewhere


def imports(file: Path) -> Iterator[str]:
    """The folders and files of the package that one of its files imports, wherever it does."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("astro_xcom"):
            names = [node.module] if node.module != "astro_xcom" else [f"astro_xcom.{each.name}" for each in node.names]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names if each.name.startswith("astro_xcom.")]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name)


def test_every_file_is_on_one_floor() -> None:
    listed = [name for names in FLOORS for name in names]
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(listed) == sorted(there - {"__init__"})


def test_nothing_imports_upward() -> None:
    for file in PACKAGE.rglob("*.py"):
        here, *folders = file.relative_to(PACKAGE).with_suffix("").parts
        if here == "__init__" or set(folders) & set(NOT_IMPORTED):
            continue
        up = [name for name in imports(file) if name in HEIGHT and HEIGHT[name] > HEIGHT[here]]
        assert not up, f"{file.relative_to(PACKAGE)} imports {up}"


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:tests/|docs/)?[\w/]+(?:\.(?:py|md|yaml)|/))`", PAGE))))
def test_every_path_of_the_page_is_there(path: str) -> None:
    assert (PROJECT / path).exists() or (PACKAGE / path).exists(), path


def test_the_page_is_short() -> None:
    assert PAGE.count("\n") <= 80
