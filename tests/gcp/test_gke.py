import pytest
from cdktf import TerraformStack, Testing

from astro_xcom.errors import SettingError
from astro_xcom.gcp import GkeWorkloadPool
from support import only, synth


@pytest.fixture
def stack() -> TerraformStack:
    return TerraformStack(Testing.app(), "test")


def test_a_pool_by_name_looks_nothing_up(stack: TerraformStack) -> None:
    pool = GkeWorkloadPool(stack, "pool", pool="acme-data.svc.id.goog")
    assert (pool.name, pool.cluster) == ("acme-data.svc.id.goog", None)
    assert "data" not in synth(stack)


@pytest.mark.parametrize(("given", "pool"), [(None, "acme-data.svc.id.goog"), ("acme-fleet.svc.id.goog",) * 2])
def test_a_cluster_is_looked_up_and_refused_without_its_pool(
    stack: TerraformStack, given: str | None, pool: str
) -> None:
    made = GkeWorkloadPool(
        stack, "pool", cluster_name="data-prod", location="us-central1", project="acme-data", pool=given
    )
    cluster = only(synth(stack), "google_container_cluster", kind="data")
    assert (cluster["name"], cluster["location"], cluster["project"]) == ("data-prod", "us-central1", "acme-data")
    (check,) = cluster["lifecycle"]["postcondition"]
    assert made.name == pool
    assert check["condition"] == f'${{try(self.workload_identity_config[0].workload_pool, "") == "{pool}"}}'
    assert (
        f"cluster data-prod in us-central1 of project acme-data does not have the workload identity pool {pool}"
        in (check["error_message"])
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "either"),
        ({"cluster_name": "data-prod"}, "location and project"),
        ({"cluster_name": "data-prod", "location": "us-central1"}, "location and project"),
        ({"cluster_name": "Data", "location": "us-central1", "project": "acme-data"}, "GKE cluster's name"),
        ({"cluster_name": "data", "location": "us-east-1", "project": "acme-data"}, "region or zone"),
        ({"pool": "acme-data"}, "workload identity pool"),
    ],
)
def test_a_pool_that_cannot_be_is_refused(stack: TerraformStack, given: dict[str, str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        GkeWorkloadPool(stack, "pool", **given)
