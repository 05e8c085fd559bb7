"""XCom settings to environment variables, written out as Airflow's documentation has them."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from astro_xcom.errors import SettingError
from astro_xcom.settings import StateStoreSettings, XComSettings
from astro_xcom.settings.xcom import check_state_store
from astro_xcom.xcom import STATE_STORE_BACKEND, XCOM_BACKEND, XComLocation, object_url, recovery_days

LOCATION = XComLocation(url="s3://acme/xcom", state_store_url="s3://acme/state")
PROPERTY = settings(max_examples=100, deadline=None, derandomize=True)
ANY_XCOM = st.builds(
    XComSettings,
    threshold=st.integers(min_value=0, max_value=2**53),
    compression=st.sampled_from(["zip", "gzip", "bz2", "lzma", "xz", "none"]),
    retention_days=st.integers(1, 36500),
)


def test_the_variables_by_default() -> None:
    assert XComSettings().variables(LOCATION) == {
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": "s3://acme/xcom",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION": "zip",
    }


def test_the_variables_of_a_state_store_by_default() -> None:
    assert StateStoreSettings(path="state").variables(LOCATION) == {
        "AIRFLOW__COMMON_IO__STATE_STORE_OBJECTSTORAGE_PATH": "s3://acme/state",
        "AIRFLOW__COMMON_IO__STATE_STORE_OBJECTSTORAGE_THRESHOLD": "0",
    }


def test_the_classes_are_the_documented_ones() -> None:
    assert XCOM_BACKEND == "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
    assert STATE_STORE_BACKEND == "airflow.providers.common.io.state_store.backend.StateStoreObjectStorageBackend"


@pytest.mark.parametrize("compression", ["zip", "gzip", "bz2", "lzma", "xz"])
def test_a_compression_is_written_by_its_name(compression: Any) -> None:
    variables = XComSettings(compression=compression).variables(LOCATION)
    assert variables["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION"] == compression


def test_no_compression_leaves_its_variable_out() -> None:
    assert set(XComSettings(compression="none").variables(LOCATION)) == {
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD",
    }


def test_without_a_word_on_compression_the_storage_decides() -> None:
    plain = XComLocation(url="gs://acme/xcom", compression="none")
    assert "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION" not in XComSettings().variables(plain)
    variables = XComSettings(compression="gzip").variables(plain)
    assert variables["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION"] == "gzip"


def test_a_state_store_has_its_own_threshold_and_compression() -> None:
    store = StateStoreSettings(path="state", threshold=10, compression="xz").variables(LOCATION)
    assert store["AIRFLOW__COMMON_IO__STATE_STORE_OBJECTSTORAGE_THRESHOLD"] == "10"
    assert store["AIRFLOW__COMMON_IO__STATE_STORE_OBJECTSTORAGE_COMPRESSION"] == "xz"


def test_what_the_storage_needs_comes_along() -> None:
    location = XComLocation(url="abfs://wasb_xcom@xcom", env={"AIRFLOW_CONN_WASB_XCOM": "{}"})
    assert XComSettings().variables(location)["AIRFLOW_CONN_WASB_XCOM"] == "{}"


def test_a_state_store_without_a_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="without a state store path"):
        StateStoreSettings(path="state").variables(XComLocation(url="s3://acme/xcom"))


@PROPERTY
@given(xcom=ANY_XCOM)
def test_every_variable_is_text(xcom: XComSettings) -> None:
    assert all(type(value) is str for value in xcom.variables(LOCATION).values())


@PROPERTY
@given(xcom=ANY_XCOM)
def test_the_word_none_never_reaches_airflow(xcom: XComSettings) -> None:
    assert not {"none", "None", ""} & set(xcom.variables(LOCATION).values())


@PROPERTY
@given(xcom=ANY_XCOM)
def test_the_threshold_is_the_number_in_digits(xcom: XComSettings) -> None:
    variables = xcom.variables(LOCATION)
    assert int(variables["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD"]) == xcom.threshold


# ---- the path


@pytest.mark.parametrize(
    ("scheme", "path", "connection_id", "url"),
    [
        ("s3", "xcom", None, "s3://acme/xcom"),
        ("s3", "xcom", "aws_default", "s3://aws_default@acme/xcom"),
        ("s3", "team/xcom", None, "s3://acme/team/xcom"),
        ("s3", "", None, "s3://acme"),
        ("gs", "", "gcp", "gs://gcp@acme"),
        ("abfs", "xcom", "wasb_xcom", "abfs://wasb_xcom@acme/xcom"),
    ],
)
def test_the_path_as_airflow_writes_it(scheme: str, path: str, connection_id: str | None, url: str) -> None:
    assert object_url(scheme, "acme", path, connection_id=connection_id) == url


@PROPERTY
@given(
    path=st.from_regex(r"([A-Za-z0-9_.=-]{1,9}(/[A-Za-z0-9_.=-]{1,9}){0,3})?", fullmatch=True),
    connection_id=st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
)
def test_a_path_is_read_back_part_by_part(path: str, connection_id: str | None) -> None:
    parts = urlsplit(object_url("s3", "acme-xcom", path, connection_id=connection_id))
    assert (parts.scheme, parts.username, parts.hostname) == ("s3", connection_id, "acme-xcom")
    assert parts.path.removeprefix("/") == path


# ---- settings


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("gz", "gzip"),
        ("GZIP", "gzip"),
        (" zip ", "zip"),
        ("bzip2", "bz2"),
        ("None", "none"),
        ("none ", "none"),
        ("", "none"),
        (None, "none"),
        ("snappy", "gzip"),
        ("zstd", "gzip"),
        ("lz4", "gzip"),
        ("deflate", "gzip"),
        ("brotli", "zip"),
    ],
)
def test_another_word_for_a_compression_is_refused_with_the_one_to_use(given: Any, meant: str) -> None:
    with pytest.raises(ValidationError, match=rf"must be one of zip, gzip, bz2, lzma, xz, none.*; try {meant}\b"):
        XComSettings(compression=given)


@pytest.mark.parametrize("threshold", [-1, -100, 1.0, "0", True, None])
def test_a_threshold_is_a_number_of_bytes(threshold: Any) -> None:
    with pytest.raises(ValidationError):
        XComSettings(threshold=threshold)


@pytest.mark.parametrize("days", [0, -1, 36501, 1.5, "30", True])
def test_retention_is_a_number_of_days(days: Any) -> None:
    with pytest.raises(ValidationError):
        XComSettings(retention_days=days)


@pytest.mark.parametrize("days", [1, 30, 36500])
def test_retention_at_its_limits(days: int) -> None:
    assert XComSettings(retention_days=days).retention_days == days


def test_values_live_for_thirty_days_by_default() -> None:
    assert XComSettings().retention_days == 30


def test_settings_do_not_change() -> None:
    xcom = XComSettings()
    with pytest.raises(ValidationError, match="frozen"):
        xcom.threshold = 1  # type: ignore[misc]


@pytest.mark.parametrize(("retention", "recovery"), [(1, 1), (6, 6), (7, 7), (8, 7), (365, 7)])
def test_a_value_can_be_restored_for_a_week_or_as_long_as_it_lives(retention: int, recovery: int) -> None:
    assert recovery_days(retention) == recovery


# ---- the state store's place


FOLDERS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3).map("/".join)


@PROPERTY
@given(xcom=FOLDERS, state=FOLDERS)
def test_state_and_xcoms_are_refused_exactly_where_they_could_share_an_object(xcom: str, state: str) -> None:
    one, other = (f"{path}/" if path else "" for path in (xcom, state))
    shares = one.startswith(other) or other.startswith(one)
    try:
        check_state_store(xcom, StateStoreSettings(path=state), "2.3.3")
        refused = False
    except SettingError:
        refused = True
    assert refused is shares


@pytest.mark.parametrize(("version", "fits"), [("2.1.0", False), ("2.2.9", False), ("2.3.0", True), ("2.10.0", True)])
def test_a_state_store_needs_a_chart_that_knows_it(version: str, fits: bool) -> None:
    try:
        check_state_store("xcom", StateStoreSettings(path="state"), version)
        assert fits
    except SettingError as error:
        assert not fits, error  # noqa: PT017


def test_without_a_state_store_any_chart_will_do() -> None:
    check_state_store("xcom", None, "2.0.0")
