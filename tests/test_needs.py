"""What the secrets backend and remote logs need, and whether a deployment grants it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from astro_xcom.deployments import read_deployments
from astro_xcom.report import Report, check
from astro_xcom.synthesis import synthesized

AGENT = {"namespace": "astro", "resource_name_prefix": "prod"}
DEPLOYMENTS: dict[str, dict[str, Any]] = {
    "aws": {
        "cloud": "aws",
        "region": "us-east-1",
        "account_id": "111122223333",
        "cluster": {"name": "data-prod"},
        "storage": {"bucket": "acme-xcom"},
    },
    "azure": {
        "cloud": "azure",
        "subscription_id": "00000000-0000-0000-0000-000000000000",
        "location": "westeurope",
        "resource_group": {"name": "xcom", "existing": True},
        "cluster": {"name": "data-prod", "resource_group": "aks"},
        "storage": {"account": "acmexcom"},
    },
    "gcp": {
        "cloud": "gcp",
        "project": "acme-data",
        "cluster": {"name": "data-prod", "location": "us-central1"},
        "storage": {"bucket": "acme-xcom", "location": "us-central1"},
    },
}
SECRETS_MANAGER = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
PARAMETER_STORE = "airflow.providers.amazon.aws.secrets.systems_manager.SystemsManagerParameterStoreBackend"
KEY_VAULT = "airflow.providers.microsoft.azure.secrets.key_vault.AzureKeyVaultBackend"
SECRET_MANAGER = "airflow.providers.google.cloud.secrets.secret_manager.CloudSecretManagerBackend"
VAULT = "airflow.providers.hashicorp.secrets.vault.VaultBackend"
KWARGS = "AIRFLOW__SECRETS__BACKEND_KWARGS"
SECRETS = "arn:aws:secretsmanager:us-east-1:111122223333:secret:"
GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/data"
VAULTS = f"{GROUP}/providers/Microsoft.KeyVault/vaults"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/logs"
LOGS = {"AIRFLOW__LOGGING__REMOTE_LOGGING": "True"}
FOLDER = "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER"


def report(cloud: str, folder: Path, identity: Any, values: Any, env: Any = None) -> Report:
    values = {**values, "commonEnv": [{"name": name, "value": value} for name, value in (env or {}).items()]}
    agent = {**AGENT, "values": values}
    deployment = {**DEPLOYMENTS[cloud], "agent": agent, "identity": identity}
    file = folder / "deployments.yaml"
    file.write_text(yaml.safe_dump({"deployments": {"one": deployment}}))
    deployments = read_deployments(file)
    return check(deployments["one"], synthesized(deployments, file=file.name)["one"])


def allow(*actions: str, on: str) -> Any:
    return {"policy_statements": [{"actions": [*actions], "resources": [on]}]}


def role(name: str, scope: str) -> Any:
    return {"roles": [{"role": name, "scope": scope}]}


@pytest.mark.parametrize(
    ("cloud", "backend", "identity", "env", "granted"),
    [
        ("aws", SECRETS_MANAGER, {}, {}, "not here"),
        ("aws", SECRETS_MANAGER, allow("secretsmanager:GetSecretValue", on=f"{SECRETS}airflow/*"), {}, "here"),
        ("aws", SECRETS_MANAGER, allow("secretsmanager:Get*", on="*"), {}, "here"),
        ("aws", SECRETS_MANAGER, allow("secretsmanager:PutSecretValue", on="*"), {}, "not here"),
        ("aws", SECRETS_MANAGER, allow("secretsmanager:GetSecretValue", on=f"{SECRETS}other/*"), {}, "not here"),
        (
            "aws", SECRETS_MANAGER, allow("secretsmanager:GetSecretValue", on=f"{SECRETS}airflow/connections/*"), {},
            "here in part",
        ),
        (
            "aws", SECRETS_MANAGER, allow("secretsmanager:GetSecretValue", on=f"{SECRETS}airflow/connections/*"),
            {KWARGS: '{"variables_prefix": null, "config_prefix": null}'}, "here",
        ),
        (
            "aws", SECRETS_MANAGER, {"policy_arns": ["arn:aws:iam::111122223333:policy/secrets"]}, {}, "not known here",
        ),
        ("aws", PARAMETER_STORE, allow("secretsmanager:GetSecretValue", on="*"), {}, "not here"),
        (
            "aws", PARAMETER_STORE,
            allow("ssm:GetParameter", on="arn:aws:ssm:us-east-1:111122223333:parameter/airflow/*"), {}, "here",
        ),
        ("aws", SECRETS_MANAGER, {"existing_role": "agents"}, {}, "not here"),
        ("aws", VAULT, {}, {}, "not needed"),
        ("aws", KEY_VAULT, {}, {}, "not known here"),
        ("aws", "acme.Secrets", {}, {}, "not known here"),
        ("azure", KEY_VAULT, {}, {}, "not here"),
        ("azure", KEY_VAULT, role("Key Vault Secrets User", f"{VAULTS}/acme"), {}, "here"),
        ("azure", KEY_VAULT, role("Key Vault Secrets User", f"{VAULTS}/acme/secrets/a"), {}, "here in part"),
        ("azure", KEY_VAULT, role("Key Vault Secrets Officer", GROUP), {}, "here"),
        ("azure", KEY_VAULT, role("Key Vault Crypto User", f"{VAULTS}/acme"), {}, "not known here"),
        (
            "azure", KEY_VAULT, role("Key Vault Secrets User", f"{VAULTS}/other"),
            {KWARGS: '{"vault_url": "https://acme.vault.azure.net/"}'}, "not here",
        ),
        ("gcp", SECRET_MANAGER, {}, {}, "not here"),
        ("gcp", SECRET_MANAGER, role("roles/secretmanager.secretAccessor", "projects/acme-data"), {}, "here"),
        (
            "gcp", SECRET_MANAGER, role("roles/secretmanager.secretAccessor", "projects/acme-data/secrets/a"), {},
            "here in part",
        ),
        (
            "gcp", SECRET_MANAGER, role("roles/secretmanager.secretAccessor", "projects/acme-data"),
            {KWARGS: '{"project_id": "acme-secrets"}'}, "not here",
        ),
    ],
)  # fmt: skip
def test_whether_the_secrets_backend_is_granted(
    cloud: str, backend: str, identity: Any, env: Any, granted: str, tmp_path: Path
) -> None:
    found = report(cloud, tmp_path, identity, {"secretBackend": backend}, env)
    (need,) = found.needs
    assert (need.what, need.named, need.granted) == ("secrets backend", backend, granted)
    told = [line for line in found.for_others if backend in line]
    assert len(told) == (bool(need.permissions) and granted not in ("here", "not needed"))


def test_the_owner_of_an_adopted_role_is_told_the_least(tmp_path: Path) -> None:
    found = report("aws", tmp_path, {"existing_role": "agents"}, {"secretBackend": SECRETS_MANAGER})
    (line,) = [line for line in found.for_others if SECRETS_MANAGER in line]
    assert f"secretsmanager:GetSecretValue on {SECRETS}airflow/connections/*, {SECRETS}airflow/variables/*" in line
    assert "The owner of the role arn:aws:iam::111122223333:role/agents must grant it." in line


@pytest.mark.parametrize(
    ("cloud", "folder", "identity", "granted"),
    [
        ("aws", "s3://acme-logs/airflow", {}, "not here"),
        ("aws", "s3://acme-logs/airflow", allow("s3:*Object", "s3:ListBucket", on="arn:aws:s3:::acme-logs*"), "here"),
        ("aws", "s3://acme-logs/airflow", allow("s3:PutObject", on="arn:aws:s3:::acme-logs/*"), "here in part"),
        ("aws", "s3://acme-xcom/xcom/logs", {}, "here"),
        ("aws", "cloudwatch://log-group", {}, "not known here"),
        ("azure", "wasb-logs", role("Storage Blob Data Contributor", ACCOUNT), "not known here"),
        ("azure", "wasb://logs", {}, "not here"),
        ("azure", "wasb://logs", role("Storage Blob Data Contributor", ACCOUNT), "here"),
        ("gcp", "gs://acme-logs/airflow", {}, "not here"),
        ("gcp", "gs://acme-logs/airflow", role("roles/storage.objectUser", "projects/_/buckets/acme-logs"), "here"),
        ("gcp", "gs://acme-xcom/logs", {}, "here"),
    ],
)  # fmt: skip
def test_whether_remote_logs_are_granted(cloud: str, folder: str, identity: Any, granted: str, tmp_path: Path) -> None:
    found = report(cloud, tmp_path, identity, {}, {**LOGS, FOLDER: folder})
    (need,) = found.needs
    assert (need.what, need.named, need.granted) == ("remote logs", folder, granted)


def test_a_condition_is_shown_and_hides_no_permission(tmp_path: Path) -> None:
    statement = allow("secretsmanager:GetSecretValue", on="*")
    statement["policy_statements"][0]["conditions"] = {"StringEquals": {"aws:ResourceTag/team": ["data"]}}
    (need,) = report("aws", tmp_path, statement, {"secretBackend": SECRETS_MANAGER}).needs
    assert need.granted == "here"
    assert need.by == ("secretsmanager:GetSecretValue on * only if StringEquals aws:ResourceTag/team data",)


@pytest.mark.parametrize("switch", ["False", ""])
def test_logs_that_stay_need_nothing(switch: str, tmp_path: Path) -> None:
    env = {"AIRFLOW__LOGGING__REMOTE_LOGGING": switch, FOLDER: "s3://acme-logs"}
    assert report("aws", tmp_path, {}, {}, env).needs == ()
