"""What README and docs/ say is so: each block is run, each name is one that there is, each link leads somewhere."""

import ast
import importlib
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
import typer.main
import yaml
from cdktf import TerraformElement, TerraformStack, Testing
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from constructs import Construct

from astro_xcom.cli import app
from astro_xcom.deployments import CLOUDS, read_deployments
from astro_xcom.errors import SettingErrors
from environments import environment
from support import EXAMPLE, GOLDEN, PROJECT, only, synth, synth_file

reference = SimpleNamespace(**runpy.run_path(str(PROJECT / "tools" / "reference.py")))

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
README = PAGES[0]
MAKEFILE = (PROJECT / "Makefile").read_text()

# A line of a shell that starts like this is not run here. Whatever is not listed is.
NOT_RUN = {
    "make synth": "CI does",
    "make test": "CI does",
    "make setup": "CI does, as part of make synth",
    "make diff": "needs a cloud; tests/terraform/test_cli.py runs cdktf diff",
    "make CDK=cdktn": "CI does; tests/test_engines.py has the rules",
    "TERRAFORM_BINARY_NAME=tofu": "needs OpenTofu",
    "make destroy": "needs a cloud; tests/terraform/test_cli.py runs tools/deploy.py --destroy",
    "make deploy": "needs a cloud; tests/terraform/test_cli.py runs tools/deploy.py and cdktf deploy",
    "kubectl": "needs a cluster",
    "make probe": "needs a cluster",
    "astro-xcom probe": "needs a state; tests/test_probe.py runs it",
    "pip install './constructs": "tests/test_package.py installs every extra",
    "terraform login": "needs an account",
    "terraform -chdir": "needs the providers; tests/hcp and tests/posture plan and show so",
    'echo \'{"terraform": {"backend"': "tests/hcp/test_terraform.py plans with it",
    "rm cdktf.out/stacks/aws-example/backend_override": "goes with the line above",
    "astro-xcom export": "may download providers; tests/hcp/test_export.py runs it",
    "astro-xcom push": "needs an account; tests/hcp/test_push.py has a server",
    "astro-xcom bundle": "needs what export wrote; tests/hcp/test_bundle.py runs it",
    "git add": "needs a repository",
    "az ": "needs an account",
    "helm get values": "needs a release; tests/test_take_over.py has what it prints",
    "astro-xcom take-over": "needs values of yours; tests/test_take_over.py runs it",
    "pipenv": "in a repository that init writes; tests/test_init.py runs what follows there",
    "astro-xcom doctor": "needs a cluster; tests/test_doctor.py has commands that answer",
    "jq 'del(.removed": "tests/posture takes out the same",
    "checkov": "tests/posture runs it",
    "trivy": "tests/posture runs it",
}
# Not a program, but lines of one.
FRAGMENTS = {"upgrading.md"}
# Some YAML there is of other tools: it has none of our keys, and is parsed only.
OF_OTHER_TOOLS = {"gitops.md"}
# Neither run nor read.
DRAWINGS = {"verification.md"}


@dataclass(frozen=True)
class Block:
    """What stands between three backticks."""

    page: Path
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    def commands(self) -> Iterator[str]:
        """Its lines that a reader types."""
        for line in self.text.splitlines():
            typed = line.removeprefix("$ ") if self.language == "console" else line
            if typed.strip() and not typed.startswith("#") and (self.language == "sh" or line.startswith("$ ")):
                yield typed.partition("  #")[0].strip()


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(.*)\n((?:.*\n)*?)^```$", text, re.MULTILINE):
        yield Block(page, found[1], found[2], text.count("\n", 0, found.start()) + 1)


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMANDS = [(f"{block}", line) for block in BLOCKS for line in block.commands()]


def blocks(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def code(page: Path) -> list[str]:
    """What stands between single backticks."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", text)


def run(command: list[str], folder: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the example in it, to write to."""
    (tmp_path / "examples").symlink_to(EXAMPLE / "examples")
    (tmp_path / "deployments.yaml").write_text((EXAMPLE / "deployments.yaml").read_text())
    return tmp_path


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {block.language for block in BLOCKS} == {"sh", "console", "yaml", "python", "text"}
    assert {block.page.name for block in blocks("text")} == {README.name, *DRAWINGS}


PROGRAMS = [block for block in blocks("python") if block.page.name not in FRAGMENTS]


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
def test_a_program_runs(block: Block, tmp_path: Path) -> None:
    run([sys.executable, "-c", block.text], tmp_path)
    assert ("app.synth()" in block.text) == bool(list((tmp_path / "cdktf.out").rglob("cdk.tf.json")))


def test_the_rename_that_is_shown_keeps_the_address() -> None:
    (block,) = [block for block in blocks("python") if block.page.name in FRAGMENTS]

    class Shown(Construct):
        resource: S3Bucket

        def __init__(self, scope: Construct, id_: str) -> None:
            super().__init__(scope, id_)
            exec(block.text, {"self": self, "TerraformElement": TerraformElement, "S3Bucket": S3Bucket, "name": "acme"})

    stack, before = TerraformStack(Testing.app(), "stack"), TerraformStack(Testing.app(), "stack")
    Shown(stack, "storage")
    S3Bucket(Construct(before, "storage"), "bucket", bucket="acme")
    assert list(synth(stack)["resource"]["aws_s3_bucket"]) == list(synth(before)["resource"]["aws_s3_bucket"])
    assert only(synth(stack), "aws_s3_bucket")["bucket"] == "acme"


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_deployments_are_read(block: Block, project: Path) -> None:
    """A page of docs/ shows some keys of a deployment of the example; those replace its own."""
    file = project / "deployments.yaml"
    shown = yaml.safe_load(block.text)
    if block.page.name in OF_OTHER_TOOLS and not shown.keys() & {"defaults", "deployments"}:
        return
    if block.page != README:
        whole = yaml.safe_load(file.read_text())
        for name, deployment in shown.get("deployments", {}).items():
            whole["deployments"][name].update(deployment)
        shown = {"defaults": {**whole["defaults"], **shown.get("defaults", {})}, "deployments": whole["deployments"]}
    file.write_text(yaml.safe_dump(shown))
    assert read_deployments(file)


def test_without_what_it_calls_optional_the_example_is_what_readme_shows(
    project: Path, readme_stacks: dict[str, Path]
) -> None:
    file = project / "deployments.yaml"
    text = (EXAMPLE / "deployments.yaml").read_text()
    optional = {*re.findall(r"^ *(\w+):.*# optional", text, re.MULTILINE), "public_network_access", "private_endpoint"}
    example = yaml.safe_load(text)
    for deployment in example["deployments"].values():
        for settings in (deployment, deployment["storage"]):
            for key in optional & settings.keys():
                del settings[key]
    file.write_text(yaml.safe_dump(example))
    for name, stack in synth_file(file, project / "out").items():
        made, shown = (json.loads((of / "cdk.tf.json").read_text()) for of in (stack, readme_stacks[name]))
        assert made == shown


def test_the_messages_that_are_shown_are_what_is_said(project: Path) -> None:
    good = "storage: {bucket: acme-astro-xcom}\n"
    (text,) = [block.text for block in blocks("yaml") if block.page == README]
    assert good in text
    file = project / "deployments.yaml"
    file.write_text(text.replace(good, "storage: {bucket: Acme_XCom}\n    xcom: {compression: gz}\n"))
    with pytest.raises(SettingErrors) as refused:
        read_deployments(file)
    (said,) = [block.text for block in blocks("text") if block.page == README]
    assert refused.value.lines == said.splitlines()


@pytest.mark.parametrize("block", blocks("sh", "console"), ids=str)
def test_commands_run(block: Block, project: Path) -> None:
    for line in block.commands():
        if not line.startswith(tuple(NOT_RUN)):
            run(["bash", "-ec", line], project)


def test_some_commands_run() -> None:
    assert sum(not line.startswith(tuple(NOT_RUN)) for _, line in COMMANDS) >= 4


@pytest.mark.parametrize("start", NOT_RUN)
def test_what_is_not_run_is_shown_somewhere(start: str) -> None:
    assert any(line.startswith(start) for _, line in COMMANDS)


def test_what_ci_is_said_to_run_is_run_by_ci() -> None:
    ci = (PROJECT / ".ci" / "run").read_text().split("\n")
    for line, reason in NOT_RUN.items():
        if reason == "CI does":
            assert any(re.search(rf"\b{line}$", each) for each in ci), line


def test_targets_are_in_the_makefile() -> None:
    shown = {word for page in PAGES for word in code(page) if word.startswith("make ")}
    shown |= {line for _, line in COMMANDS if line.startswith("make ")}
    assert shown
    for line in shown:
        target = next(word for word in line.split()[1:] if "=" not in word)
        assert re.search(
            rf"^[a-z0-9 -]*(?<![a-z0-9-]){re.escape(target)}(?![a-z0-9-])[a-z0-9 -]*:", MAKEFILE, re.MULTILINE
        ), line


def astro_xcom() -> list[str]:
    inline = [word for page in PAGES for word in code(page) if re.match(r"astro-xcom \w+ \S", word)]
    return sorted({line for _, line in COMMANDS if line.startswith("astro-xcom ")} | set(inline))


@pytest.mark.parametrize("line", astro_xcom())
def test_every_command_of_astro_xcom_is_understood(line: str) -> None:
    reference.commands_page()  # loads every command
    _, name, *arguments = shlex.split(re.split(r" [>|]", line)[0])
    typer.main.get_command(app.app).commands[name].make_context(name, arguments)  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_are_named_exist(page: Path) -> None:
    known = {setting.name for model in CLOUDS.values() for setting in reference.settings(model)}
    groups = "agent|cluster|identity|resource_group|state_store|storage|xcom"
    for word in code(page):
        if re.match(rf"({groups})\.(?!buckets\.|objects\.)[a-z]", word):  # those are permissions of Google Cloud
            assert re.split(r"[:,\s]", word)[0] in known, word


@pytest.mark.parametrize("page", ["changes", "settings", "commands", "variables", "troubleshooting"])
def test_a_reference_is_up_to_date(page: str) -> None:
    made = getattr(reference, f"{page}_page")()
    assert (PROJECT / "docs" / f"{page}.md").read_text(encoding="utf-8") == made, "run python tools/reference.py"


def test_the_dag_has_the_causes_of_the_probe() -> None:
    assert reference.DAG.read_text(encoding="utf-8") == reference.dag(), "run python tools/reference.py"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_clouds_page_lists_exactly_what_is_made(cloud: str) -> None:
    goldens = [json.loads(file.read_text()) for file in (GOLDEN / cloud).glob("*.json")]
    rows = re.findall(r"^\|((?: `[a-z]\w+_\w+`,?)+) \|", (PROJECT / "docs" / f"{cloud}.md").read_text(), re.MULTILINE)
    listed = [kind for row in rows for kind in re.findall(r"`((?:aws|azurerm|google|helm)_\w+)`", row)]
    assert sorted(listed) == sorted({kind for golden in goldens for kind in golden.get("resource", {})})


def texts(file: Path) -> list[str]:
    """Every text in a program."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def quotes() -> list[str]:
    rows = re.findall(r"^\|.*\|$", (PROJECT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    return [quote for row in rows for quote in re.findall(r"(?<!\*)\*([^*|]+)\*(?!\*)", row.split(" | ")[-1])]


@pytest.mark.parametrize("quote", quotes())
def test_troubleshooting_has_the_words_of_the_dag(quote: str) -> None:
    assert any(quote in text for text in texts(PROJECT / "agent" / "dags" / "xcom_check.py"))


def links(page: Path) -> list[str]:
    return re.findall(r"\]\((?!\w+:)([^)\s]+)\)", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        file = page.parent / target if target else page
        assert file.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings}, link


class Html(HTMLParser):
    """The links, ids and loaded things of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values: dict[str, Any] = dict(attrs)
        self.ids |= {values["id"]} if "id" in values else set()
        self.links |= {values["href"]} if tag == "a" and values.get("href") else set()
        self.loaded |= {values["href"]} if tag == "link" and "href" in values else set()
        self.loaded |= {values["src"]} if values.get("src") else set()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does, where nothing can be fetched."""
    folder = tmp_path_factory.mktemp("site")
    command = environment(PROJECT / "docs" / "requirements.txt", name="docs") / "mkdocs"
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [command, "build", "--strict", "--site-dir", folder],
        cwd=PROJECT,
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_site_is_whole(site: Path) -> None:
    pages = {file: Html(file.read_text(encoding="utf-8")) for file in site.rglob("*.html") if file.name != "404.html"}
    assert len(pages) >= len(PAGES)
    for file, page in pages.items():
        for link in page.links | page.loaded:
            if re.match(r"(https?|mailto|data):", link):
                assert link not in page.loaded, f"{file.name} loads {link}"
                continue
            target, _, anchor = unquote(link).partition("#")
            found = (file.parent / target).resolve() if target else file
            assert found.exists(), f"{file.name}: {link}"
            if anchor and found in pages:
                assert anchor in pages[found].ids, f"{file.name}: {link}"


@pytest.mark.slow
@pytest.mark.parametrize("module", ["aws", "azure", "gcp", "agent", "settings"])
def test_the_site_has_every_public_name(module: str, site: Path) -> None:
    ids = Html((site / "constructs.html").read_text(encoding="utf-8")).ids
    for name in importlib.import_module(f"astro_xcom.{module}").__all__:
        assert f"astro_xcom.{module}.{name}" in ids
