"""Every bad setting of a deployment on Google Cloud gives its one message."""

import copy
from pathlib import Path

import pytest
import yaml

from astro_xcom.settings import GcpDeployment
from support import PROJECT
from test_deployments import Yaml, label, place, put, read, refused, without

GOOD: Yaml = {
    "cloud": "gcp",
    "project": "acme-data",
    "cluster": {"name": "data-prod", "location": "us-central1"},
    "agent": {"namespace": "astro", "resource_name_prefix": "prod"},
    "storage": {"bucket": "acme-xcom", "location": "us-central1"},
}
BAD: list[Yaml] = yaml.safe_load((PROJECT / "tests" / "bad_settings_gcp.yaml").read_text(encoding="utf-8"))


def changed(case: Yaml) -> Yaml:
    values = copy.deepcopy(GOOD)
    for path, value in case.get("set", {}).items():
        put(values, path, value)
    if "remove" in case:
        without(values, case["remove"])
    return values


@pytest.mark.parametrize("case", BAD, ids=label)
def test_a_bad_setting_gives_its_one_line(case: Yaml, tmp_path: Path) -> None:
    (line,) = refused({"deployments": {"gcp-test": changed(case)}}, tmp_path)
    assert line.startswith(f"deployments.yaml: gcp-test.{place(case)}: ")
    assert case["says"] in line.removeprefix(f"deployments.yaml: gcp-test.{place(case)}: ")
    assert "\n" not in line


def test_the_good_deployment_is_good(tmp_path: Path) -> None:
    (deployment,) = read({"deployments": {"gcp-test": GOOD}}, tmp_path).values()
    assert isinstance(deployment, GcpDeployment)
    assert deployment.storage.bucket == "acme-xcom"


@pytest.mark.parametrize(
    ("name", "tried"), [("a" * 26, "a" * 26 + "-xcom"), ("2024-prod", "xcom"), ("a", None), ("a" * 25, None)]
)
def test_a_deployments_name_that_makes_no_account_id_is_refused_where_the_id_can_be_given(
    name: str, tried: str | None, tmp_path: Path
) -> None:
    if tried is None:
        assert read({"deployments": {name: GOOD}}, tmp_path)
        return
    (line,) = refused({"deployments": {name: GOOD}}, tmp_path)
    assert line.startswith(
        f"deployments.yaml: {name}.identity.service_account_id: is required, since the default cannot be a service "
        "account's id: it must be 6-30"
    )
    given = {**GOOD, "identity": {"service_account_id": "astro-xcom"}}
    assert read({"deployments": {name: given}}, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"storage": {"bucket": "shared.acme.example", "existing": True, "location": None}},
        {"storage": {"bucket": "acme_xcom", "location": "nam4"}},
        {"storage": {"bucket": "acme-xcom", "location": "EU", "dual_region": ["europe-west1", "EUROPE-WEST4"]}},
        {"labels": {"größe": "groß", "a_b-c": ""}},
        {"trusted_clusters": [{"name": "data-standby", "location": "us-central1"}]},
        {"trusted_clusters": [{"name": "data-prod", "location": "us-central1", "project": "acme-standby"}]},
        {"cluster": {"workload_pool": "acme-data.svc.id.goog", "kubeconfig": {"path": "~/.kube/config"}}},
    ],
)
def test_what_works_is_not_refused(changes: Yaml, tmp_path: Path) -> None:
    assert read({"deployments": {"gcp-test": {**GOOD, **changes}}}, tmp_path)


def test_two_deployments_that_make_one_bucket_are_refused(tmp_path: Path) -> None:
    other = {**GOOD, "agent": {**GOOD["agent"], "namespace": "other"}}
    (line,) = refused({"deployments": {"a": GOOD, "b": other}}, tmp_path)
    assert line.startswith("deployments.yaml: b.storage.bucket: is created by a too")
    existing = {**other, "storage": {"bucket": "acme-xcom", "existing": True}}
    assert read({"deployments": {"a": GOOD, "b": existing}}, tmp_path)
