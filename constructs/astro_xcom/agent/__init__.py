"""The agents' side: their chart values, and the Helm release."""

from typing import TYPE_CHECKING

from astro_xcom.agent.values import AgentValues

if TYPE_CHECKING:
    from astro_xcom.agent.release import AgentRelease

__all__ = ["AgentRelease", "AgentValues"]


def __getattr__(name: str) -> object:
    """The release only when it is asked for: it needs the helm provider, the values do not."""
    if name == "AgentRelease":
        from astro_xcom.agent.release import AgentRelease

        return AgentRelease
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
