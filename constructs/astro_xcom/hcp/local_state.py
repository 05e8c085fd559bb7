"""A state on this machine, which HCP Terraform would not see."""

from pathlib import Path

from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.settings import Deployment
from astro_xcom.settings.backend import LocalState

LOST = "HCP Terraform does not see it, and would create everything again"
MOVE = 'to move it first ("Move a state" in docs/hcp-terraform.md)'


def check_no_local_state(name: str, deployment: Deployment, file: Path) -> None:
    """Refuse a deployment of that file which keeps its state on this machine, or has left one there.

    With `state.hcp` too: nothing says that the file of the default backend was moved.
    """
    problems = []
    if deployment.state is not None and deployment.state.local is not None:
        hint = f"state: {{hcp: {{organization: ...}}}}; a state that there is, {MOVE}"
        problems.append(f"state.local: {SettingError(f'keeps the state on this machine; {LOST}', hint=hint)}")
    backend = deployment.backend()
    place = file.parent / (backend if isinstance(backend, LocalState) else LocalState()).own_name(name)
    if place.exists():
        hint = f"{MOVE}, or to rename the file if that was done"
        problems.append(f"state: {SettingError(f'{place} is a state of this deployment; {LOST}', hint=hint)}")
    if problems:
        raise SettingErrors([f"{file.name}: {name}.{line}" for line in problems])
