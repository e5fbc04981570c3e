"""Write 8-bit ONNX files: with the quantizer of ONNX Runtime, or from quantization-aware training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mtkd_cli.models.fake_quantization import freeze
from mtkd_cli.models.onnx_program import INPUT, Shippable, content_of
from mtkd_cli.safe_loading.quiet_logs import quiet

LAYERS = ("Conv", "MatMul", "Gemm")
"""Quantized operators. The others, as the preprocessing and what follows the head, stay in float32."""


def quantize_dynamic(source: Path, target: Path) -> None:
    """Write a copy of a file with 8-bit weights; activations are quantized by their range in each call."""
    from onnxruntime import quantization

    with quiet():
        quantization.quantize_dynamic(
            source,
            target,
            weight_type=quantization.QuantType.QUInt8,
            op_types_to_quantize=list(LAYERS),
        )
    _copy_metadata(source, target)


def quantize_static(
    source: Path, target: Path, batches: Sequence[NDArray[np.generic]], float_head: bool = False
) -> None:
    """Write a copy of a file with 8-bit weights, per channel, and activations with ranges of some samples.

    The ranges are symmetric, up to the largest magnitude (MinMax): zero points are 0, as TensorRT needs it.
    Weights use 7 of the 8 bits: CPUs without VNNI add two products in 16 bits, and saturate with more.
    The file is in QDQ format: each layer stands between a QuantizeLinear and a DequantizeLinear.

    Args:
        source: path of the float32 file.
        target: path to write.
        batches: calibration samples, each ``[B, ...]`` of the type that the file takes.
        float_head: whether the last layer stays in float32, as for values, whose precision would be 1/255.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Yields the calibration samples."""

        def __init__(self) -> None:
            self.left: Iterator[NDArray[np.generic]] = iter(batches)

        def get_next(self) -> dict[str, NDArray[np.generic]] | None:
            """Return the next samples; None at the end."""
            found = next(self.left, None)
            return None if found is None else {INPUT: np.ascontiguousarray(found)}

    folded = target.with_name(f"folded{target.suffix}")
    with quiet():
        quant_pre_process(source, folded, skip_symbolic_shape=True)  # folds BatchNorm
        layers = [node.name for node in onnx.load(folded).graph.node if node.op_type in LAYERS]
        quantization.quantize_static(
            folded,
            target,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=list(LAYERS),
            nodes_to_exclude=layers[-1:] if float_head else [],
            calibrate_method=quantization.CalibrationMethod.MinMax,
            extra_options={"ActivationSymmetric": True},
        )
    folded.unlink()
    _copy_metadata(source, target)


def write_trained(
    source: Path, target: Path, trained: nn.Module, example: NDArray[np.generic], single: bool
) -> None:
    """Write the file of a student that was trained with fake quantization: it rounds as the training did.

    Args:
        source: path of the float32 file, whose metadata the new file gets.
        target: path to write.
        trained: the student, from views to outputs.
        example: a few inputs ``[B, ...]`` of the type that the file takes.
        single: whether the file takes one sample at a time.
    """
    import onnx

    model = onnx.load_from_string(content_of(Shippable(freeze(trained)).eval(), example, single))
    del model.graph.value_info[:]  # shapes between the layers: half of a small file
    onnx.save(model, target)
    _copy_metadata(source, target)


def activation_scales(file: Path) -> dict[str, float]:
    """Return the scale of each quantized activation of a static file, by name."""
    import onnx

    model = onnx.load(file)
    known = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    return {
        node.input[1]: float(known[node.input[1]])
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and node.input[1] in known and known[node.input[1]].ndim == 0
    }


def _copy_metadata(source: Path, target: Path) -> None:
    """Give a file the metadata of another one; the quantizer drops them."""
    import onnx

    wanted = {entry.key: entry.value for entry in onnx.load(source, load_external_data=False).metadata_props}
    model = onnx.load(target)
    if wanted != {entry.key: entry.value for entry in model.metadata_props}:
        onnx.helper.set_model_props(model, wanted)
        onnx.save(model, target)
