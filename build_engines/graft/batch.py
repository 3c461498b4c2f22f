"""A graph that was exported for one image → one that takes any batch.

Such a graph says the batch's 1 in constants: in the shapes of its Reshape nodes, the sizes of a Resize, a token that
is concatenated, the axes of a mean. Shapes are inferred for one image and for `_PROBE` images; where a tensor does not
grow as it should, the constant is rewritten. Whether the outcome computes the same is for the certificate to prove.
"""

from math import prod

import numpy as np
import onnx
from onnx import helper, numpy_helper

from build_engines.artifact import BuildFailure
from build_engines.graph_folding import readable
from build_engines.graph_shapes import Shape, dims, forget_shapes, real_inputs, set_dims, shapes, without_weights

BATCH = "batch"
_PROBE = 7
"""A batch size that is rarely a factor of anything else."""

Shapes = dict[str, Shape]
Known = tuple[int, ...]


def with_free_batch(model: onnx.ModelProto, size: Known) -> onnx.ModelProto:
    """A copy whose input is [batch, *size] and whose outputs have the batch first; its opset is 18 or later.

    Raises:
        BuildFailure: an output keeps the batch size of the export; the reason names the node that freezes it.
    """
    free = onnx.ModelProto()
    free.CopyFrom(model)
    (entrance,) = real_inputs(free.graph)
    forget_shapes(free.graph)
    light = without_weights(free)
    if (dims(entrance) or (None,))[0] is not None:
        light = readable(light, entrance.name, (1, *size))
    one, many = (shapes(light, entrance.name, (batch, *size)) for batch in (1, _PROBE))
    mended: set[str] = set()
    while (place := _next_to_mend(light.graph, one, many, mended)) is not None:
        mended.add(light.graph.node[place].output[0])
        _mend(light.graph, place, one, many)
        one, many = (shapes(light, entrance.name, (batch, *size)) for batch in (1, _PROBE))
    _require_free(light.graph, one, many)
    _take_over(free.graph, light.graph)
    set_dims(entrance, (BATCH, *size))
    for output in free.graph.output:
        shape = one[output.name]
        if shape is not None:
            set_dims(output, (BATCH, *(length or f"{output.name}_{axis}" for axis, length in enumerate(shape[1:], 1))))
    return free


def _take_over(graph: onnx.GraphProto, light: onnx.GraphProto) -> None:
    """The mended nodes with their new constants, and the weights as they were."""
    del graph.node[:]
    graph.node.extend(light.node)
    present = {tensor.name for tensor in graph.initializer}
    graph.initializer.extend(tensor for tensor in light.initializer if tensor.name not in present)


def _next_to_mend(graph: onnx.GraphProto, one: Shapes, many: Shapes, mended: set[str]) -> int | None:
    """The first node, in the order of computation, that freezes the batch and can be mended."""
    for place, node in enumerate(graph.node):
        rule = _RULES.get(node.op_type)
        if rule is not None and node.output[0] not in mended and rule(node, one, many):
            return place
    return None


def _frozen_reshape(node: onnx.NodeProto, one: Shapes, many: Shapes) -> bool:
    wanted = _reshaped(node, one, many)
    return wanted is not None and many.get(node.output[0]) != wanted


def _frozen_resize(node: onnx.NodeProto, one: Shapes, many: Shapes) -> bool:
    if len(node.input) < 4 or not node.input[3] or any(attribute.name == "axes" for attribute in node.attribute):
        return False
    return _batch_axis(node.input[0], one, many) is not None and _batch_axis(node.output[0], one, many) is None


def _frozen_concat(node: onnx.NodeProto, one: Shapes, many: Shapes) -> bool:
    axes = {_batch_axis(name, one, many) for name in node.input}
    along = next(attribute.i for attribute in node.attribute if attribute.name == "axis")
    return len(axes) == 2 and None in axes and along not in axes


def _frozen_reduction(node: onnx.NodeProto, one: Shapes, many: Shapes) -> bool:
    """A mean over all axes took in the only image; now it would mix all images."""
    before, after = _known(one.get(node.input[0])), _known(one.get(node.output[0]))
    if before is None or after is None or len(before) != len(after) or len(before) == 1:
        return False
    return _batch_axis(node.input[0], one, many) is not None and _batch_axis(node.output[0], one, many) is None


_REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceL1", "ReduceSumSquare")
_RULES = {"Reshape": _frozen_reshape, "Resize": _frozen_resize, "Concat": _frozen_concat}
_RULES |= dict.fromkeys(_REDUCTIONS, _frozen_reduction)


def _mend(graph: onnx.GraphProto, place: int, one: Shapes, many: Shapes) -> None:
    node = graph.node[place]
    if node.op_type == "Reshape":
        _mend_reshape(graph, node, one, many)
    elif node.op_type == "Resize":
        _mend_resize(graph, node, one, many)
    elif node.op_type in _REDUCTIONS:
        _mend_reduction(graph, node, one, many)
    else:
        _mend_concat(graph, place, one, many)


def _mend_reshape(graph: onnx.GraphProto, node: onnx.NodeProto, one: Shapes, many: Shapes) -> None:
    """All lengths become constants but the one that holds the batch, which is left to be found (-1)."""
    single, wanted = one[node.output[0]], _reshaped(node, one, many)
    target = [-1 if length != alone else length for length, alone in zip(wanted or (), single or (), strict=True)]
    node.input[1] = _constant(graph, node, "shape", np.asarray(target, np.int64))
    kept = [attribute for attribute in node.attribute if attribute.name != "allowzero"]
    del node.attribute[:]
    node.attribute.extend(kept)


def _mend_resize(graph: onnx.GraphProto, node: onnx.NodeProto, one: Shapes, many: Shapes) -> None:
    """Only the other axes are given a size."""
    batch, single = _batch_axis(node.input[0], one, many), _known(one.get(node.output[0])) or ()
    axes = [axis for axis in range(len(single)) if axis != batch]
    node.input[3] = _constant(graph, node, "sizes", np.asarray([single[axis] for axis in axes], np.int64))
    node.attribute.append(helper.make_attribute("axes", axes))


def _mend_reduction(graph: onnx.GraphProto, node: onnx.NodeProto, one: Shapes, many: Shapes) -> None:
    """It reduces the axes that it made shorter; along an axis of length 1, as the batch was, it did nothing."""
    before, after = _known(one[node.input[0]]) or (), _known(one[node.output[0]]) or ()
    axes = [axis for axis, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    batch = _batch_axis(node.input[0], one, many)
    idle = [axis for axis in range(len(before)) if axis != batch]
    # No axes would mean all of them.
    name = _constant(graph, node, "axes", np.asarray(axes or idle[:1], np.int64))
    del node.input[1:]
    node.input.append(name)


def _mend_concat(graph: onnx.GraphProto, place: int, one: Shapes, many: Shapes) -> None:
    """Constants, e.g. a class token, are repeated for every image."""
    node = graph.node[place]
    model = next(name for name in node.input if _batch_axis(name, one, many) is not None)
    axis = _batch_axis(model, one, many) or 0
    stem = node.output[0]
    made = [helper.make_node("Shape", [model], [f"{stem}_batch"], start=axis, end=axis + 1)]
    for index, name in enumerate(node.input):
        if _batch_axis(name, one, many) is not None:
            continue
        sides = (("before", axis), ("after", len(one[name] or ()) - axis - 1))
        ones = [
            _constant(graph, node, f"ones_{index}_{side}", np.ones(count, np.int64)) if count else ""
            for side, count in sides
        ]
        parts = [part for part in (ones[0], f"{stem}_batch", ones[1]) if part]
        made.append(helper.make_node("Concat", parts, [f"{stem}_to_{index}"], axis=0))
        made.append(helper.make_node("Expand", [name, f"{stem}_to_{index}"], [f"{stem}_repeated_{index}"]))
        node.input[index] = f"{stem}_repeated_{index}"
    for offset, new in enumerate(made):
        graph.node.insert(place + offset, new)


def _constant(graph: onnx.GraphProto, node: onnx.NodeProto, what: str, values: np.ndarray) -> str:
    name = f"{node.output[0]}_free_{what}"
    graph.initializer.append(numpy_helper.from_array(values, name))
    return name


def _reshaped(node: onnx.NodeProto, one: Shapes, many: Shapes) -> Known | None:
    """The shape that a Reshape should have at `_PROBE`: the batch stays outermost of what it was outermost of.

    Rows before the batch axis keep their number; the output's axis behind as many rows holds the batch.
    """
    axis = _batch_axis(node.input[0], one, many)
    before, after = _known(one.get(node.input[0])), _known(one.get(node.output[0]))
    if axis is None or before is None or after is None:
        return None
    rows = prod(before[:axis])
    places = [place for place in range(len(after)) if prod(after[:place]) == rows]
    if not places:
        return None
    alone = [place for place in places if after[place] == 1]
    chosen = alone[0] if alone else places[-1]
    return tuple(length * _PROBE if place == chosen else length for place, length in enumerate(after))


def _batch_axis(name: str, one: Shapes, many: Shapes) -> int | None:
    """The axis that holds the batch; None where none does, or where it cannot be told."""
    single, several = _known(one.get(name)), _known(many.get(name))
    if single is None or several is None or len(single) != len(several):
        return None
    changed = [axis for axis, (a, b) in enumerate(zip(single, several, strict=True)) if a != b]
    if len(changed) != 1 or several[changed[0]] != _PROBE * single[changed[0]]:
        return None
    return changed[0]


def _known(shape: Shape) -> Known | None:
    return None if shape is None or None in shape else tuple(length or 0 for length in shape)


def _require_free(graph: onnx.GraphProto, one: Shapes, many: Shapes) -> None:
    for output in graph.output:
        single, several = _known(one.get(output.name)), _known(many.get(output.name))
        if single is None:
            continue  # It cannot be told here; the certificate will.
        if several is None or several[:1] != (_PROBE,) or single[:1] != (1,) or several[1:] != single[1:]:
            raise BuildFailure(
                f"the graph was exported for one image and cannot be freed: {_culprit(graph, one, many)}",
                "export it anew with a dynamic batch axis",
            )


def _culprit(graph: onnx.GraphProto, one: Shapes, many: Shapes) -> str:
    """The first node that takes a batch and gives none."""
    for node in graph.node:
        grows = any(_batch_axis(name, one, many) is not None for name in node.input)
        if grows and node.op_type != "Shape" and all(_batch_axis(name, one, many) is None for name in node.output):
            name, shape = node.output[0], one.get(node.output[0])
            return f"its node {node.op_type} {node.name or name} gives {list(shape or ())} whatever the batch"
    return "no node of it lets the batch through"
