"""The recipe's JSON schema, for editors."""

from __future__ import annotations

from typing import Any

from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.recipe.shorthand import LISTS, SHORTHAND


def json_schema() -> dict[str, Any]:
    """Return the recipe's JSON schema, for editors. Shorthands are allowed in it."""
    schema = Recipe.model_json_schema()
    properties, parts = schema["properties"], schema["$defs"]
    for section in SHORTHAND:
        target = properties[section]
        short = {"type": ["string", "integer"] if section == "views" else "string"}
        if section in LISTS:
            target["items"] = {"anyOf": [target["items"], short]}
        else:
            long = {"$ref": target.pop("$ref")}
            target["anyOf"] = [long, short]
    augment = properties["augment"]
    for field in (augment, *(parts[part]["properties"]["batch_size"] for part in ("Fit", "Train"))):
        field["anyOf"] = field.pop("oneOf")
    augment["anyOf"][-1] = {"enum": ["auto", "none"]}
    parts["Teacher"]["properties"]["fit"]["anyOf"].append({"enum": ["head", "all"]})
    for key in ("lr", "weight_decay"):
        field = parts["Train"]["properties"][key]
        several = {"type": field.pop("type"), "items": field.pop("items"), "minItems": 1}
        field.pop("minLength", None)  # pydantic's word for a text's length
        field["anyOf"] = [several, {"type": "number"}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "mtkd recipe"}
