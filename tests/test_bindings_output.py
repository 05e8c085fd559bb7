"""Lazy bindings never change what is synthesized."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import EXAMPLE, GOLDEN, PROJECT

pytestmark = pytest.mark.slow

TESTS = PROJECT / "tests"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(switch: str, *command: str) -> str:
    environment = {**os.environ, "ASTRO_XCOM_EAGER_BINDINGS": switch, "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_random_classes_of_every_provider(tmp_path: Path) -> None:
    program = str(TESTS / "random_resources.py")
    lazy = run("0", program, str(tmp_path / "lazy"), "20260715")
    eager = run("1", program, str(tmp_path / "eager"), "20260715")
    assert lazy == eager
    assert lazy.splitlines()[:3] == ["aws 60", "azurerm 60", "google 60"]
    assert files(tmp_path / "lazy") == files(tmp_path / "eager")


def test_every_golden(tmp_path: Path) -> None:
    sources = [EXAMPLE / "deployments.yaml", *sorted(GOLDEN.glob("*/deployments.yaml"))]
    program = "import sys; from pathlib import Path; from support import synth_file\n" + "".join(
        f"synth_file(Path({str(source)!r}), Path(sys.argv[1], '{number}'))\n" for number, source in enumerate(sources)
    )
    for name, switch in (("lazy", "0"), ("eager", "1")):
        (tmp_path / name).mkdir()
        run(switch, "-c", program, str(tmp_path / name))
    made = files(tmp_path / "lazy")
    assert len([name for name in made if name.endswith("cdk.tf.json")]) >= 4
    assert made == files(tmp_path / "eager")
