"""What deployments of every cloud have in common."""

from pydantic import Field

from astro_xcom.settings.agent import AgentSettings
from astro_xcom.settings.base import Settings
from astro_xcom.settings.state import State
from astro_xcom.settings.xcom import StateStoreSettings, XComSettings


class Deployment(Settings):
    """Agents with an XCom backend: one stack. The clouds add where and how values are stored."""

    agent: AgentSettings
    xcom: XComSettings = Field(default_factory=XComSettings)
    state_store: StateStoreSettings | None = None
    """For agents on Astro Runtime 3.3+. Off by default."""
    state: State | None = None
    """Terraform's state. Default: a local file."""
