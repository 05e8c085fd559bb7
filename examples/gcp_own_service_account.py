"""An existing service account: agents that already have an identity get storage (Google Cloud)."""

from astro_xcom.gcp import WorkloadIdentity, XComBucket
from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_google.provider import GoogleProvider
from cdktf_cdktf_provider_google.service_account import ServiceAccount

app = App()
stack = TerraformStack(app, "xcom-storage")
GoogleProvider(stack, "google", project="acme-data")

airflow = ServiceAccount(stack, "airflow", account_id="airflow-agents")  # you decide who may use it

storage = XComBucket(stack, "storage", name="acme-astro-xcom", location="us-central1", retention_days=60)
storage.grant_read_write(WorkloadIdentity.from_email(stack, "agents", airflow.email))

TerraformOutput(stack, "xcom_path", value=storage.location.url)
app.synth()
