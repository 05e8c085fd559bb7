"""What deployments of every cloud have in common."""

from pydantic import Field

from astro_xcom.settings.agent import AgentSettings
from astro_xcom.settings.base import Settings
from astro_xcom.settings.state import Backend, LocalState, State
from astro_xcom.settings.xcom import StateStoreSettings, XComSettings

SHORT_RETENTION_DAYS = 14
NEEDED_VALUES = ("astroDeploymentAPIURL", "secretBackend")


class Deployment(Settings):
    """Agents with an XCom backend: one stack. The clouds add where and how values are stored."""

    agent: AgentSettings
    xcom: XComSettings = Field(default_factory=XComSettings)
    state_store: StateStoreSettings | None = None
    """For agents on Astro Runtime 3.3+. Off by default."""
    state: State | None = None
    """Terraform's state. Default: a local file."""

    def made_storage(self) -> tuple[str, str] | None:
        """(setting, name) of the storage this deployment makes; None where it exists already."""
        return None

    def backend(self) -> Backend:
        """Where Terraform keeps its state."""
        return self.state.backend() if self.state else LocalState()

    def warnings(self) -> list[str]:
        """What is allowed and likely to surprise, as `setting: what happens`."""
        found = []
        if self.xcom.retention_days < SHORT_RETENTION_DAYS:
            found.append(
                f"xcom.retention_days: {self.xcom.retention_days} is short: a task that reads a value after it expired "
                "(a retry, a manual re-run) gets its path instead, without an error"
            )
        if self.xcom.threshold > 0:
            found.append(
                f"xcom.threshold: values below {self.xcom.threshold} bytes stay in the Airflow database; "
                "remote execution is documented for 0"
            )
        if self.agent.release:
            given = self.agent.user_values()
            found += [f"agent: the chart needs a value for {key}" for key in NEEDED_VALUES if not given.get(key)]
        return found
