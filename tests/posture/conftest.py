"""Fixtures: the scanners, what they scan, and what they find in it."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import missing
from environments import environment
from posture.scanners import INPUTS, SCANNED, Scan, Scanners
from support import Applied, synth_file

HERE = Path(__file__).parent


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
def every_stack(stacks: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The stacks of the example and of tests/golden, and the hardened ones of this folder."""
    return {**stacks, **synth_file(HERE / "deployments.yaml", tmp_path_factory.mktemp("hardened"))}


@pytest.fixture(scope="session")
def scannable(
    every_stack: dict[str, Path], applied: Applied, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """A folder with a stack's JSON in `json` and its plan in `plan`."""
    made: dict[str, Path] = {}

    def folder_of(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            for input_ in INPUTS:
                (folder / input_).mkdir()
            shutil.copy(every_stack[name] / "cdk.tf.json", folder / "json")
            (folder / "plan" / "plan.json").write_text(json.dumps(applied(every_stack[name]).plan))
            made[name] = folder
        return made[name]

    return folder_of


@pytest.fixture(scope="session")
def scans(scanners: Scanners, scannable: Callable[[str], Path]) -> dict[str, list[Scan]]:
    """All that checkov and trivy say of every deployment that is scanned, whole: a scanner at a time per core."""
    folders = {name: scannable(name) for name in SCANNED}
    with ThreadPoolExecutor(2) as pool:
        running = {
            name: [pool.submit(scan, folder, of) for scan in (scanners.checkov, scanners.trivy) for of in INPUTS]
            for name, folder in folders.items()
        }
        return {name: [scan.result() for scan in four] for name, four in running.items()}
