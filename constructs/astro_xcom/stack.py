"""What the stacks of the three clouds share: backend, agents and outputs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cdktf import (
    AzurermBackend,
    GcsBackend,
    ITerraformDependable,
    LocalBackend,
    NamedRemoteWorkspace,
    RemoteBackend,
    S3Backend,
    TerraformOutput,
    TerraformStack,
)
from cdktf_cdktf_provider_helm.provider import HelmProvider, HelmProviderKubernetes
from constructs import Construct

from astro_xcom.agent import AgentRelease, AgentValues
from astro_xcom.cloud_block import CloudBlock
from astro_xcom.construct_ids import id_of
from astro_xcom.forgotten import forgotten
from astro_xcom.imports import import_blocks
from astro_xcom.settings import AzurermState, Deployment, GcsState, HcpState, LocalState, RemoteState, S3State
from astro_xcom.settings.backend import Backend
from astro_xcom.settings.deployment import check_state_place
from astro_xcom.terraform_text import escape_templates, relative_to_stack
from astro_xcom.terraform_version import REQUIRED
from astro_xcom.xcom import PodIdentity, XComLocation


class XComStack(TerraformStack):
    """A stack with its backend; a cloud's stack adds storage and identity, then the agents."""

    def __init__(self, scope: Construct, id_: str, deployment: Deployment) -> None:
        super().__init__(scope, id_)
        self.deployment = deployment
        self.trusted = deployment.trusted()
        """The Kubernetes service accounts to trust with each identity, as the `sub` of their tokens."""
        self._backend(deployment.backend())
        self.add_override("terraform.required_version", REQUIRED)
        self._forget(forgotten(deployment))
        self._import(import_blocks(id_, deployment))

    def require(self, provider: str) -> None:
        """Ask for the version that the settings give for a provider of this stack."""
        version = getattr(self.deployment.terraform.providers, provider)
        if version is not None:
            self.add_override(f"terraform.required_providers.{provider}.version", version)

    def output(self, name: str, value: Any, description: str) -> None:
        """Declare a Terraform output."""
        TerraformOutput(self, name, value=value, description=description)

    def worker_identities(self, told: Mapping[str, Mapping[str, Any]], pods: Mapping[str, PodIdentity]) -> None:
        """Declare what the outputs say of the common identity for each worker that has its own."""
        if told:
            identities = {
                worker: {
                    **facts,
                    "annotations": dict(pods[worker].annotations) if worker in pods else {},
                    "trusted_subjects": list(self.trusted[worker]),
                }
                for worker, facts in told.items()
            }
            self.output("worker_identities", identities, "The identities of workers that have their own")

    def add_agents(
        self,
        *,
        location: XComLocation,
        pod_identity: PodIdentity,
        workers: Mapping[str, PodIdentity],
        dependencies: Sequence[ITerraformDependable],
        kubernetes: Callable[[], HelmProviderKubernetes],
    ) -> None:
        """The agents' values and, unless switched off, their Helm release with its provider.

        `location` is where XComs go, `pod_identity` what pods and service accounts carry; `workers` have an identity of
        their own. The release waits for the `dependencies`, and its provider reaches the cluster with what `kubernetes`
        returns.
        """
        agent = self.deployment.agent
        values = AgentValues(
            self,
            "agent-values",
            agent=agent,
            location=location,
            pod_identity=pod_identity,
            workers=workers,
            xcom=self.deployment.xcom,
            state_store=self.deployment.state_store,
        )
        if agent.release:
            HelmProvider(self, "helm", kubernetes=kubernetes())
            self.require("helm")
            AgentRelease(self, "agent", agent=agent, values=values, depends_on=dependencies)
        self.output("xcom_path", location.url, "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH of the agents")
        if location.state_store_url is not None:
            self.output("state_store_path", location.state_store_url, "Where the agents keep their state")
        self.output("annotations", dict(pod_identity.annotations), "Annotations of the agents' service accounts")
        if pod_identity.labels:
            self.output("labels", dict(pod_identity.labels), "Labels of the agents' pods")
        self.output(
            "trusted_subjects",
            list(self.trusted[None]),
            "The agents' Kubernetes service accounts: exactly these are to be trusted",
        )
        self.output("agent_values", values.yaml, "The chart values of the agents")

    def _forget(self, addresses: Sequence[str]) -> None:
        """Leave these where they are, should a state have them. CDKTF has no construct for `removed`."""
        if addresses:
            blocks = [{"from": address, "lifecycle": {"destroy": False}} for address in addresses]
            self.add_override("removed", blocks)

    def _import(self, ids: Mapping[str, str]) -> None:
        """Take up what exists. CDKTF has no construct for `import` by an address of its own making."""
        if ids:
            self.add_override("import", [{"to": to, "id": escape_templates(id_)} for to, id_ in ids.items()])

    def _backend(self, backend: Backend) -> None:
        check_state_place(id_of(self), backend, id_of(self), self.deployment)
        own = escape_templates(backend.own_name(id_of(self)))
        if isinstance(backend, S3State):
            S3Backend(
                self,
                bucket=backend.bucket,
                key=own,
                region=backend.region,
                encrypt=True,
                kms_key_id=backend.kms_key_arn,
            )
            self.add_override("terraform.backend.s3.use_lockfile", True)
        elif isinstance(backend, AzurermState):
            AzurermBackend(
                self,
                storage_account_name=backend.storage_account_name,
                container_name=backend.container_name,
                resource_group_name=backend.resource_group_name,
                key=own,
                use_azuread_auth=True,
            )
        elif isinstance(backend, GcsState):
            GcsBackend(self, bucket=backend.bucket, prefix=own)
        elif isinstance(backend, HcpState):
            CloudBlock(self, backend, workspace=own)
        elif isinstance(backend, RemoteState):
            RemoteBackend(
                self,
                organization=backend.organization,
                hostname=backend.hostname,
                workspaces=NamedRemoteWorkspace(own),
            )
        elif isinstance(backend, LocalState):
            # From the stack's folder to the project's: the same bytes on every machine, and outside of what
            # synthesis may delete.
            LocalBackend(self, path=relative_to_stack(own))
