from pathlib import Path

import pytest
import yaml

from astro_xcom.posture import ACCEPTED, accepted
from posture.commands import posture
from support import PROJECT

DEPLOYMENTS = ("-f", str(PROJECT / "deployments.yaml"))


def written(folder: Path) -> tuple[set[str], set[str]]:
    """The ids in the two files."""
    checkov = yaml.safe_load((folder / ".checkov.yaml").read_text())
    assert set(checkov) == {"skip-check"}
    trivy = (folder / ".trivyignore").read_text().splitlines()
    return set(checkov["skip-check"]), {line for line in trivy if line and not line.startswith("#")}


@pytest.mark.parametrize("clouds", [{"aws"}, {"azure"}, {"gcp"}, {"aws", "gcp"}, {"aws", "azure", "gcp"}])
def test_the_files_hold_exactly_what_can_occur_on_the_clouds_in_use(clouds: set[str], tmp_path: Path) -> None:
    ran = posture(*(f"{cloud}-example" for cloud in clouds), *DEPLOYMENTS, "-o", str(tmp_path))
    assert ran.code == 0
    checkov, trivy = written(tmp_path)
    assert checkov == {each.id for each in accepted("checkov", clouds)}
    ids = {each.id for each in accepted("trivy", clouds)}
    assert trivy == ids | {id_.removeprefix("AVD-") for id_ in ids}
    assert all(any(f"_{cloud.upper()}_" in id_ for cloud in clouds) for id_ in checkov)


def test_without_a_name_the_files_are_for_all_deployments(tmp_path: Path) -> None:
    ran = posture(*DEPLOYMENTS, "-o", str(tmp_path / "new" / "folder"))
    assert ran.out.splitlines() == [
        f"{tmp_path}/new/folder/.checkov.yaml: 12 checks accepted on aws, azure, gcp",
        f"{tmp_path}/new/folder/.trivyignore: 6 checks accepted on aws, azure, gcp",
    ]


def test_each_id_stands_below_its_reason(tmp_path: Path) -> None:
    posture(*DEPLOYMENTS, "-o", str(tmp_path))
    for file, scanner in ((".checkov.yaml", "checkov"), (".trivyignore", "trivy")):
        text = (tmp_path / file).read_text()
        plain = " ".join(text.replace("#", " ").split())
        for each in (each for each in ACCEPTED if each.scanner == scanner):
            setting = f" Satisfied by {each.setting}." if each.setting else ""
            dash = "- " if scanner == "checkov" else ""
            assert f"{each.reason}{setting} {dash}{each.id}" in plain


def test_the_files_say_that_they_are_for_clouds_and_not_for_settings(tmp_path: Path) -> None:
    hardened = str(Path(__file__).parent / "deployments.yaml")
    assert posture("aws-hardened", "-f", hardened, "-o", str(tmp_path)).code == 0
    assert written(tmp_path)[0] == {each.id for each in accepted("checkov", ["aws"])}
    for file in (".checkov.yaml", ".trivyignore"):
        first, _, third, *_ = (tmp_path / file).read_text().splitlines()
        assert first.endswith(" for aws: checks that deployments may fail there.")
        assert third.startswith("# Your settings are not looked at: take out what they satisfy")


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
