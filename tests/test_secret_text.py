"""What looks like a secret, and what only sounds like one."""

import json
from time import process_time

import pytest

from astro_xcom.errors import SettingError, quoted
from astro_xcom.secret_text import assigns_secret, holds_secret, is_secret, masked, secret_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DB_PASSWORD", True),
        ("SLACK_TOKEN", True),
        ("TF_TOKEN_app_terraform_io", True),
        ("AWS_ACCESS_KEY_ID", True),
        ("AZURE_CLIENT_SECRET", True),
        ("GOOGLE_CREDENTIALS", True),
        ("AIRFLOW__CORE__FERNET_KEY", True),
        ("AIRFLOW__API_AUTH__JWT_SECRET", True),
        ("ARM_ACCESS_KEY", True),
        ("STRIPE_API_KEY", True),
        ("secret_id", True),
        ("AIRFLOW__SECRETS__BACKEND_KWARGS", False),
        ("AIRFLOW__WORKERS__SECRETS_BACKEND", False),
        ("ASTRO_AGENT_CLIENT_API_TOKEN_FILE", False),
        ("GOOGLE_APPLICATION_CREDENTIALS", False),
        ("TOKENIZERS_PARALLELISM", False),
        ("MAX_TOKENS", False),
        ("TOKEN_URL", False),
        ("TOKEN_AUDIENCE", False),
        ("AWS_SECRETS_MANAGER_REGION", False),
        ("SECRET_MANAGER_PASSWORD", True),
        ("SESSION_TOKEN_TTL", False),
        ("KEY", False),
        ("PARALLELISM", False),
    ],
)
def test_a_name_tells_of_a_secret(name: str, expected: bool) -> None:
    assert secret_name(name) is expected


@pytest.mark.parametrize(
    "text",
    [
        "postgres://airflow:hunter2@db:5432/airflow",
        "redis://:hunter2@redis:6379/0",
        "aws://?region_name=eu-west-1&aws_secret_access_key=hunter2",
        "see https://x:hunter2@git.acme.example/dags.git for it",
        '{"conn_type": "aws", "password": "hunter2"}',
        '{"conn_type": "aws", "extra": "{\\"aws_secret_access_key\\": \\"hunter2\\"}"}',
        '{"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": {"type": "service_account"}}}',
        '[{"name": "dags", "kwargs": {"repo_url": "https://x:hunter2@git.acme.example/dags"}}]',
        "-----BEGIN RSA PRIVATE KEY-----\nMII",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=aHVudGVyMg==",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_0123456789abcdefghij0123456789abcdef",
    ],
)
def test_what_a_text_holds_tells_of_a_secret(text: str) -> None:
    assert holds_secret(text)
    assert is_secret("ANYTHING", text)
    assert "hunter2" not in json.dumps(masked({"ANYTHING": [text]}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "https://charts.acme.example:8443/a@b",
        "https://user@dev.azure.com/acme/_git/dags",
        "postgres://airflow:$(DB_PASSWORD)@db/airflow",
        "http://user:${PASSWORD}@proxy",
        "s3://aws_default@acme-xcom/xcom",
        "http://[::1",
        '{"connections_prefix": "airflow/connections", "token_path": "/run/token"}',
        '{"conn_type": "azure", "extra": {"anon": false, "managed_identity_client_id": "x"}}',
        '{"extra": {"key_secret_name": "x", "password": ""}}',
        "[" * 5000,
    ],
)
def test_a_text_without_a_secret(text: str) -> None:
    assert not holds_secret(text)


@pytest.mark.parametrize("value", ["", "true", "False", "$(OTHER)", "${OTHER}", "***"])
def test_a_blank_a_switch_or_a_reference_is_no_secret(value: str) -> None:
    assert not is_secret("DB_PASSWORD", value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('auth.password = "hunter2"', True),
        ("DB_PASSWORD=hunter2", True),
        ("--password=hunter2", True),
        ("  api_key: hunter2", True),
        ('auth.password = "${PASSWORD}"', False),
        ("token_path = /run/token", False),
        ("name: token", False),
    ],
)
def test_an_assignment_tells_of_a_secret(text: str, expected: bool) -> None:
    assert assigns_secret(text) is expected


@pytest.mark.parametrize(
    "value",
    [
        "https://user:hunter2@charts.acme.example",
        ["DB_PASSWORD=hunter2"],
        {"name": "DB_PASSWORD", "value": "hunter2"},
        {"a": {"client_secret": "hunter2"}},
    ],
)
def test_no_message_shows_a_secret(value: object) -> None:
    assert "hunter2" not in quoted(value)
    assert "hunter2" not in str(SettingError("must be something else", got=value))


@pytest.mark.parametrize("part", ["x", "http", "a.b-", " x", "x=", "://", "1http://"])
def test_a_long_text_is_read_soon(part: str) -> None:
    text = part * (200_000 // len(part))
    started = process_time()
    assert not holds_secret(text)
    assert not assigns_secret(text)
    assert process_time() - started < 2
