"""What the settings name and somebody else made: adopted storage, keys, identities and groups."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from astro_xcom.doctor.commands import Commands, Failed, Unanswered, printable
from astro_xcom.doctor.model import Check, missing, ok, unknown

Wrong = tuple[str, str]
"""What is wrong with it, and the line or the setting that mends it."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """One such thing."""

    check: str
    of: str
    ask: tuple[str, ...]
    """The command that shows it."""
    absent: tuple[str, ...]
    """What the command says, one of these, where there is none."""
    where: str
    create: str
    """The line that creates it, or the setting to mend."""
    judge: Callable[[Any], Wrong | None] = lambda found: None
    """What is wrong with one that is there."""
    refused: str = ""
    """What else it may mean that access is denied."""


def look(thing: Named, commands: Commands) -> Check:
    """Whether it is there, and as it has to be."""
    try:
        found = commands.json(*thing.ask)
    except Unanswered as error:
        if isinstance(error, Failed) and any(words in error.said for words in thing.absent):
            return missing(thing.check, thing.of, f"is not {thing.where}", thing.create)
        doubt = f"; {thing.refused}" if thing.refused and "AccessDenied" in str(error) else ""
        return unknown(thing.check, thing.of, f"{error}{doubt}")
    if wrong := thing.judge(found):
        return missing(thing.check, thing.of, printable(wrong[0]), wrong[1])
    return ok(thing.check, thing.of, "is there")
