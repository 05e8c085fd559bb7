"""How bad input is refused: the rule, what came, and what to try."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from astro_xcom.secret_text import masked

LONGEST_LINE = 2000


class AstroXComError(ValueError):
    """Whatever is wrong with what was given: catch this for all of it."""


class SettingError(AstroXComError):
    """One value breaks one rule. Reads `rule; got ...; try ...`; `field` names it where the place does not say."""

    def __init__(self, rule: str, *, got: object = ..., hint: str | None = None, field: str | None = None) -> None:
        self.rule, self.got, self.hint, self.field = rule, got, hint, field
        super().__init__(with_hint(rule if got is ... else f"{rule}; got {quoted(got)}", hint))


def with_hint(text: str, hint: str | None) -> str:
    """A sentence and what to try, where that is known."""
    return text if hint is None else f"{text}; try {hint}"


@contextmanager
def at(field: str) -> Iterator[None]:
    """Say of a refusal which field it is about."""
    try:
        yield
    except SettingError as error:
        raise SettingError(error.rule, got=error.got, hint=error.hint, field=field) from None


def attempt(rule: Callable[..., object], *values: object, field: str | None = None) -> "Iterator[str | SettingError]":
    """What a rule refuses; `field` says which field it is about."""
    try:
        rule(*values)
    except SettingError as error:
        yield error if field is None else SettingError(error.rule, got=error.got, hint=error.hint, field=field)
    except SettingErrors as error:
        yield from error.problems if field is None else (SettingError(line, field=field) for line in error.lines)


class Fault(RuntimeError):
    """The machine, not the input, is in the way. Reads as a line."""


class SettingErrors(AstroXComError):
    """Everything that is wrong with one input, a line each."""

    def __init__(self, problems: Iterable[str | SettingError]) -> None:
        self.problems = list(problems)
        """Lines, and refusals that still know their field."""
        self.lines = [_line(problem) for problem in self.problems]
        super().__init__("\n".join(self.lines))


def _line(problem: str | SettingError) -> str:
    if isinstance(problem, str):
        return problem
    return f"{problem.field}: {problem}" if problem.field else str(problem)


def quoted(value: object) -> str:
    """A value as its author wrote it, numbers too, without secrets, cut to one readable line."""
    try:
        text = json.dumps(_as_written(masked(value)), ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):  # keys that are no text; a value within itself; too deep
        text = f"a {type(value).__name__}"
    text = re.sub(rf'"{NUMBER}([^"]*)"', r"\1", text)
    return printable(text if len(text) <= 80 else text[:76] + " ...")


def printable(text: str, *, longest: int = LONGEST_LINE) -> str:
    """Text for a terminal: each line cut; what would not be seen there, or would steer it, as JSON escapes it."""
    return "\n".join(
        _visible(line if len(line) <= longest else f"{line[:longest]} ... ({len(line) - longest:,} characters more)")
        for line in text.split("\n")
    )


def _visible(line: str) -> str:
    return line if line.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in line)


def _escaped(char: str) -> str:
    return json.dumps(char)[1:-1] if ord(char) != 0x7F else "\\u007f"


NUMBER = "\ue001"  # a private character in front of the text of a number


def _as_written(value: object) -> object:
    if isinstance(value, dict):
        return {key: _as_written(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_written(item) for item in value]
    text = getattr(value, "text", None)
    return f"{NUMBER}{text}" if isinstance(value, (int, float)) and text else value
