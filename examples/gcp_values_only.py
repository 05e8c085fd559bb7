"""Values only: storage and identity, and a values document to install the chart with yourself (Google Cloud).

terraform output -raw agent_values > values.yaml
helm upgrade --install astro-agent astro-remote-execution-agent --values values.yaml ...
"""

from pathlib import Path

from astro_xcom.agent import AgentValues
from astro_xcom.gcp import GkeWorkloadPool, WorkloadIdentity, XComBucket
from astro_xcom.service_accounts import subjects
from astro_xcom.settings import AgentSettings, ValuesFile, XComSettings
from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_google.provider import GoogleProvider

PROJECT = "acme-data"

app = App()
stack = TerraformStack(app, "values-only")
GoogleProvider(stack, "google", project=PROJECT)

agent = AgentSettings(
    namespace="astro",
    resource_name_prefix="prod",
    values_files=(ValuesFile.read(Path(__file__).with_name("agent-values.yaml")),),
)
storage = XComBucket(stack, "storage", name="acme-astro-xcom", location="us-central1", project=PROJECT)
identity = WorkloadIdentity(
    stack,
    "agents",
    account_id="astro-agents",
    project=PROJECT,
    pools=[GkeWorkloadPool(stack, "pool", pool=f"{PROJECT}.svc.id.goog")],
    subjects=subjects(agent.service_accounts()),
)
storage.grant_read_write(identity)
values = AgentValues(
    stack,
    "values",
    agent=agent,
    location=storage.location,
    pod_identity=identity.pod_identity,
    xcom=XComSettings(compression="gzip"),
)

TerraformOutput(stack, "agent_values", value=values.yaml)
app.synth()
