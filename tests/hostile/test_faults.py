"""Faults of the machine around the command, as processes: an exit code, one line, and files that stay as they were."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hostile.world import contents, project, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="uses limits and special files of Linux"),
]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A command, what stands in its way, and the one line that it then says."""

    name: str
    command: str = "main.py"
    line: str = ""
    """A regular expression of the whole of stderr; blank for nothing."""
    code: int = 1
    env: dict[str, str | None] = field(default_factory=dict)
    before: str = ""
    """Shell commands, in the same process: limits."""
    made: str = ""
    """Shell commands that bring about the fault."""
    root: bool = False
    """Whether only root can bring it about."""


NOT_A_FILE = "cannot be read: is no regular file"
CHECK, BUNDLE = "astro-xcom check aws-example", "astro-xcom bundle aws-example -o made.tar.gz"
NODE = r"CDKTF cannot start Node \(.*\): "

FAULTS = (
    # ---- jsii
    Fault(name="no TMPDIR", env={"TMPDIR": "/nowhere"}, line='TMPDIR must be a folder .*"/nowhere"; try to unset it'),
    Fault(name="TMPDIR is a file", command=CHECK, env={"TMPDIR": "@/main.py"}, line="TMPDIR must be a folder .*"),
    Fault(name="no JSII_NODE", env={"JSII_NODE": "/nowhere"}, line='JSII_NODE must be .*"/nowhere"; try to unset it'),
    Fault(name="JSII_NODE is a folder", env={"JSII_NODE": "/tmp"}, line="JSII_NODE must be .*; try to unset it"),
    Fault(name="JSII_NODE is false", env={"JSII_NODE": "/bin/false"}, line=f"{NODE}exit code 1"),
    Fault(
        name="JSII_NODE is false, without the bindings",
        env={"JSII_NODE": "/bin/false", "ASTRO_XCOM_EAGER_BINDINGS": "1"},
        line=f"{NODE}exit code 1",
    ),
    Fault(name="JSII_NODE is no Node", command=BUNDLE, env={"JSII_NODE": "/bin/cat"}, line=f"{NODE}.*unrecognized.*"),
    Fault(name="JSII_NODE says other things", env={"JSII_NODE": "/bin/echo"}, line=f"{NODE}it is no Node.*"),
    Fault(name="no JSII_RUNTIME", env={"JSII_RUNTIME": "/nowhere.js"}, line="JSII_RUNTIME must be a file; .*"),
    Fault(
        name="unknown NODE_OPTIONS",
        env={"NODE_OPTIONS": "--frobnicate"},
        line=f"{NODE}.*--frobnicate is not allowed in NODE_OPTIONS; try to unset NODE_OPTIONS",
    ),
    Fault(
        name="NODE_OPTIONS that cannot be loaded",
        command=CHECK,
        env={"NODE_OPTIONS": "--require /nowhere.js"},
        line=rf"{NODE}Error: Cannot find module '/nowhere.js'; try to unset NODE_OPTIONS.*",
    ),
    Fault(
        name="a cache that cannot be",
        env={"JSII_RUNTIME_PACKAGE_CACHE_ROOT": "/dev/null/x"},
        line="JSII_RUNTIME_PACKAGE_CACHE_ROOT must be a folder .*",
    ),
    Fault(name="HCL is asked for", env={"SYNTH_HCL_OUTPUT": "true"}, line="SYNTH_HCL_OUTPUT must not be true .*"),
    Fault(
        name="context that is no JSON", env={"CDKTF_CONTEXT_JSON": "{"}, line="failed, .*JSON.*; --debug shows where"
    ),
    Fault(name="few file descriptors", before="ulimit -n 12", line=f"{NODE}.*; try with more open files: ulimit -n .*"),
    Fault(name="somewhat more", before="ulimit -n 20", line=f"{NODE}.*; try with more open files: ulimit -n .*"),
    Fault(name="little memory", before="ulimit -v 300000", line=f"{NODE}.*; try with at least 2 GB of memory"),
    Fault(name="more memory, too little", before="ulimit -v 1000000", line=".*Node.*|there is not enough memory"),
    Fault(name="small files only", before="ulimit -f 8", line=f"{NODE}.*; try to free space, .*"),
    # ---- the file system
    Fault(name="a file is the output folder", made="echo x > cdktf.out", line="cdktf.out.*: cannot be written: .*"),
    Fault(
        name="a file is a stack's folder",
        made="mkdir -p cdktf.out/stacks; echo x > cdktf.out/stacks/gcp-example",
        line="cdktf.out/stacks/gcp-example/cdk.tf.json: cannot be written: .*",
    ),
    Fault(
        name="a folder is a stack's file",
        made="mkdir -p cdktf.out/stacks/gcp-example/cdk.tf.json",
        line="cdktf.out/stacks/gcp-example/cdk.tf.json: cannot be written: is a directory",
    ),
    Fault(
        name="a link leads out of the output folder",
        made="mkdir -p cdktf.out/stacks elsewhere; ln -s ../../elsewhere cdktf.out/stacks/gcp-example",
        line="cdktf.out/stacks/gcp-example/cdk.tf.json: a link leads out of cdktf.out; .*",
    ),
    Fault(
        name="a full disk",
        made="mkdir cdktf.out",
        command="unshare -m bash -c 'mount -t tmpfs -o size=40k none cdktf.out && exec main.py'",
        line="cdktf.out/.*: cannot be written: no space left on device",
        root=True,
    ),
    Fault(
        name="a read-only disk",
        made="mkdir cdktf.out",
        command="unshare -m bash -c 'mount -t tmpfs -o ro none cdktf.out && exec main.py'",
        line="cdktf.out/.*: cannot be written: read-only file system",
        root=True,
    ),
    Fault(name="bundle to a folder", command="astro-xcom bundle aws-example -o d", made="mkdir d", line="d: cannot .*"),
    Fault(
        name="bundle to a device",
        command="astro-xcom bundle aws-example -o pipe",
        made="mkfifo pipe",
        line="pipe: cannot be written: is no regular file",
    ),
    Fault(
        name="export into a file",
        command="astro-xcom export --no-lock main.yaml/x",
        made="echo > main.yaml",
        line="main.yaml/x: cannot be written: not a directory",
    ),
    Fault(
        name="posture into a file",
        command="astro-xcom posture -o main.yaml/x",
        made="echo > main.yaml",
        line="main.yaml/x: cannot be written: .*",
    ),
    Fault(
        name="posture, half of it a folder",
        command="astro-xcom posture --force",
        made="mkdir .trivyignore",
        line=".trivyignore: cannot be written: is a directory",
    ),
    Fault(
        name="export --prune over a link",
        command="astro-xcom export --no-lock --prune out",
        made="mkdir -p out/stacks theirs; echo '{}' > theirs/cdk.tf.json; ln -s ../../theirs out/stacks/old",
        line="out/stacks/old/cdk.tf.json: a link leads out of out; .*",
    ),
    Fault(
        name="deployments.yaml is a pipe",
        command="astro-xcom check -f pipe",
        made="mkfifo pipe",
        line="pipe: cannot be read: is no regular file",
    ),
    Fault(
        name="deployments.yaml has no end",
        command="astro-xcom check -f zero",
        made="ln -s /dev/zero zero",
        line="zero: cannot be read: is no regular file",
    ),
    Fault(
        name="deployments.yaml is a folder",
        command="astro-xcom check -f examples",
        line="examples: cannot be read: Is a directory",
    ),
    Fault(
        name="values are a pipe",
        made="rm examples/agent-values.yaml; mkfifo examples/agent-values.yaml",
        line=rf"(deployments.yaml: .*examples/agent-values.yaml.*: {NOT_A_FILE}\n?)+",
    ),
    Fault(
        name="a file of megabytes",
        command="astro-xcom check -f big",
        made="yes '# a comment' | head -c 2000000 > big",
        line="big: cannot be read: is larger than .*",
    ),
    Fault(
        name="a state is a pipe",
        command=f"{CHECK} --state pipe",
        made="mkfifo pipe",
        line="pipe: cannot be read: is no regular file",
    ),
    Fault(
        name="a state that nobody ends",
        command=f"{CHECK} --state - < /dev/zero",
        line="standard input: cannot be read: is larger than .*",
    ),
    Fault(name="a plan is a folder", command=f"{CHECK} --plan examples", line="examples: cannot be read: .*"),
    Fault(
        name="a file name with a line in it",
        command="astro-xcom check -f $'a\\nb\\e[31m'",
        line=r"a\nb\\u001b\[31m: no such file",
    ),
    Fault(
        name="a file name of thousands",
        command="astro-xcom check -f $(printf 'a%.0s' {1..5000})",
        line=r"a{2000} \.\.\. \(.* characters more\)",
    ),
    # ---- JSON from elsewhere
    Fault(name="a state is a list", command=f"{CHECK} --state - <<< '[]'", line="standard input: must be what .*"),
    Fault(
        name="a state is deep",
        command=f"{CHECK} --state - <<< $(printf '[%.0s' {{1..5000}})",
        line="standard input: must be what .*",
    ),
    Fault(
        name="a plan of nothing",
        command=f"{CHECK} --plan - <<< '{{\"resource_changes\": 7}}'",
        line="standard input: has another shape .*",
    ),
    Fault(
        name="--from a manifest that names what is not there",
        command=f"{BUNDLE} --from from",
        made='mkdir -p from/stacks/old; echo "{}" > from/stacks/old/cdk.tf.json; '
        """echo '{"stacks": {"aws-example": {}}}' > from/manifest.json""",
        line="from/stacks/aws-example/cdk.tf.json: is missing, and manifest.json names it; try make synth",
    ),
    Fault(
        name="--from a stack that is no longer synthesized",
        command="astro-xcom bundle old -o made.tar.gz --from from",
        made='for s in old new; do mkdir -p from/stacks/$s; echo "{}" > from/stacks/$s/cdk.tf.json; done; '
        """echo '{"stacks": {"new": {}}}' > from/manifest.json""",
        line='stack "old": is not in from; there are new.*',
    ),
    Fault(
        name="--from a stack with a link out of it",
        command="astro-xcom bundle a -o made.tar.gz --from from",
        made='mkdir -p from/stacks/a/assets; echo "{}" > from/stacks/a/cdk.tf.json; '
        "ln -s /etc/passwd from/stacks/a/assets/x",
        line="from/stacks/a/assets/x: a link leads out of from; .*",
    ),
    Fault(
        name="--from lists for mappings",
        command="astro-xcom bundle a -o made.tar.gz --from from",
        made="""mkdir -p from/stacks/a; echo '{"resource": [1]}' > from/stacks/a/cdk.tf.json""",
        line="from/stacks/a/cdk.tf.json: is not Terraform JSON .*",
    ),
    # ---- YAML
    Fault(
        name="nested deeply",
        command="astro-xcom check -f deep.yaml",
        made="printf 'a: %s' $(printf '[%.0s' {1..150}) > deep.yaml",
        line="deep.yaml: .*nested more than 100 deep",
    ),
    Fault(
        name="aliases of aliases",
        command="astro-xcom check -f bomb.yaml",
        made="{ echo 'x0: &x0 [1, 1]'; for n in {1..40}; do echo \"x$n: &x$n [*x$((n-1)), *x$((n-1))]\"; done; } "
        "> bomb.yaml",
        line="bomb.yaml: line .*: its aliases repeat too much: .*",
    ),
    Fault(
        name="a key of JavaScript's",
        command="astro-xcom check -f proto.yaml",
        made="echo 'a: {__proto__: 1}' > proto.yaml",
        line="proto.yaml: line 1: the key __proto__ cannot .*",
    ),
    # ---- the terminal
    Fault(name="nowhere to print to", command=f"{CHECK} > /dev/full", line="standard output: no space left on device"),
    Fault(
        name="nowhere to print what was written",
        command=f"{BUNDLE} > /dev/full",
        made="astro-xcom bundle aws-example -o made.tar.gz",
        line="standard output: no space left on device",
    ),
    Fault(name="a reader that goes", command=f"{CHECK} | head -1", code=0),
    Fault(name="no stdout", command=f"{CHECK} >&-", code=0),
    Fault(name="no stderr", command="astro-xcom check -f nothing 2>&-"),
    Fault(
        name="a terminal of Windows",
        command="astro-xcom check -f wide.yaml",
        env={"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        made="printf '\"r\\u200begion\\xe4\\xb8\\xad\": 1\\ndeployments: {}\\n' > wide.yaml",
        line=r"(?s)wide.yaml: .*r\\u200begion\\u4e2d.*",
    ),
    # ---- HCP Terraform
    *(
        Fault(
            name=f"{name}={value}",
            command="astro-xcom push a --from from --organization acme",
            made='mkdir -p from/stacks/a; echo "{}" > from/stacks/a/cdk.tf.json',
            env={"TFE_TOKEN": "a-token", **proxy, name: value},
            line=line,
        )
        for name, value, proxy, line in (
            ("TFE_VERIFY_TLS", "false", {}, "TFE_VERIFY_TLS would send the token to any server that answers; .*"),
            ("SSL_CERT_FILE", "/nowhere", {}, "SSL_CERT_FILE: /nowhere: holds no certificates .*"),
            ("SSL_CERT_FILE", "@/main.py", {}, "SSL_CERT_FILE: .*: holds no certificates .*"),
            ("HTTPS_PROXY", "socks5://localhost:1", {"NO_PROXY": ""}, "HTTPS_PROXY: cannot be used: .*"),
            ("HTTPS_PROXY", "nonsense://x", {"NO_PROXY": ""}, "HTTPS_PROXY: cannot be used: .*"),
        )
    ),
)


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = project(tmp_path_factory.mktemp("faults"))
    ended = run(folder, "main.py", env={})
    assert ended.code == 0, ended.err
    return folder


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_told_in_one_line_and_leaves_what_was_there(fault: Fault, synthesized: Path, tmp_path: Path) -> None:
    if fault.root and os.geteuid() != 0:
        pytest.skip("only root can mount")
    folder = Path(shutil.copytree(synthesized, tmp_path / "p", symlinks=True))
    if "cdktf.out" in fault.made:
        shutil.rmtree(folder / "cdktf.out")
    if "astro-xcom" in fault.made:
        assert run(folder, fault.made, env={}).code == 0
    elif fault.made:
        subprocess.run(["bash", "-c", fault.made], cwd=folder, check=True)
    before = contents(folder)
    ended = run(folder, fault.command, env=fault.env, before=fault.before)
    assert re.fullmatch(fault.line, ended.err.strip()), ended.err
    assert ended.code == fault.code
    assert contents(folder) == before


def test_there_are_enough_of_them() -> None:
    assert len(FAULTS) >= 40
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize(("number", "code"), [("INT", 130), ("TERM", 143)])
def test_a_signal_that_ends_node_first_is_an_interruption(
    number: str, code: int, synthesized: Path, tmp_path: Path
) -> None:
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\nkill -{number} $$\n")
    node.chmod(0o755)
    ended = run(synthesized, "astro-xcom check", env={"JSII_NODE": str(node)})
    assert ended.code == code
    assert ended.err in ("interrupted\n", "")


def test_debug_shows_the_rest(synthesized: Path) -> None:
    for command in ("astro-xcom --debug check", "astro-xcom check --debug"):
        ended = run(synthesized, command, env={"JSII_NODE": "/bin/false"})
        assert ended.code == 1
        assert ended.err.startswith("CDKTF cannot start Node")
        assert "Traceback (most recent call last)" in ended.err


@pytest.mark.parametrize("home", [None, "/", pytest.param("/dev/null", marks=pytest.mark.long), "/nowhere/at/all"])
def test_a_home_is_not_needed(home: str | None, synthesized: Path, tmp_path: Path) -> None:
    """Without one CDKTF unpacks its providers again, which is said."""
    folder = Path(shutil.copytree(synthesized, tmp_path / "p"))
    warm = str(Path.home() / ".cache" / "aws" / "jsii" / "package-cache")
    cache = {} if home == "/dev/null" else {"JSII_RUNTIME_PACKAGE_CACHE_ROOT": warm}
    ended = run(folder, "main.py", env={"HOME": home, **cache})
    assert (ended.code, ended.err.count("\n")) == (0, 1 if home == "/dev/null" else 0), ended.err
    assert contents(folder) == contents(synthesized)
