"""Load files and code from other people: weights without pickle, size limits, local code.

Code that reads a file not written by mtkd belongs here, except for samples (`mtkd_cli.reading`). Plugins
may import these modules. Importing the package does not import torch.
"""

from mtkd_cli.safe_loading.decompression_limits import refuse_bomb as refuse_bomb
from mtkd_cli.safe_loading.decompression_limits import refuse_content as refuse_content
from mtkd_cli.safe_loading.global_state import keep_global_state as keep_global_state
from mtkd_cli.safe_loading.local_code import load_attribute as load_attribute
from mtkd_cli.safe_loading.local_code import source_hash as source_hash
from mtkd_cli.safe_loading.optional_imports import need as need
from mtkd_cli.safe_loading.quiet_logs import quiet as quiet
