import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import constructs
import pytest

from support import EXAMPLE, PROJECT


def project(folder: Path) -> Path:
    shutil.copy(PROJECT / "main.py", folder)
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    return folder


def synthesize(project: Path, working_directory: Path, hash_seed: str) -> dict[str, bytes]:
    done = subprocess.run(
        [sys.executable, str(project / "main.py")],
        cwd=working_directory,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert ("Terraform will keep it in" in done.stderr) == (project != working_directory)
    assert not [line for line in done.stderr.splitlines() if "Terraform will keep it in" not in line]
    out = working_directory / "cdktf.out"
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_synthesis_gives_the_same_bytes_again_elsewhere_and_under_another_hash_seed(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two", "elsewhere")]
    for folder in folders:
        folder.mkdir()
    one, two = project(folders[0]), project(folders[1])
    first = synthesize(one, one, "1")
    assert "stacks/aws-example/cdk.tf.json" in first
    assert synthesize(one, one, "2") == first
    assert synthesize(two, folders[2], "3") == first


def test_the_source_root_does_not_hide_the_constructs_library() -> None:
    assert not (PROJECT / "constructs" / "__init__.py").exists()
    assert PROJECT / "constructs" not in Path(str(constructs.__file__)).parents


def test_the_package_says_that_it_is_typed() -> None:
    assert (PROJECT / "constructs" / "astro_xcom" / "py.typed").exists()


@pytest.mark.parametrize(
    ("cloud", "provider", "construct"),
    [("aws", "aws", "XComBucket"), ("azure", "azurerm", "XComContainer"), ("gcp", "google", "XComBucket")],
)
def test_the_constructs_of_a_cloud_need_its_provider_alone(cloud: str, provider: str, construct: str) -> None:
    program = f"import sys; from astro_xcom.{cloud} import {construct}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split() if name.startswith("cdktf_cdktf_provider_")}
    assert loaded == {f"cdktf_cdktf_provider_{provider}"}


def test_a_problem_found_while_a_stack_is_made_names_file_and_deployment(tmp_path: Path) -> None:
    text = (EXAMPLE / "deployments.yaml").read_text()
    (project(tmp_path) / "mine.yaml").write_text("stateStoreBackend: my.Backend\n")
    (tmp_path / "deployments.yaml").write_text(text.replace("agent-values.yaml]", "agent-values.yaml, mine.yaml]"))
    done = subprocess.run([sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert [line.partition(": the XCom backend")[0] for line in done.stderr.splitlines()] == [
        f"deployments.yaml: {name}-example" for name in ("aws", "azure", "gcp")
    ]
    assert not list((tmp_path / "cdktf.out").rglob("*.json"))


def test_another_file_is_named_by_the_environment(tmp_path: Path) -> None:
    (project(tmp_path) / "deployments.yaml").rename(tmp_path / "staging.yaml")
    environment = {**os.environ, "DEPLOYMENTS": "staging.yaml"}
    done = subprocess.run([sys.executable, "main.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cdktf.out" / "stacks" / "aws-example" / "cdk.tf.json").exists()
    program = "from astro_xcom.cli.app import main; main()"
    command = [sys.executable, "-c", program, "graph", "--format", "mermaid", "gcp-example"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "gcp-example.mmd\n"), done.stderr


STACKS = [
    (("a",), "a", 0, "a\n"),
    (("a",), "", 0, "a\n"),
    (("a", "b"), "b", 0, "b\n"),
    (("a", "b"), "", 1, "which deployment of mine.yaml?; try STACK=a or STACK=b\n"),
    (("aws-example", "b"), "aws-exmple", 1, 'got "aws-exmple"; try aws-example\n'),
]


@pytest.mark.parametrize(("deployments", "stack", "code", "says"), STACKS)
def test_make_looks_at_the_name_of_the_stack_first(
    tmp_path: Path, deployments: tuple[str, ...], stack: str, code: int, says: str
) -> None:
    lines = [
        f"  {name}: {{cloud: gcp, project: acme-data, cluster: {{name: data, location: us-central1}}, "
        f"agent: {{namespace: {name}, resource_name_prefix: {name}}}, "
        f"storage: {{bucket: acme-{name}, location: us-central1}}}}"
        for name in deployments
    ]
    (tmp_path / "mine.yaml").write_text("\n".join(["deployments:", *lines]))
    command = [sys.executable, str(PROJECT / "tools" / "stack.py"), stack]
    environment = {**os.environ, "DEPLOYMENTS": "mine.yaml"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == code
    assert (done.stderr if code else done.stdout).endswith(says), done.stderr


def test_no_test_reads_what_users_change() -> None:
    """Their deployments.yaml and examples/agent-values.yaml: `make test` is about the constructs, not about those."""
    for file in (PROJECT / "tests").rglob("*.py"):
        for name in ("deployments.yaml", "examples", "examples/agent-values.yaml"):
            read = rf'PROJECT / "{name}"(?! / "workflows"| / f"| / EXAMPLES)'.replace("/", r"\W+")
            assert not re.search(read, file.read_text()) or file.name in READ_EXAMPLES, f"{file.name} reads {name}"


READ_EXAMPLES = {"test_docs.py", "test_examples.py", "test_package.py", "test_project.py"}
"""They run the programs there."""
