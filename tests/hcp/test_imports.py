"""Imports of a deployment on their way: exported, checked, bundled, pushed, and told of when their thing is gone."""

import io
import json
import tarfile
from pathlib import Path

import pytest
import yaml

from astro_xcom.deployments import read_deployments
from astro_xcom.imports import import_blocks
from hcp.conftest import Command
from hcp.service import CHANGES, Service
from support import AGENT, BASES, Body

THINGS = {
    "aws": ["bucket", "lifecycle", "role", "release"],
    "azure": ["container", "credential astro/prod-triggerer", "release"],
    "gcp": ["bucket", "members", "release"],
}
MESSAGE = """\
While attempting to import an existing object to "{}", the provider detected that no object exists with the given id. \
Only pre-existing objects can be imported; check that the id is correct and that it is associated with the provider's \
configured region or endpoint, or use "terraform apply" to create a new remote object for this resource."""
"""Terraform's own, 1.11."""


@pytest.fixture
def file(service: Service, tmp_path: Path) -> Path:
    return written(service, tmp_path)


def written(service: Service, folder: Path, *, imports: bool = True) -> Path:
    """A file with a deployment of each cloud that imports."""
    state = {"hcp": {"organization": "acme", "project": "Data", "hostname": service.hostname}}
    deployments = {
        cloud: {"cloud": cloud, "agent": AGENT, "state": state, **BASES[cloud]}
        | ({"imports": dict.fromkeys(THINGS[cloud], True)} if imports else {})
        for cloud in BASES
    }
    file = folder / "deployments.yaml"
    file.write_text(yaml.safe_dump({"deployments": deployments}))
    return file


def blocks(cloud: str, file: Path) -> list[Body]:
    wanted = import_blocks(cloud, read_deployments(file)[cloud])
    return [{"to": to, "id": id_} for to, id_ in sorted(wanted.items())]


def packed(archive: bytes) -> list[Body]:
    """The import blocks in an archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = tar.extractfile("cdk.tf.json")
        assert found
        return sorted(json.load(found).get("import", []), key=lambda each: str(each["to"]))


@pytest.mark.parametrize("cloud", THINGS)
def test_they_are_exported_checked_and_bundled(cloud: str, command: Command, service: Service, file: Path) -> None:
    folder, archive = file.parent / "terraform", file.parent / "x.tar.gz"
    assert command("export", folder, "-f", file, "--no-lock").code == 0
    assert command("export", folder, "-f", file, "--check").code == 0
    for source in (("-f", file), ("--from", folder)):
        assert command("bundle", cloud, *source, "-o", archive).code == 0
        assert packed(archive.read_bytes()) == blocks(cloud, file)
    written(service, file.parent, imports=False)
    said = command("export", folder, "-f", file, "--check")
    assert said.code == 1
    assert f"stacks/{cloud}/cdk.tf.json: is stale" in said.err
    assert '-      "to": "helm_release.agent_release_2CFEB619"' in said.err


@pytest.mark.parametrize("cloud", THINGS)
def test_they_are_uploaded_until_their_lines_are_removed(
    cloud: str, command: Command, service: Service, file: Path
) -> None:
    service.story = [{"status": "planned_and_finished", "has-changes": False}]
    service.plan = {"status": "finished"}
    wanted = blocks(cloud, file)
    assert command("push", cloud, "-f", file, "--timeout", "0.5").code == 0
    written(service, file.parent, imports=False)
    assert command("push", cloud, "-f", file, "--timeout", "0.5").code == 0
    assert [packed(each) for each in service.archives.values()] == [wanted, []]


@pytest.mark.parametrize("cloud", THINGS)
def test_what_the_state_has_already_is_told(cloud: str, command: Command, service: Service, file: Path) -> None:
    """Terraform ignores such a block, so nothing drops it in secret."""
    wanted = import_blocks(cloud, read_deployments(file)[cloud])
    there = [
        {
            "address": to, "mode": "managed", "type": to.partition(".")[0],
            "change": {"actions": ["no-op"], "before": {"id": id_}, "after": {"id": id_}},
        }
        for to, id_ in wanted.items()
    ]  # fmt: skip
    service.story = [{"status": "planned", "has-changes": True, "actions": {"is-confirmable": True}}]
    service.plan = {"status": "finished", "resource-additions": 1, "resource-changes": 0, "resource-destructions": 0}
    service.json_plan = {**CHANGES, "resource_changes": there}
    said = command("push", cloud, "-f", file, "--timeout", "0.5", "--json")
    (effect,) = json.loads(said.out)["forecast"]["effects"]
    assert effect["code"] == "import-done"
    assert "release" in effect["what"]


@pytest.mark.parametrize("cloud", THINGS)
@pytest.mark.parametrize("log", ["structured", "plain"])
def test_an_import_whose_thing_is_gone_says_so(
    log: str, cloud: str, command: Command, service: Service, file: Path
) -> None:
    release, message = "helm_release.agent_release_2CFEB619", MESSAGE.format("helm_release.agent_release_2CFEB619")
    error = {"severity": "error", "summary": "Cannot import non-existent remote object", "detail": message}
    service.story, service.plan = [{"status": "errored"}], {"status": "errored"}
    service.log = (
        json.dumps({"diagnostic": error})
        if log == "structured"
        else f"Error: {error['summary']}\n\n{message.replace(' object to', f'{chr(10)}object to')}\n"
    )
    said = command("push", cloud, "-f", file, "--timeout", "0.5")
    assert said.code == 1
    assert "Error: Cannot import non-existent remote object" in said.err
    rule = "is not there: remove that line, and those of what refers to it, and the apply creates it"
    assert f"imports: release {rule}\n" in said.err
    command("export", file.parent / "terraform", "-f", file, "--no-lock")
    said = command("push", cloud, "--from", file.parent / "terraform", "-f", "none.yaml", "--timeout", "0.5")
    assert f"imports: {release} {rule}\n" in said.err
