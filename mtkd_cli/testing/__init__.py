"""Checks that every plugin must pass: for plugin authors' tests, `mtkd plugins check`, and our own.

from mtkd_cli.testing import check_strategy

def test_mine_is_a_strategy() -> None:
    check_strategy(Mine, SPEC)
"""

from mtkd_cli.testing.broken import BrokenRuleError as BrokenRuleError
from mtkd_cli.testing.broken import NotCheckedError as NotCheckedError
from mtkd_cli.testing.strategy import check_strategy as check_strategy
