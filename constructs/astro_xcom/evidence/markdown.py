"""Evidence as Markdown, for a reviewer. Pure."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence

from astro_xcom.errors import printable
from astro_xcom.evidence.model import Evidence

SOURCES = {
    "nothing": "`planned` is what the settings say. No state was given: the applied values may differ.",
    "outputs": "`planned` is what the settings say; `applied` is what the outputs that Terraform recorded say. Outputs "
    "show names only: give `terraform show -json` for the rest. No cloud was asked.",
    "state": "`planned` is what the settings say; `applied` is what the state that Terraform recorded says. No cloud "
    "was asked: changes by hand show only after a refresh.",
}
LIMITS = (
    "Administrators of the account, project or subscription can read too, and can grant others access. No file of this "
    "deployment says who they are."
)


def markdown(evidence: Evidence) -> str:
    """The whole page."""
    return "\n".join(_lines(evidence)).rstrip() + "\n"


def _lines(evidence: Evidence) -> Iterator[str]:
    yield f"# Evidence for {evidence.deployment}"
    yield from ("", f"From {_code(evidence.file)}, on {evidence.cloud}. {SOURCES[evidence.compared]}", "", LIMITS)
    if evidence.compared != "nothing":
        number = len(evidence.differences)
        yield from ("", f"Differences between the settings and the applied state: {number}.")
    if evidence.differences:
        yield from _heading("Differences")
        yield from _table(
            ("kind", "which", "planned", "applied", "what it means"),
            (
                (each.kind, _maybe(each.item), _maybe(each.now), _maybe(each.applied), _prose(each.causes))
                for each in evidence.differences
            ),
        )
    for section in evidence.sections:
        yield from _heading(section.title)
        yield from _table(
            ("fact", "value", "source"),
            (
                (_prose(fact.what), _prose(fact.value) if fact.prose else _code(fact.value), fact.source)
                for fact in section.facts
            ),
        )
    yield from _heading("Accepted scanner findings")
    yield "By the settings (planned)."
    yield ""
    yield from _table(
        ("scanner", "check", "why it is accepted", "what satisfies it"),
        ((each.scanner, _code(each.id), _prose(each.reason), _maybe(each.setting)) for each in evidence.accepted),
    )
    yield from _heading("Required from others")
    yield from (f"- {_prose(text)}" for text in evidence.required)


def _heading(title: str) -> Iterator[str]:
    yield from ("", f"## {title}", "")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    found = list(rows)
    if not found:
        yield "None."
        return
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    yield from (f"| {' | '.join(row)} |" for row in found)


def _maybe(text: str | None) -> str:
    return "" if text is None else _code(text)


def _code(text: str) -> str:
    """As it is, between as many backticks as it needs."""
    text = _one_line(text).replace("|", "\\|")
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""


def _prose(text: str) -> str:
    return re.sub(r"([\\|<>*`\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", _one_line(text))


def _one_line(text: str) -> str:
    return printable(text.replace("\n", "\\n"), longest=sys.maxsize)
