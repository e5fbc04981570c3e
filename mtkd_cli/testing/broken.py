"""What a check finds: a broken rule, or nothing that it could check."""

from __future__ import annotations


class BrokenRuleError(AssertionError):
    """A plugin does not do what every plugin of its kind promises; the message names the rule."""


class NotCheckedError(Exception):
    """Nothing was checked; the message says what is missing."""


def require(kept: bool, who: str, rule: str, how: str) -> None:
    """Raise BrokenRuleError unless a rule is kept."""
    if not kept:
        raise BrokenRuleError(f"{who} breaks the rule {rule!r}: {how}")
