"""Whoever used a released version keeps what it made: an address goes only with a `moved` entry, and is told of.

See docs/upgrading.md.
"""

import json
import runpy
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from support import GOLDEN, PROJECT, Body

release = SimpleNamespace(**runpy.run_path(str(PROJECT / "tools" / "release.py")))

OLD, NEW, NEWEST = "aws_s3_bucket.storage_old_1A", "aws_s3_bucket.storage_new_2B", "aws_s3_bucket.storage_newest_3C"
MOVED = [{"from": OLD, "to": NEW}]
CHANGELOG = "# Changelog\n\n## Unreleased\n\n{}\n"
TOLD = f"- The bucket moved from `{OLD}`."


def golden(*names: str, moved: Sequence[dict[str, str]] = (), outputs: tuple[str, ...] = ("bucket",)) -> Body:
    return {
        "resource": {"aws_s3_bucket": {name.partition(".")[2]: {} for name in names}},
        "data": {"aws_partition": {"partition": {}}},
        "output": {name: {} for name in outputs},
        **({"moved": list(moved)} if moved else {}),
    }


def problems(body: Body, *entries: str) -> list[str]:
    lines = release.pinned({"aws/example.json": golden(OLD)})
    return list(
        release.upgrade_problems("0.1.0", lines, {"aws/example.json": body}, CHANGELOG.format("\n".join(entries)))
    )


def test_no_address_of_a_released_version_is_lost() -> None:
    done = subprocess.run([sys.executable, PROJECT / "tools" / "release.py", "upgrade"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_there_is_a_version_to_compare_with() -> None:
    lists = list(GOLDEN.glob("addresses-*.txt"))
    assert lists
    assert all(file.read_text().strip() for file in lists)


def test_a_renamed_bucket_is_noticed(tmp_path: Path) -> None:
    for name in ("tools/release.py", "CHANGELOG.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    shutil.copytree(GOLDEN, tmp_path / "tests" / "golden")
    file = tmp_path / "tests" / "golden" / "aws" / "aws-example.json"
    (bucket,) = json.loads(file.read_text())["resource"]["aws_s3_bucket"]
    file.write_text(file.read_text().replace(bucket, f"{bucket}_renamed"))
    done = subprocess.run(
        [sys.executable, tmp_path / "tools" / "release.py", "upgrade"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert f"aws/aws-example.json: aws_s3_bucket.{bucket} of 0.1.0 is gone" in done.stderr


def test_resources_and_outputs_are_pinned_and_data_sources_are_not() -> None:
    assert release.pinned({"aws/example.json": golden(OLD)}) == (
        f"aws/example.json {OLD}\naws/example.json output.bucket\n"
    )


def test_what_stays_and_what_is_new_is_no_problem() -> None:
    assert problems(golden(OLD, NEW, outputs=("bucket", "more"))) == []


def test_a_lost_address_is_a_problem_even_when_the_changelog_names_it() -> None:
    for entries in ([], [TOLD]):
        (problem,) = problems(golden(NEW), *entries)
        assert problem.startswith(f"aws/example.json: {OLD} of 0.1.0 is gone; try a `moved` entry")


def test_a_moved_address_is_told_of() -> None:
    (problem,) = problems(golden(NEW, moved=MOVED))
    assert problem == (f"aws/example.json: {OLD} of 0.1.0 is {NEW} now; try a line in CHANGELOG.md that names `{OLD}`")
    assert problems(golden(NEW, moved=MOVED), TOLD) == []


def test_a_move_leads_to_something_that_is_there() -> None:
    (problem,) = problems(golden(NEWEST, moved=MOVED), TOLD)
    assert "is gone" in problem
    assert problems(golden(NEWEST, moved=[*MOVED, {"from": NEW, "to": NEWEST}]), TOLD) == []


def test_moves_in_a_circle_end() -> None:
    (problem,) = problems(golden(NEWEST, moved=[*MOVED, {"from": NEW, "to": OLD}]), TOLD)
    assert "is gone" in problem


@pytest.mark.parametrize("gone", [OLD, "output.bucket"])
def test_what_is_removed_on_purpose_is_told_of(gone: str) -> None:
    body = golden() if gone == OLD else golden(OLD, outputs=())
    (problem,) = problems(body)
    assert problem.startswith(f"aws/example.json: {gone} of 0.1.0 is gone")
    assert problems(body, f"- Removed `{gone}`: it is destroyed.") == []


def test_a_golden_stays() -> None:
    lines = release.pinned({"aws/example.json": golden(OLD)})
    (problem, again) = release.upgrade_problems("0.1.0", lines, {}, CHANGELOG)
    assert problem == again == "aws/example.json: has addresses of 0.1.0, so it stays; try another file for what is new"
