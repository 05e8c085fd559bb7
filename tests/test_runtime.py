"""One Node process for jsii, and what it keeps, each in a fresh interpreter."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest

from environments import NODE
from test_bindings import UNKNOWN

STACK = """
import astro_xcom.bindings, sys
from cdktf import App, Aspects, IAspect, Lazy, TerraformOutput, TerraformStack
app = App(outdir="out")
stack = TerraformStack(app, "stack")
from cdktf_cdktf_provider_helm.provider import HelmProvider
HelmProvider(stack, "helm")
TerraformOutput(stack, "o", value="x")
app.synth()
"""
COUNT = "import psutil\nprint(len(psutil.Process().children(recursive=True)))"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of jsii of which these tests alone know."""
    return tmp_path_factory.mktemp("cache")


def run(folder: Path, code: str, cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(cache), **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done


def kept(cache: Path) -> dict[str, tuple[int, int]]:
    """What is kept, by where it lies."""
    files = [file for file in cache.rglob("*") if file.is_file() and ".astro-xcom" in str(file)]
    return {str(file.relative_to(cache)): (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}


@pytest.mark.parametrize(
    ("before", "environment", "processes"),
    [
        ("", {}, 1),
        (UNKNOWN, {}, 2),
        ("", {"ASTRO_XCOM_EAGER_BINDINGS": "1"}, 2),
    ],
    ids=["known", "unknown", "switch off"],
)
def test_one_process_where_jsii_is_known(
    before: str, environment: dict[str, str], processes: int, cache: Path, tmp_path: Path
) -> None:
    code = f"{before}\nimport astro_xcom.bindings, jsii\njsii.stats()\n{COUNT}"
    done = run(tmp_path, code, cache, **environment)
    assert (done.stdout, done.stderr) == (f"{processes}\n", "")


def test_a_runtime_that_is_set_is_used(cache: Path, tmp_path: Path) -> None:
    unpacked = "import jsii._embedded.jsii as own, pathlib, shutil; source = pathlib.Path(own.__file__).parent\n" + (
        "for name, path in own.EMBEDDED_FILES.items():\n"
        "    pathlib.Path(path).parent.mkdir(exist_ok=True); shutil.copy(source / name, path)"
    )
    run(tmp_path, unpacked, cache)
    code = f"import astro_xcom.bindings, jsii\njsii.stats()\n{COUNT}"
    done = run(tmp_path, code, cache, JSII_RUNTIME=str(tmp_path / "bin" / "jsii-runtime.js"))
    assert done.stdout == "2\n"


def test_another_release_of_node_gets_jsiis_own_with_its_banner(cache: Path, tmp_path: Path) -> None:
    # What it says of itself, as its own release would.
    old = tmp_path / "old.js"
    said = 'version: { value: "v21.0.0" }, versions: { value: { ...process.versions, node: "21.0.0" } }'
    old.write_text(f"Object.defineProperties(process, {{ {said} }});")
    done = run(tmp_path, f"{STACK}\n{COUNT}", cache, NODE_OPTIONS=f'--require "{old}"')
    assert done.stdout == "2\n"
    assert "Node 21 is end-of-life" in done.stderr


def test_what_is_kept_is_read_and_not_written_again(cache: Path, tmp_path: Path) -> None:
    run(tmp_path, STACK, cache)
    first = kept(cache)
    assert {"digests.json"} < {Path(name).name for name in first}
    assert any("cdktf" in name and "lib+app.js" in name for name in first)
    made = (tmp_path / "out" / "stacks" / "stack" / "cdk.tf.json").read_bytes()
    assert run(tmp_path, STACK, cache).stderr == ""
    assert kept(cache) == first
    run(tmp_path, STACK, cache, ASTRO_XCOM_EAGER_BINDINGS="1")
    assert (tmp_path / "out" / "stacks" / "stack" / "cdk.tf.json").read_bytes() == made


@pytest.mark.parametrize("content", [b"", None], ids=["empty", "cut off"])
def test_what_is_spoilt_is_made_anew(content: bytes | None, cache: Path, tmp_path: Path) -> None:
    run(tmp_path, STACK, cache)
    for name in kept(cache):
        (cache / name).write_bytes((cache / name).read_bytes()[:1000] if content is None else content)
    assert run(tmp_path, STACK, cache).stderr == ""
    assert all((cache / name).stat().st_size > 0 for name in kept(cache))
    assert not list(cache.rglob("*.tmp"))


def test_an_archive_that_changed_is_read_again(cache: Path, tmp_path: Path) -> None:
    helper = NODE_HELPER.format(kept=json.dumps(str(KEPT)))
    (tmp_path / "package-cache").mkdir()
    archive = tmp_path / "archive.tgz"

    def digests() -> list[str]:
        env = {**os.environ, "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(tmp_path / "package-cache")}
        done = subprocess.run([NODE, "-e", helper, archive], env=env, capture_output=True, text=True, check=True)
        return done.stdout.split()

    archive.write_text("one")
    assert digests() == ["computed", "one"]
    assert digests() == ["one"]
    before = archive.stat()
    archive.write_text("two")
    os.utime(archive, ns=(before.st_atime_ns, before.st_mtime_ns))  # same size, inode and mtime
    assert digests() == ["computed", "two"]


KEPT = Path(__file__).resolve().parent.parent / "constructs" / "astro_xcom" / "kept.js"
NODE_HELPER = """
const kept = require({kept});
const archive = process.argv[1];
const compute = () => {{ console.log("computed"); return require("fs").readFileSync(archive); }};
console.log(kept.digest(archive, [], compute).toString());
"""


def test_the_message_about_a_token_tells_where_it_was_made(cache: Path, tmp_path: Path) -> None:
    code = """
import astro_xcom.bindings, jsii
from cdktf import App, IStringProducer, Lazy, TerraformOutput, TerraformStack
@jsii.implements(IStringProducer)
class Bad:
    def produce(self, context): raise ValueError("never")
stack = TerraformStack(App(outdir="out"), "stack")
TerraformOutput(stack, "o", value=Lazy.string_value(Bad()))
from cdktf import Testing
try: Testing.synth(stack)
except Exception as error: print(error)
print(len(Lazy.any_value(Bad()).creation_stack) > 3)
"""
    said = run(tmp_path, code, cache).stdout
    as_ever = run(tmp_path, code, cache, ASTRO_XCOM_EAGER_BINDINGS="1").stdout
    assert "Object creation stack" in as_ever
    assert without_places(said) == without_places(as_ever)


def without_places(text: str) -> list[str]:
    """Message and functions; jsii's and Node's own in between, and where files lie, differ."""
    lines = (line for line in text.splitlines() if "node:" not in line and "program.js" not in line)
    return [line.split(" (")[0].strip() for line in lines if "astro-xcom.js" not in line]


BUSY = """
import astro_xcom.bindings, jsii, sys, time
from cdktf import App, Aspects, IAspect, TerraformOutput, TerraformStack
app = App(outdir="out")
stack = TerraformStack(app, "stack")
@jsii.implements(IAspect)
class Visit:
    def visit(self, node):
        print("ready", flush=True)
        time.sleep(60)
if sys.argv[1] == "callback":
    Aspects.of(stack).add(Visit())
    app.synth()
print("ready", flush=True)
while sys.argv[1] == "messages":
    TerraformOutput(stack, f"o{time.monotonic_ns()}", value="x")
time.sleep(60)
"""


@pytest.fixture(params=["messages", "callback"])
def busy(request: pytest.FixtureRequest, cache: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    env = {**os.environ, "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(cache), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", BUSY, request.param]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize(
    ("number", "group"),
    [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGKILL, False)],
    ids=["Ctrl-C", "TERM", "KILL"],
)
def test_no_node_outlives_its_python(number: signal.Signals, group: bool, busy: subprocess.Popen[str]) -> None:
    (node,) = psutil.Process(busy.pid).children(recursive=True)
    (os.killpg if group else os.kill)(busy.pid, number)
    assert busy.wait(timeout=30) != 0
    end = monotonic() + 10
    while node.is_running() and node.status() != psutil.STATUS_ZOMBIE:
        assert monotonic() < end
        sleep(0.05)
