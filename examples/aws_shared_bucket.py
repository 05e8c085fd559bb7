"""One bucket for the agents of several teams: each team has a folder, and a role that opens no other folder (AWS)."""

from pathlib import Path

from astro_xcom.agent import AgentRelease, AgentValues
from astro_xcom.aws import EksOidcProvider, IrsaRole, XComBucket
from astro_xcom.service_accounts import subjects
from astro_xcom.settings import AgentSettings, ValuesFile
from cdktf import App, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider
from cdktf_cdktf_provider_helm.provider import HelmProvider, HelmProviderKubernetes

app = App()
stack = TerraformStack(app, "shared-bucket")
AwsProvider(stack, "aws", region="us-east-1")
HelmProvider(stack, "helm", kubernetes=HelmProviderKubernetes(config_path="~/.kube/config"))

storage = XComBucket(stack, "storage", name="acme-astro-xcom")
cluster = EksOidcProvider(stack, "cluster", cluster_name="data-prod")
common = ValuesFile.read(Path(__file__).with_name("agent-values.yaml"))

for team in ("ingest", "reports"):
    agent = AgentSettings(namespace=f"astro-{team}", resource_name_prefix=team, values_files=(common,))
    folder = storage.folder(team)
    role = IrsaRole(
        stack,
        f"{team}-role",
        name=f"astro-{team}",
        oidc_providers=[cluster],
        subjects=subjects(agent.service_accounts()),
    )
    folder.grant_read_write(role)
    values = AgentValues(stack, f"{team}-values", agent=agent, location=folder.location, pod_identity=role.pod_identity)
    AgentRelease(
        stack, f"{team}-agent", agent=agent, values=values, depends_on=[*folder.dependencies, *role.dependencies]
    )
app.synth()
