"""What `astro-xcom check --plan` says of the coming apply."""

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from textwrap import indent, wrap

import typer

from astro_xcom.plan import KINDS, Effect, Forecast, forecast, read_plan
from astro_xcom.refusal import Refusals, Refused, shown
from astro_xcom.settings import Deployment

WIDTH = 80
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
        text = sys.stdin.read() if str(plan) == "-" else plan.read_text(encoding="utf-8")
        found = forecast(deployment, read_plan(text))
    except Refused as error:
        raise Refusals([f"{where}: {error}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or "").lower() if isinstance(error, OSError) else "not UTF-8 text"
        raise Refusals([f"{where}: cannot be read: {reason}"]) from None
    stops = {effect.code for effect in found.effects if effect.kind == "STOP"}
    if unknown := [code for code in allowed if code not in stops]:
        known = f"; there are {', '.join(sorted(stops))}" if stops else "; there is none"
        raise Refusals([f"--allow {shown(code)}: is no STOP of this plan{known}" for code in unknown])
    typer.echo(found.model_dump_json(indent=2) if as_json else "\n".join(_lines(f"{file}: {name}", found, allowed)))
    left = [effect.kind for effect in found.effects if effect.code not in allowed]
    return max((EXIT[kind] for kind in left), default=0)


def _lines(where: str, found: Forecast, allowed: Collection[str]) -> Iterator[str]:
    yield f"{where}: {found.kind}: {KINDS[found.kind]}"
    for effect in found.effects:
        yield from _effect(effect, allowed)


def _effect(effect: Effect, allowed: Collection[str]) -> Iterator[str]:
    yield f"  {effect.kind} {effect.code}{' (allowed)' if effect.code in allowed else ''}"
    yield from _wrapped(effect.what)
    if effect.instead:
        yield from _wrapped(effect.instead)
    if effect.paste:
        yield indent(effect.paste.rstrip(), "        ")


def _wrapped(text: str) -> Iterable[str]:
    return (f"    {line}" for line in wrap(text, WIDTH - 4, break_long_words=False, break_on_hyphens=False))
