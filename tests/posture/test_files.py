"""The files of `astro-xcom posture`: the scanners take them, and then have nothing to say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from posture.commands import posture
from posture.scanners import INPUTS, Input, Scan, Scanners
from support import EXAMPLE

pytestmark = [pytest.mark.terraform, pytest.mark.posture]

EXAMPLES = ["aws-example", "azure-example", "gcp-example"]
SILENT = {("checkov", "gcp-example"), ("trivy", "azure-example")}
"""Where there is nothing to accept."""
OWN = Path(__file__).parent / "deployments.yaml"

Scans = Callable[[str], list[Scan]]


def written(name: str, folder: Path, *, file: Path = EXAMPLE / "deployments.yaml") -> Path:
    assert posture(name, "-f", str(file), "-o", str(folder)).code == 0
    return folder


def plain_scan(name: str, scanner: str, of: Input, scans: Scans) -> Scan:
    (scan,) = [scan for scan in scans(name) if (scan.scanner, scan.of) == (scanner, of)]
    return scan


@pytest.mark.parametrize("of", INPUTS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_checkov_is_content_with_them_and_not_without(
    example: str, of: Input, scanners: Scanners, scannable: Callable[[str], Path], scans: Scans, tmp_path: Path
) -> None:
    config = written(example, tmp_path) / ".checkov.yaml"
    content = scanners.checkov(scannable(example), of, "--config-file", str(config))
    assert (content.exit_code, content.ids) == (0, set())
    assert content.passed > 0
    assert plain_scan(example, "checkov", of, scans).exit_code == (("checkov", example) not in SILENT)


@pytest.mark.parametrize("of", INPUTS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_trivy_is_content_with_them_and_not_without(
    example: str, of: Input, scanners: Scanners, scannable: Callable[[str], Path], scans: Scans, tmp_path: Path
) -> None:
    ignored = written(example, tmp_path) / ".trivyignore"
    content = scanners.trivy(scannable(example), of, "--ignorefile", str(ignored))
    assert (content.exit_code, content.ids) == (0, set())
    assert content.passed > 0
    assert plain_scan(example, "trivy", of, scans).exit_code == (("trivy", example) not in SILENT)


@pytest.mark.parametrize(
    ("cloud", "off"),
    [
        ("aws", {"CKV_AWS_18", "CKV_AWS_145", "CKV2_AWS_62"}),
        ("azure", {"CKV_AZURE_36", "CKV_AZURE_59", "CKV_AZURE_206", "CKV2_AZURE_1", "CKV2_AZURE_33"}),
        ("gcp", {"CKV_GCP_62"}),
    ],
)
def test_settings_that_go_off_are_heard(
    cloud: str, off: set[str], scanners: Scanners, scannable: Callable[[str], Path], tmp_path: Path
) -> None:
    config = written(f"{cloud}-hardened", tmp_path, file=OWN) / ".checkov.yaml"
    heard = scanners.checkov(scannable(f"{cloud}-plain"), "json", "--config-file", str(config))
    assert (heard.exit_code, heard.ids) == (1, off)


def test_checkov_finds_the_file_in_the_folder_it_scans(scanners: Scanners, scannable: Callable[[str], Path]) -> None:
    folder = written("aws-example", scannable("aws-example") / "json").parent
    try:
        assert scanners.checkov(folder, "json").exit_code == 0
    finally:
        (folder / "json" / ".checkov.yaml").unlink()
        (folder / "json" / ".trivyignore").unlink()
