import pytest
from cdktf import TerraformStack, TerraformVariable, Testing

from astro_xcom.errors import SettingError
from astro_xcom.gcp import WorkloadIdentity, WorkloadIdentityRef, XComBucket, XComBucketRef
from support import Body, of_type, only, resolved, synth

EMAIL = "agents@acme-data.iam.gserviceaccount.com"
KEY = "projects/acme-keys/locations/us-central1/keyRings/data/cryptoKeys/xcom"


@pytest.fixture
def stack() -> TerraformStack:
    return TerraformStack(Testing.app(), "test")


def bucket(stack: TerraformStack, **changes: object) -> XComBucket:
    given = {"name": "acme-xcom", "location": "us-central1", **changes}
    return XComBucket(stack, "storage", **given)  # type: ignore[arg-type]


def conditions(body: Body) -> list[tuple[str, Body]]:
    rules = only(body, "google_storage_bucket")["lifecycle_rule"]
    return [(rule["action"]["type"], rule["condition"]) for rule in rules]


def numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    return [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


def test_a_bucket_is_private_versioned_and_kept(stack: TerraformStack) -> None:
    bucket(stack)
    made = only(synth(stack), "google_storage_bucket")
    assert made["uniform_bucket_level_access"] is True
    assert made["public_access_prevention"] == "enforced"
    assert made["storage_class"] == "STANDARD"
    assert made["versioning"] == {"enabled": True}
    assert made["lifecycle"] == {"prevent_destroy": True}
    assert made["force_destroy"] is False
    assert not {"encryption", "custom_placement_config", "depends_on"} & set(made)


def test_nobody_but_the_service_account_is_granted_anything(stack: TerraformStack) -> None:
    bucket(stack)
    assert set(synth(stack)["resource"]) == {"google_storage_bucket"}


@pytest.mark.parametrize(("retention_days", "noncurrent_days"), [(1, 1), (7, 7), (30, 7), (365, 7)])
def test_one_number_sets_the_whole_lifecycle(stack: TerraformStack, retention_days: int, noncurrent_days: int) -> None:
    bucket(stack, path="team/xcom", retention_days=retention_days)
    assert conditions(synth(stack)) == [
        ("Delete", {"age": retention_days, "matches_prefix": ["team/xcom/"], "with_state": "LIVE"}),
        (
            "Delete",
            {"days_since_noncurrent_time": noncurrent_days, "with_state": "ARCHIVED", "send_age_if_zero": False},
        ),
        ("AbortIncompleteMultipartUpload", {"age": 7}),
    ]


@pytest.mark.parametrize("path", ["", "xcom"])
def test_no_condition_is_zero_and_none_is_sent_as_zero(stack: TerraformStack, path: str) -> None:
    bucket(stack, path=path, retention_days=1)
    for action, condition in conditions(synth(stack)):
        assert all(number >= 1 for number in numbers(condition))
        assert "age" in condition or condition["send_age_if_zero"] is False, action
        assert not any(value is True for value in condition.values())


def test_a_bucket_without_a_path_expires_whole(stack: TerraformStack) -> None:
    storage = bucket(stack, path="")
    assert conditions(synth(stack))[0] == ("Delete", {"age": 30, "with_state": "LIVE"})
    assert storage.location.url == "gs://acme-xcom"


def test_state_does_not_expire(stack: TerraformStack) -> None:
    storage = bucket(stack, state_store_path="state")
    assert [condition.get("matches_prefix") for _, condition in conditions(synth(stack)) if "age" in condition] == [
        ["xcom/"],
        None,
    ]
    assert storage.location.state_store_url == "gs://acme-xcom/state"


@pytest.mark.parametrize(("days", "seconds"), [(0, 0), (7, 604800), (90, 7776000)])
def test_soft_delete_is_always_written_out(stack: TerraformStack, days: int, seconds: int) -> None:
    bucket(stack, soft_delete_days=days)
    assert only(synth(stack), "google_storage_bucket")["soft_delete_policy"] == {"retention_duration_seconds": seconds}


def test_soft_delete_is_off_by_default(stack: TerraformStack) -> None:
    bucket(stack)
    assert only(synth(stack), "google_storage_bucket")["soft_delete_policy"] == {"retention_duration_seconds": 0}


@pytest.mark.parametrize(
    ("given", "location", "regions"),
    [
        ({"location": "europe-west1"}, "EUROPE-WEST1", None),
        ({"location": "eu"}, "EU", None),
        ({"location": "NAM4"}, "NAM4", None),
        (
            {"location": "EU", "dual_region": ("europe-west1", "europe-west4")},
            "EU",
            ["EUROPE-WEST1", "EUROPE-WEST4"],
        ),
        (
            {"location": "AU", "dual_region": ["australia-southeast1", "AUSTRALIA-SOUTHEAST2"]},
            "AU",
            ["AUSTRALIA-SOUTHEAST1", "AUSTRALIA-SOUTHEAST2"],
        ),
    ],
)
def test_a_location_is_written_as_cloud_storage_gives_it_back(
    stack: TerraformStack, given: dict[str, object], location: str, regions: list[str] | None
) -> None:
    bucket(stack, **given)
    made = only(synth(stack), "google_storage_bucket")
    assert made["location"] == location
    assert made.get("custom_placement_config") == (regions and {"data_locations": regions})


def test_a_grant_is_object_admin_and_sight_of_the_bucket_for_one_member(stack: TerraformStack) -> None:
    storage = bucket(stack)
    storage.grant_read_write(WorkloadIdentity.from_email(stack, "identity", EMAIL))
    body = synth(stack)
    grants = of_type(body, "google_storage_bucket_iam_member")
    assert {grant["role"] for grant in grants} == {"roles/storage.objectAdmin", "roles/storage.legacyBucketReader"}
    assert len(grants) == 2
    for grant in grants:
        assert grant["member"] == f"serviceAccount:{EMAIL}"
        assert grant["bucket"].startswith("${google_storage_bucket.")
        assert "condition" not in grant
    assert set(body["resource"]) == {"google_storage_bucket", "google_storage_bucket_iam_member"}


def test_a_made_key_is_rotated_kept_beside_the_bucket_and_granted_before_it(stack: TerraformStack) -> None:
    storage = bucket(stack, customer_managed_key=True, project="acme-data")
    body = synth(stack)
    ring, key = only(body, "google_kms_key_ring"), only(body, "google_kms_crypto_key")
    assert (ring["name"], ring["location"], ring["project"]) == ("acme-xcom", "us-central1", "acme-data")
    assert key["rotation_period"] == "7776000s"
    assert key["lifecycle"] == {"prevent_destroy": True}
    grant = only(body, "google_kms_crypto_key_iam_member")
    assert grant["role"] == "roles/cloudkms.cryptoKeyEncrypterDecrypter"
    assert grant["member"].startswith("${data.google_storage_project_service_account.")
    assert only(body, "google_storage_project_service_account", kind="data") == {"project": "acme-data"}
    made = only(body, "google_storage_bucket")
    assert made["encryption"] == {"default_kms_key_name": grant["crypto_key_id"]}
    (before,) = made["depends_on"]
    assert before.startswith("google_kms_crypto_key_iam_member.")
    assert storage.key is not None


@pytest.mark.parametrize(
    ("location", "dual_region", "expected"),
    [
        ("US-CENTRAL1", None, "us-central1"),
        ("US", None, "us"),
        ("EU", None, "europe"),
        ("eu", ["europe-west1", "europe-west4"], "europe"),
        ("EUR4", None, "eur4"),
    ],
)
def test_a_made_key_is_where_the_bucket_can_use_it(
    stack: TerraformStack, location: str, dual_region: list[str] | None, expected: str
) -> None:
    bucket(stack, location=location, dual_region=dual_region, customer_managed_key=True)
    assert only(synth(stack), "google_kms_key_ring")["location"] == expected


def test_a_given_key_is_granted_before_the_bucket_and_not_made(stack: TerraformStack) -> None:
    bucket(stack, customer_managed_key=True, kms_key_name=KEY)
    body = synth(stack)
    assert only(body, "google_kms_crypto_key_iam_member")["crypto_key_id"] == KEY
    assert only(body, "google_storage_bucket")["encryption"] == {"default_kms_key_name": KEY}
    assert only(body, "google_storage_bucket")["depends_on"][0].startswith("google_kms_crypto_key_iam_member.")
    assert not of_type(body, "google_kms_crypto_key")


def test_a_key_that_its_owner_granted_is_only_used(stack: TerraformStack) -> None:
    bucket(stack, customer_managed_key=True, kms_key_name=KEY, grant_kms_key=False)
    body = synth(stack)
    assert only(body, "google_storage_bucket")["encryption"] == {"default_kms_key_name": KEY}
    assert set(body["resource"]) == {"google_storage_bucket"}
    assert "data" not in body


def test_access_logs_go_to_the_given_bucket_or_nowhere(stack: TerraformStack) -> None:
    bucket(stack, access_log_bucket="acme.logs")
    assert only(synth(stack), "google_storage_bucket")["logging"] == {"log_bucket": "acme.logs"}
    other = TerraformStack(Testing.app(), "other")
    bucket(other)
    assert "logging" not in only(synth(other), "google_storage_bucket")


def test_an_existing_bucket_gets_members_and_no_settings(stack: TerraformStack) -> None:
    storage = XComBucket.from_name(stack, "storage", "acme.shared", path="")
    storage.grant_read_write(WorkloadIdentity.from_email(stack, "identity", EMAIL))
    body = synth(stack)
    assert set(body["resource"]) == {"google_storage_bucket_iam_member"}
    assert {grant["bucket"] for grant in of_type(body, "google_storage_bucket_iam_member")} == {"acme.shared"}
    assert storage.location.url == "gs://acme.shared"


@pytest.mark.parametrize("name", ["*", "acme-*"])
def test_no_bucket_of_any_name(name: str, stack: TerraformStack) -> None:
    with pytest.raises(SettingError, match="must be a bucket's name"):
        XComBucketRef(stack, "storage", name=name)


def test_the_location_brings_what_keeps_the_client_from_stalling(stack: TerraformStack) -> None:
    assert bucket(stack).location.env == {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}


def test_a_connection_id_stands_in_the_paths_only_when_given(stack: TerraformStack) -> None:
    assert bucket(stack).location.url == "gs://acme-xcom/xcom"
    named = XComBucket.from_name(stack, "named", "acme-xcom", state_store_path="state", connection_id="gcp")
    assert (named.location.url, named.location.state_store_url) == (
        "gs://gcp@acme-xcom/xcom",
        "gs://gcp@acme-xcom/state",
    )


def test_protection_can_be_switched_off_and_then_the_bucket_emptied(stack: TerraformStack) -> None:
    bucket(stack, protect_from_destroy=False, force_destroy=True, customer_managed_key=True)
    body = synth(stack)
    assert only(body, "google_storage_bucket")["force_destroy"] is True
    assert "lifecycle" not in only(body, "google_storage_bucket")
    assert "lifecycle" not in only(body, "google_kms_crypto_key")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "google-xcom"}, "Google keeps names"),
        ({"location": "us-central1-a"}, 'try "us-central1"'),
        ({"location": "EU", "dual_region": ["europe-west1"]}, "two different regions"),
        ({"location": "EU", "dual_region": ["europe-west1", "us-east1"]}, "must be regions in EU"),
        ({"key_rotation_days": 30}, "key_rotation_days is only used"),
        ({"grant_kms_key": False}, "grant_kms_key=False is only used"),
        ({"location": "europe-west1", "dual_region": ["europe-west1", "europe-west4"]}, "contains both regions"),
        ({"kms_key_name": KEY}, "customer_managed_key=True"),
        ({"kms_key_name": KEY, "customer_managed_key": True, "location": "EU"}, "must be a key in europe"),
        ({"kms_key_name": f"{KEY}/cryptoKeyVersions/1", "customer_managed_key": True}, "without a version"),
        ({"soft_delete_days": 3}, "0 .off. or 7-90"),
        ({"access_log_bucket": "acme-xcom"}, "must be another bucket"),
        ({"access_log_bucket": "gs://logs"}, "must be a bucket's name"),
        ({"retention_days": 0}, "must be 1-36500 days"),
        ({"key_rotation_days": 91, "customer_managed_key": True}, "must be 1-90"),
        ({"path": "/xcom"}, 'try "xcom"'),
        ({"force_destroy": True}, "protect_from_destroy=False"),
        ({"project": "Acme"}, "must be a project id"),
    ],
)
def test_what_cloud_storage_would_refuse_is_refused_and_leaves_the_id_free(
    stack: TerraformStack, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        bucket(stack, **changes)
    bucket(stack)


def test_values_filled_in_later_pass_the_checks(stack: TerraformStack) -> None:
    name, location, region, key = (
        TerraformVariable(stack, variable, type="string").string_value for variable in ("n", "l", "r", "k")
    )
    storage = bucket(
        stack,
        name=name,
        location=location,
        dual_region=[region, "us-east1"],
        customer_managed_key=True,
        kms_key_name=key,
    )
    made = only(synth(stack), "google_storage_bucket")
    assert (made["name"], made["location"]) == ("${var.n}", "${var.l}")
    assert made["custom_placement_config"] == {"data_locations": ["${var.r}", "US-EAST1"]}
    assert resolved(stack, storage.location.url) == "gs://${var.n}/xcom"


def test_a_key_cannot_be_made_for_a_location_filled_in_later(stack: TerraformStack) -> None:
    location = TerraformVariable(stack, "l", type="string").string_value
    with pytest.raises(SettingError, match="location must be known"):
        bucket(stack, location=location, customer_managed_key=True)


def account(stack: TerraformStack, id_: str, email: str = EMAIL) -> WorkloadIdentityRef:
    return WorkloadIdentity.from_email(stack, id_, email)


def test_agents_can_share_a_bucket_by_folders(stack: TerraformStack) -> None:
    storage = bucket(stack, state_store_path="state", connection_id="gcp")
    for name in ("ingest", "reports"):
        folder = storage.folder(name)
        assert folder.location.url == f"gs://gcp@acme-xcom/xcom/{name}"
        assert folder.location.state_store_url == f"gs://gcp@acme-xcom/state/{name}"
        assert folder.location.env == storage.location.env
        granted = folder.grant_read_write(account(stack, f"{name}-agents"))
        assert {storage.resource, *granted} <= set(folder.dependencies)
    body = synth(stack)
    assert len(of_type(body, "google_storage_bucket")) == 1
    assert conditions(body)[0][1]["matches_prefix"] == ["xcom/"]
    assert len(of_type(body, "google_storage_bucket_iam_member")) == 4


def test_an_account_granted_several_folders_gets_each_member_once(stack: TerraformStack) -> None:
    storage, shared = bucket(stack), account(stack, "agents")
    for folder in (storage.folder("ingest"), storage.folder("reports"), storage):
        granted = folder.grant_read_write(shared)
        assert set(granted) <= set(folder.dependencies)
    assert len(of_type(synth(stack), "google_storage_bucket_iam_member")) == 2


def test_a_folder_has_a_simple_name(stack: TerraformStack) -> None:
    with pytest.raises(SettingError, match="1-48 lower-case letters"):
        bucket(stack).folder("a/b")


def test_two_granted_accounts_need_two_ids(stack: TerraformStack) -> None:
    storage, team = bucket(stack), TerraformStack(stack, "team")
    storage.grant_read_write(account(stack, "agents"))
    with pytest.raises(SettingError, match='each service account granted here needs an id of its own; got "agents"'):
        storage.folder("ingest").grant_read_write(account(team, "agents", "reports@acme-data.iam.gserviceaccount.com"))


def test_a_former_key_is_where_the_bucket_is(stack: TerraformStack) -> None:
    elsewhere = KEY.replace("us-central1", "europe-west1")
    with pytest.raises(SettingError, match="must be a key in us-central1"):
        bucket(stack, former_kms_key_names=[elsewhere])
    with pytest.raises(SettingError, match="names a key twice"):
        bucket(stack, former_kms_key_names=[KEY, KEY])


def test_one_account_gets_one_pair_of_members_of_one_bucket(stack: TerraformStack) -> None:
    agents = WorkloadIdentity.from_email(stack, "agents", EMAIL)
    one, other = (XComBucket.from_name(stack, id_, "shared", path=id_) for id_ in ("a", "b"))
    assert one.grant_read_write(agents) == other.grant_read_write(agents)
    assert len(of_type(synth(stack), "google_storage_bucket_iam_member")) == 2
