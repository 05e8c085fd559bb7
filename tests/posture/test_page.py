import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from astro_xcom.posture import ACCEPTED, Accepted, Scanner, accepted
from astro_xcom.settings import Deployment
from posture.page import TEXT, tables
from posture.scanners import SCANNED

HERE = Path(__file__).parent
EXAMPLES = ("aws-example", "azure-example", "gcp-example")


def rows(found: Iterable[Accepted]) -> list[tuple[str, ...]]:
    return [(each.id, each.cloud, each.reason, each.setting or "") for each in found]


@pytest.mark.parametrize("scanner", ["checkov", "trivy"])
def test_the_first_table_is_what_the_examples_fail_and_the_second_the_rest(
    scanner: Scanner, deployments: dict[str, Deployment]
) -> None:
    by_the_examples = accepted(scanner, [deployments[name] for name in EXAMPLES])
    rest = [each for each in ACCEPTED if each.scanner == scanner and each not in by_the_examples]
    assert tables(scanner) == [rows(by_the_examples), rows(rest)]


def test_the_page_lists_what_parliament_finds() -> None:
    assert tables("parliament") == [rows(each for each in ACCEPTED if each.scanner == "parliament")]


def test_the_page_has_no_other_table_of_checks() -> None:
    listed = [row for scanner in ("checkov", "trivy", "parliament") for table in tables(scanner) for row in table]
    assert len(listed) == len(re.findall(r"^\| `[A-Z]", TEXT, re.MULTILINE)) == len(ACCEPTED)


@pytest.mark.parametrize("each", ACCEPTED, ids=lambda each: f"{each.scanner}-{each.id}")
def test_a_check_is_accepted_of_deployments_on_its_cloud_alone_and_scanned(
    each: Accepted, deployments: dict[str, Deployment]
) -> None:
    failing = [name for name, deployment in deployments.items() if each.fails(deployment)]
    assert {name.partition("-")[0] for name in failing} == {each.cloud}
    assert set(failing) & set(SCANNED)


def test_an_id_is_listed_once() -> None:
    assert len({(each.scanner, each.id) for each in ACCEPTED}) == len(ACCEPTED)


def test_the_page_names_the_versions_that_are_run() -> None:
    scanners = (HERE / "requirements.in").read_text(encoding="utf-8").split()
    assert len(scanners) == 3
    for name in scanners:
        (version,) = re.findall(rf"^{name}==(\S+)", (HERE / "requirements.txt").read_text(), re.MULTILINE)
        assert re.search(rf"{name} {re.escape(version)}(?![\w.])", TEXT), f"{name} {version}"
