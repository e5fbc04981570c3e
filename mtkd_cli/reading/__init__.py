"""Read samples from files: images, image folders, and tables and their encoding as numbers.

Data sources, teachers and `mtkd predict` read through these functions, so all of them read alike.
Splits and views of samples belong in `mtkd_cli.data`, model files in `mtkd_cli.safe_loading`.
"""

from mtkd_cli.reading.image_folders import folders_in as folders_in
from mtkd_cli.reading.image_folders import images_in as images_in
from mtkd_cli.reading.images import decode as decode
from mtkd_cli.reading.table_encoding import encoded as encoded
from mtkd_cli.reading.tables import Frame as Frame
from mtkd_cli.reading.tables import frames_in as frames_in
