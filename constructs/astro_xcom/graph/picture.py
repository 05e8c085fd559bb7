"""A stack as an SVG document."""

import xml.etree.ElementTree as ET

from astro_xcom.graph.cards import Card, Stack
from astro_xcom.graph.layout import CHARACTER, LEADING, LINE, PAD, TITLE, Box, layout, shown

MARGIN, TOP, BOTTOM = 16, 44, 40  # around the cards: nothing, the stack's name, the legend
NAME, LEGEND = 17, 260  # the size of one, the width of the other
COLOURS = {"Agents": ("#b45309", "#fff9ed"), "Identity": ("#6d28d9", "#f7f5ff"), "Storage": ("#0f766e", "#f0fdfa")}
GREY, ARROW = "#475569", "#7c8ba1"
STYLE = f"""
text {{ font-family: Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif; fill: #1e293b; }}
.name {{ font-size: {NAME}px; font-weight: bold; }}
.heading {{ font-size: 12px; font-weight: bold; paint-order: stroke; stroke-width: 4px; }}
.legend {{ font-size: 12px; }}
.title {{ font-size: {TITLE}px; font-weight: bold; }}
.line {{ font-size: {LINE}px; font-family: Menlo, Consolas, 'Liberation Mono', 'DejaVu Sans Mono', monospace; }}
.read {{ fill: #5b6b80; font-weight: normal; }}
.arrow {{ fill: none; stroke: {ARROW}; stroke-width: 1.3; }}
"""


def picture(name: str, stack: Stack) -> str:
    """A stack as SVG, on white; the same stack gives the same text. Needs pygraphviz."""
    places = layout(stack)
    width = max(places.width, LEGEND, round(len(name) * NAME * CHARACTER)) + 2 * MARGIN
    height = places.height + TOP + BOTTOM
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", role="img", width=str(width), height=str(height),
                     viewBox=f"0 0 {width} {height}")  # fmt: skip
    ET.SubElement(svg, "title").text = f"{name}: what it makes, and what needs what"
    ET.SubElement(svg, "style").text = STYLE
    marker = ET.SubElement(ET.SubElement(svg, "defs"), "marker", id="tip", viewBox="0 0 8 8", refX="7", refY="4",
                           markerWidth="8", markerHeight="8", markerUnits="userSpaceOnUse", orient="auto")  # fmt: skip
    ET.SubElement(marker, "path", d="M0,0.5 L8,4 L0,7.5 z", fill=ARROW)
    _box(svg, (0, 0, width, height), stroke="#d5dce5", rx="8")
    _text(svg, MARGIN, 28, name, "name")
    inside = ET.SubElement(svg, "g", transform=f"translate({MARGIN},{TOP})")
    for heading, box in places.groups.items():
        colour, fill = COLOURS[heading]
        _box(inside, box, stroke=colour, fill=fill, rx="8", **{"stroke-opacity": "0.35"})
    for curve in places.arrows:
        _arrow(inside, curve)
    for heading, (left, top, _, _) in places.groups.items():  # above the arrows, which may cross them
        colour, fill = COLOURS[heading]
        _text(inside, left + PAD, top + 17, heading, "heading", style=f"fill: {colour}; stroke: {fill}")
    for card, box in zip(stack.cards, places.cards, strict=True):
        _card(inside, card, box)
    _legend(svg, height - 16)
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def _card(parent: ET.Element, card: Card, box: Box) -> None:
    left, top, width, _ = box
    colour, _ = COLOURS.get(card.group or "", (GREY, ""))
    group = ET.SubElement(parent, "g", {"text-anchor": "middle"})
    ET.SubElement(group, "title").text = "\n".join(card.lines)
    _frame(group, box, colour, looked_up=card.looked_up)
    read = " read" if card.looked_up else ""
    centre, y = left + width // 2, top + 18
    _text(group, centre, y, card.title, f"title{read}")
    for number, (address, line) in enumerate(shown(card).items(), start=1):
        text = _text(group, centre, y + number * LEADING, line, f"line{read}")
        ET.SubElement(text, "title").text = address


def _legend(svg: ET.Element, y: int) -> None:
    _frame(svg, (MARGIN, y - 10, 22, 13), GREY, looked_up=False)
    _text(svg, MARGIN + 29, y, "made", "legend read")
    _frame(svg, (MARGIN + 80, y - 10, 22, 13), GREY, looked_up=True)
    _text(svg, MARGIN + 109, y, "looked up", "legend read")
    _arrow(svg, f"M{MARGIN + 185},{y - 4} h24")
    _text(svg, MARGIN + 217, y, "needs", "legend read")


def _frame(parent: ET.Element, box: Box, colour: str, *, looked_up: bool) -> None:
    _box(parent, box, stroke=colour, rx="4", **{"stroke-dasharray": "4 3" if looked_up else "none"})


def _box(parent: ET.Element, box: Box, *, fill: str = "#ffffff", **attributes: str) -> None:
    left, top, width, height = map(str, box)
    ET.SubElement(parent, "rect", {"x": left, "y": top, "width": width, "height": height, "fill": fill, **attributes})


def _arrow(parent: ET.Element, curve: str) -> None:
    ET.SubElement(parent, "path", {"class": "arrow", "d": curve, "marker-end": "url(#tip)"})


def _text(parent: ET.Element, x: int, y: int, text: str, kind: str, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, "text", {"class": kind, "x": str(x), "y": str(y), **attributes})
    element.text = text
    return element
