"""One Node process for jsii instead of two, which keeps what it would find out again in each run (runtime.js, kept.js).

Only with the JavaScript of jsii that it was tried with: any other runs as it is. So does a JSII_RUNTIME of your own.
"""

import functools
import hashlib
import importlib.resources
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EAGER = os.environ.get("ASTRO_XCOM_EAGER_BINDINGS", "") not in ("", "0")
"""The switch that leaves Python and Node as they are."""
TESTED = {"ae39a922c041b41d2fc0acc0164699f779b7afd48f50aad05b3f70d3b96a0841"}
"""SHA-256 of program.js, here of jsii 1.142.0. Another one needs the texts that runtime.js replaces; make test-slow."""
MAIN = Path(__file__).with_suffix(".js")


@functools.cache
def fits() -> bool:
    """Whether jsii's program is one that runtime.js knows."""
    if EAGER or not MAIN.is_file():
        return False
    try:
        program = importlib.resources.files("jsii._embedded.jsii").joinpath("lib__program.js").read_bytes()
    except (ImportError, OSError):
        return False
    return hashlib.sha256(program).hexdigest() in TESTED


def install(node: Any) -> None:
    """Let jsii's class for its Node process start runtime.js."""
    start: Callable[[Any], None] = node.start
    unpack: Callable[[Any], str] = node._jsii_runtime

    def started(self: Any) -> None:
        if not fits() or os.environ.get("JSII_RUNTIME"):
            start(self)
            return
        with _environment("NODE_PRESERVE_SYMLINKS", "1"):  # else jsii copies the packages
            self._jsii_runtime = functools.partial(_main, unpack, self)
            start(self)
            self.has_bindings = True

    node.start = started


def has_bindings() -> bool:
    """Whether jsii's Node process runs bindings.js already. Starts it."""
    import jsii

    kernel: Any = jsii.kernel
    kernel.stats()
    return getattr(getattr(kernel.provider, "_process", None), "has_bindings", False)


def _main(unpack: Callable[[Any], str], node: Any) -> str:
    """A program beside jsii's own that says where this is."""
    own = Path(unpack(node))
    main = own.with_name("astro-xcom.js")
    main.write_text(f"require({json.dumps(str(MAIN))}).run(__dirname);\n", encoding="utf-8")
    return str(main)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
