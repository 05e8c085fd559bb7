from pathlib import Path

import pytest
import yaml

from astro_xcom.posture import ACCEPTED, accepted
from astro_xcom.settings import Deployment
from posture.commands import posture
from support import EXAMPLE, GOLDEN, read

DEPLOYMENTS = ("-f", str(EXAMPLE / "deployments.yaml"))
OWN = ("-f", str(Path(__file__).parent / "deployments.yaml"))


def written(folder: Path) -> tuple[set[str], set[str]]:
    """The ids in the two files."""
    checkov = yaml.safe_load((folder / ".checkov.yaml").read_text())
    assert set(checkov) == {"skip-check"}
    trivy = (folder / ".trivyignore").read_text().splitlines()
    return set(checkov["skip-check"]), {line for line in trivy if line and not line.startswith("#")}


@pytest.mark.parametrize("clouds", [["aws"], ["azure"], ["gcp"], ["aws", "gcp"], ["aws", "azure", "gcp"]])
@pytest.mark.parametrize("kind", ["plain", "hardened"])
def test_the_files_hold_exactly_what_these_deployments_may_fail(
    kind: str, clouds: list[str], deployments: dict[str, Deployment], tmp_path: Path
) -> None:
    names = [f"{cloud}-{kind}" for cloud in clouds]
    assert posture(*names, *OWN, "-o", str(tmp_path)).code == 0
    checkov, trivy = written(tmp_path)
    assert checkov == {each.id for each in accepted("checkov", [deployments[name] for name in names])}
    ids = {each.id for each in accepted("trivy", [deployments[name] for name in names])}
    assert trivy == ids | {id_.removeprefix("AVD-") for id_ in ids}
    assert all(any(f"_{cloud.upper()}_" in id_ for cloud in clouds) for id_ in checkov)


BUCKET = {"cloud": "aws", "region": "us-east-1", "cluster": {"name": "data-prod"}}
AGENT = {"agent": {"namespace": "astro", "resource_name_prefix": "prod", "release": False}}
KEY = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("storage", "left"),
    [
        ({}, {"CKV_AWS_18", "CKV_AWS_144", "CKV_AWS_145", "CKV2_AWS_62"}),
        ({"encryption": "SSE-KMS"}, {"CKV_AWS_18", "CKV_AWS_144", "CKV2_AWS_62"}),
        ({"encryption": "SSE-KMS", "kms_key_arn": KEY}, {"CKV_AWS_18", "CKV_AWS_144", "CKV2_AWS_62"}),
        ({"access_log_bucket": "acme-logs"}, {"CKV_AWS_144", "CKV_AWS_145", "CKV2_AWS_62"}),
        ({"eventbridge_notifications": True}, {"CKV_AWS_18", "CKV_AWS_144", "CKV_AWS_145"}),
        ({"existing": True}, set()),
    ],
)
def test_a_setting_takes_its_check_out_of_the_file(storage: dict[str, object], left: set[str], tmp_path: Path) -> None:
    deployment = {**BUCKET, **AGENT, "storage": {"bucket": "acme-xcom", **storage}}
    file = tmp_path / "deployments.yaml"
    file.write_text(yaml.safe_dump({"deployments": {"mine": deployment}}))
    assert posture("-f", str(file), "-o", str(tmp_path)).code == 0
    assert written(tmp_path)[0] == left


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_where_storage_is_adopted_there_is_nothing_to_accept(cloud: str, tmp_path: Path) -> None:
    file = GOLDEN / cloud / "deployments.yaml"
    ran = posture(f"{cloud}-existing", "-f", str(file), "-o", str(tmp_path))
    assert ran.out.splitlines() == [
        f"{tmp_path}/.checkov.yaml: 0 checks accepted of {cloud}-existing",
        f"{tmp_path}/.trivyignore: 0 checks accepted of {cloud}-existing",
    ]
    assert written(tmp_path) == (set(), set())


def test_without_a_name_the_files_are_for_all_deployments(tmp_path: Path) -> None:
    ran = posture(*DEPLOYMENTS, "-o", str(tmp_path / "new" / "folder"))
    assert ran.out.splitlines() == [
        f"{tmp_path}/new/folder/.checkov.yaml: 6 checks accepted of aws-example, azure-example, gcp-example",
        f"{tmp_path}/new/folder/.trivyignore: 5 checks accepted of aws-example, azure-example, gcp-example",
    ]


def test_each_id_stands_below_its_reason(tmp_path: Path) -> None:
    posture(*OWN, "-o", str(tmp_path))
    for file, scanner in ((".checkov.yaml", "checkov"), (".trivyignore", "trivy")):
        text = (tmp_path / file).read_text()
        plain = " ".join(text.replace("#", " ").split())
        for each in (each for each in ACCEPTED if each.scanner == scanner):
            setting = f" Satisfied by {each.setting}." if each.setting else ""
            dash = "- " if scanner == "checkov" else ""
            assert f"{each.reason}{setting} {dash}{each.id}" in plain


def test_the_files_say_what_they_are_for(tmp_path: Path) -> None:
    assert posture("gcp-hardened", "aws-hardened", *OWN, "-o", str(tmp_path)).code == 0
    for file in (".checkov.yaml", ".trivyignore"):
        lines = (tmp_path / file).read_text().splitlines()
        assert max(map(len, lines)) <= 100
        heading = " ".join(line.removeprefix("# ") for line in lines[:3])
        assert "checks that aws-hardened, gcp-hardened may fail with the current settings." in heading
        assert heading.endswith("write it again when you change such a setting on purpose.")


def test_the_same_deployments_give_the_same_bytes(tmp_path: Path) -> None:
    posture(*DEPLOYMENTS, "-o", str(tmp_path))
    first = [file.read_bytes() for file in sorted(tmp_path.iterdir())]
    assert posture("gcp-example", *DEPLOYMENTS, "-o", str(tmp_path)).code == 0
    assert posture("gcp-example", "azure-example", "aws-example", *DEPLOYMENTS, "-o", str(tmp_path)).code == 0
    assert [file.read_bytes() for file in sorted(tmp_path.iterdir())] == first


def test_a_file_of_somebody_elses_stays_and_nothing_is_written(tmp_path: Path) -> None:
    theirs = tmp_path / ".trivyignore"
    theirs.write_text("AVD-AWS-0001\n")
    ran = posture(*DEPLOYMENTS, "-o", str(tmp_path))
    assert ran.code == (f"{theirs}: was not written by this command; try --output with another folder, or --force")
    assert theirs.read_text() == "AVD-AWS-0001\n"
    assert list(tmp_path.iterdir()) == [theirs]
    assert posture(*DEPLOYMENTS, "-o", str(tmp_path), "--force").code == 0
    assert "AVD-AWS-0001" not in theirs.read_text()


def test_every_unknown_name_is_named(tmp_path: Path) -> None:
    ran = posture("azurexample", "aws-example", "x", *DEPLOYMENTS, "-o", str(tmp_path / "out"))
    known = "a deployment must be one of aws-example, azure-example, gcp-example"
    assert ran.code == (
        f'deployments.yaml: {known}; got "azurexample"; try azure-example\ndeployments.yaml: {known}; got "x"'
    )
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert posture(*DEPLOYMENTS, "-o", str(tmp_path / "file")).code == 1
    ran = posture(*DEPLOYMENTS, "-o", str(tmp_path / "file" / "below"))
    assert ran.code == f"{tmp_path}/file/below: cannot be written: not a directory"


@pytest.mark.parametrize(("replication", "fails"), [("LRS", True), ("ZRS", True), ("GRS", False), ("GZRS", False)])
def test_a_copy_in_another_region_is_what_checkov_asks_for(replication: str, fails: bool, tmp_path: Path) -> None:
    base = yaml.safe_load((EXAMPLE / "deployments.yaml").read_text())
    deployment = base["deployments"]["azure-example"]
    deployment["storage"]["replication"] = replication
    del base["defaults"]["agent"]["values_files"]
    (azure,) = read(yaml.safe_dump({"defaults": base["defaults"], "deployments": {"a": deployment}}), tmp_path).values()
    assert ("CKV_AZURE_206" in {each.id for each in accepted("checkov", [azure])}) == fails
