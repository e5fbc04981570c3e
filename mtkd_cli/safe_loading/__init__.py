"""Load files and code that other people wrote: weights without pickle, size limits, local code.

Whatever reads a file that mtkd did not write itself belongs here, unless it reads samples
(`mtkd_cli.reading`). Plugin authors may import these modules; importing the package imports no torch.
"""

from mtkd_cli.safe_loading.decompression_limits import refuse_bomb as refuse_bomb
from mtkd_cli.safe_loading.decompression_limits import refuse_content as refuse_content
from mtkd_cli.safe_loading.local_code import load_attribute as load_attribute
from mtkd_cli.safe_loading.local_code import source_hash as source_hash
from mtkd_cli.safe_loading.optional_imports import need as need
from mtkd_cli.safe_loading.quiet_logs import quiet as quiet
