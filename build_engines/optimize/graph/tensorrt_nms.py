"""Non-maximum suppression in operators that TensorRT-RTX has: it knows none of its own.

The builder's form of it (`build_engines.nms_operator`) is a NonMaxSuppression whose indices become a mask. The mask is
the fixed point of one rule: a box is kept unless a kept one of a higher score overlaps it. Applied to all boxes at
once, again and again, the rule reaches just what the greedy search finds, in as many rounds as suppressions chain
(Zheng et al., "Enhancing Geometric Factors …", 2021, section 4, call it Cluster-NMS); most pictures take a few.
"""

import numpy as np
import onnx
import onnx.inliner
from onnx import helper, numpy_helper

Notes = tuple[str, ...]

_DOMAIN, _NAME = "vitrail.engine", "KeptByNms"
_FUNCTION = """
<opset_import: ["" : 20], domain: "vitrail.engine">
KeptByNms (boxes, scores, most, iou, least) => (kept)
{
    axis_0 = Constant <value_ints = [0]> ()
    axis_1 = Constant <value_ints = [1]> ()
    axis_2 = Constant <value_ints = [2]> ()
    axis_3 = Constant <value_ints = [3]> ()
    zero = Constant <value_float = 0.0> ()
    one_end, other_end = Split <axis = -1, num_outputs = 2> (boxes)
    low = Min (one_end, other_end)
    high = Max (one_end, other_end)
    low_i = Unsqueeze (low, axis_2)
    low_j = Unsqueeze (low, axis_1)
    high_i = Unsqueeze (high, axis_2)
    high_j = Unsqueeze (high, axis_1)
    start = Max (low_i, low_j)
    end = Min (high_i, high_j)
    difference = Sub (end, start)
    span = Relu (difference)
    width, height = Split <axis = -1, num_outputs = 2> (span)
    overlaps = Mul (width, height)
    overlap = Squeeze (overlaps, axis_3)
    side = Sub (high, low)
    side_x, side_y = Split <axis = -1, num_outputs = 2> (side)
    area_i = Mul (side_x, side_y)
    area_j = Transpose <perm = [0, 2, 1]> (area_i)
    areas = Add (area_i, area_j)
    union = Sub (areas, overlap)
    share = Div (overlap, union)
    much = Greater (share, iou)
    some = Greater (overlap, zero)
    meets = And (much, some)
    meeting = Unsqueeze (meets, axis_1)
    score_i = Unsqueeze (scores, axis_3)
    score_j = Unsqueeze (scores, axis_2)
    better = Greater (score_j, score_i)
    equal = Equal (score_j, score_i)
    all_lengths = Shape (scores)
    last = Constant <value_int = 2> ()
    length = Gather (all_lengths, last)
    first_place = Constant <value_int = 0> ()
    one_place = Constant <value_int = 1> ()
    places = Range (first_place, length, one_place)
    place_i = Unsqueeze (places, axis_1)
    place_j = Unsqueeze (places, axis_0)
    earlier = Less (place_j, place_i)
    tie = And (equal, earlier)
    higher = Or (better, tie)
    beats = And (higher, meeting)
    beating = Cast <to = 1> (beats)
    above = Greater (scores, least)
    candidate = Cast <to = 1> (above)
    rounds = Cast <to = 7> (length)
    yes = Constant <value = bool {1}> ()
    settled = Loop (rounds, yes, candidate) <body = round (int64 count, bool go, float[b,c,n] now)
        => (bool again, float[b,c,n] next)
    {
        inner_axis_2 = Constant <value_ints = [2]> ()
        now_j = Unsqueeze (now, inner_axis_2)
        beaten_by = Mul (beating, now_j)
        last_axis = Constant <value_ints = [3]> ()
        beaten = ReduceMax <keepdims = 0> (beaten_by, last_axis)
        one = Constant <value_float = 1.0> ()
        unbeaten = Sub (one, beaten)
        next = Mul (candidate, unbeaten)
        moved = Sub (next, now)
        distance = Abs (moved)
        farthest = ReduceMax <keepdims = 0> (distance)
        inner_zero = Constant <value_float = 0.0> ()
        again = Greater (farthest, inner_zero)
    }>
    settled_j = Unsqueeze (settled, axis_2)
    ranking = Cast <to = 1> (higher)
    kept_before = Mul (ranking, settled_j)
    rank = ReduceSum <keepdims = 0> (kept_before, axis_3)
    limit = Cast <to = 1> (most)
    within = Less (rank, limit)
    chosen = Greater (settled, zero)
    kept = And (chosen, within)
}
"""


def without_nms(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Notes]:
    """A copy in which every suppression of the builder's form is made of standard operators; others stay."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    found = [node for node in graph.node if node.op_type == "NonMaxSuppression"]
    pairs = (_call(graph, node) for node in found)
    calls = {mask.output[0]: call for mask, call in filter(None, pairs)}
    if not calls:
        return copy, ()
    nodes = [calls.get(node.output[0], node) for node in graph.node]
    del graph.node[:]
    graph.node.extend(_needed(nodes, {value.name for value in graph.output}))
    copy.functions.append(onnx.parser.parse_function(_FUNCTION))
    copy.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    inlined = onnx.inliner.inline_local_functions(copy)
    return inlined, (f"non-maximum suppression is made of rounds of one rule ({len(calls)}), for the engine has none",)


def _call(graph: onnx.GraphProto, suppression: onnx.NodeProto) -> tuple[onnx.NodeProto, onnx.NodeProto] | None:
    """The ScatterND that makes a mask of a suppression's indices, and the call that replaces it; None: another form."""
    makers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    selected = suppression.output[0]
    masks = [node for node in graph.node if node.op_type == "ScatterND" and node.input[1] == selected]
    centred = any(attribute.name == "center_point_box" and attribute.i for attribute in suppression.attribute)
    if len(masks) != 1 or centred or len(suppression.input) < 5 or not all(suppression.input):
        return None
    (mask,) = masks
    nothing, everything = (_filled(makers.get(mask.input[index]), constants) for index in (0, 2))
    if nothing is not False or everything is not True:
        return None
    return mask, helper.make_node(_NAME, list(suppression.input), [mask.output[0]], name=mask.name, domain=_DOMAIN)


def _filled(node: onnx.NodeProto | None, constants: dict[str, onnx.TensorProto]) -> bool | None:
    """The value of an Expand of one boolean constant; None for anything else."""
    if node is None or node.op_type != "Expand" or node.input[0] not in constants:
        return None
    value = np.asarray(numpy_helper.to_array(constants[node.input[0]]))
    return bool(value.ravel()[0]) if value.dtype == np.bool_ and value.size == 1 else None


def _needed(nodes: list[onnx.NodeProto], outputs: set[str]) -> list[onnx.NodeProto]:
    """The nodes that something needs: the suppressions themselves, and what counted their indices, are left over."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        inner = any(attribute.HasField("g") for attribute in node.attribute)
        if inner or wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
            wanted.update(name for attribute in node.attribute for n in attribute.g.node for name in n.input)
    return kept[::-1]
