"""Print a recipe and what it would do."""

from __future__ import annotations

from mtkd_cli.cli import console
from mtkd_cli.files import yaml12
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.runs import view_count
from mtkd_cli.runs.baseline_choice import BaselineChoice
from mtkd_cli.runs.plan import make_plan, plan_table
from mtkd_cli.runs.start import load_context
from mtkd_cli.safe_loading.stdout import stdout_on_stderr


def plan(
    parts: Resolved, device: str, threads: int, baseline: BaselineChoice, seeds: int, as_json: bool
) -> None:
    """Print the resolved recipe and what would be done."""
    with stdout_on_stderr():
        context = load_context(parts, device, threads)
        facts = make_plan(context, view_count.count_views(context.recipe), baseline, seeds)
    if as_json:
        console.print_json({"recipe": context.recipe.as_dict(), "plan": facts})
        return
    print(yaml12.dump(context.recipe.as_dict()))  # noqa: T201
    console.print_result(plan_table(facts))
