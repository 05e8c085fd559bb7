"""Where the cards and arrows of a stack stand: Graphviz places boxes of given sizes.

It sees no text, so the fonts of a machine have no say in the picture.
"""

from dataclasses import dataclass

from astro_xcom.graph.cards import Card, Stack

TITLE, LINE = 13, 12  # font sizes, pixels
CHARACTER = 0.61  # its width in font sizes: a little more than any usual font needs
PAD, LEADING, GAP = 10, 16, 3  # in a card: beside the text, from line to line; between groups: half of it
LONGEST = 44  # characters of a name
HEADINGS = ("Agents", "Identity", "Storage")
ROOM_FOR_HEADING = '<<TABLE BORDER="0" FIXEDSIZE="TRUE" WIDTH="80" HEIGHT="16"><TR><TD></TD></TR></TABLE>>'

Box = tuple[int, int, int, int]
"""Left, top, width, height; pixels."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Boxes and curves, in the order of the stack."""

    width: int
    height: int
    groups: dict[str, Box]
    cards: tuple[Box, ...]
    arrows: tuple[str, ...]
    """SVG path data."""


def shown(card: Card) -> dict[str, str]:
    """The names that a card has, cut to a bearable length."""
    return {address: _cut(line) for address, line in card.lines.items() if line}


def _cut(line: str) -> str:
    """Without its middle, if it is too long: names differ at their ends."""
    half = LONGEST // 2
    return line if len(line) <= LONGEST else f"{line[: half - 1]}…{line[-half:]}"


def layout(stack: Stack) -> Layout:
    """The same stack gives the same layout. Needs pygraphviz."""
    from pygraphviz import AGraph  # type: ignore[import-untyped]

    graph = AGraph(directed=True, ranksep=0.5, nodesep=0.18, margin=0, newrank=True)
    graph.node_attr.update(shape="box", label="", fixedsize=True)
    graph.edge_attr.update(arrowhead="none")
    sizes = [_size(card) for card in stack.cards]
    for position, (width, height) in enumerate(sizes):
        graph.add_node(position, width=width / 72, height=height / 72)
    groups = [heading for heading in HEADINGS if any(card.group == heading for card in stack.cards)]
    for heading in groups:
        members = [position for position, card in enumerate(stack.cards) if card.group == heading]
        graph.add_subgraph(members, name=f"cluster_{heading}", margin=PAD, label=ROOM_FOR_HEADING, labeljust="l")
    for needing, needed in stack.arrows:
        # Shorter arrows from the agents: what they need directly then stands in one row below them.
        graph.add_edge(needing, needed, weight=2 if stack.cards[needing].group == "Agents" else 1)
    graph.layout(prog="dot")
    _, _, right, top = _numbers(graph.graph_attr["bb"])

    def card(position: int) -> Box:
        x, y = _numbers(graph.get_node(position).attr["pos"])
        width, height = sizes[position]
        return round(x - width / 2), round(top - y - height / 2), width, height

    def group(heading: str) -> Box:
        left, low, right, high = _numbers(graph.get_subgraph(f"cluster_{heading}").graph_attr["bb"])
        return round(left) + GAP, round(top - high), round(right - left) - 2 * GAP, round(high - low)

    def curve(needing: int, needed: int) -> str:
        points = [_numbers(point) for point in graph.get_edge(needing, needed).attr["pos"].split()]
        start, *others = [f"{round(x)},{round(top - y)}" for x, y in points]
        return f"M{start} C{' '.join(others)}"

    return Layout(
        width=round(right),
        height=round(top),
        groups={heading: group(heading) for heading in groups},
        cards=tuple(card(position) for position in range(len(sizes))),
        arrows=tuple(curve(*arrow) for arrow in stack.arrows),
    )


def _size(card: Card) -> tuple[int, int]:
    lines = shown(card).values()
    widest = max([len(card.title) * TITLE, *(len(line) * LINE for line in lines)])
    return round(widest * CHARACTER) + 2 * PAD, LEADING * (1 + len(lines)) + PAD


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]
