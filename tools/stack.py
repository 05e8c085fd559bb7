"""make ... STACK=NAME: print the deployment's name, or the only one of the file; refuse one that is none."""

import os
import sys
from pathlib import Path

from astro_xcom.deployments import chosen, read_deployments
from astro_xcom.errors import SettingError
from astro_xcom.terminal import run, tell


def main() -> None:
    """Exits with 1 and one line."""
    file = Path(os.environ["DEPLOYMENTS"])
    deployments = read_deployments(file)
    wanted = sys.argv[1]
    if not wanted and len(deployments) > 1:
        raise SettingError(f"which deployment of {file}?", hint=" or ".join(f"STACK={name}" for name in deployments))
    tell(*chosen(deployments, [wanted] if wanted else [], file=str(file)))


if __name__ == "__main__":
    run(main)
