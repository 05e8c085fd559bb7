"""What the checks accept fits Google Cloud's own rule, and what they refuse comes with a name that works."""

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_xcom.errors import SettingError
from astro_xcom.rules import gcp as rules

Check = Callable[[str], str]

PROJECT = r"(?=.{6,30}\Z)[a-z]([a-z0-9-]*[a-z0-9])"
DOMAIN = r"([a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*:)?"  # older projects of a Google Workspace domain have one
REGION = r"[a-z]+-[a-z]+[0-9]{1,2}"

# The rule as Google's own reference has it, written down without a look at the code.
RULES: dict[Check, str] = {
    rules.project_id: DOMAIN + PROJECT,
    rules.bucket: r"(?=.{3,63}\Z)(?!goog)(?!.*(google|g00gle|goog1e))[a-z0-9][a-z0-9_-]*[a-z0-9]",
    rules.existing_bucket: r"(?=.{3,222}\Z)[a-z0-9][a-z0-9._-]*[a-z0-9]",
    rules.region: rf"(?i:{REGION})",
    rules.location: rf"(?i:{REGION}|us|eu|asia|asia1|eur4|eur5|eur7|eur8|nam4)",
    rules.kms_key_name: (
        rf"projects/{DOMAIN}"
        r"[a-z][a-z0-9-]{4,28}[a-z0-9]/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]{1,63}"
        r"/cryptoKeys/[A-Za-z0-9_-]{1,63}"
    ),
    rules.service_account_id: PROJECT,
    rules.service_account_email: (
        r"[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z][a-z0-9-]{4,28}[a-z0-9](\.[a-z0-9-]+)*\.iam\.gserviceaccount\.com"
    ),
    rules.gke_cluster: r"(?=.{1,40}\Z)[a-z]([a-z0-9-]*[a-z0-9])?",
    rules.gke_location: rf"{REGION}(-[a-z])?",
    rules.workload_pool: DOMAIN + r"[a-z][a-z0-9-]{4,28}[a-z0-9]\.svc\.id\.goog",
    rules.label_key: r"(?=.{1,63}\Z)(?!goog)[^\W\d_A-Z][\w-]*",
    rules.label_value: r"(?=.{0,63}\Z)[\w-]*",
}

KEY = "projects/acme-keys/locations/us-central1/keyRings/data/cryptoKeys/xcom"
GOOD: dict[Check, list[str]] = {
    rules.project_id: ["acme-data", "a12345", "a" * 30, "example.com:acme-data"],
    rules.bucket: ["abc", "a" * 63, "a_b-c", "1-2", "a--b", "acme-goo-gle", "acme-goog"],
    rules.existing_bucket: ["abc", "shared.acme.example", "a" * 222, "my-google-export"],
    rules.region: ["us-central1", "US-CENTRAL1", "europe-west12", "northamerica-northeast2"],
    rules.location: ["us-central1", "EU", "eu", "nam4", "ASIA1", "me-central2"],
    rules.kms_key_name: [KEY, KEY.replace("acme-keys", "example.com:acme-keys"), KEY.replace("us-central1", "europe")],
    rules.service_account_id: ["astro-xcom", "a12345", "a" * 30],
    rules.service_account_email: [
        "agents@acme-data.iam.gserviceaccount.com",
        "agents@acme-data.example.com.iam.gserviceaccount.com",
    ],
    rules.gke_cluster: ["a", "data-prod", "a" * 40],
    rules.gke_location: ["us-central1", "us-central1-a", "europe-west12-c"],
    rules.workload_pool: ["acme-data.svc.id.goog", "example.com:acme-data.svc.id.goog"],
    rules.label_key: ["team", "a", "größe", "a_b-1", "a" * 63],
    rules.label_value: ["", "data", "1", "-", "größe", "a" * 63],
}

ARABIC_ONE = "\u0661"  # a digit to `\d`, not to Google Cloud
REFUSED: list[tuple[Check, list[str]]] = [
    (rules.project_id, ["", "short", "a" * 31, "1acme-data", "acme-data-", "Acme-data", "acme_data", "acme-data\n"]),
    (rules.project_id, ["123456789012", "example.com:", ":acme-data", "a.b:c:acme-data", f"acme-dat{ARABIC_ONE}"]),
    (rules.bucket, ["", "ab", "a" * 64, "Abc", "a.b.c", "-ab", "ab-", "_ab", "abc\n", "gs://abc"]),
    (
        rules.bucket,
        ["goog", "google", "googabc", "my-google", "g00gle", "goog1e-x", "my-g0ogle", "Goog_Data", "GOOGLE"],
    ),
    (rules.existing_bucket, ["", "ab", "a" * 223, "Abc", ".abc", "abc.", "gs://abc"]),
    (rules.region, ["", "us", "EU", "us-central", "us-east-1", "us-central1-a", f"us-central{ARABIC_ONE}"]),
    (rules.location, ["", "europe", "usa", "global", "NAM5", "us-east-1", "us-central1-a", "EU ", "us-central1\n"]),
    (
        rules.kms_key_name,
        ["", "xcom", f"{KEY}/cryptoKeyVersions/1", f"/{KEY}", f"{KEY}*", KEY.replace("acme-keys", "1")],
    ),
    (rules.service_account_id, ["", "short", "a" * 31, "1-astro", "astro_xcom", "astro-xcom-", "Astro-XCom", "a@b"]),
    (rules.service_account_email, ["agents", "me@example.com", "a@acme-data.iam.gserviceaccount.com"]),
    (rules.service_account_email, ["agents@acme-data.iam.gserviceaccount.com.example.com"]),
    (rules.gke_cluster, ["", "-a", "1a", "a-", "A", "a_b", "a" * 41]),
    (rules.gke_location, ["", "us", "US-CENTRAL1", "us-east-1", "us-central1-ab"]),
    (rules.workload_pool, ["", "acme-data", ".svc.id.goog", "acme-data.svc.id.google", "acme-data.hub.id.goog"]),
    (rules.label_key, ["", "Team", "1st", "_a", "-a", "a.b", "a b", "goog-x", "googgoog-x", "GROẞ", "a" * 64, "a\n"]),
    (rules.label_value, ["Data", "a b", "a.b", "${x}", "a" * 64, "a\n"]),
]
EVERY_REFUSED = [(check, value) for check, values in REFUSED for value in values]


def near(check: Check) -> st.SearchStrategy[str]:
    """Texts that are good, almost good, or far away."""
    odd = st.text(alphabet="aZ09-_./:@ ${}googleé\n\u0661", max_size=6)

    def into(text: str, at: int, odd: str) -> str:
        at %= len(text) + 1
        return text[:at] + odd + text[at:]

    return st.builds(into, st.sampled_from(GOOD[check]), st.integers(0, 100), odd) | odd


TRIES = st.sampled_from(list(RULES)).flatmap(lambda check: st.tuples(st.just(check), near(check)))
PROPERTY = settings(max_examples=250, deadline=None, derandomize=True)


def refusal(check: Check, value: str) -> SettingError | None:
    try:
        check(value)
    except SettingError as error:
        return error
    return None


@pytest.mark.parametrize(("check", "value"), [(check, value) for check, values in GOOD.items() for value in values])
def test_a_good_name_comes_back_as_it_is(check: Check, value: str) -> None:
    assert check(value) == value


@pytest.mark.parametrize(("check", "value"), EVERY_REFUSED)
def test_a_bad_name_is_refused_and_what_to_try_is_accepted(check: Check, value: str) -> None:
    with pytest.raises(SettingError) as caught:
        check(value)
    assert caught.value.got == value
    if caught.value.hint is not None:
        check(json.loads(caught.value.hint))


@PROPERTY
@given(tried=TRIES)
def test_an_accepted_name_fits_the_clouds_rule(tried: tuple[Check, str]) -> None:
    check, value = tried
    assert refusal(check, value) or re.fullmatch(RULES[check], value)


@PROPERTY
@given(tried=TRIES)
def test_what_to_try_is_accepted_whatever_came_and_stands_in_one_line(tried: tuple[Check, str]) -> None:
    check, value = tried
    refused = refusal(check, value)
    if refused is not None:
        assert not set("\n\r") & set(str(refused))
        if refused.hint is not None:
            check(json.loads(refused.hint))


# ---- locations


@pytest.mark.parametrize(
    ("location", "expected"),
    [("us-central1", "us-central1"), ("US-CENTRAL1", "us-central1"), ("EU", "europe"), ("US", "us"), ("NAM4", "nam4")],
)
def test_where_the_key_of_a_bucket_has_to_be(location: str, expected: str) -> None:
    assert rules.kms_location(location) == expected
    rules.key_fits_location(KEY.replace("us-central1", expected), location)
    with pytest.raises(SettingError) as caught:
        rules.key_fits_location(KEY.replace("us-central1", "global"), location)
    assert caught.value.field == "kms_key_name"
    assert caught.value.hint is None  # the same name elsewhere is another key


@pytest.mark.parametrize(
    ("location", "regions"),
    [
        ("EU", ["europe-west1", "europe-west4"]),
        ("us", ["US-EAST1", "us-west1"]),
        ("ASIA", ["asia-east1", "asia-southeast1"]),
        ("CA", ["northamerica-northeast1", "northamerica-northeast2"]),
        ("EUR4", None),
        ("us-central1", None),
    ],
)
def test_locations_that_can_be(location: str, regions: list[str] | None) -> None:
    rules.bucket_location(location, regions)


@pytest.mark.parametrize(
    ("location", "regions", "field"),
    [
        ("europe", None, "location"),
        ("AU", None, "location"),
        ("EUR4", ["europe-west1", "europe-west4"], "location"),
        ("europe-west1", ["europe-west1", "europe-west4"], "location"),
        ("EU", ["europe-west1", "us-east1"], "dual_region"),
        ("ASIA", ["australia-southeast1", "asia-east1"], "dual_region"),
    ],
)
def test_locations_that_cannot_be(location: str, regions: list[str] | None, field: str) -> None:
    with pytest.raises(SettingError) as caught:
        rules.bucket_location(location, regions)
    assert caught.value.field == field


@pytest.mark.parametrize("days", [0, 7, 8, 90])
def test_soft_delete_days_that_can_be(days: int) -> None:
    assert rules.soft_delete_days(days) == days


@pytest.mark.parametrize(("days", "tried"), [(-1, 0), (1, 0), (3, 0), (4, 7), (6, 7), (91, 90), (604800, 90)])
def test_soft_delete_days_that_cannot_be(days: int, tried: int) -> None:
    with pytest.raises(SettingError, match=rf"try {tried}$"):
        rules.soft_delete_days(days)
