"""Judge B to ONNX, then to 8-bit integers by onnxruntime."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from mlb_offline.errors import InputError
from mlb_offline.judge.rendering import VERSION
from mlb_offline.judge.vocabulary import Vocabulary
from mlb_offline.language import tr

NAME = "mlb-judge-b"
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
    try:
        onnx.save(document, str(path))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(
            tr(f"无法写入：{error.strerror}", f"cannot be written: {error.strerror}"),
            file=path,
            remedy=tr("检查文件夹与磁盘空间", "check the folder and the disk's space"),
        ) from None
    return path


def quantise_onnx(source: Path, target: Path) -> Path:
    """Weights of matrices and the embedding to 8-bit integers, a scale for each output (dynamic quantisation)."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source,
        target,
        per_channel=True,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Gemm", "Gather"],
    )
    return target
