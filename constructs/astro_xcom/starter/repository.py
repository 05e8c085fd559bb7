"""The files of the repository, and how they get into a folder that may hold others."""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import yaml

from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.settings import AgentSettings
from astro_xcom.starter.wheel import own_wheel
from astro_xcom.terraform_version import LEAST
from astro_xcom.yaml_files import parse

TEMPLATES = Path(__file__).with_name("templates")
TEMPLATE = re.compile(r"<<([a-z_.]+)>>")
VALUES = "agent-values.yaml"
JSON = "terraform"
PACKAGES = "packages"
# Template -> where it goes.
PLACES = {
    "cdktf.json": "cdktf.json",
    "main.py": "main.py",
    "Pipfile": "Pipfile",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "gitattributes": ".gitattributes",
    "ci.yml": ".github/workflows/ci.yml",
}
OURS = (*PLACES.values(), "deployments.yaml")
# The variables by which CI knows the identity it plans with; the first switches the plan on.
VARIABLES = {
    "aws": ("AWS_ROLE_ARN",),
    "azure": ("AZURE_CLIENT_ID", "AZURE_TENANT_ID"),
    "gcp": ("GCP_SERVICE_ACCOUNT", "GCP_WORKLOAD_IDENTITY_PROVIDER"),
}
MADE_UP = f"""

The values in `{VALUES}` are invented: use those from Astro's page for registering an agent, and your own image."""


def repository(cloud: str, answers: Mapping[str, str], *, values: str | None) -> dict[str, bytes]:
    """Path -> content of all but the Terraform JSON, for these answers to the questions of the cloud.

    `values` is the path of the user's own values file in the repository; without, one to be edited is among the files.
    """
    wheel, package = own_wheel()
    known = {
        **answers,
        "cloud": cloud,
        "chart_version": str(AgentSettings.model_fields["chart_version"].default),
        "wheel": f"{PACKAGES}/{wheel}",
        "values": values or VALUES,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "terraform": ".".join(map(str, LEAST)),
        "variable": VARIABLES[cloud][0],
        "variables": " and ".join(VARIABLES[cloud]),
        "made_up": "" if values else MADE_UP,
    }
    known["login"] = _filled(f"login-{cloud}.yml", known).rstrip("\n")
    settings = {key: _scalar(value) for key, value in known.items()}
    texts = {
        **{place: _filled(template, known) for template, place in PLACES.items()},
        "deployments.yaml": _filled(f"{cloud}.yaml", settings),
        **({} if values else {VALUES: _filled(VALUES, known)}),
    }
    return {**{path: text.encode() for path, text in texts.items()}, f"{PACKAGES}/{wheel}": package}


def _filled(template: str, known: Mapping[str, str]) -> str:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    return TEMPLATE.sub(lambda found: known[found[1]], text)


def _scalar(text: str) -> str:
    """Text as YAML that reads as just that text, in a list or mapping too."""
    return text if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", text) and _reads_as_it_is(text) else json.dumps(text)


def _reads_as_it_is(text: str) -> bool:
    """To us, and to other readers of YAML. What is nearly a number or a date is refused by them."""
    try:
        return bool(parse(text) == text == yaml.safe_load(text))
    except (ValueError, yaml.YAMLError):
        return False


def made_up(values: Mapping[str, object]) -> list[str]:
    """The chart values that are still as `init` made them up."""
    template = parse((TEMPLATES / VALUES).read_text(encoding="utf-8"))
    variables = {entry["name"]: entry["value"] for entry in template["commonEnv"]}
    given = values.get("commonEnv")
    entries = [entry for entry in given if isinstance(entry, dict)] if isinstance(given, list) else []
    return [
        *(key for key in ("astroDeploymentAPIURL", "image") if values.get(key) == template[key]),
        *(str(each["name"]) for each in entries if each.get("value", ...) == variables.get(each.get("name"))),
    ]


def check_free(folder: Path, paths: Iterable[str]) -> None:
    """Refuse every path at which something is already, or cannot be. Raises SettingErrors that name them all."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise SettingError(f"{folder}: must be a folder")
    taken: dict[str, str] = {}
    for path in paths:
        for parent in reversed(PurePosixPath(path).parents[:-1]):
            place = folder / parent
            if os.path.lexists(place) and (place.is_symlink() or not place.is_dir()):
                taken[str(place)] = "is not a folder of this repository"
                break
        else:
            if os.path.lexists(folder / path):
                taken[str(folder / path)] = "exists already and is not overwritten"
    if taken:
        lines = [f"{place}: {problem}" for place, problem in taken.items()]
        raise SettingErrors([*lines, "nothing was written; try an empty folder, and copy what you need"])


def write_new(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files that are not there yet: all of them, or none."""
    written: list[Path] = []
    try:
        for path, content in files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as file:
                written.append(place)
                file.write(content)
    except BaseException as error:
        for place in written:
            place.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise SettingError(f"{error.filename or folder}: cannot be written: {(error.strerror or '').lower()}") from None
