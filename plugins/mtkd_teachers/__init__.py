"""The built-in model providers: teachers, and students."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import TeacherSpec


@hookimpl
def mtkd_register_teachers() -> list[TeacherSpec]:
    """Return the built-in providers."""
    return [
        TeacherSpec(
            "convnet",
            "Plain convolutions of the widths in the name, halving the image after each.",
            "mtkd_teachers.convnet:ConvNetProvider",
            example="convnet:8-16-32",
            requires=("torch",),
        ),
        TeacherSpec(
            "exported",
            "A program of torch.export (.pt2) or a TorchScript archive; only with --trust-pickle.",
            "mtkd_teachers.exported:ExportedProvider",
            example="exported:model.pt2",
            trainable=False,
            requires=("torch",),
            inputs=("image", "table"),
        ),
        TeacherSpec(
            "hf",
            "An image classifier of Hugging Face transformers: a folder, or a name of its hub.",
            "mtkd_teachers.hf:HfProvider",
            example="hf:google/vit-base-patch16-224",
            trainable=False,
            requires=("torch", "transformers"),
        ),
        TeacherSpec(
            "keras",
            "A Keras 3 model in a .keras file, run on Keras's torch backend; no code in it is run.",
            "mtkd_teachers.keras:KerasProvider",
            example="keras:model.keras",
            trainable=False,
            requires=("torch", "keras"),
        ),
        TeacherSpec(
            "mlp",
            "Fully connected layers of the widths in the name.",
            "mtkd_teachers.mlp:MlpProvider",
            example="mlp:64-64",
            requires=("torch",),
            inputs=("image", "table"),
        ),
        TeacherSpec(
            "onnx",
            "A model in an ONNX file, run by onnxruntime on the CPU.",
            "mtkd_teachers.onnx:OnnxProvider",
            example="onnx:model.onnx",
            trainable=False,
            requires=("onnx", "onnxruntime"),
            inputs=("image", "table"),
        ),
        TeacherSpec(
            "python",
            "A function in a local file or module that returns a torch module. Runs that code.",
            "mtkd_teachers.python:PythonProvider",
            example="python:my_models.py:build",
            requires=("torch",),
            inputs=("image", "table"),
        ),
        TeacherSpec(
            "resnet",
            "Small residual nets for small images: depth 6n + 2 and width in the name.",
            "mtkd_teachers.resnet:ResNetProvider",
            example="resnet:20-16",
            requires=("torch",),
        ),
        TeacherSpec(
            "run",
            "The student of an earlier run: chains, born-again networks.",
            "mtkd_teachers.run:RunProvider",
            example="run:runs/first",
            trainable=False,
            requires=("torch",),
            inputs=("image", "table"),
        ),
        TeacherSpec(
            "sklearn",
            "A fitted scikit-learn estimator or pipeline in a skops file; no pickle.",
            "mtkd_teachers.sklearn:SklearnProvider",
            example="sklearn:forest.skops",
            trainable=False,
            requires=("scikit-learn",),
            inputs=("table",),
        ),
        TeacherSpec(
            "tiny-fcos",
            "A small FCOS detector for small images: width and depth in the name.",
            "mtkd_teachers.tiny_fcos:TinyFcosProvider",
            example="tiny-fcos:32-2",
            requires=("torch", "torchvision"),
            tasks=("detection",),
        ),
        TeacherSpec(
            "timm",
            "Any model of timm, with its own size and normalisation.",
            "mtkd_teachers.timm:TimmProvider",
            example="timm:mobilenetv3_small_100",
            requires=("torch", "timm"),
        ),
        TeacherSpec(
            "torchvision",
            "Any classifier, detector or segmentation model of torchvision, with its preprocessing.",
            "mtkd_teachers.torchvision:TorchvisionProvider",
            example="torchvision:resnet50",
            requires=("torch", "torchvision"),
        ),
        TeacherSpec(
            "smp",
            "Any decoder on any encoder of segmentation-models-pytorch.",
            "mtkd_teachers.smp:SmpProvider",
            example="smp:unet/resnet34",
            requires=("torch", "segmentation-models-pytorch"),
            tasks=("segmentation",),
        ),
        TeacherSpec(
            "unet",
            "Small U-Nets for masks, the widths of their levels in the name.",
            "mtkd_teachers.unet:UNetProvider",
            example="unet:8-16-32",
            requires=("torch",),
            tasks=("segmentation",),
        ),
    ]
