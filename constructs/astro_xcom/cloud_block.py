"""A `cloud` block that needs no terraform command to be synthesized."""

from typing import Any

from cdktf import DataTerraformRemoteState, NamedRemoteWorkspace, TerraformBackend, TerraformRemoteState
from constructs import Construct

from astro_xcom.settings.backend import HcpState


class CloudBlock(TerraformBackend):
    """Plans, applies and state in one workspace of HCP Terraform or Terraform Enterprise.

    The JSON is that of cdktf's `CloudBackend`, which runs `terraform version` in each synthesis and fails without it.
    """

    def __init__(self, scope: Construct, backend: HcpState, *, workspace: str) -> None:
        super().__init__(scope, "backend", "cloud")
        self._backend, self._workspace = backend, workspace

    def to_terraform(self) -> Any:
        """The block as Terraform JSON."""
        workspaces = {"name": self._workspace, "project": self._backend.project}
        named = {key: value for key, value in workspaces.items() if value is not None}
        block = {"organization": self._backend.organization, "hostname": self._backend.hostname, "workspaces": named}
        return {"terraform": {"cloud": block}}

    def to_metadata(self) -> Any:
        """What the cdktf command reads of it."""
        is_hosted = self._backend.hostname.startswith("app.terraform.io")
        return {"backend": "cloud", "cloud": "tfc" if is_hosted else "tfe"}

    def get_remote_state_data_source(self, scope: Construct, name: str, relative_to_stack: str) -> TerraformRemoteState:
        """How another stack reads an output of this one."""
        return DataTerraformRemoteState(
            scope,
            name,
            organization=self._backend.organization,
            hostname=self._backend.hostname,
            workspaces=NamedRemoteWorkspace(self._workspace),
        )
