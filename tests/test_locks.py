"""What tests, docs and builds install: every package in one version, with its hashes, whatever is published later."""

import json
import re
import runpy
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from environments import environment
from support import PROJECT

update = SimpleNamespace(**runpy.run_path(str(PROJECT / "tools" / "update.py")))
AZURITE: Path = PROJECT / update.AZURITE
ENGINES = [PROJECT, *(PROJECT / "engines").glob("*/")]
FILES = [PROJECT / lock.file for lock in update.LOCKS]
SOURCES = {PROJECT / source for lock in update.LOCKS for source in lock.sources}
IGNORED = {".git", ".venv", ".pipenv", ".docs", ".sbom", "node_modules", "engines"}


def logical_lines(file: Path) -> list[str]:
    """The requirements of a file, each with its hashes."""
    text = file.read_text().replace("\\\n", " ")
    return [line for line in (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines()) if line]


def requirement(line: str) -> Requirement:
    return Requirement(line.partition(" --hash=")[0])


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_each_line_is_one_version_with_hashes_and_names_no_place(file: Path) -> None:
    assert logical_lines(file)
    for line in logical_lines(file):
        assert re.fullmatch(r"[a-z0-9.-]+(\[[\w,-]+\])?==[\w.+!]+( ; [^@]+?)?( +--hash=sha256:[0-9a-f]{64})+", line), (
            line
        )


@pytest.mark.parametrize("lock", update.LOCKS, ids=lambda lock: lock.file)
def test_a_lock_has_what_its_sources_ask_for(lock: Any) -> None:
    locked = [requirement(line) for line in logical_lines(PROJECT / lock.file)]
    for line in (line for source in lock.sources for line in logical_lines(PROJECT / source)):
        asked = Requirement(line)
        same = [each for each in locked if canonicalize_name(each.name) == canonicalize_name(asked.name)]
        assert same, f"{asked}: run make update"
        for each in same:
            (version,) = each.specifier
            assert asked.specifier.contains(version.version, prereleases=True), f"{asked}: run make update"


def test_every_file_of_requirements_is_a_lock_or_the_source_of_one() -> None:
    found = {file for pattern in ("*.in", "*requirements*.txt") for file in PROJECT.rglob(pattern)}
    ours = {file for file in found if not IGNORED & set(file.relative_to(PROJECT).parts)}
    assert ours <= {
        *FILES,
        *SOURCES,
        PROJECT / "tests" / "e2e" / "airflow-3.2.in",
    }  # of `make oldest`, which blocks nothing
    assert ours >= SOURCES


def test_what_both_engines_install_is_in_one_version() -> None:
    locks = [json.loads((engine / "Pipfile.lock").read_text()) for engine in ENGINES]
    for part in ("default", "develop"):
        for name in set.intersection(*(set(lock[part]) for lock in locks)) - {"constructs"}:
            assert len({lock[part][name].get("version") for lock in locks}) == 1, f"{name}: run make update"


def test_what_the_package_is_built_with_is_locked() -> None:
    (asked,) = re.findall(r"^requires = \[\"(.*)\"\]", (PROJECT / "constructs" / "pyproject.toml").read_text(), re.M)
    assert asked in logical_lines(PROJECT / "tools" / "build.in")


@pytest.mark.parametrize("file", ENGINES, ids=lambda file: file.parent.name)
def test_pipfile_lock_is_locked_with_hashes_and_names_no_place(file: Path) -> None:
    lock = json.loads((file / "Pipfile.lock").read_text())
    assert "[[source]]" not in (file / "Pipfile").read_text()
    assert lock["_meta"]["sources"] == []
    for name, package in {**lock["default"], **lock["develop"]}.items():
        if not package.get("editable"):
            assert package["version"].startswith("==") and package["hashes"], name  # noqa: PT018


@pytest.mark.parametrize(
    "file", [AZURITE, *(engine / "package-lock.json" for engine in ENGINES)], ids=lambda file: file.parent.name
)
def test_what_npm_installs_is_locked_with_hashes_and_names_no_place(file: Path) -> None:
    packages = json.loads(file.read_text())["packages"]
    asked = json.loads(file.with_name("package.json").read_text())["dependencies"]
    assert packages.pop("")["dependencies"] == asked
    for path, package in packages.items():
        assert "resolved" not in package, path
        assert package.get("integrity") or package.get("inBundle"), path


OLD = "airflow==3.3.2 \\\n    --hash=sha256:1\nmoto[s3]==5.2.5\nnumpy==2.2.6 ; python_version < '3.11'\nnumpy==2.4.6\n"


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (OLD, []),
        (OLD.replace("3.3.2", "3.4.0"), ["airflow 3.3.2 -> 3.4.0"]),
        (OLD.replace("moto[s3]==5.2.5\n", ""), ["moto 5.2.5 -> none"]),
        (OLD + "pillow==12.0\n", ["pillow none -> 12.0"]),
        (OLD.replace("2.4.6", "2.5.5"), ["numpy 2.2.6, 2.4.6 -> 2.2.6, 2.5.5"]),
    ],
)
def test_a_renewal_says_what_changed(new: str, said: list[str]) -> None:
    file = Path("requirements.txt")
    assert update.changes(update.versions(file, OLD), update.versions(file, new)) == said


def test_a_renewal_reads_every_kind_of_lock() -> None:
    pipfile = '{"default": {"typer": {"version": "==0.27.2"}, "ours": {"editable": true}}, "develop": {}}'
    assert update.versions(Path("Pipfile.lock"), pipfile) == {"typer": {"0.27.2"}}
    packages = {"": {}, "node_modules/a": {"version": "1"}, "node_modules/b/node_modules/@x/a": {"version": "2"}}
    assert update.versions(Path("package-lock.json"), json.dumps({"packages": packages})) == {"a": {"1"}, "@x/a": {"2"}}


WORKFLOWS = [
    *(PROJECT / ".github" / "workflows").iterdir(),
    *(PROJECT / "examples" / "workflows").iterdir(),
    *(PROJECT / "constructs" / "astro_xcom" / "starter" / "templates").rglob("*.yml"),
]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_every_action_is_a_commit_that_says_its_version(file: Path) -> None:
    used = [line.strip() for line in file.read_text().splitlines() if "uses:" in line]
    for line in used:
        assert re.fullmatch(r"(- )?uses: [\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line), line


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_the_bill_of_materials_is_what_is_locked(engine: Path, tmp_path: Path) -> None:
    command = environment(PROJECT / "tools" / "sbom.txt", name="sbom") / "cyclonedx-py"
    options = ("--mc-type", "library", "--output-reproducible", "--of", "JSON", "-o", tmp_path / "sbom.json")
    done = subprocess.run([command, "pipenv", *options, engine], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    components = json.loads((tmp_path / "sbom.json").read_text())["components"]
    found = {each["name"]: each["version"] for each in components if "version" in each}
    lock = json.loads((engine / "Pipfile.lock").read_text())["default"]
    assert found == {name: each["version"].lstrip("=") for name, each in lock.items() if "version" in each}
