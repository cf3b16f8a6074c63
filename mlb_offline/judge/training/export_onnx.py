"""Judge B to ONNX, then its weights to 8-bit integers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlb_offline.judge.rendering import VERSION
from mlb_offline.judge.training.writing import replacing
from mlb_offline.judge.vocabulary import Vocabulary

NAME = "mlb-judge-b"
SMALLEST = 1024
"""Elements below which a tensor stays in float32."""
INPUTS = (
    "answer",
    "answer_concepts",
    "answer_parents",
    "owner",
    "criterion",
    "criterion_concepts",
    "criterion_confusable",
)
"""Names of the inputs, int64: three of shape (answers, characters), one of (criteria,), three of (criteria,
characters)."""


def write_onnx(path: Path, model: object, vocabulary: Vocabulary) -> Path:
    """Write the model in float32, with its vocabulary and the version of what it is shown in the metadata.

    Raises:
        InputError: the file cannot be written.
    """
    import onnx
    import torch

    from mlb_offline.judge.training.aligner import Aligner

    if not isinstance(model, Aligner):
        raise TypeError("judge B is an Aligner")
    model.eval()
    # Each a tensor of its own: the exporter takes one tensor given twice for one input.
    said = [torch.ones(2, 24, dtype=torch.int64) for _ in range(3)]
    wanted = [torch.ones(3, 12, dtype=torch.int64) for _ in range(3)]
    example = (*said, torch.tensor([0, 1, 1]), *wanted)
    answers, criteria = torch.export.Dim("answers"), torch.export.Dim("criteria")
    long, short = torch.export.Dim("characters", min=8), torch.export.Dim("criterion_characters", min=8)
    shapes = ({0: answers, 1: long},) * 3 + ({0: criteria},) + ({0: criteria, 1: short},) * 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            example,
            input_names=INPUTS,
            output_names=["logit"],
            dynamic_shapes=shapes,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise TypeError("torch gave no program")
    document = program.model_proto
    told = {"rendering": VERSION, "characters": "".join(vocabulary.characters), "name": NAME, "license": "Apache-2.0"}
    for key, value in told.items():
        document.metadata_props.add(key=key, value=value)
    with replacing(path) as partial:
        onnx.save(document, str(partial))
    return path


def quantise_onnx(source: Path, target: Path) -> Path:
    """Weights to 8-bit integers, symmetric, with a scale for each row of an embedding or column of a matrix.

    Activations stay in float32: their dynamic quantisation by onnxruntime takes one scale for a whole batch, and the
    verdict on one criterion would depend on those asked beside it.

    Raises:
        InputError: the file cannot be written.
    """
    import onnx

    document = onnx.load(str(source))
    graph = document.graph
    axes = {name: (0 if node.op_type in {"Gather", "Conv"} else 1) for node in graph.node for name in node.input}
    for tensor in list(graph.initializer):
        if len(tensor.dims) < 2 or tensor.data_type != onnx.TensorProto.FLOAT or _elements(tensor.dims) < SMALLEST:
            continue
        weights = onnx.numpy_helper.to_array(tensor)
        axis = axes[tensor.name]
        others = tuple(index for index in range(weights.ndim) if index != axis)
        scale = np.maximum(np.abs(weights).max(axis=others, keepdims=True) / 127.0, 1e-12).astype(np.float32)
        whole = np.clip(np.rint(weights / scale), -127, 127).astype(np.int8)
        graph.initializer.remove(tensor)
        graph.initializer.append(onnx.numpy_helper.from_array(whole, f"{tensor.name}.int8"))
        graph.initializer.append(onnx.numpy_helper.from_array(scale.reshape(-1), f"{tensor.name}.scale"))
        inputs = [f"{tensor.name}.int8", f"{tensor.name}.scale"]
        graph.node.insert(0, onnx.helper.make_node("DequantizeLinear", inputs, [tensor.name], axis=axis))
    with replacing(target) as partial:
        onnx.save(document, str(partial))
    return target


def _elements(dims: Sequence[int]) -> int:
    return math.prod(dims)
