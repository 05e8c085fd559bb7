"""Every bad Azure setting gives its one message."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from astro_xcom.settings import AzureDeployment
from support import PROJECT
from test_deployments import Yaml, label, place, put, read, refused, without

GOOD: Yaml = {
    "cloud": "azure",
    "subscription_id": "00000000-0000-0000-0000-000000000000",
    "location": "westeurope",
    "resource_group": {"name": "astro-xcom"},
    "cluster": {"name": "data-prod", "resource_group": "aks"},
    "agent": {"namespace": "astro", "resource_name_prefix": "prod"},
    "storage": {"account": "acmexcom"},
}
SUBNET = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/net/providers/Microsoft.Network"
    "/virtualNetworks/data/subnets/endpoints"
)
BAD: list[Yaml] = yaml.safe_load((PROJECT / "tests" / "bad_settings_azure.yaml").read_text(encoding="utf-8"))


def changed(case: Yaml) -> Yaml:
    values = copy.deepcopy(GOOD)
    for path, value in case.get("set", {}).items():
        put(values, path, value)
    if "remove" in case:
        without(values, case["remove"])
    return values


def deployment(folder: Path, **changes: Any) -> AzureDeployment:
    settings = {path.replace("__", "."): value for path, value in changes.items()}
    (found,) = read({"deployments": {"azure-test": changed({"set": settings})}}, folder).values()
    assert isinstance(found, AzureDeployment)
    return found


@pytest.mark.parametrize("case", BAD, ids=label)
def test_a_bad_setting_gives_its_one_line(case: Yaml, tmp_path: Path) -> None:
    (line,) = refused({"deployments": {"azure-test": changed(case)}}, tmp_path)
    at = place(case) if case.get("at") != "" else ""
    where = f"deployments.yaml: azure-test{at and '.'}{at}: "
    assert line.startswith(where)
    assert case["says"] in line.removeprefix(where)
    assert "\n" not in line


def test_the_good_deployment_is_good(tmp_path: Path) -> None:
    assert deployment(tmp_path).storage.account == "acmexcom"


def test_the_least_that_is_needed(tmp_path: Path) -> None:
    content = {"deployments": {"a": {"cloud": "azure"}}}
    assert [line.split(": ")[1] for line in refused(content, tmp_path)] == [
        f"a.{setting}" for setting in ("cluster", "agent", "subscription_id", "location", "resource_group")
    ]


def test_the_connection_is_wasb_xcom_unless_named(tmp_path: Path) -> None:
    assert deployment(tmp_path).connection_id == "wasb_xcom"
    assert deployment(tmp_path, xcom={"connection_id": "team_2"}).connection_id == "team_2"


def test_twenty_credentials_are_fine(tmp_path: Path) -> None:
    workers = [{"name": f"w{number}"} for number in range(17)]
    assert len(deployment(tmp_path, agent__values={"workers": workers}).agent.service_accounts()) == 20


def test_workers_that_share_a_service_account_need_one_credential(tmp_path: Path) -> None:
    shared = {"create": False, "name": "workers"}
    workers = [{"name": f"w{number}", "serviceAccount": shared} for number in range(30)]
    assert len(deployment(tmp_path, agent__values={"workers": workers}).agent.service_accounts()) == 33


def test_an_owner_of_the_identity_counts_the_credentials(tmp_path: Path) -> None:
    workers = [{"name": f"w{number}"} for number in range(18)]
    identity = {"name": "agents", "existing": True, "resource_group": "ids", "federate": False}
    assert deployment(tmp_path, agent__values={"workers": workers}, identity=identity).identity.federate is False


def test_an_account_that_nobody_reaches_is_warned_of(tmp_path: Path) -> None:
    endpoint = {"subnet": SUBNET}
    said = [
        line for line in deployment(tmp_path, storage__public_network_access=False).warnings() if "storage." in line
    ]
    assert len(said) == 1
    assert said[0].startswith("storage.public_network_access: nobody reaches the account without a private endpoint")
    changes = {"storage__public_network_access": False, "storage__private_endpoint": endpoint}
    assert not [line for line in deployment(tmp_path, **changes).warnings() if "storage." in line]
    changes["storage__network"] = {"ip_rules": ["198.51.100.7"]}
    assert [line for line in deployment(tmp_path, **changes).warnings() if line.startswith("storage.network: has no")]


@pytest.mark.parametrize("tags", [50, 51])
def test_fifty_tags(tags: int, tmp_path: Path) -> None:
    given = {f"tag-{number}": "x" for number in range(tags)}
    if tags == 50:
        assert len(deployment(tmp_path, tags=given).tags) == 50
    else:
        (line,) = refused({"deployments": {"a": {**GOOD, "tags": given}}}, tmp_path)
        assert line == "deployments.yaml: a.tags: must be at most 50 tags; got 51"


def test_defaults_may_hold_what_only_azure_knows(tmp_path: Path) -> None:
    content = {
        "defaults": {"subscription_id": GOOD["subscription_id"]},
        "deployments": {"a": {key: value for key, value in GOOD.items() if key != "subscription_id"}},
    }
    assert json.loads(next(iter(read(content, tmp_path).values())).model_dump_json())["subscription_id"]
