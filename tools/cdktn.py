"""Writes the project for CDK Terrain, the second engine: python tools/cdktn.py [FOLDER].

One source: what is written follows from the files here by the rules below, and is built and tested as they are. It is
never edited or committed. Goldens get the differences that engines/cdktn/differences.json lists. A file that is as it
should be is left alone.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
ENGINE = Path("engines", "cdktn")
RULES = {
    # What a program imports and installs.
    r"(from|import) cdktf\b": r"\1 cdktn",
    r"cdktf_cdktf_provider_": "cdktn_provider_",
    r"cdktf-cdktf-provider-": "cdktn-provider-",
    r"@cdktf\b": "@cdktn",
    r"\bcdktf([-_])astro\1xcom\b": r"cdktn\1astro\1xcom",
    # Which versions.
    r"\bcdktf>=0\.21,<0\.22": "cdktn>=0.24,<0.25",
    r"\bconstructs>=10\.4\.2,<11": "constructs>=10.6,<10.8",
    r"(?<=provider-aws>=)21\.22,<22": "25.8,<26",
    r"(?<=provider-azurerm>=)14,<15": "18.9,<19",
    r"(?<=provider-google>=)16,<17": "21.1,<22",
    r"(?<=provider-helm>=)12\.1,<13": "15.1,<16",
    # What azurerm 5 calls the identity of a federated credential, where tests look at it.
    r'(?<=credential)\["parent_id"\]': '["user_assigned_identity_id"]',
    # What people read, and the command.
    r'"cdktf"': '"cdktn"',
    r"\bcdktf(?= (synth|diff|deploy|destroy|app)\b)": "cdktn",
    r"https://developer\.hashicorp\.com/terraform/cdktf": "https://cdktn.io",
    r"\bCDKTF\b(?!\.)": "CDK Terrain",
}
"""Pattern -> text."""
TEXTS = {".js", ".md", ".py", ".toml", ".yaml", ".yml"}
KEPT = {Path("CHANGELOG.md"), Path("docs/continuity.md"), Path("tools/cdktn.py")}
"""What is about both engines."""


def rewritten(text: str) -> str:
    """A text by every rule."""
    for pattern, to in RULES.items():
        text = re.sub(pattern, to, text)
    return text


def golden(body: dict[str, Any], differences: dict[str, Any]) -> dict[str, Any]:
    """What the second engine makes where the first makes `body`."""
    for name, provider in body.get("terraform", {}).get("required_providers", {}).items():
        provider.update(differences["required_providers"][name])
    for type_, changes in differences["resources"].items():
        for resource in body.get("resource", {}).get(type_, {}).values():
            for old, new in changes.items():
                value = resource.pop(old)
                if new:
                    resource[new] = value
    return body


def files(project: Path) -> Iterator[Path]:
    """What belongs to the project, from its folder on: all but what Git ignores, by the names in .gitignore."""
    ignored = (project / ".gitignore").read_text(encoding="utf-8").split()
    skip = shutil.ignore_patterns(".git", "engines", *(name.rstrip("/") for name in ignored if name[0] != "/"))
    for folder, folders, names in os.walk(project):
        folders[:] = sorted(set(folders) - skip(folder, folders))
        yield from (Path(folder, name).relative_to(project) for name in sorted(set(names) - skip(folder, names)))


def write(project: Path, folder: Path) -> None:
    """The rewritten project in a folder, and nothing else there but what runs left, such as caches."""
    differences = json.loads((project / ENGINE / "differences.json").read_text(encoding="utf-8"))
    wanted = set()
    for path in files(project):
        wanted.add(folder / path)
        own = project / ENGINE / path  # Pipfile, package.json and their locks
        content = (own if own.exists() else project / path).read_bytes()
        if path.parts[:2] == ("tests", "golden") and path.suffix == ".json":
            body = golden(json.loads(content), differences)
            content = (json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
        elif path.suffix in TEXTS and path not in KEPT:
            content = rewritten(content.decode()).encode()
        place = folder / path
        if not place.exists() or place.read_bytes() != content:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            shutil.copymode(project / path, place)
    for place in (folder / path for path in files(folder)):
        if place not in wanted:
            place.unlink()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    write(PROJECT, Path(sys.argv[1]) if sys.argv[1:] else PROJECT / ENGINE / "source")
