"""Write the generated pages of the documentation; a test checks that they are current."""

import json
from pathlib import Path

from mtkd_cli.recipe import json_schema

HERE = Path(__file__).parent


def main() -> None:
    """Write the recipe's JSON schema."""
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    (HERE / "recipe.schema.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
