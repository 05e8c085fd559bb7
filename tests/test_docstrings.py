"""The docstrings of public constructs: they name every keyword, and their examples run."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cdktf import TerraformStack, Testing
from constructs import Construct

from astro_xcom import settings, xcom
from support import synth

MODULES = {name: importlib.import_module(f"astro_xcom.{name}") for name in ("aws", "azure", "gcp", "agent")}
CONSTRUCTS: dict[str, type[Construct]] = {
    f"{module}.{name}": getattr(MODULES[module], name)
    for module in MODULES
    for name in MODULES[module].__all__
    if issubclass(getattr(MODULES[module], name), Construct)
}
# Nobody creates a reference by its class, and a whole stack takes settings: examples/aws_deployments.py.
WITHOUT_EXAMPLE = ("Ref", "Stack")


def documented(of: type) -> str:
    """The docstrings of a class and of those of its bases that are ours."""
    return "\n".join(
        each.__dict__.get("__doc__") or "" for each in of.__mro__ if each.__module__.startswith("astro_xcom")
    )


def keywords(of: type, function: Callable[..., Any]) -> Iterator[str]:
    for each in inspect.signature(function).parameters.values():
        if each.kind is each.KEYWORD_ONLY:
            yield each.name


def public(of: type) -> Iterator[Callable[..., Any]]:
    for name, member in inspect.getmembers(of, callable):
        ours = (getattr(member, "__module__", None) or "").startswith("astro_xcom")
        if ours and (name == "__init__" or not name.startswith("_")):
            yield member


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_every_keyword_is_documented(name: str) -> None:
    of = CONSTRUCTS[name]
    missing = [
        f"{function.__qualname__}: {keyword}"
        for function in public(of)
        for keyword in keywords(of, function)
        if f"`{keyword}`" not in documented(of) + (function.__doc__ or "")
    ]
    assert missing == []


def examples(name: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", inspect.getdoc(CONSTRUCTS[name]) or "", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in CONSTRUCTS if not name.endswith(WITHOUT_EXAMPLE)])
def test_the_example_runs(name: str) -> None:
    stack = TerraformStack(Testing.app(), "stack")
    known = {**vars(xcom), **vars(settings), "stack": stack}
    known |= {each: getattr(MODULES[name.partition(".")[0]], each) for each in MODULES[name.partition(".")[0]].__all__}
    (example,) = examples(name)
    exec(example, known)  # what a reader would paste
    assert any(isinstance(each, CONSTRUCTS[name]) for each in stack.node.find_all())
    synth(stack)
