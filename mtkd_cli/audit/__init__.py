"""`mtkd audit`: measure teachers and strategies on the validation set, before any student is trained.

Facts, their intervals and findings belong here. Pages and tables of an audit belong in
`mtkd_cli.report` and `mtkd_cli.cli.render`.
"""

from mtkd_cli.audit.measure import audit_of as audit_of
