"""Evaluates the IAM policies that are synthesized here: just enough of the language, and anything else is an error."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Statement = dict[str, Any]
Context = Mapping[str, str]


def statements(policy: str) -> list[Statement]:
    """The statements of a policy document."""
    document = json.loads(policy)
    found: list[Statement] = document["Statement"]
    return found


def allowed(action: str, resource: str, context: Context, *policies: list[Statement]) -> bool:
    """Whether some statement allows it and none denies it."""
    effects = {statement["Effect"] for policy in policies for statement in _matching(policy, action, resource, context)}
    return effects == {"Allow"}


def may_assume(trust: list[Statement], *, provider: str, claims: Context) -> bool:
    """Whether a web identity token of an OIDC provider (ARN) may assume the role that has this trust policy."""
    host = provider.partition(":oidc-provider/")[2]
    context = {f"{host}:{claim}": value for claim, value in claims.items()}
    return any(
        statement["Effect"] == "Allow"
        and "sts:AssumeRoleWithWebIdentity" in items(statement["Action"])
        and provider in items(statement["Principal"]["Federated"])
        and _conditions(statement, context)
        for statement in trust
    )


def _matching(policy: list[Statement], action: str, resource: str, context: Context) -> Iterator[Statement]:
    for statement in policy:
        known = {"Sid", "Effect", "Action", "Resource", "Principal", "Condition"}
        assert statement.keys() <= known, f"this evaluator does not know {statement.keys() - known}"
        if (
            any(_like(pattern, action) for pattern in items(statement["Action"]))
            and any(_like(pattern, resource) for pattern in items(statement["Resource"]))
            and _conditions(statement, context)
        ):
            yield statement


def _conditions(statement: Statement, context: Context) -> bool:
    tests = {
        "StringEquals": lambda came, wanted: came in wanted,
        "StringLike": lambda came, wanted: any(_like(pattern, came) for pattern in wanted),
        "Bool": lambda came, wanted: came in wanted,
        "NumericLessThan": lambda came, wanted: any(float(came) < float(limit) for limit in wanted),
    }
    return all(
        key in context and tests[operator](context[key], items(wanted))
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def _like(pattern: str, text: str) -> bool:
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def items(value: Any) -> list[str]:
    """One text stands for a list of one."""
    return value if isinstance(value, list) else [value]
