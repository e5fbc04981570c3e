"""Measure the teachers, and what each strategy would make of them, before any student is trained."""

from mtkd_cli.audit.measure import audit_of as audit_of
