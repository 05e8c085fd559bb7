"""Everything that is looked for, in the order in which it is needed."""

from collections.abc import Iterator
from pathlib import Path

from astro_xcom.doctor import tools
from astro_xcom.doctor.aws import Aws
from astro_xcom.doctor.azure import Azure
from astro_xcom.doctor.cloud import Cloud
from astro_xcom.doctor.cluster import Cluster, by_endpoint, by_kubeconfig
from astro_xcom.doctor.commands import Commands
from astro_xcom.doctor.gcp import Gcp
from astro_xcom.doctor.model import Check, missing, unknown
from astro_xcom.settings import AwsDeployment, AzureDeployment, Deployment, GcpDeployment
from astro_xcom.starter.repository import made_up


def examine(deployment: Deployment, commands: Commands, *, folder: Path) -> Iterator[Check]:
    """What must be there before an apply of this deployment. Relative paths start at the project's `folder`."""
    invented = made_up(deployment.agent.user_values())
    if invented:
        files = ", ".join(file.path for file in deployment.agent.values_files)
        yield missing("values", None, f"invented by astro-xcom init: {', '.join(invented)}", f"your own in {files}")
    yield tools.terraform(commands)
    yield tools.node(commands)
    yield from tools.helpers(deployment, commands)
    cloud = _cloud(deployment, commands)
    yield from cloud.checks()
    config, context = None, None
    if deployment.cluster.kubeconfig:
        check, config, context = by_kubeconfig(deployment.cluster.kubeconfig, folder, commands)
    elif deployment.cluster.name:
        check, context = by_endpoint(cloud.endpoints, cloud.connect(), commands)
    else:
        check = unknown("context", None, "the settings do not name the cluster: kubectl's current one is taken for it")
    yield check
    cluster = Cluster(deployment, commands, config, context)
    if check.status == "missing":
        reason = "kubectl does not reach the cluster"
        yield unknown("namespace", deployment.agent.namespace, reason)
        yield from cluster.unasked(reason)
    else:
        yield from cluster.checks()


def _cloud(deployment: Deployment, commands: Commands) -> Cloud:
    if isinstance(deployment, AwsDeployment):
        return Aws(deployment, commands)
    if isinstance(deployment, AzureDeployment):
        return Azure(deployment, commands)
    if isinstance(deployment, GcpDeployment):
        return Gcp(deployment, commands)
    raise TypeError(f"no checks for {type(deployment).__name__}")
