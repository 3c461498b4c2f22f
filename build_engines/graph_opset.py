"""A foreign graph in the opset that the builder's own parts are written in."""

import onnx
from onnx import helper

from build_engines.artifact import BuildFailure

OPSET = 20
IR_VERSION = 10
"""The file format that came with it."""
_OWN_DOMAIN = {"", "ai.onnx"}


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators; its domain has two spellings."""
    return max((int(item.version) for item in model.opset_import if item.domain in _OWN_DOMAIN), default=1)


def lifted(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in `OPSET`, or in its own opset where that is later; BuildFailure if ONNX cannot convert it."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if opset_of(model) < OPSET:
        try:
            copy = onnx.version_converter.convert_version(model, OPSET)
        except (RuntimeError, onnx.version_converter.ConvertError) as error:
            raise BuildFailure(
                f"the graph's opset {opset_of(model)} cannot be lifted to {OPSET}: {error}",
                f"export it anew with opset {OPSET}",
            ) from error
    opset, others = opset_of(copy), [item for item in copy.opset_import if item.domain not in _OWN_DOMAIN]
    del copy.opset_import[:]
    copy.opset_import.extend([helper.make_opsetid("", opset), *others])
    copy.ir_version = IR_VERSION
    return copy
