"""What is wrong with a file that is no YAML, in plain words, with line and column. Pure."""

import re
from collections.abc import Sequence

import yaml

TEMPLATE = "{{ ... }} is a template: quote the value"


class Own(yaml.MarkedYAMLError):
    """A rule of ours, in our words already."""


def in_words(error: yaml.MarkedYAMLError, text: str) -> str:
    """The frequent mistakes by their cause; of any other what the parser says."""
    problem, context = error.problem or "", error.context or ""
    lines = text.split("\n")
    where = error.problem_mark or error.context_mark
    if where is None:
        return problem or context
    if isinstance(error, Own):
        return f"line {where.line + 1}: {problem}"
    began = error.context_mark if error.context_mark is not None else where
    if "directive" in context:
        return _directive(began.line)
    if "another document" in problem or "<document start>" in problem:
        if (line := _directive_before(lines, where.line)) is not None:
            return _directive(line)
        return _at(where, "a second document starts here: a file holds one")
    if "'\\t'" in problem:
        return _at(where, "a tab: use spaces, or quote the text")
    if problem.startswith("found character"):
        return _at(where, f"a value must not start with {problem.split(maxsplit=3)[2]}: quote it")
    if "quoted scalar" in context:
        if "escape" in problem:
            return _at(where, r"a backslash in double quotes: write \\, or use single quotes")
        return _at(began, "the text quoted here is never closed")
    if "block scalar" in context:
        return _at(began, "after | or > the text starts in the next line: put it there, or quote the value")
    if "for merging" in problem:
        return f"line {where.line + 1}: << takes a mapping or a list of mappings, such as *name"
    if "flow" in context:
        if "{{" in _line(lines, began.line)[max(0, began.column - 2) : began.column + 2]:
            return f"line {began.line + 1}: {TEMPLATE}"
        what, closing = ("list", "]") if "sequence" in context else ("mapping", "}")
        if where.line == began.line and "<stream end>" not in problem:
            return (
                f'line {where.line + 1}: a "," or "{closing}" is missing before column {where.column + 1}, in the '
                f"{what} that starts in column {began.column + 1}"
            )
        return _at(began, f'the {what} that starts here is never closed, or a "," is missing in it')
    if problem.startswith("mapping values are not allowed"):
        return _colon(lines, where.line, where.column)
    if problem.startswith("could not find expected"):
        return _at(began, _no_key(_line(lines, began.line)))
    if problem.startswith("expected <block end>"):
        return _block(problem, lines, where)
    if "alias" in problem or "alias" in context:
        return _at(where, "* starts a reference to an anchor, and there is none of that name: quote it if it is text")
    return _at(where, problem or context)


def _at(mark: yaml.Mark, words: str) -> str:
    return f"line {mark.line + 1}: {words} (column {mark.column + 1})"


def _directive(line: int) -> str:
    return f'line {line + 1}: a line must not start with "%": quote the text, or remove the line'


def _directive_before(lines: Sequence[str], number: int) -> int | None:
    """The first of the lines with % right above a line, where --- should follow them."""
    found = None
    for each in range(min(number, len(lines)) - 1, -1, -1):
        if lines[each].startswith("%"):
            found = each
        elif lines[each].strip() and not lines[each].startswith("#"):
            break
    return found


def _colon(lines: Sequence[str], number: int, column: int) -> str:
    """A colon where no key can stand: the line holds two, or the one before has none, or is indented less."""
    before = next((each for each in range(number - 1, -1, -1) if lines[each].strip()), None)
    if before is not None and re.search(r":(\s|$)", lines[number][:column]) is None:
        if re.search(r":(\s|$)", lines[before]) is None:
            return f"line {before + 1}: {_no_key(lines[before])}"
        if _indent(lines[number]) > _indent(lines[before]):
            return (
                f"line {number + 1}: is indented more than line {before + 1}, which has its value already: align them"
            )
    return f'line {number + 1}: a second ":" in one value: quote the value (column {column + 1})'


def _no_key(line: str) -> str:
    """Of a line that has to be `key: value`, and is not."""
    if line.lstrip().startswith("{{"):
        return TEMPLATE
    key, colon, value = line.strip().partition(":")
    if colon and value:
        return f'a space is missing after "{key}:"'
    return "a line without key: value"


def _block(problem: str, lines: Sequence[str], where: yaml.Mark) -> str:
    """What ends a mapping or list too early: another indentation, a bracket too many, text after a quoted one."""
    line = _line(lines, where.line)
    found = problem.rpartition("found ")[2].strip("'")
    if found in "}],":
        return _at(where, f'a "{found}" too many')
    if line[: where.column].strip():
        return _at(where, "text after the closing quote: quote all of the value")
    if found in ("-", "?"):
        return _at(where, "a list and a mapping cannot stand side by side: indent one, or give it a key")
    return (
        f"line {where.line + 1}: is indented by {_indent(line)} spaces, and no line that it could belong to is: align "
        "it with its neighbours"
    )


def _line(lines: Sequence[str], number: int) -> str:
    return lines[number] if number < len(lines) else ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
