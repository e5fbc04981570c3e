"""Baselines as reports name them."""

from __future__ import annotations

ALONE, PSEUDO_LABELS, ALL_LABELS = "alone", "pseudo-labels", "all-labels"
"""Kinds of baselines: their keys in a report, and the kinds of their folders in the store.

``alone``: the student on the labels that the distilled student has. ``pseudo-labels``: on these, and on
pseudo-labels of all training samples. ``all-labels``: on the labels that teachers were fitted to.
"""

FAIR = (ALONE, PSEUDO_LABELS)
"""Kinds whose student saw the labels and samples of the distilled student, or fewer."""

TITLES = {ALONE: "alone", PSEUDO_LABELS: "pseudo-labels", ALL_LABELS: "all labels (reference)"}
PHRASES = {ALONE: "alone", PSEUDO_LABELS: "with pseudo-labels", ALL_LABELS: "with all labels"}


def title_of(kind: str) -> str:
    """Return what a row of a table calls a baseline."""
    return f"student, {TITLES.get(kind, kind)}"


def phrase_of(kind: str) -> str:
    """Return what a sentence calls a baseline."""
    return f"the same student {PHRASES.get(kind, kind)}"
