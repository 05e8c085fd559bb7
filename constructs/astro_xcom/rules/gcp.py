"""The rules that names have to follow on Google Cloud. Pure; every check returns its argument."""

import re
from collections.abc import Mapping, Sequence

from astro_xcom.errors import SettingError
from astro_xcom.rules import limits
from astro_xcom.rules.common import slug, suggestion

MULTI_REGIONS = ("US", "EU", "ASIA")
DUAL_REGIONS = ("ASIA1", "EUR4", "EUR5", "EUR7", "EUR8", "NAM4")  # pairs that Google has put together
REGIONS_IN = {"US": "us-", "EU": "europe-", "ASIA": "asia-"}
REGION = r"[a-z]+-[a-z]+\d{1,2}"
PROJECT = r"[a-z][a-z0-9-]{4,28}[a-z0-9]"
DOMAIN = r"([a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*:)?"  # of a domain-scoped project, example.com:acme-data
POOL = ".svc.id.goog"
NO_LETTERS = "-_0123456789"


def project_id(value: str) -> str:
    """A project's id; not its number, and not its display name."""
    if not re.fullmatch(DOMAIN + PROJECT, value, re.ASCII):
        raise SettingError(
            "must be a project id: 6-30 lower-case letters, digits or hyphens, starting with a letter, "
            "not ending with a hyphen; behind its domain and a colon if it has one",
            got=value,
        )
    return value


def bucket(value: str) -> str:
    """The name of a new Cloud Storage bucket.

    Dots are refused: a name with dots is a domain, whose ownership would have to be proven first.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]", value):
        raise SettingError(
            "must be 3-63 lower-case letters, digits, hyphens or underscores, starting and ending with a letter or "
            "digit",
            got=value,
            hint=suggestion(bucket, value, slug(value, longest=63), "acme-astro-xcom"),
        )
    if value.startswith("goog") or re.search("g[o0]{2}g[l1]e", value):
        raise SettingError(
            "Google keeps names for itself that start with goog, or hold google or a near spelling",
            got=value,
            hint='"acme-astro-xcom"',
        )
    return value


def existing_bucket(value: str) -> str:
    """The name of an existing bucket, which may have dots and the like."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", value):
        raise SettingError(
            "must be a bucket's name: 3-222 lower-case letters, digits, hyphens, underscores or dots", got=value
        )
    return value


def region(value: str) -> str:
    """A region. Case does not matter to Cloud Storage."""
    if not re.fullmatch(REGION, value.lower(), re.ASCII):
        zone = re.fullmatch(rf"({REGION})-[a-z]", value.lower(), re.ASCII)
        raise SettingError("must be a region", got=value, hint=f'"{zone[1]}"' if zone else None)
    return value


def location(value: str) -> str:
    """Where a bucket can be: a region, a multi-region, or a dual-region that Google has put together."""
    if value.upper() not in MULTI_REGIONS + DUAL_REGIONS and not re.fullmatch(REGION, value.lower(), re.ASCII):
        pair = re.fullmatch(rf"({REGION})\+({REGION})", value.lower(), re.ASCII)
        if pair:
            holder = next(
                (each for each, start in REGIONS_IN.items() if all(r.startswith(start) for r in pair.groups())), None
            )
            raise SettingError(
                f"must be one place: for two regions set dual_region: [{value.replace('+', ', ')}], and location to "
                "what holds both",
                got=value,
                hint=f'"{holder}"' if holder else None,
            )
        near = {"EUROPE": "EU", "USA": "US", "NA": "US", "APAC": "ASIA"}.get(value.upper())
        zone = re.fullmatch(rf"({REGION})-[a-z]", value.lower(), re.ASCII)
        near = near or (zone[1] if zone else None)
        raise SettingError(
            f"must be a region, a multi-region ({', '.join(MULTI_REGIONS)}) or a dual-region "
            f"({', '.join(DUAL_REGIONS)})",
            got=value,
            hint=f'"{near}"' if near else None,
        )
    return value


def dual_region(value: Sequence[str]) -> Sequence[str]:
    """The two regions of a dual-region of one's own."""
    for name in value:
        region(name)
    if len({name.lower() for name in value}) != 2 or len(value) != 2:
        raise SettingError("must be two different regions", got=list(value))
    return value


def region_of(location: str) -> str | None:
    """The region of a region or zone, in lower case; None for what is more than one region."""
    found = re.fullmatch(rf"({REGION})(-[a-z])?", location.lower(), re.ASCII)
    return found[1] if found else None


def bucket_location(location_: str, dual_region_: Sequence[str] | None = None) -> None:
    """The location of a new bucket; with the two regions of a dual-region, it must contain both."""
    try:
        if dual_region_ is None:
            location(location_)
            return
        if not re.fullmatch("[A-Z]{2}|ASIA", location_.upper(), re.ASCII):
            raise SettingError(
                "must be the multi-region that contains both regions of dual_region: US, EU, ASIA, or a country "
                "such as AU",
                got=location_,
                hint='"EU"' if dual_region_[0].lower().startswith("europe-") else '"US"',
            )
    except SettingError as error:
        raise SettingError(error.rule, got=error.got, hint=error.hint, field="location") from None
    start = REGIONS_IN.get(location_.upper(), "")
    for name in dual_region_:
        if not name.lower().startswith(start):
            raise SettingError(f"must be regions in {location_}", got=name, hint=f"{start}...", field="dual_region")


def key_fits_location(key_name: str, location_: str, *, field: str = "kms_key_name") -> None:
    """A bucket's key has to be where the bucket is."""
    found, wanted = kms_key_name(key_name).split("/")[3], kms_location(location_)
    if found != wanted:
        raise SettingError(
            f"must be a key in {wanted}: a bucket in {location_} can use no other",
            got=key_name,
            field=field,
        )


def soft_delete_days(value: int) -> int:
    """How long Cloud Storage keeps what was deleted."""
    if value != 0 and not 7 <= value <= 90:
        raise SettingError(
            "must be 0 (off) or 7-90 days", got=value, hint="0" if value < 4 else "7" if value < 7 else "90"
        )
    return value


def kms_location(location: str) -> str:
    """Where the key of a bucket in this location has to be."""
    return "europe" if location.upper() == "EU" else location.lower()


def kms_key_name(value: str) -> str:
    """The resource name of a Cloud KMS key, without a version: the bucket uses the primary one."""
    if not re.fullmatch(
        rf"projects/{DOMAIN}{PROJECT}/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]{{1,63}}/cryptoKeys/[A-Za-z0-9_-]{{1,63}}",
        value,
        re.ASCII,
    ):
        raise SettingError(
            "must be the resource name of a Cloud KMS key, without a version",
            got=value,
            hint='"projects/acme-keys/locations/us-central1/keyRings/data/cryptoKeys/xcom"',
        )
    return value


def service_account_id(value: str) -> str:
    """The id of a new service account: the part before the `@` of its e-mail."""
    if not re.fullmatch(PROJECT, value, re.ASCII):
        raise SettingError(
            "must be 6-30 lower-case letters, digits or hyphens, starting with a letter, not ending with a hyphen",
            got=value,
            hint=suggestion(service_account_id, value, slug(value.lstrip(NO_LETTERS), longest=30), "astro-xcom"),
        )
    return value


def service_account_email(value: str) -> str:
    """The e-mail of a service account that can be annotated: one of a project, not Google's own agents."""
    if not re.fullmatch(rf"{PROJECT}@{PROJECT}(\.[a-z0-9-]+)*\.iam\.gserviceaccount\.com", value, re.ASCII):
        raise SettingError(
            "must be the e-mail of a service account of a project",
            got=value,
            hint='"astro-xcom@acme-data.iam.gserviceaccount.com"',
        )
    return value


def email_of(account_id: str, project: str) -> str:
    """The e-mail of a project's service account. The domain of a project that has one comes last."""
    domain, colon, own = project.rpartition(":")
    return f"{account_id}@{own}{'.' if colon else ''}{domain}.iam.gserviceaccount.com"


def gke_cluster(value: str) -> str:
    """The name of a GKE cluster."""
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", value):
        raise SettingError(
            "must be a GKE cluster's name: 1-40 lower-case letters, digits or hyphens, starting with a letter, "
            "not ending with a hyphen",
            got=value,
        )
    return value


def gke_location(value: str) -> str:
    """Where a GKE cluster is: a region, or a zone."""
    if not re.fullmatch(rf"{REGION}(-[a-z])?", value, re.ASCII):
        raise SettingError("must be the cluster's region or zone", got=value)
    return value


def workload_pool(value: str) -> str:
    """The workload identity pool of the GKE clusters of a project."""
    if not re.fullmatch(rf"{DOMAIN}{PROJECT}{re.escape(POOL)}", value, re.ASCII):
        raise SettingError(
            f"must be a GKE workload identity pool: a project id and {POOL}",
            got=value,
            hint=f'"{value}{POOL}"' if re.fullmatch(DOMAIN + PROJECT, value, re.ASCII) else None,
        )
    return value


def labels(values: Mapping[str, str]) -> Mapping[str, str]:
    """Labels of a resource."""
    if len(values) > limits.GOOGLE_LABELS.most:
        raise SettingError(f"a resource has at most {limits.GOOGLE_LABELS.most} labels", got=f"{len(values)} labels")
    for key, value in values.items():
        label_key(key)
        label_value(value)
    return values


def project_number(value: str) -> str:
    """A project's number, which Google gives it; not its id."""
    if not re.fullmatch(r"[1-9][0-9]{5,18}", value, re.ASCII):
        raise SettingError("must be the digits of a project's number, in quotes", got=value, hint='"123456789012"')
    return value


def label_key(value: str) -> str:
    """The key of a label. Letters of any script; those that start with goog are Google's own."""
    if not re.fullmatch(r"(?!goog)[^\W\d_][\w-]{0,62}", value) or value != value.lower():
        raise SettingError(
            "a label's key is 1-63 lower-case letters, digits, hyphens or underscores, starts with a letter, and not "
            "with goog",
            got=value,
            hint=suggestion(label_key, value, slug(value.lstrip(NO_LETTERS).removeprefix("goog"), longest=63), "team"),
        )
    return value


def label_value(value: str) -> str:
    """The value of a label; may be empty."""
    if not re.fullmatch(r"[\w-]{0,63}", value) or value != value.lower():
        raise SettingError(
            "a label's value is at most 63 lower-case letters, digits, hyphens or underscores",
            got=value,
            hint=suggestion(label_value, value, slug(value, longest=63)),
        )
    return value


# ---- permissions

USER_ROLE = "roles/iam.workloadIdentityUser"
KEY_ROLE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
FORMER_KEY_ROLE = "roles/cloudkms.cryptoKeyDecrypter"
STORAGE_ROLES = {"objects": "roles/storage.objectAdmin", "bucket": "roles/storage.legacyBucketReader"}
"""What agents get on the bucket. The client asks for the bucket itself before it writes into an empty one, and
objectAdmin does not let it."""
ADMINISTRATORS = {
    **dict.fromkeys(("roles/owner", "roles/editor", "roles/viewer"), "is a basic role, which opens every service"),
    **dict.fromkeys(
        (
            "roles/iam.securityAdmin",
            "roles/iam.serviceAccountAdmin",
            "roles/iam.serviceAccountKeyAdmin",
            "roles/iam.serviceAccountTokenCreator",
            "roles/iam.serviceAccountUser",
            "roles/iam.workloadIdentityUser",
            "roles/resourcemanager.projectIamAdmin",
            "roles/secretmanager.admin",
            "roles/storage.admin",
        ),
        "is a role of administrators, or lets agents act as others",
    ),
}
"""Role -> why agents do not get it."""


def role(value: str) -> str:
    """A role that agents may have."""
    if not re.fullmatch(
        rf"(roles|projects/{PROJECT}/roles|organizations/[0-9]+/roles)/[A-Za-z0-9_.]+", value, re.ASCII
    ):
        raise SettingError(
            "must be a role with what it is of: roles/..., projects/<project>/roles/... or "
            "organizations/<number>/roles/...",
            got=value,
            hint='"roles/secretmanager.secretAccessor"',
        )
    if value in ADMINISTRATORS:
        raise SettingError(ADMINISTRATORS[value], got=value, hint="a role that lists what they need")
    return value


def role_scope(value: str) -> str:
    """What a role is on: a project, a secret or a bucket."""
    bucket_name = value.removeprefix("projects/_/buckets/")
    if bucket_name != value:
        existing_bucket(bucket_name)
    elif not re.fullmatch(rf"projects/{PROJECT}(/secrets/[A-Za-z0-9_-]{{1,255}})?", value, re.ASCII):
        raise SettingError(
            "must be projects/<project>, projects/<project>/secrets/<secret> or projects/_/buckets/<bucket>",
            got=value,
            hint='"projects/acme-data/secrets/airflow-connections-warehouse"',
        )
    return value


def role_key(role: str, scope: str) -> str:
    """A member's own part of an address."""
    return f"{role.removeprefix('roles/')}-on-{scope}".replace("/", ".")
