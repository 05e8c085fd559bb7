"""How bad input is refused: the rule, what came, and what to try."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
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


def attempt(rule: Callable[..., object], *values: object, field: str | None = None) -> "Iterator[str | Refused]":
    """What a rule refuses; `field` says which field it is about."""
    try:
        rule(*values)
    except Refused as error:
        yield error if field is None else Refused(error.rule, got=error.got, hint=error.hint, field=field)
    except Refusals as error:
        yield from error.problems if field is None else (Refused(line, field=field) for line in error.lines)


class Refusals(ValueError):
    """Everything that is wrong with one input, a line each."""

    def __init__(self, problems: Iterable[str | Refused]) -> None:
        self.problems = list(problems)
        """Lines, and refusals that still know their field."""
        self.lines = [_line(problem) for problem in self.problems]
        super().__init__("\n".join(self.lines))


def _line(problem: str | Refused) -> str:
    if isinstance(problem, str):
        return problem
    return f"{problem.field}: {problem}" if problem.field else str(problem)


def shown(value: object) -> str:
    """A value as its author wrote it, numbers too, without secrets, cut to one readable line."""
    text = json.dumps(_as_written(masked(value)), ensure_ascii=False, default=str)
    text = re.sub(rf'"{NUMBER}([^"]*)"', r"\1", text)
    return text if len(text) <= 80 else text[:76] + " ..."


NUMBER = "\ue001"  # a private character in front of the text of a number


def _as_written(value: object) -> object:
    if isinstance(value, dict):
        return {key: _as_written(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_written(item) for item in value]
    text = getattr(value, "text", None)
    return f"{NUMBER}{text}" if isinstance(value, (int, float)) and text else value
