"""The agents' side: their chart values, and the Helm release."""

from astro_xcom.agent.release import AgentRelease
from astro_xcom.agent.values import AgentValues

__all__ = ["AgentRelease", "AgentValues"]
