"""`astro-xcom evidence`: each fact has its source, and each difference of an applied state is named."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from astro_xcom.cli import app as cli
from astro_xcom.evidence import Evidence, Volume, evidence, markdown
from astro_xcom.evidence.volume import REQUESTS
from astro_xcom.report import read_state
from astro_xcom.synthesis import synthesized
from support import AGENT, BASES, EXAMPLE, PROJECT, Body, edited, read
from test_check import CUSTOMER_KEY, FILES, attribute, made
from test_texts import CLOUDS, applied

NOT_TOLD = {"storage created by", "identity created by", "region", "account", "subscription", "tenant", "environment",
            "resource group", "project"}  # fmt: skip
"""Of the provider and the settings: in no state."""


def of(name: str, state: Body | None = None) -> Evidence:
    deployment, body, _ = made(name)
    given = None if state is None else read_state(json.dumps(state))
    return evidence(name, deployment, body, given, file="deployments.yaml")


def values(found: Evidence, title: str) -> dict[str, str]:
    (section,) = [section for section in found.sections if section.title == title]
    return {fact.what: fact.value for fact in section.facts}


@pytest.mark.parametrize("name", FILES)
def test_without_a_state_all_is_planned(name: str) -> None:
    found = of(name)
    assert {fact.source for section in found.sections for fact in section.facts} == {"planned"}
    assert all(section.facts for section in found.sections)
    assert markdown(found).count("\n## ") == len(found.sections) + 2


@pytest.mark.parametrize("name", FILES)
def test_what_is_applied_says_so(name: str) -> None:
    found = of(name, made(name)[2])
    for section in found.sections:
        for fact in section.facts:
            told = section.title != "Residency and copies" or fact.what not in NOT_TOLD
            told = told and not fact.what.endswith("created by") and not fact.what.endswith("must be granted by others")
            assert fact.source == ("applied" if told else "planned"), fact
    if name != "aws-maximal":  # of whose clusters the made-up state tells no region
        assert found.differences == ()
        assert "the applied state: 0." in markdown(found)


@pytest.mark.parametrize("name", [f"{cloud}-example" for cloud in CLOUDS])
def test_outputs_tell_of_names_alone(name: str) -> None:
    found = of(name, made(name)[2]["values"]["outputs"])
    names, *others = found.sections
    assert {fact.source for fact in names.facts if not fact.what.endswith("created by")} == {"applied"}
    assert {fact.source for section in others for fact in section.facts} == {"planned"}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_each_planted_difference_is_named(cloud: str) -> None:
    found = of(f"{cloud}-example", applied(cloud))
    page = markdown(found)
    assert len(found.differences) >= 4
    for each in found.differences:
        rows = [line for line in page.splitlines() if line.startswith(f"| {each.kind} |")]
        assert any((each.applied or "").replace("\n", "\\n") in row for row in rows), each
    assert {fact.source for section in found.sections for fact in section.facts} >= {
        "applied", "planned", "planned, not applied", "applied, not planned",
    }  # fmt: skip


LOGS = "aws_s3_bucket_logging"
PLANTED: dict[str, tuple[str, Callable[[Body], None], str, str]] = {
    "residency": ("azure-example", attribute("azurerm_storage_account", "account_replication_type", "GRS"),
                  "Residency and copies", "GRS"),
    "location": ("gcp-example", attribute("google_storage_bucket", "location", "EU"), "Residency and copies", "EU"),
    "logs": ("aws-example", attribute(LOGS, "target_bucket", "theirs"), "Audit logs", "theirs"),
    "tls": ("azure-example", attribute("azurerm_storage_account", "min_tls_version", "TLS1_0"), "TLS", "TLS1_0"),
}  # fmt: skip


@pytest.mark.parametrize("case", PLANTED)
def test_what_check_does_not_compare_is_in_the_facts(case: str) -> None:
    name, plant, title, value = PLANTED[case]
    state = made(name)[2]
    plant(state)
    facts = next(section.facts for section in of(name, state).sections if section.title == title)
    assert value in [fact.value for fact in facts if fact.source == "applied, not planned"]
    assert [fact.source for fact in facts].count("planned, not applied") == 1


def test_existing_storage_is_its_owners() -> None:
    found = of("aws-existing")
    for title in ("Encryption and key", "Privacy", "TLS", "Network", "Versioning", "Retention", "Audit logs"):
        assert values(found, title) == {"storage": "The owner of the existing storage decides."}


def test_where_an_identity_is_says_nothing_of_existing_storage(tmp_path: Path) -> None:
    storage = {"existing": "account", "resource_group": "theirs"}
    whole = edited(BASES["azure"], {"cloud": "azure", "agent": AGENT, "storage": storage})
    deployments = read(json.dumps({"deployments": {"a": whole}}), tmp_path)
    body = synthesized(deployments, file="deployments.yaml")["a"]
    found = values(evidence("a", deployments["a"], body, file="deployments.yaml"), "Residency and copies")
    assert found["location of the identity"] == "westeurope"
    assert "location" not in found


@pytest.mark.parametrize(
    ("name", "title", "what", "value"),
    [
        ("azure-maximal", "Encryption and key", "customer_managed_key.key_vault_key_id", CUSTOMER_KEY["key_id"]),
        ("azure-maximal", "Residency and copies", "account_replication_type", "RAGZRS"),
        ("gcp-maximal", "Residency and copies", "custom_placement_config.data_locations", "EUROPE-WEST1, EUROPE-WEST4"),
        ("azure-maximal", "Retention", "values under abfs://team_2_xcom@shared-xcom/team/xcom", "expire after 3 days"),
        ("aws-maximal", "Audit logs", "access logs: target_bucket", "acme.access-logs"),
        ("gcp-maximal", "Retention", "rule for team/xcom/", "action.type Delete, condition.age 90, "
         "condition.matches_prefix team/xcom/, condition.with_state LIVE"),
    ],
)  # fmt: skip
def test_what_settings_ask_for_is_said(name: str, title: str, what: str, value: str) -> None:
    assert values(of(name), title).get(what) == value, values(of(name), title)


def test_a_value_cannot_break_the_table() -> None:
    found = of("aws-example")
    section = found.sections[0].model_copy(
        update={"facts": (found.sections[0].facts[0].model_copy(update={"value": "a|b`c\nd", "what": "<x>|"}),)}
    )
    page = markdown(found.model_copy(update={"sections": (section,)}))
    assert "| \\<x\\>\\| | ``a\\|b`c\\nd`` | planned |" in page.splitlines()


def test_the_command_writes_a_file_and_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(EXAMPLE)
    file = tmp_path / "audit" / "gcp.json"
    monkeypatch.setattr(sys, "argv", ["astro-xcom", "evidence", "gcp-example", "--json", "-o", str(file)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert (end.value.code, capsys.readouterr().out) == (0, f"{file}\n")
    found = Evidence.model_validate_json(file.read_text())
    assert found.model_dump(mode="json") == of("gcp-example").model_dump(mode="json")
    assert [each.id for each in found.accepted] == ["AVD-GCP-0007", "AVD-GCP-0066"]


VOLUMES = {
    "aws-example": (
        "300,000",
        "1,200,000: 4 a value",
        "3,000,000: 5 a read",
        "3.70: each value is kept for at most 37 days",
    ),
    "azure-example": (
        "300,000",
        "1,500,000: 5 a value",
        "2,400,000: 4 a read",
        "4.40: each value is kept for at most 44",
    ),
    "gcp-example": (
        "300,000",
        "1,800,000: 6 a value",
        "1,800,000: 3 a read",
        "3.70: each value is kept for at most 37 days",
    ),
    "aws-existing": (
        "300,000",
        "1,200,000: 4 a value",
        "3,000,000: 5 a read",
        "The owner of the existing storage decides",
    ),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_a_volume_of_values_comes_to_requests_and_bytes(name: str) -> None:
    deployment, body, _ = made(name)
    volume = Volume(values_per_day=10_000, bytes_per_value=10_000, reads_per_value=2)
    section = evidence(name, deployment, body, file="deployments.yaml", volume=volume).sections[-1]
    assert section.title == "Volume in a month"
    assert len(section.facts) == 4
    for fact, start in zip(section.facts, VOLUMES[name], strict=True):
        assert fact.value.startswith(start)


def test_a_volume_is_not_below_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLE)
    monkeypatch.setattr(
        sys, "argv", ["astro-xcom", "evidence", "gcp-example", "--values-per-day", "-1", "--reads", "-2"]
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == "--values-per-day: must be 0 or more; got -1\n--reads: must be 0 or more; got -2"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_page_of_a_cloud_counts_the_same_requests(cloud: str) -> None:
    write, read, with_zip = REQUESTS[cloud]
    page = (PROJECT / "docs" / f"{cloud}.md").read_text()
    (line,) = re.findall(
        r"- (?:requests|operations): (\d) for a write, (\d)(?: or more)? for a read(?: \((\d) with `zip`\))?", page
    )
    assert [int(number) for number in line if number] == [write, read, with_zip][: len([each for each in line if each])]
