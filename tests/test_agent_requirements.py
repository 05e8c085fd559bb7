"""What pip makes of the packages for the agents' image."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import PROJECT

AGENT = PROJECT / "agent"
CLOUDS = ["aws", "azure", "gcp"]


def lines(cloud: str) -> list[str]:
    text = (AGENT / f"requirements-{cloud}.txt").read_text()
    return [line for line in text.splitlines() if not line.startswith("#")]


def locked(*names: str) -> list[str]:
    """Nothing later than what is locked: what is published tomorrow breaks no test (`make update` renews it)."""
    found = (PROJECT / "tests" / "e2e" / "locks" / "agent-aws.txt").read_text()
    return [f"{name}<={re.findall(rf'^{name}==([^ ]+)', found, re.MULTILINE)[0]}" for name in names]


def resolved(folder: Path, *wanted: str) -> dict[str, str]:
    """Package -> version, as pip would install them."""
    report = folder / "report.json"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--dry-run",
        "--ignore-installed",
        "--report",
        str(report),
    ]
    subprocess.run([*command, *wanted], check=True, capture_output=True)
    found = json.loads(report.read_text())["install"]
    return {package["metadata"]["name"].lower(): package["metadata"]["version"] for package in found}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_each_line_has_a_lower_bound_and_no_pin(cloud: str) -> None:
    assert lines(cloud)[0].startswith("apache-airflow-providers-common-io")
    assert all(">=" in line and "==" not in line for line in lines(cloud))


@pytest.mark.parametrize("cloud", CLOUDS)
def test_each_cloud_has_a_dockerfile_that_installs_its_packages(cloud: str) -> None:
    text = (AGENT / f"{cloud}.Dockerfile").read_text()
    assert "FROM images.astronomer.cloud/baseimages/astro-remote-execution-agent:${TAG}${DIGEST:+@$DIGEST}\n" in text
    assert f"COPY requirements-{cloud}.txt" in text


@pytest.mark.slow
@pytest.mark.long  # pip searches for minutes
def test_boto3_and_s3fs_alone_resolve_to_an_s3fs_that_cannot_work(tmp_path: Path) -> None:
    # pip takes the newest boto3 first, which aiobotocore does not allow yet; this was the newest one day.
    packages = resolved(tmp_path, "boto3==1.44.8", *locked("s3fs"))
    assert "aiobotocore" not in packages, packages
    assert packages["s3fs"].startswith("0."), packages


@pytest.mark.slow
def test_the_line_for_aiobotocore_mends_it(tmp_path: Path) -> None:
    (line,) = [line for line in lines("aws") if line.startswith("aiobotocore")]
    packages = resolved(tmp_path, "boto3>=1.42.93", line, *locked("boto3", "botocore", "s3fs", "aiobotocore"))
    assert "aiobotocore" in packages
    assert not packages["s3fs"].startswith("0."), packages
