"""The Helm release of the agents."""

from collections.abc import Sequence

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_helm.release import Release
from constructs import Construct

from astro_xcom.agent.values import AgentValues
from astro_xcom.settings import AgentSettings
from astro_xcom.terraform_text import escape_templates, relative_to_stack


class AgentRelease(Construct):
    """One helm_release of the chart `astro-remote-execution-agent`.

    ```python
    agent = AgentSettings(namespace="astro", resource_name_prefix="prod")
    location = XComLocation(url="s3://acme-astro-xcom/xcom", cloud="aws")
    role = PodIdentity(annotations={"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/astro-agents"})
    values = AgentValues(stack, "values", agent=agent, location=location, pod_identity=role)
    AgentRelease(stack, "release", agent=agent, values=values)
    ```

    - `agent`: where the release goes, and its chart.
    - `values`: the chart values of the release.
    - `depends_on`: everything that the agents need. A pod that starts before its identity works fails, and the cloud
      may
      remember the refusal.

    An existing release of this name is upgraded, unless `agent.upgrade_install` is off. Destroying uninstalls the
    agents,
    and running tasks are lost. While the cluster is out of reach, Terraform destroys nothing and reports no error.
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
            repository=escape_templates(agent.chart_repository()),
            chart=escape_templates(relative_to_stack(agent.chart) if agent.chart.startswith(".") else agent.chart),
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
