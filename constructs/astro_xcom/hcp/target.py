"""Which workspace a stack belongs to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.hcp.stack_files import backend, named_workspace
from astro_xcom.rules import hcp as rules


@dataclass(frozen=True, kw_only=True)
class Target:
    """A workspace by name; it is created in `project` if it does not exist."""

    organization: str
    workspace: str
    project: str | None = None
    hostname: str = rules.HOSTNAME

    @property
    def url(self) -> str:
        """The workspace's page."""
        return f"https://{self.hostname}/app/{self.organization}/workspaces/{self.workspace}"


def target(stack: str, parsed: dict[str, Any], **options: str | None) -> Target:
    """The workspace that the stack's JSON names, filled up with options (the fields of Target).

    Raises SettingErrors for a stack that keeps its state elsewhere, and for options that say something else than the
    JSON.
    """
    elsewhere = backend(parsed)
    if elsewhere:
        raise SettingError(
            f"{stack}: keeps its state in {elsewhere[0]}; HCP Terraform starts with an empty state and would create "
            "everything again",
            hint="state: {hcp: {organization: ...}}",
        )
    said = named_workspace(parsed)
    problems = []
    chosen: dict[str, str] = {}
    for name, rule in RULES.items():
        inside, given = said[name], options.get(name)
        try:
            if given is not None and inside not in (None, given):
                raise SettingError(f'must be what the stack says ("{inside}"), or left out', got=given)
            value = inside if given is None else given
            if value is not None:
                chosen[name] = rule(value)
            elif name == "organization":
                raise SettingError("is needed, since the stack names none", hint="state: {hcp: {organization: ...}}")
        except SettingError as error:
            problems.append(f"{stack}: --{name}: {error}")
    if problems:
        raise SettingErrors(problems)
    return Target(**{"workspace": stack, **chosen})


RULES: dict[str, Callable[[str], str]] = {
    "organization": rules.organization,
    "project": rules.project,
    "workspace": rules.workspace,
    "hostname": rules.hostname,
}
