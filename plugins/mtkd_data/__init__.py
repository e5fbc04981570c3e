"""The built-in data sources."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import DataSpec, Option
from mtkd_data.options import BOXED, CLASSES, MASKED, SPLIT_PATHS, TABLE, WHOLE


@hookimpl
def mtkd_register_data() -> list[DataSpec]:
    """Return the built-in data sources."""
    return [
        DataSpec(
            "diabetes",
            "Disease progression of 442 patients, ten measurements each; comes with scikit-learn, offline.",
            "mtkd_data.diabetes:Diabetes",
            tasks=("regression",),
            inputs="table",
        ),
        DataSpec(
            "coco",
            "Boxes in COCO format: a JSON file and a folder of images.",
            "mtkd_data.coco:Coco",
            guess="mtkd_data.guess_coco:guess",
            tasks=("detection",),
            options=(
                Option("annotations", str, None, "JSON file with the training annotations", required=True),
                Option("images", str, None, "folder of the training images", required=True),
                Option(
                    "val_annotations",
                    str,
                    None,
                    "JSON file with the validation annotations; default: split off the training set",
                ),
                Option(
                    "test_annotations",
                    str,
                    None,
                    "JSON file with the test annotations; default: split off the training set",
                ),
                Option("val_images", str, None, "folder of the validation images; default: images"),
                Option("test_images", str, None, "folder of the test images; default: images"),
                *BOXED,
            ),
        ),
        DataSpec(
            "digit-scenes",
            "Scenes of scanned digits on a textured background; masks, boxes or several labels; offline.",
            "mtkd_data.digit_scenes:DigitScenes",
            tasks=("segmentation", "detection", "multilabel"),
            options=(
                Option("scenes", int, 600, "number of training scenes", minimum=10, maximum=99999),
                Option("test_scenes", int, 300, "number of test scenes", minimum=10, maximum=99999),
                Option("size", int, 32, "side of a scene, in pixels", minimum=16, maximum=512),
                Option("scene_seed", int, 0, "random seed of the scenes", minimum=0, maximum=2**63 - 1),
            ),
        ),
        DataSpec(
            "digits",
            "1,797 scanned digits of 8 x 8 pixels; comes with scikit-learn, offline.",
            "mtkd_data.digits:Digits",
            tasks=("classification",),
        ),
        DataSpec(
            "fashion-mnist",
            "70,000 images of clothing, 28 x 28 pixels, ten classes.",
            "mtkd_data.fashion_mnist:FashionMnist",
            tasks=("classification",),
            options=(
                Option(
                    "path",
                    str,
                    None,
                    "folder with the four gzipped IDX files; default: download them",
                ),
                Option(
                    "samples",
                    int,
                    None,
                    "number of training images, from the first on; default: all",
                    minimum=10,
                    maximum=60_000,
                    reason="there are 60,000",
                ),
            ),
        ),
        DataSpec(
            "hf-dataset",
            "Parquet or Arrow files of the Hugging Face library datasets, with images and labels.",
            "mtkd_data.hf_dataset:HfDataset",
            guess="mtkd_data.guess_shards:guess_hf_dataset",
            tasks=("classification",),
            options=(
                Option(
                    "path",
                    str,
                    None,
                    "folder saved with save_to_disk; or folder of .parquet or .arrow files, whose names or "
                    "folders may say train, validation, test or unlabeled; or a pattern",
                    required=True,
                ),
                *SPLIT_PATHS,
                Option("image", str, None, "column of images; default: by its type"),
                Option("label", str, None, "column of labels; default: the ClassLabel, or by its name"),
                Option("id", str, None, "column of sample ids; default: number of the row in its split"),
                CLASSES,
                *WHOLE,
            ),
        ),
        DataSpec(
            "image-folder",
            "A folder with one folder of images per class.",
            "mtkd_data.image_folder:ImageFolder",
            guess="mtkd_data.guess_class_folders:guess",
            tasks=("classification",),
            options=(
                Option(
                    "path",
                    str,
                    None,
                    "folder with class folders, or with train/, val/, test/ that contain class folders",
                    required=True,
                ),
                Option(
                    "unlabeled",
                    str,
                    None,
                    "folder of unlabeled images, or none; default: unlabeled/ beside train/, if it exists",
                    aliases=("unlabelled",),
                ),
                Option(
                    "classes",
                    list,
                    None,
                    "class names in order, or a file of them; default: the folders, sorted",
                ),
                *WHOLE,
            ),
        ),
        DataSpec(
            "image-table",
            "Images listed in a CSV or Parquet file, with values, classes or several 0/1 labels.",
            "mtkd_data.image_table:ImageTable",
            guess="mtkd_data.guess_tables:guess_image_table",
            options=(
                Option(
                    "path",
                    str,
                    None,
                    "file, or folder with train, val and test files (.csv, .tsv or .parquet)",
                    required=True,
                ),
                Option("target", list, None, "label columns; default: all except the file column"),
                Option("file", str, None, "column of file names; default: the first column"),
                Option(
                    "images", str, None, "folder that file names are relative to; default: the table's folder"
                ),
                *WHOLE,
                *TABLE,
            ),
        ),
        DataSpec(
            "table",
            "A CSV or Parquet file of numbers and categories, one sample per row.",
            "mtkd_data.table:Table",
            guess="mtkd_data.guess_tables:guess_table",
            inputs="table",
            options=(
                Option(
                    "path",
                    str,
                    None,
                    "file, or folder with train, val and test files (.csv, .tsv or .parquet)",
                    required=True,
                ),
                Option("target", list, None, "label column, or list of label columns", required=True),
                Option(
                    "unlabeled",
                    str,
                    None,
                    "file of unlabeled rows, used for training too",
                    aliases=("unlabelled",),
                ),
                Option("categorical", list, None, "columns of numbers to treat as categories"),
                Option("ignore", list, None, "columns to leave out"),
                Option("id", str, None, "column of sample ids; default: file and row number"),
                *TABLE,
            ),
        ),
        DataSpec(
            "voc",
            "Boxes in Pascal VOC format: one XML file per image.",
            "mtkd_data.voc:Voc",
            guess="mtkd_data.guess_voc:guess_boxes",
            tasks=("detection",),
            options=(
                Option("path", str, None, "folder that contains Annotations and JPEGImages", required=True),
                Option(
                    "classes", list, None, "class names in order; default: all in the training set, sorted"
                ),
                *BOXED,
            ),
        ),
        DataSpec(
            "webdataset",
            "Tar shards in WebDataset's format: images and labels, read in place.",
            "mtkd_data.webdataset:WebDataset",
            guess="mtkd_data.guess_shards:guess_webdataset",
            tasks=("classification",),
            options=(
                Option(
                    "path",
                    str,
                    None,
                    "folder of .tar files, whose names or folders may say train, val, test, unlabeled; or a "
                    "pattern such as shards/train-{000..009}.tar",
                    required=True,
                ),
                *SPLIT_PATHS,
                Option(
                    "label",
                    str,
                    None,
                    "extension of the entry, or field of the .json, with the class; folder: the first folder "
                    "of the name; default: .cls, or label, cls or class in .json",
                ),
                Option("image", str, None, "extension of the images, if samples have several"),
                CLASSES,
                Option(
                    "ids",
                    str,
                    "entry",
                    "sample ids: entry (name of the image), or shard (with the shard's name in front)",
                    choices=("entry", "shard"),
                ),
                *WHOLE,
            ),
        ),
        DataSpec(
            "yolo",
            "Boxes in YOLO format: data.yaml, and one text file of boxes per image.",
            "mtkd_data.yolo:Yolo",
            guess="mtkd_data.guess_yolo:guess",
            tasks=("detection",),
            options=(
                Option("path", str, None, "the file data.yaml", required=True),
                Option(
                    "missing",
                    str,
                    "background",
                    "what an image without a label file is: an image without boxes, or unlabeled",
                    choices=("background", "unlabeled"),
                ),
                *BOXED,
            ),
        ),
        DataSpec(
            "mask-folder",
            "A folder of images and a folder of masks with the same names: gray or palette PNG.",
            "mtkd_data.mask_folder:MaskFolder",
            guess="mtkd_data.guess_masks:guess",
            tasks=("segmentation",),
            options=(
                Option(
                    "path",
                    str,
                    None,
                    "folder with images/ and masks/, or with train/, val/, test/ that contain both",
                    required=True,
                ),
                Option(
                    "classes",
                    list,
                    None,
                    "class names; default: classes.txt in the folder, one name per line",
                ),
                Option("values", list, None, "pixel value of each class in the masks; default: 0, 1, 2, ..."),
                Option("ignore", list, None, "pixel values that mean no label; default: 255"),
                Option("unlabeled", str, None, "folder of unlabeled images", aliases=("unlabelled",)),
                Option(
                    "missing",
                    str,
                    "error",
                    "images without a mask: error, or unlabeled (formerly unlabelled)",
                    choices=("error", "unlabeled", "unlabelled"),
                ),
                *MASKED,
            ),
        ),
        DataSpec(
            "voc-segmentation",
            "Masks of Pascal VOC's 21 classes, from an existing VOCdevkit folder.",
            "mtkd_data.voc_segmentation:VocSegmentation",
            guess="mtkd_data.guess_voc:guess_masks",
            tasks=("segmentation",),
            options=(
                Option("path", str, None, "folder that contains VOCdevkit", required=True),
                Option("year", str, "2012", "year of the challenge, 2007 to 2012"),
                Option(
                    "unlabeled", bool, False, "use the images without a mask too", aliases=("unlabelled",)
                ),
                *MASKED,
            ),
        ),
        DataSpec(
            "oxford-pet",
            "Masks of Oxford-IIIT Pet: pet or background, unlabeled borders, from an existing folder.",
            "mtkd_data.oxford_pet:OxfordPet",
            tasks=("segmentation",),
            options=(
                Option(
                    "path",
                    str,
                    None,
                    "folder that contains oxford-iiit-pet, or that folder itself",
                    required=True,
                ),
                *MASKED,
            ),
        ),
    ]
