"""Rule x cloud: what is refused, warned of and accepted on each, and why a cloud has no case."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from astro_xcom.deployments import read_deployments
from astro_xcom.errors import SettingErrors
from astro_xcom.synthesis import synthesized
from support import PROJECT

Yaml = dict[str, Any]

CLOUDS = ("aws", "azure", "gcp")
RULES: list[Yaml] = yaml.safe_load((PROJECT / "tests" / "rules.yaml").read_text(encoding="utf-8"))
CASES = [
    (rule, cloud, case) for rule in RULES for cloud in CLOUDS if isinstance(rule[cloud], list) for case in rule[cloud]
]
AGENT: Yaml = {"namespace": "astro", "resource_name_prefix": "prod"}
GOOD: dict[str, Yaml] = {
    "aws": {
        "cloud": "aws",
        "region": "us-east-1",
        "cluster": {"name": "data-prod"},
        "storage": {"bucket": "acme-xcom"},
    },
    "azure": {
        "cloud": "azure",
        "subscription_id": "00000000-0000-0000-0000-000000000000",
        "location": "westeurope",
        "resource_group": {"name": "astro-xcom"},
        "cluster": {"name": "data-prod", "resource_group": "aks"},
        "storage": {"account": "acmexcom"},
    },
    "gcp": {
        "cloud": "gcp",
        "project": "acme-data",
        "cluster": {"name": "data-prod", "location": "us-central1"},
        "storage": {"bucket": "acme-xcom", "location": "us-central1"},
    },
}
OF_ITS_OWN: dict[str, Yaml] = {
    "aws": {"storage.bucket": "acme-other", "agent.namespace": "other"},
    "azure": {"storage.account": "acmeother", "resource_group.name": "other", "agent.namespace": "other"},
    "gcp": {"storage.bucket": "acme-other", "agent.namespace": "other"},
}
WORKERS = {"nine": 9, "many": 400}


def changed(values: Yaml, changes: Yaml) -> Yaml:
    values = copy.deepcopy(values)
    for path, value in changes.items():
        *parents, last = path.split(".")
        within = values
        for key in parents:
            within = within.setdefault(key, {})
        within[last] = copy.deepcopy(value)
    workers = values["agent"].get("values", {}).get("workers")
    if isinstance(workers, str):
        values["agent"]["values"]["workers"] = [{"name": f"w{number}"} for number in range(WORKERS[workers])]
    return values


def deployments(cloud: str, case: Yaml) -> Yaml:
    good = {**GOOD[cloud], "agent": AGENT}
    found = {"a": changed(good, case["a"])}
    if "b" in case:
        found["b"] = changed(changed(good, OF_ITS_OWN[cloud]), case["b"])
    return found


@pytest.mark.parametrize(("rule", "cloud", "case"), CASES, ids=lambda each: each if isinstance(each, str) else "")
def test_a_case_of_a_rule(rule: Yaml, cloud: str, case: Yaml, tmp_path: Path) -> None:
    file = tmp_path / "deployments.yaml"
    file.write_text(json.dumps({"deployments": deployments(cloud, case)}), encoding="utf-8")
    if "says" in case:
        with pytest.raises(SettingErrors) as caught:
            read_deployments(file)
        (line,) = [line for line in caught.value.lines if f": {'b' if 'b' in case else 'a'}.{case['at']}: " in line]
        assert case["says"] in line
        assert len(caught.value.lines) == case.get("lines", 1)
        return
    found = read_deployments(file)
    warnings = [line for deployment in found.values() for line in deployment.warnings()]
    assert "warns" not in case or [line for line in warnings if line.startswith(case["warns"])]
    synthesized(found, file=file.name)  # and no construct contradicts the settings


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["rule"])
def test_every_cloud_has_cases_or_a_reason(rule: Yaml) -> None:
    assert set(rule) == {"rule", *CLOUDS}
    for cloud in CLOUDS:
        assert rule[cloud], "an empty cell needs a reason"
        assert isinstance(rule[cloud], list) or len(rule[cloud].split()) > 3


AZURE_PAIR = {"cluster": {"name": "aks", "resource_group": "data-prod"}}
GCP_PAIR = {"cluster": {"name": "b-c", "location": "us-east1"}}


@pytest.mark.parametrize(
    ("cloud", "first", "second", "type_", "kind"),
    [
        ("azure", AZURE_PAIR, {"name": "prod-aks", "resource_group": "data"}, "azurerm_kubernetes_cluster", "data"),
        (
            "azure",
            AZURE_PAIR,
            {"name": "prod-aks", "resource_group": "data"},
            "azurerm_federated_identity_credential",
            "resource",
        ),
        ("gcp", GCP_PAIR, {"name": "c", "location": "us-east1-b"}, "google_container_cluster", "data"),
    ],
)
def test_a_second_cluster_moves_no_address_of_the_first(
    cloud: str, first: Yaml, second: Yaml, type_: str, kind: str, tmp_path: Path
) -> None:
    file = tmp_path / "deployments.yaml"

    def made(changes: Yaml) -> dict[str, Yaml]:
        file.write_text(json.dumps({"deployments": deployments(cloud, {"a": changes})}), encoding="utf-8")
        found: dict[str, Yaml] = synthesized(read_deployments(file), file=file.name)["a"][kind][type_]
        return found

    alone, both = made(first), made({**first, "trusted_clusters": [second]})
    assert set(alone) < set(both)
    assert len(both) == 2 * len(alone)
    assert {key: both[key].get("name") for key in alone} == {key: each.get("name") for key, each in alone.items()}


def test_the_contradictions_of_a_deployment_come_together(tmp_path: Path) -> None:
    file = tmp_path / "deployments.yaml"
    key, other = "arn:aws:kms:eu-west-1:111122223333:key/1", "arn:aws:iam::444455556666:oidc-provider/oidc.example.com"
    wrong = {
        "account_id": "111122223333",
        "storage.encryption": "SSE-KMS",
        "storage.kms_key_arn": key,
        "cluster.oidc_provider_arn": other,
        "identity.permissions_boundary": "arn:aws:iam::444455556666:policy/bound",
        "trusted_clusters": [{"name": "data-prod"}],
    }
    file.write_text(json.dumps({"deployments": deployments("aws", {"a": wrong})}), encoding="utf-8")
    with pytest.raises(SettingErrors) as caught:
        read_deployments(file)
    assert [line.split(": ")[1] for line in caught.value.lines] == [
        "a.trusted_clusters",
        "a.cluster.oidc_provider_arn",
        "a.identity.permissions_boundary",
        "a.storage.kms_key_arn",
    ]


def test_what_stands_in_the_defaults_is_blamed_there(tmp_path: Path) -> None:
    file = tmp_path / "deployments.yaml"
    content = {
        "defaults": {
            "account_id": "444455556666",
            "identity": {"permissions_boundary": "arn:aws:iam::111122223333:policy/b"},
        }
    }
    file.write_text(json.dumps({**content, "deployments": deployments("aws", {"a": {}})}), encoding="utf-8")
    with pytest.raises(
        SettingErrors, match=r"^deployments\.yaml: defaults\.identity\.permissions_boundary: must be of"
    ):
        read_deployments(file)


def test_shared_paths_expire_as_the_makers_own(tmp_path: Path) -> None:
    file = tmp_path / "deployments.yaml"
    below = {"aws": "expire-xcoms-of-b", "azure": "xcom/b/", "gcp": "b/"}
    for cloud, said in below.items():
        changes = {"storage.shared_paths": ["b"]}
        file.write_text(json.dumps({"deployments": deployments(cloud, {"a": changes})}), encoding="utf-8")
        assert f'"{said}"' in json.dumps(synthesized(read_deployments(file), file=file.name)["a"])
