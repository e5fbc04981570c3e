"""Options that several data sources share."""

from mtkd_cli.specs import Option

SIDE = "smaller images show nothing, larger ones do not fit into memory"


def decoding(size: int, fit: str, most: int = 1024) -> tuple[Option, ...]:
    """Return the options of sources that decode images.

    Args:
        size: default of ``size``.
        fit: default of ``fit``.
        most: largest ``size``.
    """
    return (
        Option(
            "size",
            int,
            size,
            "side of the images in pixels, or [height, width]",
            minimum=8,
            maximum=most,
            pair=True,
            reason=SIDE,
        ),
        Option("channels", int, 3, "3 for RGB, 1 for gray", minimum=1, maximum=3),
        Option(
            "fit",
            str,
            fit,
            "how an image fills size: crop (cut what is outside), stretch, or pad (show all, add gray)",
            choices=("crop", "stretch", "pad"),
        ),
        Option(
            "on_bad_sample",
            str,
            "error",
            "unreadable images: error, or skip (at most 1 % of a split, listed on stderr)",
            choices=("error", "skip"),
        ),
        Option(
            "workers",
            int,
            4,
            "number of decoding threads; does not change the result",
            minimum=1,
            maximum=256,
        ),
        Option(
            "cache",
            str,
            "auto",
            "decoded images: on disk, in memory, none (decode on demand), or auto by what fits; same result",
            choices=("auto", "memory", "disk", "none"),
        ),
    )


WHOLE = decoding(224, "crop")
"""Options of sources whose labels are for whole images."""

MASKED = decoding(224, "pad", 2048)
"""Options of sources of masks."""

TABLE = (
    Option(
        "separator",
        str,
        None,
        "separator of the cells in CSV files: one character, or comma, semicolon, tab, pipe, space; default: "
        "found in the file",
    ),
    Option("decimal", str, None, "decimal sign: point or comma; default: found in the file"),
    Option(
        "thousands",
        str,
        None,
        "separator of thousands: comma, point, apostrophe, space or none; default: any but the decimal sign",
    ),
    Option(
        "missing",
        list,
        None,
        "words that mean a missing value; default: NA, N/A, NaN, null, None, -, ? and alike",
    ),
    Option(
        "encoding", str, None, "encoding of CSV files, such as cp1252; default: UTF-8, or by byte order mark"
    ),
)
"""Options of the sources that read tables."""

BOXED = (
    Option("unlabeled", str, None, "folder of unlabeled images", aliases=("unlabelled",)),
    *decoding(320, "pad", 2048),
)
"""Options of sources of boxes."""


SPLIT_PATHS = (
    Option("val_path", str, None, "file, folder or pattern of the validation split; default: in path"),
    Option("test_path", str, None, "file, folder or pattern of the test split; default: in path"),
    Option(
        "unlabeled",
        str,
        None,
        "file, folder or pattern of samples that are used without labels; default: in path",
        aliases=("unlabelled",),
    ),
)
"""Options of the sources of shards for the other splits."""

CLASSES = Option(
    "classes",
    list,
    None,
    "class names in order, or a file of them; default: classes.txt in the folder, else as found",
)
