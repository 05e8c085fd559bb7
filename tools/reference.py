"""Write the generated pages of docs/: python tools/reference.py.

settings.md comes from the settings, commands.md from the commands' help, changes.md from the edits that tests apply,
variables.md from the tables of variables. The causes of probe/in_pod/xcom_causes.py are written into troubleshooting.md
and into the DAG that users copy.
"""

import importlib
import itertools
import pkgutil
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer.main
import yaml
from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from astro_xcom import cli
from astro_xcom.cli.plan import EXIT
from astro_xcom.deployments import CLOUDS
from astro_xcom.environment import OVERRIDES, OWNED
from astro_xcom.field_docstrings import field_docstrings
from astro_xcom.plan import KINDS
from astro_xcom.probe.in_pod import xcom_causes

PROJECT = Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs"
TROUBLESHOOTING = DOCS / "troubleshooting.md"
DAG = PROJECT / "agent" / "dags" / "xcom_check.py"
TITLES = {"aws": "AWS", "azure": "Azure", "gcp": "Google Cloud"}
TYPES = {"string": "text", "integer": "whole number", "boolean": "`true` or `false`", "object": "mapping"}

SETTINGS = """\
# Settings

This page lists every key of `deployments.yaml`. An unknown key, a wrong type and an impossible name are errors, and all
errors are reported at once. Editors can read the same rules from [deployments.schema.json](deployments.schema.json).

```yaml
defaults: {}      # apply to every deployment; a deployment's mappings are merged into them, other values replace them
deployments:
  aws-example: {} # the stack's name, and part of default names; 1-48 lower-case letters, digits and hyphens
```

Top-level keys that start with `x-` are yours: nothing reads them, so you can use them for YAML anchors.

```yaml
x-tags: &tags {team: data-platform}
deployments:
  aws-example: {tags: *tags}
```

Inside an optional mapping, "required" means: required if you write that mapping. Text that looks like a number, such
as an account id, needs quotes. The classes behind the keys are in `astro_xcom.settings`
([constructs](constructs.md#settings)).
"""
COMMANDS = """\
# Commands

`make setup` installs `astro-xcom` in `.venv/bin`. Installing the package installs the command too. All errors are
printed to stderr at once, with exit code 1 (130 for Ctrl-C), and nothing is written then. `--debug` adds where an
error comes from. `astro-xcom --version` shows the version. `--file`, or the environment variable `DEPLOYMENTS`, names
another file than `deployments.yaml`, for the commands that write, too. These pages say more: [Check](check.md) about
`check` and `evidence`, [HCP Terraform](hcp-terraform.md) about `export`, `bundle` and `push`, [GitOps and other
runners](gitops.md) about `values`, [Security posture](posture.md) about `posture`, and [A repository of your
own](init.md) about `init` and `doctor`.
"""
VARIABLES = """\
# Environment variables

The agents get their environment from this project and from your chart values: from `commonEnv`, from the `env` of
workers, dag processor, triggerer and sentinel, and from the `env` of their init and extra containers and of the logging
sidecar. If two entries have the same name, the later one silently wins, and client libraries read variables before they
ask for the pod's identity. So the variables below are refused in each of those lists, as a value and as `valueFrom`, if
the XComs are in the cloud of that row. Variables marked "warning" are allowed. Tasks that need another identity get it
from an Airflow connection of their own.

There is one exception: in `commonEnv`, the variables from Astronomer's page may have
[the same values as the settings](take-over.md#your-values).

This project cannot read the variables that `envFrom` brings in; `astro-xcom check` says where your values use it.

A literal under a name such as `DB_PASSWORD`, a URL with a password, a private key and JSON with a password are refused
everywhere in the values, because Terraform's state would hold them as plain text. Name a Kubernetes secret instead:

```yaml
deployments:
  aws-example:
    agent:
      resource_name_prefix: prod-aws
      values:
        commonEnv:
          - {name: DB_PASSWORD, valueFrom: {secretKeyRef: {name: warehouse, key: password}}}
          - {name: AIRFLOW_CONN_WAREHOUSE, value: "postgres://airflow:$(DB_PASSWORD)@warehouse/data"}
```

"""
CHANGES = """\
# What a change does

This page says what an edit of an applied deployment does, and what `astro-xcom check NAME --plan FILE` reports of it.
To get FILE, save a plan with `terraform plan -out PLAN` in the stack's folder, and print it with
`terraform show -json PLAN`. The worst effect decides the exit code:

{kinds}

Exit code 1 means that the file is not a plan of this deployment, or that the settings are refused. `--allow CODE`
accepts a STOP. The report says how to avoid each effect, often with lines to paste.

## What holds for every edit

While `storage.protect_from_destroy` is on, as it is by default:

- If the settings no longer create a bucket, account, container, resource group, key, role, identity or release,
  Terraform forgets it: Terraform no longer manages it, and it stays as it is. This needs Terraform or OpenTofu 1.10,
  which the JSON requires. The first plan says "will no longer be managed". Two things are deleted all the same: the
  identity of a worker that no longer has its own, which is a STOP, and additions to the storage, such as access logs or
  a private endpoint. A new name or location of storage is refused.
- When a role, its policy, a federated credential, a member of a service account or the grant of a key is replaced,
  Terraform creates the new one first. It deletes the old one only after the agents have been upgraded. The order holds
  once a state was applied with this version.
- Values that a former key encrypted stay readable with `storage.former_kms_key_arns` (AWS) or
  `storage.former_kms_key_names` (Google Cloud). Azure needs neither: it encrypts the account's own key again.
- Objects under a former path expire with `storage.former_paths`. Airflow does not read them: a value from the old path
  is read as its path.
- Pods of a renamed worker, prefix or namespace stay trusted with `agent.former_service_accounts`.

Three gaps remain:

- On Google Cloud, Terraform deletes the two members of a bucket before it creates their successors, because the
  other order would also apply to the bucket itself. The same holds for the members of an existing service
  account.
- On Azure, an account closes before a private endpoint of the same edit exists: apply twice.
- When SSE-KMS is switched off, the role loses the key's permission to encrypt seconds before S3 stops asking for it.

`make deploy` and `astro-xcom push` read the plan in the same way before they apply it. They apply a STOP only if you
accept it by its code. In HCP Terraform a person may confirm any run on its page.

Constructs in your own stacks follow the second rule, but not the first: write `removed` blocks yourself, with
`add_override`.

## A deployment that is renamed, or taken out of the file

The state, the role (AWS), the identity and the storage account (Azure) and the service account (Google Cloud) are
named after the deployment unless you name them. If you rename the deployment, Terraform starts with an empty state, and
no deployment uses the old state. Set the old state and the old names for the new deployment, and an apply changes
nothing:

```yaml
deployments:
  aws-example:  # this deployment was called old-name
    state: {local: {path: terraform.old-name.tfstate}}
    identity: {role_name: old-name-xcom}
```

The settings are `state.local.path`, `state.s3.key`, `state.azurerm.key`, `state.gcs.prefix`, `state.hcp.workspace` or
`state.remote.workspace`; `identity.role_name` (AWS), `identity.name` and `storage.account` (Azure),
`identity.service_account_id` (Google Cloud), and the same of each worker with an identity of its own.
`make synth` and `astro-xcom check` look beside the file for local states that belong to none of its deployments, and
print these lines. They do not see states in buckets and workspaces.

To remove a deployment, [destroy it](created.md#deletion) before you delete its lines. `make destroy` reads the plan,
too. It stops if the cluster is out of reach, because Terraform would report everything as destroyed while the agents
run on. To keep what a deployment created, delete its lines and move the state away.

## The edits
"""
CHANGES_END = """
`make test-transitions` runs each of these edits from one state to the next, with real Terraform core, with the
providers' schemas and rules of replacement, and with providers that echo. It applies an edit that deletes or forgets
something or that requires an order, and plans the others. It also applies pairs of edits, and each edit after a Helm
upgrade that fails and a plan while the cluster is out of reach. CI runs the edits that forget something, each on one
cloud. No cloud was asked.
"""


@dataclass(frozen=True)
class Setting:
    """One row of the reference."""

    name: str
    value: str
    default: str
    about: str

    def row(self) -> str:
        """As a row of a table."""
        return f"| `{self.name}` | {self.value} | {self.default} | {self.about} |"


def settings_page() -> str:
    """Every setting: those that all clouds share, then each cloud's own."""
    found = {cloud: list(settings(model)) for cloud, model in CLOUDS.items()}
    shared = [each for each in found["aws"] if all(each in others for others in found.values())]
    parts = [SETTINGS, "## Every cloud\n", *_settings_table(shared)]
    for cloud, each in found.items():
        parts += [f"## {TITLES[cloud]}\n", f"`cloud: {cloud}`. {_first_line(CLOUDS[cloud])}\n"]
        parts += _settings_table(setting for setting in each if setting not in shared)
    return "\n".join(parts)


INNER = {"mapping": ".", "list of mappings": "[]."}
"""Value -> how what is within it is named."""


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    """The settings of a model, those within it after it; `cloud`, which chooses the model, is left out."""
    schema, described = model.model_json_schema(), field_docstrings(model)
    own = [name for name in model.__annotations__ if name in model.model_fields]
    for name in dict.fromkeys([*own, *model.model_fields]):
        field = model.model_fields[name]
        if name == "cloud":
            continue
        shape = schema["properties"][name]
        within = _model(field.annotation) if "$ref" in str(shape) else None
        if within and "items" in shape:
            like = next((other for other, one in model.model_fields.items() if one.annotation is within), None)
            value = f"list of mappings, each like `{prefix}{like}`" if like else "list of mappings"
        elif within and "additionalProperties" in shape:
            value = "mapping of mappings"
        else:
            value = "mapping" if within else _value(shape)
        about = described.get(name) or (_first_line(within) if within else next(_rules(field), ""))
        yield Setting(f"{prefix}{name}", value, _default(field), " ".join(about.split()))
        if value in INNER and within:
            yield from settings(within, f"{prefix}{name}{INNER[value]}")


def commands_page() -> str:
    """Every command with its arguments and options, as --help has them."""
    for module in pkgutil.iter_modules(cli.__path__, "astro_xcom.cli."):
        importlib.import_module(module.name)
    app = importlib.import_module("astro_xcom.cli.app").app
    parts = [COMMANDS]
    for name, command in sorted(typer.main.get_command(app).commands.items()):  # type: ignore[attr-defined]
        about = [" ".join(part.split()) for part in (command.help or "").split("\n\n")]
        rows = [f"| {_names(each)} | {_given(each)} | {_plain(each.help or '')} |" for each in command.params]
        parts += [f"## astro-xcom {name}\n", *(f"{_plain(part)}\n" for part in about)]
        parts += ["| | default | |", "|---|---|---|", *rows, ""]
    return "\n".join(parts)


def _settings_table(found: Iterable[Setting]) -> list[str]:
    return ["| setting | value | default | |", "|---|---|---|---|", *(each.row() for each in found), ""]


def _model(annotation: Any) -> type[BaseModel] | None:
    """The settings that a field holds, alone, in a list, or optionally."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    return next(filter(None, map(_model, typing.get_args(annotation))), None)


def _value(schema: Mapping[str, Any]) -> str:
    """What may be given, in words."""
    given = next((each for each in schema.get("anyOf", []) if each.get("type") != "null"), schema)
    if "enum" in given or "const" in given:
        return ", ".join(f"`{each}`" for each in given.get("enum", [given.get("const")]))
    if given["type"] == "array":
        return f"list of {_value(given['items'])}"
    if given["type"] == "object" and given.get("additionalProperties", {}) == {"type": "string"}:
        return "mapping of text"
    least, most = given.get("minimum"), given.get("maximum")
    limits = "" if least is None else f", at least {least}" if most is None else f", {least}-{most}"
    return f"{TYPES[given['type']]}{limits}"


def _rules(field: FieldInfo) -> Iterator[str]:
    """What the checks of a text say it is."""
    alternatives = [getattr(each, "__metadata__", ()) for each in typing.get_args(field.annotation)]
    for check in itertools.chain(field.metadata, *alternatives):
        if isinstance(check, AfterValidator) and check.func.__doc__:
            yield _first_line(check.func)


def _first_line(documented: Any) -> str:
    return str(documented.__doc__).strip().partition("\n")[0]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default in (None, (), {}) or isinstance(default, BaseModel):
        return ""
    if isinstance(default, tuple):
        return f"`[{', '.join(map(str, default))}]`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _plain(text: str) -> str:
    """Text of a terminal as Markdown: outside of code a `<` would start HTML."""
    return re.sub(r"`[^`]*`|<", lambda found: "&lt;" if found[0] == "<" else found[0], text)


def changes_page() -> str:
    """Every edit that the tests walk through, with what `check --plan` says of it."""
    edits = yaml.safe_load((PROJECT / "tests" / "transitions" / "edits.yaml").read_text(encoding="utf-8"))["edits"]
    kinds = [f"| {kind} | {EXIT[kind]} | {KINDS[kind]} |" for kind in reversed(KINDS)]
    parts = [CHANGES.replace("{kinds}", "\n".join(["| kind | exit code | means |", "|---|---|---|", *kinds]))]
    for cloud in CLOUDS:
        parts += [f"### {TITLES[cloud]}\n", "| edit | says | Terraform |", "|---|---|---|"]
        parts += [_edit(edit, cloud) for edit in edits if cloud in edit["clouds"]]
        parts.append("")
    return "\n".join(parts) + CHANGES_END


def variables_page() -> str:
    """Every variable that must not be set, with the library that reads it."""
    everywhere = "every cloud"
    rows = ["| variable | XComs in | why not | source |", "|---|---|---|---|"]
    for override in OVERRIDES:
        names = ", ".join(f"`{name}`" for name in override.names)
        where = TITLES[override.cloud] if override.cloud else everywhere
        why = f"{override.library}: {override.does}{'' if override.refused else ' (warning)'}"
        rows.append(f"| {names} | {where} | {why} | {override.source} |")
    for name, (cloud, setting) in [*OWNED.items(), CONNECTION]:
        where = TITLES[cloud] if cloud else everywhere
        rows.append(f"| `{name}` | {where} | is set from {setting} in the settings | |")
    return VARIABLES + "\n".join(rows) + "\n"


CONNECTION = ("AIRFLOW_CONN_WASB_XCOM", ("azure", "storage and identity (named after `xcom.connection_id`)"))


def _edit(edit: Mapping[str, Any], cloud: str) -> str:
    def of(key: str) -> list[str]:
        found = edit.get(key, [])
        return found.get(cloud, []) if isinstance(found, dict) else found  # type: ignore[no-any-return]

    says = ", ".join("{} `{}`".format(*each.split()) for each in of("says")) or "fine"
    does = [f"{word} {', '.join(f'`{type_}`' for type_ in of(key))}" for key, word in EDITS.items() if of(key)]
    if edit.get("refused"):
        does = ["refuses the plan"]
    return f"| {edit['name']} | {says} | {'; '.join(does)} |"


EDITS = {"forgotten": "forgets", "destroyed": "deletes"}


def _names(parameter: Any) -> str:
    metavar = parameter.metavar or parameter.name.upper()
    if parameter.param_type_name == "argument":
        return f"`{metavar}`"
    names = ", ".join(f"`{each}`" for each in [*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} `{metavar}`"


def _given(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    return "" if default in (None, False, []) else f"`{default}`"


CLOUD_OF = {"s3": "AWS", "abfs": "Azure", "gs": "Google Cloud", "": "any"}
ROWS = ("<!-- causes: tools/reference.py writes these rows -->\n", "<!-- until here -->\n")
COPY = (
    "# ----- from here on the same as in astro-xcom's probe: do not change it here -----\n",
    "# ----- until here -----\n",
)
SHARED = "# ----- what agent/dags/xcom_check.py has too -----\n"


def causes_rows() -> str:
    """The table of causes."""
    rows = ["| cloud | it says | what to do | an error that tells it has |", "|---|---|---|---|"]
    for cause in xcom_causes.CAUSES.values():
        says = cause.says.format(mark="label or annotation").replace("`", "")
        marks = ", ".join(f"`{mark}`" for mark in cause.marks) or "no error: reading back tells it"
        rows.append(f"| {CLOUD_OF[cause.scheme]} | *{says}* | {_plain(cause.remedy)} | {marks} |")
    return "\n".join(rows) + "\n"


def troubleshooting_page() -> str:
    """The page as it is, with the causes of now."""
    return _between(TROUBLESHOOTING, ROWS, causes_rows())


def dag() -> str:
    """The DAG as it is, with what it has in common with the probe."""
    source = Path(str(xcom_causes.__file__)).read_text(encoding="utf-8")
    return _between(DAG, COPY, "\n" + source.partition(SHARED)[2].strip("\n") + "\n\n\n")


def _between(file: Path, lines: tuple[str, str], text: str) -> str:
    before, start, rest = file.read_text(encoding="utf-8").partition(lines[0])
    return f"{before}{start}\n{text}{''.join(rest.partition(lines[1])[1:])}"


def main() -> None:
    """Write the pages."""
    TROUBLESHOOTING.write_text(troubleshooting_page(), encoding="utf-8", newline="\n")
    DAG.write_text(dag(), encoding="utf-8", newline="\n")
    (DOCS / "changes.md").write_text(changes_page(), encoding="utf-8", newline="\n")
    (DOCS / "variables.md").write_text(variables_page(), encoding="utf-8", newline="\n")
    (DOCS / "settings.md").write_text(settings_page(), encoding="utf-8", newline="\n")
    (DOCS / "commands.md").write_text(commands_page(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
