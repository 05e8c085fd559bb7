import pytest
from cdktf import TerraformStack, TerraformVariable, Testing

from astro_xcom.gcp import GkeWorkloadPool, WorkloadIdentity, XComBucket
from astro_xcom.refusal import Refused
from support import of_type, only, resolved, synth

SUBJECTS = ["system:serviceaccount:astro:worker", "system:serviceaccount:astro:triggerer"]
EMAIL = "agents@acme-identities.iam.gserviceaccount.com"


@pytest.fixture
def stack() -> TerraformStack:
    return TerraformStack(Testing.app(), "test")


def pool(stack: TerraformStack, project: str = "acme-data") -> GkeWorkloadPool:
    return GkeWorkloadPool(stack, f"pool-{project}", pool=f"{project}.svc.id.goog")


def identity(stack: TerraformStack, **changes: object) -> WorkloadIdentity:
    if "pools" not in changes:
        changes["pools"] = [pool(stack)]
    given = {"account_id": "astro-xcom", "project": "acme-data", "subjects": SUBJECTS, **changes}
    return WorkloadIdentity(stack, "identity", **given)  # type: ignore[arg-type]


def test_each_service_account_is_one_member_of_one_role(stack: TerraformStack) -> None:
    identity(stack)
    body = synth(stack)
    members = of_type(body, "google_service_account_iam_member")
    assert {member["member"] for member in members} == {
        "serviceAccount:acme-data.svc.id.goog[astro/worker]",
        "serviceAccount:acme-data.svc.id.goog[astro/triggerer]",
    }
    assert {member["role"] for member in members} == {"roles/iam.workloadIdentityUser"}
    assert all(member["service_account_id"].startswith("${google_service_account.") for member in members)
    assert set(body["resource"]) == {"google_service_account", "google_service_account_iam_member"}


def test_pools_of_other_projects_have_members_of_their_own(stack: TerraformStack) -> None:
    made = identity(stack, pools=[pool(stack), pool(stack, "acme-standby")])
    assert made.members == (
        "serviceAccount:acme-data.svc.id.goog[astro/worker]",
        "serviceAccount:acme-data.svc.id.goog[astro/triggerer]",
        "serviceAccount:acme-standby.svc.id.goog[astro/worker]",
        "serviceAccount:acme-standby.svc.id.goog[astro/triggerer]",
    )
    assert len(of_type(synth(stack), "google_service_account_iam_member")) == 4


def test_two_clusters_of_one_project_share_their_members(stack: TerraformStack) -> None:
    clusters = [
        GkeWorkloadPool(stack, name, cluster_name=name, location="us-central1", project="acme-data")
        for name in ("data-prod", "data-standby")
    ]
    identity(stack, pools=clusters)
    assert len(of_type(synth(stack), "google_service_account_iam_member")) == 2


def test_the_address_of_a_member_depends_on_nothing_but_itself(stack: TerraformStack) -> None:
    identity(stack)
    other = TerraformStack(Testing.app(), "other")
    named = GkeWorkloadPool(other, "x", cluster_name="data", location="us-central1", project="acme-data")
    identity(other, pools=[pool(other, "acme-standby"), named], subjects=SUBJECTS[::-1])
    before, after = (synth(each)["resource"]["google_service_account_iam_member"] for each in (stack, other))
    assert before.items() <= after.items()


def test_names_that_join_alike_keep_their_own_members(stack: TerraformStack) -> None:
    given = ["system:serviceaccount:a:b-c", "system:serviceaccount:a-b:c"]
    assert len(identity(stack, subjects=given).dependencies) == 3
    assert len(of_type(synth(stack), "google_service_account_iam_member")) == 2


def test_the_email_can_be_read_before_the_account_is_made(stack: TerraformStack) -> None:
    made = identity(stack)
    assert dict(made.pod_identity.annotations) == {
        "iam.gke.io/gcp-service-account": "astro-xcom@acme-data.iam.gserviceaccount.com"
    }
    assert made.pod_identity.labels == {}
    account = only(synth(stack), "google_service_account")
    assert (account["account_id"], account["project"]) == ("astro-xcom", "acme-data")


def test_a_grant_waits_for_the_account_it_names(stack: TerraformStack) -> None:
    XComBucket(stack, "storage", name="acme-xcom", location="US").grant_read_write(identity(stack))
    for grant in of_type(synth(stack), "google_storage_bucket_iam_member"):
        (before,) = grant["depends_on"]
        assert before.startswith("google_service_account.")


def test_an_existing_account_gets_members_and_nothing_else(stack: TerraformStack) -> None:
    made = identity(stack, account_id=None, project=None, email=EMAIL)
    body = synth(stack)
    assert set(body["resource"]) == {"google_service_account_iam_member"}
    for member in of_type(body, "google_service_account_iam_member"):
        assert member["service_account_id"] == f"projects/-/serviceAccounts/{EMAIL}"
    assert (made.email, made.managed, made.resource) == (EMAIL, True, None)


def test_an_account_by_email_is_used_as_it_is(stack: TerraformStack) -> None:
    ref = WorkloadIdentity.from_email(stack, "identity", EMAIL)
    assert (ref.email, ref.member, ref.managed) == (EMAIL, f"serviceAccount:{EMAIL}", False)
    assert "resource" not in synth(stack)


def test_a_project_filled_in_later_passes_the_checks(stack: TerraformStack) -> None:
    project = TerraformVariable(stack, "project", type="string").string_value
    given = GkeWorkloadPool(stack, "pool", cluster_name="data", location="us-central1", project=project)
    made = identity(stack, project=project, pools=[given])
    assert resolved(stack, made.email) == "astro-xcom@${var.project}.iam.gserviceaccount.com"
    body = synth(stack)
    assert {member["member"] for member in of_type(body, "google_service_account_iam_member")} == {
        "serviceAccount:${var.project}.svc.id.goog[astro/worker]",
        "serviceAccount:${var.project}.svc.id.goog[astro/triggerer]",
    }
    assert all("TfToken" not in name for name in body["resource"]["google_service_account_iam_member"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"account_id": "short"}, "6-30"),
        ({"account_id": "a" * 31}, "6-30"),
        ({"account_id": "1-astro-xcom"}, 'try "astro-xcom"'),
        ({"project": "Acme"}, "must be a project id"),
        ({"project": None}, "either"),
        ({"email": EMAIL}, "either"),
        ({"account_id": None, "project": None}, "either"),
        ({"account_id": None, "project": None, "email": "me@example.com"}, "e-mail of a service account"),
        ({"subjects": []}, "at least one"),
        ({"pools": []}, "at least one"),
        ({"subjects": ["system:serviceaccount:astro:*"]}, "no wildcards"),
        ({"subjects": ["astro/worker"]}, "one Kubernetes service account"),
        ({"subjects": ["system:serviceaccount:astro"]}, "one Kubernetes service account"),
    ],
)
def test_what_iam_would_refuse_is_refused_and_leaves_the_id_free(
    stack: TerraformStack, changes: dict[str, object], message: str
) -> None:
    given = pool(stack)
    with pytest.raises(Refused, match=message):
        identity(stack, **{"pools": [given], **changes})
    identity(stack, pools=[given])


def test_a_subject_filled_in_later_is_refused(stack: TerraformStack) -> None:
    subject = TerraformVariable(stack, "subject", type="string").string_value
    with pytest.raises(Refused, match="known when the JSON is written"):
        identity(stack, subjects=[f"system:serviceaccount:astro:{subject}"])
