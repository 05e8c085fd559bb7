"""The JSON Schema of deployments.yaml, for editors: `python -m astro_xcom.schema`."""

import json
from typing import Any

from pydantic.json_schema import models_json_schema

from astro_xcom.deployments import CLOUDS, IGNORED
from astro_xcom.settings import Deployment


def deployments_schema() -> dict[str, Any]:
    """The schema of a whole file, made from the settings.

    Nothing but `cloud` is required, since `defaults` may supply the rest: reading the file checks that.
    """
    models = list(CLOUDS.values())
    references, definitions = models_json_schema([(model, "validation") for model in models])
    definitions = _plain(definitions)["$defs"]
    for cloud, model in CLOUDS.items():
        deployment = definitions[model.__name__]
        deployment["properties"]["cloud"] = {"const": cloud, "description": "Which settings apply."}
        deployment["required"] = ["cloud"]
    shared = definitions[models[0].__name__]["properties"]
    alike = [
        name
        for name, field in sorted(Deployment.model_fields.items())
        if all(model.model_fields[name].annotation == field.annotation for model in models)
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "deployments.yaml",
        "description": "XCom backends for Astro Remote Execution Agents: one stack per deployment.",
        "type": "object",
        "additionalProperties": False,
        "required": ["deployments"],
        "patternProperties": {f"^{IGNORED}": {"description": "Yours: nothing reads it. A place for YAML anchors."}},
        "properties": {
            "defaults": {
                "description": "Lies under every deployment: maps merge, anything else replaces.",
                "type": "object",
                "properties": {name: shared[name] for name in alike},
            },
            "deployments": {
                "description": "The deployments by name. The name is the stack's.",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": False,
                "patternProperties": {
                    "^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$": {
                        "oneOf": [references[(model, "validation")] for model in models]
                    }
                },
            },
        },
        "$defs": definitions,
    }


def _plain(schema: Any) -> Any:
    """Without pydantic's generated titles and without `required`."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _plain(item) for name, item in value.items()} if key in ("properties", "$defs") else _plain(value)
        for key, value in schema.items()
        if key not in ("required", "title")
    }


if __name__ == "__main__":
    print(json.dumps(deployments_schema(), indent=2, ensure_ascii=False))  # noqa: T201
