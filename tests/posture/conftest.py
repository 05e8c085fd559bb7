"""Fixtures: the scanners, what they scan, and what they find in it."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from astro_xcom.deployments import read_deployments
from astro_xcom.settings import Deployment
from conftest import missing
from environments import environment
from once import made_once
from posture.scanners import INPUTS, SCANS, Scan, Scanners
from support import EXAMPLE, GOLDEN, Applied, synth_file

HERE = Path(__file__).parent
FILES = [EXAMPLE / "deployments.yaml", *sorted(GOLDEN.glob("*/deployments.yaml")), HERE / "deployments.yaml"]


@pytest.fixture(scope="session")
def scanners(tmp_path_factory: pytest.TempPathFactory) -> Scanners:
    """The scanners of requirements.txt, in an environment of their own."""
    try:
        return Scanners(
            environment(HERE / "requirements.txt", name="posture"), tmp_path_factory.mktemp("home-of-scanners")
        )
    except RuntimeError as error:
        missing(f"the scanners ({error})")
        raise


@pytest.fixture(scope="session")
def deployments() -> dict[str, Deployment]:
    """Those of the example, of tests/golden and of this folder."""
    return {name: deployment for file in FILES for name, deployment in read_deployments(file).items()}


@pytest.fixture(scope="session")
def every_stack(stacks: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The stacks of all these deployments."""
    return {**stacks, **synth_file(HERE / "deployments.yaml", tmp_path_factory.mktemp("own"))}


@pytest.fixture(scope="session")
def scannable(
    every_stack: dict[str, Path], applied: Applied, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """A folder with a stack's JSON in `json` and its plan in `plan`."""

    @cache
    def folder_of(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        for input_ in INPUTS:
            (folder / input_).mkdir()
        shutil.copy(every_stack[name] / "cdk.tf.json", folder / "json")
        (folder / "plan" / "plan.json").write_text(json.dumps(applied(every_stack[name]).plan))
        return folder

    return folder_of


@pytest.fixture(scope="session")
def scans(scanners: Scanners, scannable: Callable[[str], Path], session_folder: Path) -> Callable[[str], list[Scan]]:
    """All that checkov and trivy say of a deployment, whole; it is scanned once, whichever process asks for it."""

    def scan(name: str, out: Path) -> None:
        folder = scannable(name)
        with ThreadPoolExecutor(2) as pool:
            running = [pool.submit(run, folder, of) for run in (scanners.checkov, scanners.trivy) for of in INPUTS]
            found = [each.result() for each in running]
        out.mkdir()
        (out / "scans.json").write_bytes(SCANS.dump_json(found))

    @cache
    def scans_of(name: str) -> list[Scan]:
        out = made_once(session_folder / "scans" / name, lambda folder: scan(name, folder))
        return SCANS.validate_json((out / "scans.json").read_bytes())

    return scans_of
