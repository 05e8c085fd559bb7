"""The tables of docs/posture.md."""

from support import PROJECT

TEXT = (PROJECT / "docs" / "posture.md").read_text(encoding="utf-8")


def tables(heading: str) -> list[list[tuple[str, ...]]]:
    """The rows of each table below a heading, without their heads and backticks."""
    (section,) = [part for part in TEXT.split("\n### ")[1:] if part.startswith(f"{heading}\n")]
    blocks = [block.splitlines() for block in section.partition("\n## ")[0].split("\n\n") if block.startswith("| ")]
    return [[tuple(cell.strip().replace("`", "") for cell in row.strip("|").split("|")) for row in block[2:]]
            for block in blocks]  # fmt: skip
