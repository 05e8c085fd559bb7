import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from support import PROJECT

release = SimpleNamespace(**runpy.run_path(str(PROJECT / "tools" / "release.py")))

GOOD = "# Changelog\n\n## 0.2.0 - 2026-11-22\n\n- New.\n\n## 0.1.0 - 2026-01-01\n\n- First version.\n"
Run = Callable[..., str]


@pytest.mark.parametrize(
    ("changelog", "problem"),
    [
        (GOOD, None),
        (GOOD.replace("## 0.2.0", "## Unreleased\n\n## 0.2.0"), None),
        (
            GOOD.replace("## 0.2.0", "## Unreleased\n\n- More.\n\n## 0.2.0"),
            'the first heading is "Unreleased"; try "## 0.2.0',
        ),
        (GOOD.replace("0.2.0 - 2026-11-22", "0.2.0"), 'the first heading is "0.2.0"; try'),
        (GOOD.replace("0.2.0", "0.3.0"), 'the first heading is "0.3.0 - 2026-11-22"; try'),
        (GOOD.replace("2026-11-22", "2026-22-11"), "2026-22-11 is no date"),
        (GOOD.replace("- New.\n", ""), "0.2.0 has no entries"),
        ("# Changelog\n", 'the first heading is ""; try'),
    ],
)
def test_the_changelog_starts_with_the_version(changelog: str, problem: str | None) -> None:
    found = list(release.changelog_problems("0.2.0", changelog))
    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]


@pytest.mark.parametrize(
    ("tags", "tags_of_head", "problem"),
    [
        (["v0.1.0", "v0.2.0", "other"], ["v0.2.0"], None),
        (["v0.1.0"], [], "there is no tag v0.2.0; try git tag v0.2.0"),
        (["v0.2.0"], ["other"], "v0.2.0 is another commit"),
        (["v0.2.0", "v0.10.0", "v0.9.0"], ["v0.2.0"], "0.2.0 is older than the tag v0.10.0"),
    ],
)
def test_the_tag_is_on_the_commit_and_the_newest(tags: list[str], tags_of_head: list[str], problem: str | None) -> None:
    found = list(release.tag_problems("0.2.0", tags, tags_of_head))
    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "constructs/astro_xcom/__init__.py": '__version__ = "0.2.0"\n',
        "CHANGELOG.md": GOOD,
        "tests/golden/aws/example.json": '{"resource": {"aws_s3_bucket": {"storage_bucket_1A": {}}}}',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "tools").mkdir()
    shutil.copy(PROJECT / "tools" / "release.py", tmp_path / "tools")
    git(tmp_path, "init", "--quiet")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    who = {f"GIT_{role}_{field}": "a@example.com" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")}
    subprocess.run(["git", *arguments], cwd=folder, env={**os.environ, **who}, check=True, capture_output=True)


def run(project: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, str(project / "tools" / "release.py"), *arguments]
    done = subprocess.run(command, cwd=project.parent, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def commit(project: Path) -> None:
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "release")


def test_a_release_from_first_to_last(project: Path) -> None:
    commit(project)
    status, said = run(project)
    assert status == 1
    assert said.splitlines() == [
        "git: there is no tag v0.2.0; try git tag v0.2.0",
        "tests/golden/addresses-0.2.0.txt: is not up to date; try python tools/release.py addresses",
    ]
    assert run(project, "addresses") == (0, "tests/golden/addresses-0.2.0.txt: 1 addresses\n")
    assert "changes that are not committed" in run(project)[1]
    commit(project)
    git(project, "tag", "v0.2.0")
    assert run(project) == (0, "0.2.0 can be released\n")
    assert run(project, "addresses") == (
        1,
        "0.2.0 is released, so its addresses stay as they are; try a new version first\n",
    )


def test_a_lost_address_stops_a_release(project: Path) -> None:
    (project / "tests/golden/addresses-0.1.0.txt").write_text("aws/example.json aws_s3_bucket.gone_1A\n")
    commit(project)
    status, said = run(project)
    assert status == 1
    assert "aws/example.json: aws_s3_bucket.gone_1A of 0.1.0 is gone" in said


def test_a_version_that_is_none_is_refused(project: Path) -> None:
    (project / "constructs/astro_xcom/__init__.py").write_text('__version__ = "0.2"\n')
    assert run(project) == (
        1,
        "constructs/astro_xcom/__init__.py: __version__ must be three numbers, such as 0.1.0\n",
    )


TARGETS = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    "file", ["CONTRIBUTING.md", ".pre-commit-config.yaml", ".github/workflows/ci.yml", "docs/upgrading.md"]
)
def test_commands_that_are_written_down_are_targets(file: str) -> None:
    named = set(re.findall(r"(?:`|^|: )make ([a-z-]+)", (PROJECT / file).read_text(), re.MULTILINE))
    assert named
    assert named <= TARGETS


def test_ci_runs_every_python_that_the_package_claims() -> None:
    workflow = yaml.safe_load((PROJECT / ".github/workflows/ci.yml").read_text())
    claimed = re.findall(r"Python :: (3\.\d+)\"", (PROJECT / "constructs" / "pyproject.toml").read_text())
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == claimed
