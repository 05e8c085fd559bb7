"""What checkov and trivy find, against the list of what is accepted."""

import json
import re
from collections.abc import Callable, Iterable
from functools import reduce
from pathlib import Path

import pytest

from astro_xcom.posture import Scanner, accepted
from astro_xcom.settings import Deployment
from posture.page import TEXT, tables
from posture.scanners import INPUTS, SCANNED, UNREADABLE, Input, Scan, Scanners, readable

pytestmark = [pytest.mark.terraform, pytest.mark.posture]

JSON_ONLY = {"AVD-AWS-0088", "AVD-AWS-0090"}
"""What trivy would see, did it read nested blocks in JSON."""
CLOUDS = ("aws", "azure", "gcp")

Scans = Callable[[str], list[Scan]]


def ids(scans: Iterable[Scan], scanner: Scanner) -> set[str]:
    return {id_ for scan in scans if scan.scanner == scanner for id_ in scan.ids}


def of_every_cloud(kind: str, scans: Scans) -> list[Scan]:
    return [scan for cloud in CLOUDS for scan in scans(f"{cloud}-{kind}")]


@pytest.mark.parametrize("name", SCANNED)
def test_what_is_found_is_exactly_what_is_accepted(name: str, scans: Scans, deployments: dict[str, Deployment]) -> None:
    scanners: tuple[Scanner, ...] = ("checkov", "trivy")
    for scanner in scanners:
        assert ids(scans(name), scanner) == {each.id for each in accepted(scanner, [deployments[name]])}
    assert all(scan.passed > 0 for scan in scans(name))


def test_checkov_finds_at_most_six_checks_in_the_examples_and_they_are_the_first_table(scans: Scans) -> None:
    found = ids(of_every_cloud("example", scans), "checkov")
    assert len(found) <= 6
    assert found == {id_ for id_, *_ in tables("checkov")[0]}


@pytest.mark.parametrize("kind", ["maximal", "hardened"])
def test_checkov_finds_at_most_three_checks_where_every_setting_is_in_use(kind: str, scans: Scans) -> None:
    found = ids(of_every_cloud(kind, scans), "checkov")
    assert len(found) <= 3
    assert all(f"`{id_}`" in TEXT.partition("## Accepted")[2].partition("###")[0] for id_ in found)


def test_what_trivy_calls_high_is_said(scans: Scans) -> None:
    (said,) = re.findall(r"^trivy rates (.*) as high, the others lower, and none as critical\.$", TEXT, re.MULTILINE)
    found = [scan for name in SCANNED for scan in scans(name)]
    assert set(re.findall(r"`(\S+)`", said)) == {id_ for scan in found for id_ in scan.high}
    assert not any(scan.critical for scan in found)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_setting_satisfies_its_check(cloud: str, scans: Scans, deployments: dict[str, Deployment]) -> None:
    name = f"{cloud}-hardened"
    scanners: tuple[Scanner, ...] = ("checkov", "trivy")
    unsatisfiable = {
        each.id
        for scanner in scanners
        for each in accepted(scanner, [deployments[name]])
        if each.setting is None and each.id not in JSON_ONLY
    }
    judged = [scan for scan in scans(name) if (scan.scanner, scan.of) != ("trivy", "json")]
    assert {id_ for scan in judged for id_ in scan.ids} == unsatisfiable


def test_trivy_sees_encryption_and_versioning_in_a_plan(scans: Scans) -> None:
    aws = [scan for name in SCANNED if name.startswith("aws") for scan in scans(name)]
    assert {scan.of for scan in aws if scan.ids & JSON_ONLY} == {"json"}


@pytest.mark.parametrize(("path", "key"), UNREADABLE)
def test_checkov_still_gives_up_on(
    path: tuple[str, ...], key: str, scanners: Scanners, scannable: Callable[[str], Path], tmp_path: Path
) -> None:
    """If this fails, checkov reads it now: take it out of `UNREADABLE` and of docs/posture.md."""
    whole = scannable("aws-plain") / "json"
    readable(whole, tmp_path)
    stack, found = json.loads((tmp_path / "cdk.tf.json").read_text()), json.loads((whole / "cdk.tf.json").read_text())
    reduce(dict.__getitem__, path, stack)[key] = reduce(dict.__getitem__, path, found)[key]
    (tmp_path / "cdk.tf.json").write_text(json.dumps(stack))
    assert scanners.unreadable(tmp_path)
    assert f".{'.'.join((*path, key))}" in TEXT


# ---- the judges themselves: what is bad is found


def spoilt(folder: Path, place: Path, *changes: tuple[str, str]) -> Path:
    """A copy of what is scanned with some of its text replaced."""
    for file in (Path("json/cdk.tf.json"), Path("plan/plan.json")):
        text = json.dumps(json.loads((folder / file).read_text()))
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (place / file).parent.mkdir(parents=True)
        (place / file).write_text(text)
    return place


@pytest.mark.parametrize("of", INPUTS)
@pytest.mark.parametrize(
    ("name", "old", "new", "check"),
    [
        ("aws-example", '"block_public_acls": true', '"block_public_acls": false', "CKV_AWS_53"),
        ("aws-example", '"BucketOwnerEnforced"', '"ObjectWriter"', "CKV2_AWS_65"),
        (
            "azure-example",
            '"allow_nested_items_to_be_public": false',
            '"allow_nested_items_to_be_public": true',
            "CKV_AZURE_190",
        ),
        ("azure-example", '"shared_access_key_enabled": false', '"shared_access_key_enabled": true', "CKV2_AZURE_40"),
        ("gcp-example", '"enforced"', '"inherited"', "CKV_GCP_114"),
    ],
)
def test_checkov_finds_what_is_bad(
    name: str,
    old: str,
    new: str,
    check: str,
    of: Input,
    scanners: Scanners,
    scannable: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    assert check in scanners.checkov(spoilt(scannable(name), tmp_path, (old, new)), of).ids


@pytest.mark.parametrize("of", INPUTS)
@pytest.mark.parametrize(
    ("name", "old", "new", "check"),
    [
        ("aws-example", '"block_public_acls": true', '"block_public_acls": false', "AVD-AWS-0086"),
        (
            "gcp-example",
            '"uniform_bucket_level_access": true',
            '"uniform_bucket_level_access": false',
            "AVD-GCP-0002",
        ),
    ],
)
def test_trivy_finds_what_is_bad(
    name: str,
    old: str,
    new: str,
    check: str,
    of: Input,
    scanners: Scanners,
    scannable: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    assert check in scanners.trivy(spoilt(scannable(name), tmp_path, (old, new)), of).ids
