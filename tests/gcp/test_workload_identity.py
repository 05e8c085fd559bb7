import pytest
from cdktf import TerraformStack, TerraformVariable, Testing

from astro_xcom.errors import SettingError
from astro_xcom.gcp import DirectPrincipals, GkeWorkloadPool, WorkloadIdentity, XComBucket
from astro_xcom.permissions import RoleOn
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
    with pytest.raises(SettingError, match=message):
        identity(stack, **{"pools": [given], **changes})
    identity(stack, pools=[given])


def test_a_subject_filled_in_later_is_refused(stack: TerraformStack) -> None:
    subject = TerraformVariable(stack, "subject", type="string").string_value
    with pytest.raises(SettingError, match="known when the JSON is written"):
        identity(stack, subjects=[f"system:serviceaccount:astro:{subject}"])


# ---- permissions beside XComs

MEMBER = "serviceAccount:astro-xcom@acme-data.iam.gserviceaccount.com"


@pytest.mark.parametrize(
    ("scope", "type_", "place"),
    [
        ("projects/acme-data", "google_project_iam_member", {"project": "acme-data"}),
        (
            "projects/acme-keys/secrets/warehouse",
            "google_secret_manager_secret_iam_member",
            {"project": "acme-keys", "secret_id": "warehouse"},
        ),
        ("projects/_/buckets/acme-logs", "google_storage_bucket_iam_member", {"bucket": "acme-logs"}),
    ],
)
def test_a_role_beside_xcoms_is_a_member_of_its_scope(
    stack: TerraformStack, scope: str, type_: str, place: dict[str, str]
) -> None:
    made = identity(stack, roles=[RoleOn(role="roles/secretmanager.secretAccessor", scope=scope)])
    body = synth(stack)
    member = only(body, type_)
    assert member == {
        "role": "roles/secretmanager.secretAccessor",
        "member": MEMBER,
        "depends_on": [f"google_service_account.{address}" for address in body["resource"]["google_service_account"]],
        **place,
    }
    assert type_ in {dependency.terraform_resource_type for dependency in made.dependencies}  # type: ignore[attr-defined]


def test_an_account_of_somebody_else_gets_roles_too(stack: TerraformStack) -> None:
    made = WorkloadIdentity.from_email(stack, "identity", EMAIL)
    made.grant_roles([RoleOn(role="roles/secretmanager.secretAccessor", scope="projects/acme-data")])
    assert only(synth(stack), "google_project_iam_member")["member"] == f"serviceAccount:{EMAIL}"


@pytest.mark.parametrize(
    ("role", "scope", "message"),
    [
        ("roles/owner", "projects/acme-data", "basic role"),
        ("roles/storage.admin", "projects/acme-data", "administrators"),
        ("objectAdmin", "projects/acme-data", "must be a role"),
        ("roles/secretmanager.secretAccessor", "acme-data", "must be projects/<project>"),
        ("roles/secretmanager.secretAccessor", "${google_secret_manager_secret.mine.id}", "of your own"),
    ],
)
def test_a_role_that_cannot_be_granted_or_opens_everything_is_refused(
    stack: TerraformStack, role: str, scope: str, message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        identity(stack, roles=[RoleOn(role=role, scope=scope)])


# ---- direct grants

FRONT = (
    "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/acme-data.svc.id.goog"
)


def direct(stack: TerraformStack, *pools: GkeWorkloadPool, subjects: list[str] = SUBJECTS) -> DirectPrincipals:
    given = pools or [GkeWorkloadPool(stack, "pool", pool="acme-data.svc.id.goog", project_number="123456789012")]
    return DirectPrincipals(stack, "identity", pools=given, subjects=subjects)


def test_each_kubernetes_service_account_gets_each_role_on_the_bucket(stack: TerraformStack) -> None:
    bucket = XComBucket(stack, "storage", name="acme-xcom", location="us-central1")
    made = bucket.grant_read_write(direct(stack))
    body = synth(stack)
    found = {(each["role"], each["member"]) for each in of_type(body, "google_storage_bucket_iam_member")}
    assert found == {
        (role, f"{FRONT}/subject/ns/astro/sa/{account}")
        for role in ("roles/storage.objectAdmin", "roles/storage.legacyBucketReader")
        for account in ("worker", "triggerer")
    }
    assert set(body["resource"]) == {"google_storage_bucket", "google_storage_bucket_iam_member"}
    assert set(made) <= set(bucket.dependencies)


def test_a_principal_needs_no_annotation(stack: TerraformStack) -> None:
    assert direct(stack).pod_identity.annotations == {}


def test_the_number_of_a_project_is_looked_up_once(stack: TerraformStack) -> None:
    pool = GkeWorkloadPool(stack, "pool", pool="acme-data.svc.id.goog")
    assert len(direct(stack, pool).principals) == 2
    ((address, project),) = synth(stack)["data"]["google_project"].items()
    assert project == {"project_id": "acme-data"}
    assert pool.project_number == pool.project_number
    assert f"${{data.google_project.{address}.number}}" in resolved(stack, pool.principal("astro", "worker"))


def test_clusters_of_one_project_are_one_pool(stack: TerraformStack) -> None:
    pools = [GkeWorkloadPool(stack, name, pool="acme-data.svc.id.goog", project_number="123456789012") for name in "ab"]
    assert len(direct(stack, *pools).principals) == 2


def test_roles_beside_xcoms_are_for_each_principal(stack: TerraformStack) -> None:
    made = direct(stack)
    made.grant_roles([RoleOn(role="roles/secretmanager.secretAccessor", scope="projects/acme-data/secrets/a")])
    members = of_type(synth(stack), "google_secret_manager_secret_iam_member")
    assert {each["member"] for each in members} == set(made.principals.values())


@pytest.mark.parametrize("subjects", [[], ["system:serviceaccount:astro:*"]])
def test_a_principal_is_one_service_account(stack: TerraformStack, subjects: list[str]) -> None:
    with pytest.raises(SettingError):
        direct(stack, subjects=subjects)


@pytest.mark.parametrize("number", ["acme-data", "0123456", "12"])
def test_a_number_is_one(stack: TerraformStack, number: str) -> None:
    with pytest.raises(SettingError, match="digits of a project's number"):
        GkeWorkloadPool(stack, "pool", pool="acme-data.svc.id.goog", project_number=number)
