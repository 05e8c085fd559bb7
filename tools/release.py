"""What a release promises: addresses of earlier versions stay, and changelog, version and tag agree.

python tools/release.py             is this commit a release?
python tools/release.py upgrade     does whatever a released version made still have its address, or a new one?
python tools/release.py addresses   pin the addresses of the version that is to be released
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from astro_xcom.errors import SettingErrors

PROJECT = Path(__file__).resolve().parent.parent
GOLDEN = PROJECT / "tests" / "golden"
VERSION_FILE = PROJECT / "constructs" / "astro_xcom" / "__init__.py"
VERSION = r"[0-9]+\.[0-9]+\.[0-9]+"

Goldens = Mapping[str, Mapping[str, Any]]


def addresses(golden: Mapping[str, Any]) -> list[str]:
    """What a stack is known by outside of it: its resources in Terraform's state, and its outputs."""
    resources = [f"{kind}.{name}" for kind, found in golden.get("resource", {}).items() for name in found]
    return sorted([*resources, *(f"output.{name}" for name in golden.get("output", {}))])


def pinned(goldens: Goldens) -> str:
    """A line for each address: its golden and itself."""
    return "".join(f"{place} {address}\n" for place, body in sorted(goldens.items()) for address in addresses(body))


def upgrade_problems(version: str, lines: str, goldens: Goldens, changelog: str) -> Iterator[str]:
    """What would happen to users of `version`, whose addresses are `lines`, without their having been told."""
    for place, address in (line.split() for line in lines.splitlines()):
        if place not in goldens:
            yield f"{place}: has addresses of {version}, so it stays; try another file for what is new"
            continue
        present = addresses(goldens[place])
        if address in present:
            continue
        moves = {move["from"]: move["to"] for move in goldens[place].get("moved", [])}
        new = address
        while new in moves:
            new = moves.pop(new)
        told = [line for line in changelog.splitlines() if f"`{address}`" in line]
        if new not in present and not any(line.startswith("- Removed") for line in told):
            yield (
                f"{place}: {address} of {version} is gone; try a `moved` entry, or a line in CHANGELOG.md that starts "
                "with `- Removed` and names it (docs/upgrading.md)"
            )
        elif not told:
            yield f"{place}: {address} of {version} is {new} now; try a line in CHANGELOG.md that names `{address}`"


def changelog_problems(version: str, changelog: str) -> Iterator[str]:
    """Why the changelog is not that of a release."""
    sections = re.split(r"^## (.*)\n", changelog, flags=re.MULTILINE)[1:]
    headings, texts = sections[::2], sections[1::2]
    if headings and headings[0] == "Unreleased" and not texts[0].strip():
        headings, texts = headings[1:], texts[1:]
    first = headings[0] if headings else ""
    found = re.fullmatch(rf"({VERSION}) - (\d\d\d\d-\d\d-\d\d)", first)
    if not found or found[1] != version:
        yield f'CHANGELOG.md: the first heading is "{first}"; try "## {version} - {date.today()}"'
    elif not _is_date(found[2]):
        yield f'CHANGELOG.md: "{first}": {found[2]} is no date'
    elif not texts[0].strip():
        yield f"CHANGELOG.md: {version} has no entries"


def tag_problems(version: str, tags: list[str], tags_of_head: list[str]) -> Iterator[str]:
    """Why the tags are not those of a release."""
    others = [tag for tag in tags if re.fullmatch(f"v{VERSION}", tag) and tag != f"v{version}"]
    newer = [tag for tag in others if _key(tag[1:]) > _key(version)]
    if newer:
        newest = max(newer, key=lambda tag: _key(tag[1:]))
        yield f"constructs/astro_xcom/__init__.py: {version} is older than the tag {newest}"
    if f"v{version}" not in tags:
        yield f"git: there is no tag v{version}; try git tag v{version}"
    elif f"v{version}" not in tags_of_head:
        yield f"git: v{version} is another commit; try git checkout v{version}, or the next version"


def release_problems() -> Iterator[str]:
    """Why this commit is not a release."""
    version, changelog, goldens = _version(), _changelog(), _goldens()
    yield from changelog_problems(version, changelog)
    yield from tag_problems(version, _git("tag"), _git("tag", "--points-at", "HEAD"))
    if _git("status", "--porcelain"):
        yield "git: there are changes that are not committed"
    file = _list(version)
    if not file.exists() or file.read_text() != pinned(goldens):
        yield f"{file.relative_to(PROJECT)}: is not up to date; try python tools/release.py addresses"
    yield from all_upgrade_problems()


def all_upgrade_problems() -> Iterator[str]:
    """What would happen to users of any version with a list of addresses."""
    changelog, goldens = _changelog(), _goldens()
    for file in sorted(GOLDEN.glob("addresses-*.txt"), key=lambda file: _key(_version_of(file))):
        yield from upgrade_problems(_version_of(file), file.read_text(), goldens, changelog)


def write_addresses() -> str:
    """Write the list of this version. Raises SettingErrors for a version that is out."""
    version = _version()
    if f"v{version}" in _git("tag"):
        raise SettingErrors([f"{version} is released, so its addresses stay as they are; try a new version first"])
    file = _list(version)
    file.write_text(pinned(_goldens()))
    return f"{file.relative_to(PROJECT)}: {len(file.read_text().splitlines())} addresses"


def _version() -> str:
    found = re.search(rf'^__version__ = "({VERSION})"$', VERSION_FILE.read_text(), re.MULTILINE)
    if not found:
        raise SettingErrors([f"{VERSION_FILE.relative_to(PROJECT)}: __version__ must be three numbers, such as 0.1.0"])
    return found[1]


def _changelog() -> str:
    return (PROJECT / "CHANGELOG.md").read_text()


def _goldens() -> Goldens:
    return {str(file.relative_to(GOLDEN)): json.loads(file.read_text()) for file in GOLDEN.glob("*/*.json")}


def _list(version: str) -> Path:
    return GOLDEN / f"addresses-{version}.txt"


def _version_of(file: Path) -> str:
    return file.stem.removeprefix("addresses-")


def _key(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True)  # noqa: S603, S607 - the user's git
    if done.returncode:
        raise SettingErrors([f"git {' '.join(arguments)}: {done.stderr.strip()}"])
    return done.stdout.split("\n")[:-1]


def main() -> str:
    """Run the command, and say what is true now. Raises SettingErrors with every problem."""
    parser = argparse.ArgumentParser(description="Is this commit a release?")
    parser.add_argument(
        "command", nargs="?", choices=["upgrade", "addresses"], help="check, or write, the addresses only"
    )
    command = parser.parse_args().command
    if command == "addresses":
        return write_addresses()
    problems = list(all_upgrade_problems() if command == "upgrade" else release_problems())
    if problems:
        raise SettingErrors(list(dict.fromkeys(problems)))
    return "no address is lost" if command == "upgrade" else f"{_version()} can be released"


if __name__ == "__main__":
    try:
        print(main())  # noqa: T201 - it is a command
    except SettingErrors as error:
        sys.exit(str(error))
