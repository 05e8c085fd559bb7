"""What `astro-xcom check --plan` says of the coming apply."""

import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import typer

from astro_xcom.plan import forecast, read_plan, text
from astro_xcom.refusal import Refusals, Refused
from astro_xcom.settings import Deployment

EXIT = {"fine": 0, "SOON": 3, "QUIET": 4, "STOP": 5}


def say_plan(
    deployments: Mapping[str, Deployment], plan: Path, allowed: Collection[str], *, file: str, as_json: bool
) -> int:
    """Print the forecast of one deployment's plan; the exit code, in which an allowed STOP does not count."""
    if len(deployments) != 1:
        name = next(iter(deployments))
        raise Refused(f"--plan is of one deployment: name it, as in `astro-xcom check {name} --plan {plan}`")
    ((name, deployment),) = deployments.items()
    where = "standard input" if str(plan) == "-" else str(plan)
    try:
        document = sys.stdin.read() if str(plan) == "-" else plan.read_text(encoding="utf-8")
        found = forecast(deployment, read_plan(document))
    except Refused as error:
        raise Refusals([f"{where}: {error}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or "").lower() if isinstance(error, OSError) else "not UTF-8 text"
        raise Refusals([f"{where}: cannot be read: {reason}"]) from None
    found.check_allowed(allowed)
    typer.echo(found.model_dump_json(indent=2) if as_json else text(f"{file}: {name}", found, allowed))
    left = [effect.kind for effect in found.effects if effect.code not in allowed]
    return max((EXIT[kind] for kind in left), default=0)
