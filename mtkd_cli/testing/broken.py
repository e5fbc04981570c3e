"""The exceptions of a check: a broken rule, or a check that could not run."""

from __future__ import annotations


class BrokenRuleError(AssertionError):
    """A plugin breaks a rule of its kind; the message names the rule."""


class NotCheckedError(Exception):
    """The check could not run; the message says what is missing."""


def require(condition: bool, who: str, rule: str, how: str) -> None:
    """Raise unless a condition holds.

    Args:
        condition: the condition.
        who: the checked plugin, for the message.
        rule: the rule that requires the condition.
        how: how it is broken.

    Raises:
        BrokenRuleError: the condition is false.
    """
    if not condition:
        raise BrokenRuleError(f"{who} breaks the rule {rule!r}: {how}")
