"""JSON schema of recipes, for editors."""

from __future__ import annotations

from typing import Any

from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.recipe.shorthand import LISTS, SHORTHAND


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of recipes, which allows shorthands."""
    schema = Recipe.model_json_schema()
    properties, definitions = schema["properties"], schema["$defs"]
    for section in SHORTHAND:
        target = properties[section]
        short = {"type": ["string", "integer"] if section == "views" else "string"}
        if section in LISTS:
            target["items"] = {"anyOf": [target["items"], short]}
        else:
            long = {"$ref": target.pop("$ref")}
            target["anyOf"] = [long, short]
    augment = properties["augment"]
    for field in (augment, *(definitions[name]["properties"]["batch_size"] for name in ("Fit", "Train"))):
        field["anyOf"] = field.pop("oneOf")
    augment["anyOf"][-1] = {"enum": ["auto", "none"]}
    definitions["Teacher"]["properties"]["fit"]["anyOf"].append({"enum": ["head", "all"]})
    kinds = ["logits", "probabilities", "values"]
    definitions["Teacher"]["properties"]["outputs"]["anyOf"].append({"enum": kinds})
    for key in ("lr", "weight_decay"):
        field = definitions["Train"]["properties"][key]
        number = field.pop("items")
        # pydantic adds the keywords of strings
        limits = {"minItems": field.pop("minLength", 1), "maxItems": field.pop("maxLength")}
        field["anyOf"] = [{"type": field.pop("type"), "items": number, **limits}, number]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "mtkd recipe"}
