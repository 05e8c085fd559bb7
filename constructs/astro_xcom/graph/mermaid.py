"""A picture as Mermaid text, which GitHub and GitLab draw. Pure."""

from collections.abc import Iterator

from astro_xcom.graph.cards import Card, Stack
from astro_xcom.graph.layout import HEADINGS, shown


def mermaid(stack: Stack) -> str:
    """A flowchart: the same cards and arrows as in the SVG, without addresses."""
    return "\n".join(_lines(stack)) + "\n"


def _lines(stack: Stack) -> Iterator[str]:
    yield "flowchart LR"
    for heading in (*HEADINGS, None):
        members = [position for position, card in enumerate(stack.cards) if card.group == heading]
        if heading and members:
            yield f"  subgraph {heading}"
        yield from (f'    n{position}["{_label(stack.cards[position])}"]' for position in members)
        if heading and members:
            yield "  end"
    yield from (f"  n{card} --> n{needed}" for card, needed in stack.arrows)
    looked_up = ",".join(f"n{position}" for position, card in enumerate(stack.cards) if card.looked_up)
    if looked_up:
        yield "  classDef lookedUp stroke-dasharray: 4"
        yield f"  class {looked_up} lookedUp"


def _label(card: Card) -> str:
    return "<br/>".join(map(_escaped, (card.title, *shown(card).values())))


def _escaped(text: str) -> str:
    """Mermaid takes a character by its number between # and ;."""
    return "".join(each if each.isalnum() or each in " .-_/:×…" else f"#{ord(each)};" for each in text)  # noqa: RUF001
