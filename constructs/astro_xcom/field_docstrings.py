"""The docstring below a field describes it, in schemas and in docs.

pydantic's `use_attribute_docstrings` parses the source of every model when it is imported: a third of the time that
the settings take.
"""

import ast
import functools
import inspect
import itertools
import textwrap
from typing import Any

from pydantic import BaseModel


def field_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings of a model's fields, inherited ones included."""
    found = {name: text for each in reversed(model.__mro__) for name, text in _own(each).items()}
    return {name: text for name, text in found.items() if name in model.model_fields}


def describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Give a JSON schema's properties their descriptions: for `json_schema_extra` of a model's configuration."""
    for name, text in field_docstrings(model).items():
        schema["properties"][name].setdefault("description", text)


@functools.cache
def _own(model: type) -> dict[str, str]:
    if model is BaseModel or not issubclass(model, BaseModel):
        return {}
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    found = {}
    for field, below in itertools.pairwise(tree.body if isinstance(tree, ast.ClassDef) else ()):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            found[field.target.id] = inspect.cleandoc(below.value.value)
    return found
