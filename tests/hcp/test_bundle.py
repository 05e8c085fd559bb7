import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from astro_xcom.errors import SettingErrors
from astro_xcom.hcp.bundle import archive, check_self_contained
from hcp.conftest import Command


def names(packed: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        found = {member.name: tar.extractfile(member) for member in tar}
        return {name: content.read() for name, content in found.items() if content is not None}


def test_the_same_stack_gives_the_same_bytes(command: Command, project: Path, exported: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one.tar.gz", tmp_path / "other.tar.gz"
    said = command("bundle", "aws-example", "-o", one, "-f", project / "deployments.yaml")
    assert (said.code, command("bundle", "aws-example", "-o", other, "--from", exported).code) == (0, 0)
    assert one.read_bytes() == other.read_bytes()
    assert said.out.endswith(f"sha256 {hashlib.sha256(one.read_bytes()).hexdigest()}\n")


def test_only_the_stack_is_packed(command: Command, exported: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(exported, tmp_path / "source"))
    stack = source / "stacks" / "aws-example"
    for name in (".terraform/providers/x", "terraform.tfstate", "plan", "backend_override.tf.json", "mine.tfvars"):
        (stack / name).parent.mkdir(parents=True, exist_ok=True)
        (stack / name).write_text("no")
    for name in (".terraform.lock.hcl", "assets/a/x"):
        (stack / name).parent.mkdir(parents=True, exist_ok=True)
        (stack / name).write_text("yes")
    command("bundle", "aws-example", "--from", source, "-o", tmp_path / "x.tar.gz")
    assert sorted(names((tmp_path / "x.tar.gz").read_bytes())) == [".terraform.lock.hcl", "assets/a/x", "cdk.tf.json"]


def test_an_archive_depends_on_nothing_but_its_files() -> None:
    packed = archive({"b": b"2", "a": b"1"})
    assert packed == archive({"a": b"1", "b": b"2"})
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        members = [(one.name, one.mode, one.mtime, one.uid, one.gid, one.uname, one.gname) for one in tar]
    assert members == [("a", 0o644, 0, 0, 0, "", ""), ("b", 0o644, 0, 0, 0, "", "")]
    assert packed[:10] == bytes.fromhex("1f8b08000000000002ff"), "no name, no time, no operating system"


def test_an_unknown_stack_is_named(command: Command, exported: Path, tmp_path: Path) -> None:
    said = command("bundle", "aws-exmple", "--from", exported, "-o", tmp_path / "x")
    assert said.code == 1
    assert said.err == (
        f'stack "aws-exmple": is not in {exported}; there are aws-example, azure-example, gcp-example; '
        "try aws-example\n"
    )


@pytest.mark.parametrize("command_line", [("bundle", "-o", "x.tar.gz"), ("push",)])
def test_an_unknown_deployment_is_named_with_its_file_before_anything_is_synthesized(
    command_line: tuple[str, ...],
    command: Command,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def synthesize(*_: object, **__: object) -> None:
        raise AssertionError("an unknown deployment was synthesized")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("astro_xcom.synthesis.add_stacks", synthesize)
    said = command(*command_line, "aws-exmple", "-f", project / "deployments.yaml")
    assert said.code == 1
    assert said.err == (
        "deployments.yaml: a deployment must be one of aws-example, azure-example, gcp-example; "
        'got "aws-exmple"; try aws-example\n'
    )
    assert not list(tmp_path.iterdir())


def test_only_the_stack_asked_for_is_warned_about(command: Command, project: Path, tmp_path: Path) -> None:
    said = command("bundle", "gcp-example", "-o", tmp_path / "x.tar.gz", "-f", project / "deployments.yaml")
    assert said.code == 0
    assert "aws-example" not in said.out + said.err


@pytest.mark.parametrize("path", ["~/.kube/config", "../../../kubeconfig", "/srv/kubeconfig"])
def test_a_stack_that_needs_a_kubeconfig_is_refused(path: str) -> None:
    body = {"provider": {"helm": [{"kubernetes": {"config_path": path}}]}}
    with pytest.raises(SettingErrors, match="instead of cluster"):
        check_self_contained("a", {"cdk.tf.json": json.dumps(body).encode()})
