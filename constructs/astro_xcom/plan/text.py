"""A forecast as people read it. No side effects, no cdktf import."""

from collections.abc import Collection, Iterable, Iterator
from textwrap import indent, wrap

from astro_xcom.plan.effect import KINDS, Effect
from astro_xcom.plan.forecast import Forecast

WIDTH = 80


def text(where: str, found: Forecast, allowed: Collection[str]) -> str:
    """What a plan does, the worst first, each with the lines to paste that avoid it."""
    return "\n".join(_lines(where, found, allowed))


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
