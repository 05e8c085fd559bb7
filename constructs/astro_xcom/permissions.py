"""A role on something, as Azure and Google Cloud grant it. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RoleOn:
    """A role that an identity gets beside that on the XComs, and what it gets it on."""

    role: str
    scope: str
