"""The built-in data sources."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import DataSpec, Option

DECODED = (
    Option("size", int, 224, "side that images are brought to, in pixels", minimum=8, maximum=1024),
    Option("channels", int, 3, "3 RGB, 1 grey", minimum=1, maximum=3),
    Option(
        "on_bad_sample",
        str,
        "error",
        "an image that cannot be read: error, or skip (at most 1 % of a split, named on stderr)",
        choices=("error", "skip"),
    ),
    Option("workers", int, 4, "threads that decode; no effect on the result", minimum=1, maximum=256),
)
"""Options of every source that decodes images."""

BOXED = (
    Option("unlabelled", str, None, "folder of images without labels"),
    Option("size", int, 320, "side that images are stretched to, in pixels", minimum=8, maximum=2048),
    Option("channels", int, 3, "3 RGB, 1 grey", minimum=1, maximum=3),
    Option("workers", int, 4, "threads that decode; no effect on the result", minimum=1, maximum=256),
)
"""Options of every source of images with boxes."""


@hookimpl
def mtkd_register_data() -> list[DataSpec]:
    """Return the built-in data sources."""
    return [
        DataSpec(
            "diabetes",
            "442 patients, ten measurements, disease progression; ships with scikit-learn, works offline.",
            "mtkd_data.diabetes:Diabetes",
            tasks=("regression",),
            inputs="table",
        ),
        DataSpec(
            "coco",
            "Boxes in COCO's format: a JSON file and a folder of images.",
            "mtkd_data.coco:Coco",
            tasks=("detection",),
            options=(
                Option("annotations", str, None, "JSON file of the training images", required=True),
                Option("images", str, None, "folder of the images", required=True),
                Option("val_annotations", str, None, "JSON file of the validation images; default: a share"),
                Option("test_annotations", str, None, "JSON file of the test images; default: a share"),
                Option("val_images", str, None, "folder of the validation images; default: images"),
                Option("test_images", str, None, "folder of the test images; default: images"),
                *BOXED,
            ),
        ),
        DataSpec(
            "digit-scenes",
            "Scanned digits on a textured canvas, several a scene; masks, boxes or which are there; offline.",
            "mtkd_data.digit_scenes:DigitScenes",
            tasks=("segmentation", "detection", "multilabel"),
            options=(
                Option("scenes", int, 600, "training scenes", minimum=10, maximum=99999),
                Option("test_scenes", int, 300, "test scenes", minimum=10, maximum=99999),
                Option("size", int, 32, "side of a scene, in pixels", minimum=16, maximum=512),
                Option("scene_seed", int, 0, "seed of the scenes", minimum=0),
            ),
        ),
        DataSpec(
            "digits",
            "1,797 scanned digits of 8 x 8 pixels; ships with scikit-learn, works offline.",
            "mtkd_data.digits:Digits",
            tasks=("classification",),
        ),
        DataSpec(
            "fashion-mnist",
            "70,000 pieces of clothing, 28 x 28 pixels, ten classes.",
            "mtkd_data.fashion_mnist:FashionMnist",
            tasks=("classification",),
            options=(
                Option(
                    "path",
                    str,
                    None,
                    "folder with the four gzipped IDX files; without it they are downloaded",
                ),
                Option(
                    "samples",
                    int,
                    None,
                    "training images that are used (the first ones); default: all",
                    minimum=10,
                ),
            ),
        ),
        DataSpec(
            "image-folder",
            "Any folder with one folder of PNG or JPEG images per class.",
            "mtkd_data.image_folder:ImageFolder",
            tasks=("classification",),
            options=(
                Option(
                    "path",
                    str,
                    None,
                    "folder of class folders, or of train/, val/, test/ with class folders",
                    required=True,
                ),
                Option("unlabelled", str, None, "folder of images without labels"),
                *DECODED,
            ),
        ),
        DataSpec(
            "image-table",
            "Images named in a CSV or parquet file, with values, classes or several yes-or-no labels.",
            "mtkd_data.image_table:ImageTable",
            options=(
                Option(
                    "path", str, None, "file, or folder of train, val, test (.csv or .parquet)", required=True
                ),
                Option("target", list, None, "columns of the labels; default: all besides the files"),
                Option("file", str, None, "column of file names; default: the first"),
                Option("images", str, None, "folder that file names start from; default: the table's"),
                *DECODED,
                Option("separator", str, ",", "between the cells of CSV"),
            ),
        ),
        DataSpec(
            "table",
            "A CSV or parquet file of numbers and categories, one row a sample.",
            "mtkd_data.table:Table",
            inputs="table",
            options=(
                Option(
                    "path", str, None, "file, or folder of train, val, test (.csv or .parquet)", required=True
                ),
                Option(
                    "target", list, None, "column of the label, or columns of several values", required=True
                ),
                Option("unlabelled", str, None, "file of rows without labels, trained on too"),
                Option("categorical", list, None, "columns whose numbers are names"),
                Option("ignore", list, None, "columns that are left out"),
                Option("id", str, None, "column that names the samples; default: by file and row"),
                Option("separator", str, ",", "between the cells of CSV"),
            ),
        ),
        DataSpec(
            "voc",
            "Boxes in Pascal VOC's format: an XML file for each image.",
            "mtkd_data.voc:Voc",
            tasks=("detection",),
            options=(
                Option("path", str, None, "folder that has Annotations and JPEGImages in it", required=True),
                Option("classes", list, None, "class names in order; default: all of training, sorted"),
                *BOXED,
            ),
        ),
        DataSpec(
            "mask-folder",
            "A folder of images and one of masks of the same names: grey or palette PNG.",
            "mtkd_data.mask_folder:MaskFolder",
            tasks=("segmentation",),
            options=(
                Option(
                    "path",
                    str,
                    None,
                    "folder with images/ and masks/, or with both in each of train/, val/, test/",
                    required=True,
                ),
                Option("classes", list, None, "class names; default: classes.txt in the folder, one a line"),
                Option("values", list, None, "number of each class in the masks; default: 0, 1, 2, ..."),
                Option("ignore", list, None, "numbers of pixels without a label; default: 255"),
                Option("unlabelled", str, None, "folder of images without masks"),
                Option(
                    "missing",
                    str,
                    "error",
                    "an image without a mask: error, or unlabelled",
                    choices=("error", "unlabelled"),
                ),
                *DECODED,
            ),
        ),
        DataSpec(
            "voc-segmentation",
            "Pascal VOC's 21 classes, from a folder VOCdevkit that is there already.",
            "mtkd_data.voc_segmentation:VocSegmentation",
            tasks=("segmentation",),
            options=(
                Option("path", str, None, "folder that holds VOCdevkit", required=True),
                Option("year", str, "2012", "2007 to 2012"),
                Option("unlabelled", bool, False, "take the images without a mask too"),
                *DECODED,
            ),
        ),
        DataSpec(
            "oxford-pet",
            "Oxford-IIIT Pet: pet or background, borders left out, from a folder that is there already.",
            "mtkd_data.oxford_pet:OxfordPet",
            tasks=("segmentation",),
            options=(
                Option("path", str, None, "folder that holds oxford-iiit-pet, or that folder", required=True),
                *DECODED,
            ),
        ),
    ]
