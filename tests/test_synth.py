"""`astro-xcom synth` does what main.py does."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from astro_xcom.cli import app as cli
from support import EXAMPLE, PROJECT

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example, one deployment of it, in the working directory."""
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    text = (EXAMPLE / "deployments.yaml").read_text()
    (tmp_path / "deployments.yaml").write_text(text.partition("  azure-example:")[0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["astro-xcom", "synth", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        out, err = capsys.readouterr()
        if isinstance(done.value.code, str):
            return 1, out, err + done.value.code
        return done.value.code or 0, out, err

    return command


def made(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_writes_what_main_writes(project: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == (0, "aws-example: cdktf.out/stacks/aws-example/cdk.tf.json\n", "")
    ours = made(project / "cdktf.out")
    shutil.rmtree(project / "cdktf.out")
    program = compile((PROJECT / "main.py").read_text(), str(project / "main.py"), "exec")
    with pytest.raises(SystemExit) as done:
        exec(program, {"__name__": "__main__", "__file__": str(project / "main.py")})
    assert not done.value.code
    assert capsys.readouterr().out.startswith("aws-example: cdktf.out/")
    assert made(project / "cdktf.out") == ours


def test_main_is_a_few_lines() -> None:
    assert len((PROJECT / "main.py").read_text().splitlines()) < 20


def test_another_folder_is_made(project: Path, run: Run) -> None:
    assert run("--output", "json")[:2] == (0, "aws-example: json/stacks/aws-example/cdk.tf.json\n")
    assert "stacks/aws-example/cdk.tf.json" in made(project / "json")
    assert not (project / "cdktf.out").exists()


def test_a_folder_elsewhere_is_told_where_its_state_will_be(project: Path, run: Run) -> None:
    code, _, err = run("--file", project / "deployments.yaml", "--output", project / "a" / "b")
    assert code == 0
    state = project / "a" / "terraform.aws-example.tfstate"
    assert err == f"deployments.yaml: warning: aws-example.state: Terraform will keep it in {state}\n"


@pytest.mark.parametrize(
    ("output", "words"), [("deployments.yaml", "is a file"), ("deployments.yaml/json", "not a directory")]
)
def test_a_folder_that_cannot_be_is_refused(output: str, words: str, project: Path, run: Run) -> None:
    code, out, err = run("--output", output)
    assert (code, out) == (1, "")
    assert words in err
    assert "Traceback" not in err


def test_a_refused_file_writes_nothing(project: Path, run: Run) -> None:
    (project / "deployments.yaml").write_text("deployments: {a: {cloud: aws}}")
    before = made(project)
    code, out, err = run()
    assert (code, out) == (1, "")
    assert "deployments.yaml: a.region: is required" in err
    assert made(project) == before
    assert not (project / "cdktf.out").exists()
