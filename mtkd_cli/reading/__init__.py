"""Read samples from files: images, image folders, and tables encoded as numbers.

Data sources, teachers and `mtkd predict` all use these functions, so that they read files in the same way.
Splits and views of samples belong in `mtkd_cli.data`, model files in `mtkd_cli.safe_loading`.
"""

from mtkd_cli.files.regular_file import open_regular as open_regular
from mtkd_cli.files.regular_file import read_regular as read_regular
from mtkd_cli.reading.image_folders import list_folders as list_folders
from mtkd_cli.reading.image_folders import list_images as list_images
from mtkd_cli.reading.images import decode as decode
from mtkd_cli.reading.table_encoding import encode_table as encode_table
from mtkd_cli.reading.tables import Frame as Frame
from mtkd_cli.reading.tables import read_splits as read_splits
