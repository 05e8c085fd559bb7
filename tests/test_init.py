"""`astro-xcom init`: a repository that works as it is written, and nothing that was there is touched."""

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from astro_xcom.chart_values import Source
from astro_xcom.cli import app as cli
from astro_xcom.deployments import CLOUDS, read_deployments
from astro_xcom.starter import wheel
from astro_xcom.starter.questions import questions
from astro_xcom.starter.repository import OURS, made_up, repository
from astro_xcom.yaml_files import parse
from support import EXAMPLE, PROJECT

Run = Callable[..., tuple[int, str, str]]
GUID = "56e60275-c4fd-46fc-b46d-630108161f52"
KNOWN = {"name": "data", "suffix": "041e0317", "cluster.location": "europe-west1-b"}
VALUES = EXAMPLE / "examples" / "agent-values.yaml"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command in an empty folder: arguments -> (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["astro-xcom", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        out, err = capsys.readouterr()
        if isinstance(done.value.code, str):
            return 1, out, err + done.value.code
        return done.value.code or 0, out, err

    return command


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("values", [None, VALUES], ids=["from nothing", "with values"])
def test_what_is_written_works_as_it_is(cloud: str, values: Path | None, run: Run, tmp_path: Path) -> None:
    code, out, err = run("init", "--cloud", cloud, "--yes", *(["--values", values] if values else []))
    assert (code, err) == (0, "")
    written = files(tmp_path)
    assert written == {line for line in out.splitlines() if (tmp_path / line).is_file() and line}
    assert {*OURS, "agent-values.yaml"} < written
    if values:
        assert (tmp_path / "agent-values.yaml").read_bytes() == values.read_bytes()
    name = f"astro-{cloud}"
    assert (
        f"\nNext:\n  pipenv install\n  pipenv run astro-xcom check --strict\n  pipenv run astro-xcom doctor {name}\n"
        in out
    )

    code, out, err = run("check", "--strict")
    assert (code, err) == (0, "")
    assert run("export", "terraform", "--check") == (0, "terraform: 1 stack, up to date\n", "")
    assert run("synth") == (0, f"{name}: cdktf.out/stacks/{name}/cdk.tf.json\n", "")
    (tmp_path / "deployments.yaml").open("a").write("    xcom: {retention_days: 60}\n")
    assert run("export", "terraform", "--check")[0] == 1
    assert run("export", "terraform", "--no-lock")[0] == 0
    assert run("export", "terraform", "--check")[0] == 0


def test_into_a_folder_of_that_name(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("init", "a/b", "--cloud", "aws", "--yes")
    assert code == 0
    assert "a/b/main.py\n" in out
    assert "\nNext, in a/b:\n" in out
    assert "Made up, to be replaced in deployments.yaml: region, cluster.name\n" in out
    assert not [path for path in files(tmp_path) if not path.startswith("a/b/")]


def test_main_is_the_main_of_the_project() -> None:
    template = PROJECT / "constructs" / "astro_xcom" / "starter" / "templates" / "main.py"
    assert template.read_text() == (PROJECT / "main.py").read_text()


def test_what_is_set_is_what_is_written(run: Run, tmp_path: Path) -> None:
    said = {
        "name": "on",  # a truth value unless it is quoted
        "region": "eu-west-1",
        "cluster.name": "1e3",
        "storage.bucket": "acme-data",
        "agent.namespace": "null",
        "agent.resource_name_prefix": "123",
    }
    sets = [part for key, value in said.items() for part in ("--set", f"{key}={value}")]
    code, out, err = run("init", "--cloud", "aws", "--yes", *sets)
    assert (code, err) == (0, "")
    assert "Made up" not in out
    ((name, deployment),) = read_deployments(tmp_path / "deployments.yaml").items()
    settings = deployment.model_dump()
    found = {key: settings for key in said if key != "name"}
    for key in found:
        value: Any = settings
        for part in key.split("."):
            value = value[part]
        assert value == said[key], key
    assert name == "on"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--yes"], ["--cloud is required where nobody can be asked: one of aws, azure, gcp"]),
        (["--cloud", "eks", "--yes"], ["the cloud must be one of aws, azure, gcp", "try aws"]),
        (
            ["--cloud", "aws", "--set", "region=x", "--set", "storage.bucket=My_Data", "--set", "name=A"],
            ["name: must be 1-48", "region: must be", "storage.bucket: must be 3-63", 'try "my-data"'],
        ),
        (["--cloud", "aws", "--set", "buckt=x"], ["--set must be KEY=VALUE, with one of name,", 'got "buckt=x"']),
        (["--cloud", "gcp", "--set", "storage.bucke=x"], ["try storage.bucket=..."]),
        (["--cloud", "aws", "--set", "region"], ["--set must be KEY=VALUE"]),
        (["--cloud", "aws", "--values", "none.yaml"], ['"none.yaml": no such file']),
        (["--cloud", "aws", "--values", "."], ["no such file"]),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_whole(arguments: list[str], words: list[str], run: Run, tmp_path: Path) -> None:
    code, out, err = run("init", *arguments)
    assert (code, out) == (1, "")
    assert [word for word in words if word not in err] == []
    assert "Traceback" not in err
    assert not files(tmp_path)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_file_in_the_way_is_named_and_nothing_is_written(cloud: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / ".gitignore").symlink_to("nowhere")
    (tmp_path / ".github").write_text("mine")
    (tmp_path / "terraform").mkdir()
    before = files(tmp_path)
    code, out, err = run("init", "--cloud", cloud, "--yes")
    assert (code, out) == (1, "")
    lines = err.splitlines()
    assert [line.partition(":")[0] for line in lines[:-1]] == ["README.md", ".gitignore", ".github", "terraform"]
    assert "nothing was written" in lines[-1]
    assert files(tmp_path) == before
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_folder_that_is_a_file_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "here").write_text("")
    assert "here: must be a folder" in run("init", "here", "--cloud", "aws", "--yes")[2]


def test_a_folder_that_cannot_be_written_to_stays_as_it_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def full(self: Path, mode: str = "r", **options: object) -> object:
        if mode == "xb" and self.name == "main.py" and tmp_path in self.absolute().parents:
            raise OSError(28, "No space left on device", str(self))
        return opened(self, mode, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    code, _, err = run("init", "--cloud", "aws", "--yes")
    assert (code, err) == (1, "main.py: cannot be written: no space left on device")
    assert not files(tmp_path)


# ---- with values


def test_values_in_the_folder_are_used_where_they_are(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "values.yaml").write_bytes(VALUES.read_bytes())
    assert run("init", "--cloud", "aws", "--yes", "--values", "mine/values.yaml")[0] == 0
    assert "values_files: [mine/values.yaml]" in (tmp_path / "deployments.yaml").read_text()
    assert "values.yaml" not in {path.name for path in tmp_path.iterdir()}
    assert run("check", "--strict")[0] == 0


def test_values_elsewhere_are_kept_beside_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "odd, name: {x}.yaml").write_bytes(VALUES.read_bytes())
    assert run("init", "new", "--cloud", "aws", "--yes", "--values", "odd, name: {x}.yaml")[0] == 0
    assert (tmp_path / "new" / "odd, name: {x}.yaml").read_bytes() == VALUES.read_bytes()
    assert run("check", "--strict", "--file", "new/deployments.yaml")[0] == 0


@pytest.mark.parametrize("name", ["README.md", "deployments.yaml", "main.py"])
def test_values_of_a_name_that_is_written_are_refused(name: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(VALUES.read_bytes())
    code, _, err = run("init", "new", "--cloud", "aws", "--yes", "--values", name)
    assert code == 1
    assert "that no file written here has" in err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("cloud", CLOUDS)
def test_names_in_the_values_become_settings(cloud: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text(VALUES.read_text() + "namespace: data\nresourceNamePrefix: team\n")
    assert run("init", "--cloud", cloud, "--yes", "--values", "v.yaml")[0] == 0
    (deployment,) = read_deployments(tmp_path / "deployments.yaml").values()
    assert (deployment.agent.namespace, deployment.agent.resource_name_prefix) == ("data", "team")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("agentToken: secret\n", "v.yaml: agentToken: would stand in Terraform's state in clear"),
        ("xcomBackend: my.Backend\n", 'v.yaml: xcomBackend: "my.Backend" here'),
        ("stateStoreBackend: my.Backend\n", "stateStoreBackend"),  # found when the stack is made
        ("labels: {a: {b\n", "v.yaml: line"),
        ("- a\n", "v.yaml: line"),
    ],
)
def test_values_that_conflict_are_refused_as_usual(more: str, words: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text(VALUES.read_text() + more)
    code, out, err = run("init", "new", "--cloud", "azure", "--yes", "--values", "v.yaml")
    assert (code, out) == (1, "")
    assert words in err
    assert "Traceback" not in err
    assert not (tmp_path / "new").exists()


# ---- on a terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    "text",
    ["on", "null", "~", "1", "1e3", "041e0317", "1e400", "0x1f", "1_000", "12:30", "2024-01-02", "2024-99-99", "a: b",
     "a #b", "[a]", "", " ", "'", '"', "{a}", "a,b", "-", "*a", "é", "eu-west-1", GUID],
)  # fmt: skip
def test_any_text_is_written_so_that_it_reads_as_it_is(text: str) -> None:
    answers = {**{each.key: each.default(KNOWN) for each in questions("aws")}, "name": "data"}
    files = repository("aws", {**KNOWN, **answers, "cluster.name": text, "project_id": GUID}, values="v.yaml")
    written = files["deployments.yaml"].decode()
    for read in (yaml.safe_load, parse):
        assert read(written)["deployments"]["data"]["cluster"]["name"] == text


def test_on_a_terminal_it_asks_and_asks_again(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["amazon", "aws", "data", "eu_west_1", "eu-west-1", "prod", "", "", ""]
    monkeypatch.setattr("sys.stdin", Terminal("\n".join([*answers, ""])))
    code, out, _ = run("init")
    assert code == 0
    assert "try aws" in out
    assert "the AWS region" in out
    assert "Made up" not in out
    ((name, deployment),) = read_deployments(tmp_path / "deployments.yaml").items()
    settings = deployment.model_dump()
    assert (name, settings["region"], settings["cluster"]["name"]) == ("data", "eu-west-1", "prod")
    assert re.fullmatch("data-xcom-[0-9a-f]{8}", settings["storage"]["bucket"])


def test_on_a_terminal_nothing_that_is_known_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(""))
    said = [part for each in questions("gcp") for part in ("--set", f"{each.key}={each.default(KNOWN)}")]
    assert run("init", "--cloud", "gcp", *said)[0] == 0


def test_somebody_who_leaves_gets_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("aws\n"))
    assert run("init")[0] == 130
    assert not files(tmp_path)


# ---- what is in the files


@pytest.fixture
def made(run: Run, tmp_path: Path) -> Path:
    code, _, err = run("init", "--cloud", "gcp", "--yes")
    assert (code, err) == (0, "")
    return tmp_path


@pytest.mark.parametrize("cloud", CLOUDS)
def test_ci_runs_the_checks_and_a_plan(cloud: str, run: Run, tmp_path: Path) -> None:
    assert run("init", "--cloud", cloud, "--yes")[0] == 0
    text = (tmp_path / ".github" / "workflows" / "ci.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    steps = [step.get("run", "") for step in jobs["check"]["steps"]]
    assert {"pipenv run astro-xcom check --strict", "pipenv run astro-xcom export terraform --check"} < set(steps)
    (plan,) = [step["run"] for step in jobs["plan"]["steps"] if "terraform" in step.get("run", "")]
    assert "plan -input=false" in plan
    assert "--plan -" in plan
    variable = re.fullmatch(r"vars\.(\w+) != ''", jobs["plan"]["if"])
    assert variable
    assert f"vars.{variable[1]} }}}}" in text
    assert "<<" not in text


def lines(folder: Path, job: str) -> list[str]:
    """What a job of the workflow runs."""
    jobs = yaml.safe_load((folder / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    return [step["run"] for step in jobs[job]["steps"] if "run" in step]


INSTALLS = ["pip install pipenv", "pipenv sync"]
"""tests/test_package.py installs the same wheel with the same extras."""


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_line_of_ci_does_what_it_says(
    cloud: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("init", "--cloud", cloud, "--yes")[0] == 0
    ours, plans = [], []
    for job in ("check", "plan"):
        front, *rest = lines(tmp_path, job) if job == "check" or cloud != "azure" else lines(tmp_path, job)[1:]
        assert [front, rest[0]] == INSTALLS
        ours += [line.split() for line in rest[1:] if line.startswith("pipenv run astro-xcom ")]
        plans += [line for line in rest[1:] if not line.startswith("pipenv run astro-xcom ")]
    assert [run(*words[3:])[0] for words in ours] == [0, 0, 0]
    (plan,) = plans
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    (tmp_path / "bin").mkdir()
    for code, ends in {0: 0, 1: 1, 2: 2, 3: 0, 4: 0, 5: 5}.items():
        assert shell(plan, tmp_path, code=code) == ends
    asked = (tmp_path / "asked").read_text().splitlines()
    stack = f"cdktf.out/stacks/astro-{cloud}"
    assert asked[:3] == [
        f"terraform -chdir={stack}/ init -input=false",
        f"terraform -chdir={stack}/ plan -input=false -out=tfplan",
        f"terraform -chdir={stack}/ show -json tfplan",
    ]
    assert asked[3] == f"pipenv run astro-xcom check astro-{cloud} --plan -"
    assert shell(plan, tmp_path, code=0, broken="plan") == 1
    assert shell(plan, tmp_path, code=0, broken="show") == 1


def shell(script: str, folder: Path, *, code: int, broken: str = "") -> int:
    """How a step of GitHub's `shell: bash` ends, with a `check` that ends so, and a terraform in which that fails."""
    asked = folder / "asked"
    terraform = f"echo terraform \"$@\" >> {asked}; case $2 in '{broken}') exit 1;; esac"
    for name, body in (
        ("terraform", terraform),
        ("pipenv", f'cat > /dev/null; echo pipenv "$@" >> {asked}; exit {code}'),
    ):
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / "bin" / name).chmod(0o755)
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, capture_output=True).returncode


def test_azure_s_login_sets_terraform_s_variables(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("init", "--cloud", "azure", "--yes")[0] == 0
    login, *_ = lines(tmp_path, "plan")
    monkeypatch.setenv("GITHUB_ENV", str(tmp_path / "env"))
    monkeypatch.setenv("CLIENT", "c")
    monkeypatch.setenv("TENANT", "t")
    subprocess.run(["bash", "-eo", "pipefail", "-c", login], check=True)
    assert (tmp_path / "env").read_text() == "ARM_USE_OIDC=true\nARM_CLIENT_ID=c\nARM_TENANT_ID=t\n"


def test_no_file_has_a_hole(made: Path) -> None:
    for path in files(made):
        if path.endswith((".md", ".yaml", ".yml", ".py", ".json", "Pipfile")):
            assert not re.search(r"<<\w", (made / path).read_text()), path
    assert json.loads((made / "cdktf.json").read_text())["app"] == "pipenv run python main.py"


def test_terraform_files_are_committed_as_they_are_and_states_are_not(made: Path) -> None:
    ignored = (made / ".gitignore").read_text().splitlines()
    assert {"*.tfstate", "cdktf.out/", ".venv/", "*.tfplan"} < set(ignored)
    assert (made / ".gitattributes").read_text() == "terraform/** -text\n"


def test_the_commands_of_its_readme_are_understood(made: Path) -> None:
    import typer.main

    text = (made / "README.md").read_text()
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    ours = [found[1].split() for line in lines if (found := re.search(r"pipenv run astro-xcom (.*)", line))]
    assert {words[0] for words in ours} == {"check", "doctor", "export", "synth"}
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    for name, *arguments in ours:
        commands[name].make_context(name, arguments)
    assert "astro-gcp" in text


def test_the_wheel_in_it_is_the_package_that_wrote_it(made: Path) -> None:
    (packed,) = (made / "packages").iterdir()
    assert f'{{path = "packages/{packed.name}", extras = ["gcp", "agent", "node"]}}' in (made / "Pipfile").read_text()
    assert packed.read_bytes() == wheel.own_wheel()[1]
    package = PROJECT / "constructs" / "astro_xcom"
    modules = {path.relative_to(package.parent).as_posix() for path in package.rglob("*") if path.is_file()}
    with zipfile.ZipFile(packed) as archive:
        names = set(archive.namelist())
    assert {name for name in names if ".dist-info" not in name} == {
        name for name in modules if "__pycache__" not in name
    }


def test_the_wheel_has_the_version_of_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astro_xcom.__version__", "9.9.9")
    name, content = wheel.own_wheel()
    assert name == "cdktf_astro_xcom-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert "\nVersion: 9.9.9\n" in archive.read("cdktf_astro_xcom-9.9.9.dist-info/METADATA").decode()


def test_a_package_that_was_never_installed_is_not_given_along(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "NAME", "cdktf-astro-xcom-elsewhere")
    code, _, err = run("init", "--cloud", "aws", "--yes")
    assert (code, "is not installed, so there is no wheel of it" in err) == (1, True)


def test_what_is_made_up_is_known_again(made: Path) -> None:
    values = yaml.safe_load((made / "agent-values.yaml").read_text())
    assert made_up(Source(name="", values=values).values) == [
        "astroDeploymentAPIURL",
        "image",
        "ASTRO_ORGANIZATION_ID",
        "ASTRO_WORKSPACE_ID",
        "ASTRO_DEPLOYMENT_ID",
        "ASTRO_DEPLOYMENT_NAMESPACE",
    ]
    assert made_up({"commonEnv": [{"name": "A"}, "x"], "image": None}) == []
    assert os.path.lexists(made / "main.py")
