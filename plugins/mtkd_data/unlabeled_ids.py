"""Ids of samples that the option ``unlabeled`` adds."""

PREFIX = "unlabelled"
"""First part of the ids. The former spelling stays: views and recorded outputs depend on the ids."""
