"""The Helm release of the agents."""

from collections.abc import Sequence

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_helm.release import Release
from constructs import Construct

from astro_xcom.agent.values import AgentValues
from astro_xcom.settings import AgentSettings
from astro_xcom.terraform_text import from_stack, literal


class AgentRelease(Construct):
    """One helm_release of the chart `astro-remote-execution-agent`.

    Give everything the agents need in `depends_on`: a pod that starts before its identity works fails, and the cloud
    may remember the refusal. An existing release of this name is upgraded, unless `agent.upgrade_install` is off.
    Destroying uninstalls the agents, and running tasks are lost; Terraform destroys nothing, and reports no error,
    while the cluster is out of reach.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        agent: AgentSettings,
        values: AgentValues,
        depends_on: Sequence[ITerraformDependable] = (),
    ) -> None:
        super().__init__(scope, id_)
        self.resource = Release(
            self,
            "release",
            name=agent.release_name,
            namespace=agent.namespace,
            create_namespace=agent.create_namespace,
            repository=literal(agent.chart_repository()),
            chart=literal(from_stack(agent.chart) if agent.chart.startswith(".") else agent.chart),
            version=agent.chart_version,
            values=[values.yaml],
            wait=True,
            timeout=agent.timeout_seconds,
            atomic=agent.atomic,
            # A failed first installation and a plan while the cluster is out of reach leave a release outside the
            # state. Without this no later apply gets past it.
            upgrade_install=agent.upgrade_install or None,
            take_ownership=agent.take_ownership or None,
            depends_on=list(depends_on),
        )
