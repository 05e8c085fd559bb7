"""How bad input is refused: the rule, what came, and what to try."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from astro_xcom.secret_text import masked


class Refused(ValueError):
    """One value breaks one rule. Reads `rule; got ...; try ...`; `field` names it where the place does not say."""

    def __init__(self, rule: str, *, got: object = ..., hint: str | None = None, field: str | None = None) -> None:
        self.rule, self.got, self.hint, self.field = rule, got, hint, field
        parts = [rule]
        if got is not ...:
            parts.append(f"got {shown(got)}")
        if hint is not None:
            parts.append(f"try {hint}")
        super().__init__("; ".join(parts))


@contextmanager
def at(field: str) -> Iterator[None]:
    """Say of a refusal which field it is about."""
    try:
        yield
    except Refused as error:
        raise Refused(error.rule, got=error.got, hint=error.hint, field=field) from None


class Refusals(ValueError):
    """Everything that is wrong with one input, a line each; `field` names it where the place does not say."""

    def __init__(self, problems: Iterable[str | Refused], *, field: str | None = None) -> None:
        self.field = field
        self.problems = list(problems)
        """Lines, and refusals that still know their field."""
        self.lines = [_line(problem) for problem in self.problems]
        super().__init__("\n".join(self.lines))


def _line(problem: str | Refused) -> str:
    if isinstance(problem, str):
        return problem
    return f"{problem.field}: {problem}" if problem.field else str(problem)


def shown(value: object) -> str:
    """A value as its author wrote it, without secrets, cut to one readable line."""
    text = json.dumps(masked(value), ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:76] + " ..."
