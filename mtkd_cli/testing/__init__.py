"""Checks that every plugin must pass, for the tests of plugin authors and for `mtkd plugins check`.

import mtkd_mine
from mtkd_cli.testing import check_plugin

def test_plugin_passes_checks() -> None:
    check_plugin(mtkd_mine)
"""

from mtkd_cli.testing.broken import BrokenRuleError as BrokenRuleError
from mtkd_cli.testing.broken import NotCheckedError as NotCheckedError
from mtkd_cli.testing.data import cache_in as cache_in
from mtkd_cli.testing.data import check_data as check_data
from mtkd_cli.testing.loss import check_loss as check_loss
from mtkd_cli.testing.plugin import check as check
from mtkd_cli.testing.plugin import check_plugin as check_plugin
from mtkd_cli.testing.provider import check_provider as check_provider
from mtkd_cli.testing.strategy import check_strategy as check_strategy
from mtkd_cli.testing.task import check_task as check_task
from mtkd_cli.testing.tracker import check_tracker as check_tracker
