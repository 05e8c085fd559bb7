"""What checkov and trivy find, against the list of what is accepted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from astro_xcom.posture import ACCEPTED, Accepted
from posture.scanners import INPUTS, SCANNED, Input, Scan, Scanners

pytestmark = [pytest.mark.terraform, pytest.mark.posture]

JSON_ONLY = {"AVD-AWS-0088", "AVD-AWS-0090"}
"""What trivy would see, did it read nested blocks in JSON."""
MOST = {"example": 6, "maximal": 3, "hardened": 2}
"""How many checks of checkov a deployment fails at most."""


def cloud(name: str) -> str:
    return name.partition("-")[0]


def allowed(name: str) -> list[Accepted]:
    return [each for each in ACCEPTED if cloud(name) in each.clouds and each.scanner != "parliament"]


@pytest.mark.parametrize("name", SCANNED)
def test_nothing_fails_but_what_is_accepted(name: str, scans: dict[str, list[Scan]]) -> None:
    for scan in scans[name]:
        assert scan.ids <= {each.id for each in allowed(name) if each.scanner == scan.scanner}
        assert scan.passed > 0


@pytest.mark.parametrize("name", SCANNED)
def test_few_checks_of_checkov_fail(name: str, scans: dict[str, list[Scan]]) -> None:
    failed = {id_ for scan in scans[name] if scan.scanner == "checkov" for id_ in scan.ids}
    assert len(failed) <= MOST[name.partition("-")[2]]


def test_what_is_accepted_does_fail_somewhere(scans: dict[str, list[Scan]]) -> None:
    found = {(cloud(name), scan.scanner, id_) for name in SCANNED for scan in scans[name] for id_ in scan.ids}
    assert found == {(cloud(name), each.scanner, each.id) for name in SCANNED for each in allowed(name)}


@pytest.mark.parametrize("name", [name for name in SCANNED if name.endswith("hardened")])
def test_a_setting_satisfies_its_check(name: str, scans: dict[str, list[Scan]]) -> None:
    judged = [scan for scan in scans[name] if (scan.scanner, scan.of) != ("trivy", "json")]
    left = {id_ for scan in judged for id_ in scan.ids}
    assert left == {each.id for each in allowed(name) if each.setting is None} - JSON_ONLY


def test_trivy_sees_encryption_and_versioning_in_a_plan(scans: dict[str, list[Scan]]) -> None:
    aws = [scan for name in SCANNED if cloud(name) == "aws" for scan in scans[name]]
    assert {scan.of for scan in aws if scan.ids & JSON_ONLY} == {"json"}


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
