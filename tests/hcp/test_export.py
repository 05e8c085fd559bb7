import json
import shutil
from pathlib import Path

import pytest
import yaml

from hcp.conftest import Command
from support import synth_file

LOCK = ".terraform.lock.hcl"


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy of an exported folder, free to change."""
    return Path(shutil.copytree(exported, tmp_path / "project" / "terraform"))


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        place.relative_to(folder).as_posix(): (place.read_bytes(), place.stat().st_mtime_ns)
        for place in folder.rglob("*")
        if place.is_file()
    }


def test_only_cdk_tf_json_is_written_without_checksums(exported: Path) -> None:
    assert sorted(contents(exported)) == [f"stacks/{cloud}-example/cdk.tf.json" for cloud in ("aws", "azure", "gcp")]


def test_a_second_export_touches_nothing(command: Command, project: Path, folder: Path) -> None:
    before = contents(folder)
    said = command("export", folder, "-f", project / "deployments.yaml", "--no-lock")
    assert (said.code, contents(folder)) == (0, before)
    assert said.out == f"{folder}: 3 stacks, up to date\n"
    said = command("export", folder, "-f", project / "deployments.yaml", "--check")
    assert (said.code, said.out) == (0, f"{folder}: 3 stacks, up to date\n")


def test_an_export_of_an_export_is_the_same(command: Command, exported: Path, tmp_path: Path) -> None:
    said = command("export", tmp_path / "again", "--from", exported, "--no-lock")
    assert said.code == 0
    assert {path: text for path, (text, _) in contents(tmp_path / "again").items()} == {
        path: text for path, (text, _) in contents(exported).items()
    }


def test_the_export_of_what_cdktf_wrote_is_that_of_the_deployments(
    command: Command, project: Path, exported: Path, tmp_path: Path
) -> None:
    synth_file(project / "deployments.yaml", tmp_path / "cdktf.out")
    (tmp_path / "cdktf.out" / "stacks" / "aws-example" / LOCK).write_text("of this machine")
    said = command("export", exported, "--from", tmp_path / "cdktf.out", "--check")
    assert (said.code, said.err) == (0, "")


# ---- check


def check(command: Command, exported: Path, folder: Path, *options: str) -> list[str]:
    """What --check says of a folder that is not up to date. It writes nothing."""
    before = contents(folder)
    said = command("export", folder, "--from", exported, "--check", *options)
    assert said.code == 1
    assert contents(folder) == before
    return said.err.splitlines()


def test_one_changed_byte_is_shown_as_a_difference(command: Command, exported: Path, folder: Path) -> None:
    place = folder / "stacks" / "aws-example" / "cdk.tf.json"
    place.write_bytes(place.read_bytes().replace(b'"force_destroy": false', b'"force_destroy": true', 1))
    lines = check(command, exported, folder)
    assert lines[0] == "stacks/aws-example/cdk.tf.json: is stale"
    assert [line.strip("+- ") for line in lines if line.startswith(("- ", "+ "))] == [
        '"force_destroy": true,',
        '"force_destroy": false,',
    ]
    assert lines[-1].startswith(f"{folder} is not up to date: astro-xcom export {folder} writes it")


def test_a_missing_last_newline_is_a_difference(command: Command, exported: Path, folder: Path) -> None:
    place = folder / "stacks" / "aws-example" / "cdk.tf.json"
    place.write_bytes(place.read_bytes().rstrip(b"\n"))
    assert check(command, exported, folder)[0] == "stacks/aws-example/cdk.tf.json: is stale"


def test_a_missing_and_an_extra_stack_are_named(command: Command, exported: Path, folder: Path) -> None:
    (folder / "stacks" / "gcp-example").rename(folder / "stacks" / "old")
    assert check(command, exported, folder)[:-1] == [
        "stacks/gcp-example/cdk.tf.json: is missing",
        "stacks/old/cdk.tf.json: belongs to no stack",
    ]


def test_a_folder_that_is_not_there_misses_every_stack(command: Command, exported: Path, tmp_path: Path) -> None:
    said = command("export", tmp_path / "nothing", "--from", exported, "--check")
    assert said.code == 1
    assert said.err.count("is missing") == 3
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("name", ["backend_override.tf.json", "more.tf", "mine.auto.tfvars", "assets/x/file.txt"])
def test_what_terraform_would_read_besides_is_named(name: str, command: Command, exported: Path, folder: Path) -> None:
    place = folder / "stacks" / "aws-example" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("{}")
    (line, _) = check(command, exported, folder)
    assert line.startswith(f"stacks/aws-example/{name}: ")


def test_what_terraform_leaves_behind_does_not_matter(command: Command, exported: Path, folder: Path) -> None:
    (folder / "stacks" / "aws-example" / ".terraform").mkdir()
    (folder / "stacks" / "aws-example" / ".terraform" / "terraform.tfstate").write_text("{}")
    (folder / "README.md").write_text("ours")
    assert command("export", folder, "--from", exported, "--check").code == 0


# ---- write


def test_a_stack_that_disappeared_goes_only_when_asked(command: Command, exported: Path, folder: Path) -> None:
    old = folder / "stacks" / "old"
    shutil.copytree(folder / "stacks" / "gcp-example", old)
    said = command("export", folder, "--from", exported, "--no-lock")
    assert said.code == 0
    assert said.err == f"{old / 'cdk.tf.json'}: belongs to no stack; --prune deletes it\n"
    assert (old / "cdk.tf.json").exists()
    said = command("export", folder, "--from", exported, "--no-lock", "--prune")
    assert (said.code, said.out) == (0, f"{old / 'cdk.tf.json'}: deleted\n")
    assert not old.exists()


def test_a_stack_with_state_is_not_pruned(command: Command, exported: Path, folder: Path) -> None:
    old = folder / "stacks" / "old"
    shutil.copytree(folder / "stacks" / "gcp-example", old)
    (old / "terraform.tfstate").write_text("{}")
    (folder / "stacks" / "aws-example" / "cdk.tf.json").unlink()
    before = contents(folder)
    said = command("export", folder, "--from", exported, "--no-lock", "--prune")
    assert said.code == 1
    assert "terraform.tfstate: is Terraform's state; move it before you prune" in said.err
    assert contents(folder) == before


def test_a_stale_file_is_replaced_and_the_others_are_left_alone(command: Command, exported: Path, folder: Path) -> None:
    place = folder / "stacks" / "aws-example" / "cdk.tf.json"
    place.write_text("{}")
    before = contents(folder)
    said = command("export", folder, "--from", exported, "--no-lock")
    assert said.out == f"{place}: written\n"
    after = contents(folder)
    assert [path for path in after if after[path] != before[path]] == ["stacks/aws-example/cdk.tf.json"]
    assert place.read_bytes() == (exported / "stacks" / "aws-example" / "cdk.tf.json").read_bytes()
    assert place.stat().st_mode & 0o777 == 0o644


def test_nothing_is_written_for_bad_deployments(command: Command, project: Path, folder: Path) -> None:
    bad = project / "bad.yaml"
    content = yaml.safe_load((project / "deployments.yaml").read_text())
    content["deployments"]["aws-example"]["storage"]["bucket"] = "Acme_X"
    bad.write_text(yaml.safe_dump(content))
    before = contents(folder)
    for arguments in (("export", folder), ("bundle", "gcp-example", "-o", folder / "x"), ("push", "gcp-example")):
        said = command(*arguments, "-f", bad)
        assert said.code == 1
        assert "bad.yaml: aws-example.storage.bucket: must be" in said.err
    assert contents(folder) == before


def test_assets_are_written_and_go_with_their_stack(command: Command, exported: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(exported, tmp_path / "source"))
    asset = source / "stacks" / "aws-example" / "assets" / "file" / "A1" / "x.bin"
    asset.parent.mkdir(parents=True)
    asset.write_bytes(b"\x00\xff")
    command("export", tmp_path / "out", "--from", source, "--no-lock")
    place = tmp_path / "out" / "stacks" / "aws-example" / "assets" / "file" / "A1" / "x.bin"
    assert place.read_bytes() == b"\x00\xff"
    place.write_bytes(b"\x00\xfe")
    assert check(command, source, tmp_path / "out")[0].endswith("x.bin: has other bytes")
    asset.unlink()
    said = command("export", tmp_path / "out", "--from", source, "--no-lock")
    assert said.out == f"{place}: deleted\n"
    assert not (tmp_path / "out" / "stacks" / "aws-example" / "assets").exists()


def test_a_chart_of_the_project_must_be_where_the_stack_says(command: Command, exported: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    source = Path(shutil.copytree(exported, project / "cdktf.out"))
    place = source / "stacks" / "aws-example" / "cdk.tf.json"
    body = json.loads(place.read_text())
    (release,) = body["resource"]["helm_release"].values()
    release["chart"] = "../../../charts/agent"
    place.write_text(json.dumps(body))
    (project / "charts" / "agent").mkdir(parents=True)
    assert command("export", project / "terraform", "--from", source, "--no-lock").code == 0
    said = command("export", project / "infra" / "terraform", "--from", source, "--no-lock")
    assert said.code == 1
    assert "chart: is not there, seen from" in said.err
    assert not (project / "infra").exists()
    said = command("bundle", "aws-example", "--from", source, "-o", tmp_path / "x.tar.gz")
    assert said.code == 1
    assert 'is a file of this machine, which HCP Terraform does not have; got "../../../charts/agent"' in said.err
    assert not (tmp_path / "x.tar.gz").exists()


def test_a_folder_without_stacks_is_refused(command: Command, tmp_path: Path) -> None:
    said = command("export", tmp_path / "out", "--from", tmp_path)
    assert said.code == 1
    assert "has no stacks/*/cdk.tf.json" in said.err


# ---- checksums of the providers


def test_without_terraform_the_export_goes_on_and_says_so(
    command: Command, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRAFORM_BINARY_NAME", "no-such-terraform")
    said = command("export", tmp_path / "out", "--from", exported)
    assert said.code == 0
    assert "no checksums of the providers: .terraform.lock.hcl is left out" in said.err
    assert "there is no command no-such-terraform" in said.err
    assert len(contents(tmp_path / "out")) == 3


def test_without_terraform_an_export_that_insists_writes_nothing(
    command: Command, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRAFORM_BINARY_NAME", "no-such-terraform")
    said = command("export", tmp_path / "out", "--from", exported, "--lock")
    assert said.code == 1
    assert "aws-example: no checksums of the providers: there is no command no-such-terraform" in said.err
    assert not (tmp_path / "out").exists()


def test_a_long_error_of_terraform_is_shown_without_its_middle(
    command: Command, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terraform = tmp_path / "terraform"
    long = "could not query provider registry, " * 20
    terraform.write_text(
        f"#!/bin/sh\nprintf '╷\\n│ Error: No providers\\n│ \\n│ {long}\\n│ no such host\\n╵\\n' >&2\nexit 1\n"
    )
    terraform.chmod(0o755)
    monkeypatch.setenv("TERRAFORM_BINARY_NAME", str(terraform))
    said = command("export", tmp_path / "out", "--from", exported)
    assert said.code == 0
    last = next(line for line in said.err.splitlines() if "is left out" in line)
    assert last.endswith("no such host")
    assert "failed: No providers could not query" in last
    assert last.count(" ... ") == 1
    assert len(last.partition("failed: ")[2]) <= 405


def lock(**versions: str) -> str:
    return "".join(
        f'provider "registry.example/hashicorp/{name}" {{\n  version     = "{version}"\n  constraints = "{version}"\n'
        '  hashes = [\n    "h1:x",\n  ]\n}\n\n'
        for name, version in versions.items()
    )


def test_checksums_that_fit_stay_and_others_go(
    command: Command, exported: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRAFORM_BINARY_NAME", "no-such-terraform")
    body = json.loads((folder / "stacks" / "gcp-example" / "cdk.tf.json").read_text())
    required = {name: one["version"] for name, one in body["terraform"]["required_providers"].items()}
    fitting, stale = folder / "stacks" / "gcp-example" / LOCK, folder / "stacks" / "aws-example" / LOCK
    fitting.write_text(lock(**required))
    stale.write_text(lock(aws="1.0.0", helm="3.1.1"))
    (line, _) = check(command, exported, folder)
    assert line == f"stacks/aws-example/{LOCK}: is stale"
    assert f"stacks/azure-example/{LOCK}: is missing" in check(command, exported, folder, "--lock")
    said = command("export", folder, "--from", exported)
    assert said.code == 0
    assert fitting.read_text() == lock(**required)
    assert not stale.exists()


# ---- folders that cannot be used


def test_a_folder_that_cannot_be_made_is_named(command: Command, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    said = command("export", tmp_path / "file" / "terraform", "--from", exported, "--no-lock")
    assert said.code == 1
    assert "terraform: cannot be written: not a directory" in said.err
    said = command("bundle", "aws-example", "--from", exported, "-o", tmp_path / "file" / "x.tar.gz")
    assert said.code == 1
    assert "x.tar.gz: cannot be written: " in said.err


def test_json_that_is_none_is_named(command: Command, tmp_path: Path) -> None:
    place = tmp_path / "stacks" / "a" / "cdk.tf.json"
    place.parent.mkdir(parents=True)
    place.write_text("{")
    said = command("export", tmp_path / "out", "--from", tmp_path)
    assert said.code == 1
    assert "cdk.tf.json: is not JSON" in said.err
