"""The files of `astro-xcom posture`: the scanners take them, and then have nothing to say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from posture.commands import posture
from posture.scanners import INPUTS, Input, Scan, Scanners
from support import PROJECT

pytestmark = [pytest.mark.terraform, pytest.mark.posture]

EXAMPLES = ["aws-example", "azure-example", "gcp-example"]
SILENT = {"azure-example"}
"""trivy finds nothing in Azure's JSON, whatever stands there."""


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def files(example: str, tmp_path: Path) -> Path:
    assert posture(example, "-f", str(PROJECT / "deployments.yaml"), "-o", str(tmp_path)).code == 0
    return tmp_path


@pytest.mark.parametrize("of", INPUTS)
def test_checkov_is_content_with_them_and_not_without(
    example: str,
    of: Input,
    files: Path,
    scanners: Scanners,
    scannable: Callable[[str], Path],
    scans: dict[str, list[Scan]],
) -> None:
    assert [scan.exit_code for scan in scans[example] if (scan.scanner, scan.of) == ("checkov", of)] == [1]
    content = scanners.checkov(scannable(example), of, "--config-file", str(files / ".checkov.yaml"))
    assert (content.exit_code, content.ids) == (0, set())
    assert content.passed > 0


@pytest.mark.parametrize("of", INPUTS)
def test_trivy_is_content_with_them_and_not_without(
    example: str,
    of: Input,
    files: Path,
    scanners: Scanners,
    scannable: Callable[[str], Path],
    scans: dict[str, list[Scan]],
) -> None:
    without = [scan.exit_code for scan in scans[example] if (scan.scanner, scan.of) == ("trivy", of)]
    assert without == [0 if example in SILENT else 1]
    content = scanners.trivy(scannable(example), of, "--ignorefile", str(files / ".trivyignore"))
    assert (content.exit_code, content.ids) == (0, set())
    assert content.passed > 0


def test_checkov_finds_the_file_in_the_folder_it_scans(scanners: Scanners, scannable: Callable[[str], Path]) -> None:
    folder = scannable("gcp-example")
    written = posture("gcp-example", "-f", str(PROJECT / "deployments.yaml"), "-o", str(folder / "json"))
    try:
        assert written.code == 0
        assert scanners.checkov(folder, "json").exit_code == 0
    finally:
        (folder / "json" / ".checkov.yaml").unlink()
        (folder / "json" / ".trivyignore").unlink()
