"""A role on something, as Azure and Google Cloud grant it. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RoleOn:
    """A role that an identity gets in addition to its access to XComs, and the scope of that role.

    - `role`: the role's name.
    - `scope`: what the role is on, by resource id or resource name.
    """

    role: str
    scope: str
