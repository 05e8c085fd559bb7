"""Agents only: storage and identity exist already, and only their names go into the release (any cloud)."""

from pathlib import Path

from astro_xcom.agent import AgentRelease, AgentValues
from astro_xcom.settings import AgentSettings, ValuesFile
from astro_xcom.xcom import PodIdentity, XComLocation
from cdktf import App, TerraformStack
from cdktf_cdktf_provider_helm.provider import HelmProvider, HelmProviderKubernetes

app = App()
stack = TerraformStack(app, "agents")
HelmProvider(stack, "helm", kubernetes=HelmProviderKubernetes(config_path="~/.kube/config"))

agent = AgentSettings(
    namespace="astro",
    resource_name_prefix="prod",
    values_files=(ValuesFile.read(Path(__file__).with_name("agent-values.yaml")),),
)
values = AgentValues(
    stack,
    "values",
    agent=agent,
    location=XComLocation(url="s3://acme-astro-xcom/xcom"),
    pod_identity=PodIdentity(annotations={"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/astro-agents"}),
)
AgentRelease(stack, "agent", agent=agent, values=values)
app.synth()
