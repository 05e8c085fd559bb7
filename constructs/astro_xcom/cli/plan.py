"""What `astro-xcom check --plan` says of the next apply."""

import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.files import read_stdin, read_text
from astro_xcom.plan import forecast, read_plan, text
from astro_xcom.settings import Deployment
from astro_xcom.terminal import tell

EXIT = {"fine": 0, "SOON": 3, "QUIET": 4, "STOP": 5}


def say_plan(
    deployments: Mapping[str, Deployment], plan: Path, allowed: Collection[str], *, file: str, as_json: bool
) -> int:
    """Print the forecast of one deployment's plan; the exit code, in which an allowed STOP does not count."""
    if len(deployments) != 1:
        name = next(iter(deployments))
        raise SettingError(f"--plan needs the name of one deployment: `astro-xcom check {name} --plan {plan}`")
    ((name, deployment),) = deployments.items()
    where = "standard input" if str(plan) == "-" else str(plan)
    try:
        document = read_stdin() if str(plan) == "-" else read_text(plan)
        found = forecast(deployment, read_plan(document))
    except SettingError as error:
        raise SettingErrors([f"{where}: {error}"]) from None
    found.check_allowed(allowed)
    if as_json:
        sys.stdout.write(found.model_dump_json(indent=2) + "\n")
    else:
        tell(text(f"{file}: {name}", found, allowed))
    left = [effect.kind for effect in found.effects if effect.code not in allowed]
    return max((EXIT[kind] for kind in left), default=0)
