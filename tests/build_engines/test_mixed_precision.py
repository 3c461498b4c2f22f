"""Islands of low precision compute nearly the same, leave the border as it is, and spare what needs the range."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper

from build_engines.artifact import BuildFailure
from build_engines.optimize.graph.activation_ranges import activation_ranges
from build_engines.optimize.graph.mixed_precision import Mixed, mixed

_RANDOM = np.random.default_rng(5)
_PIXELS = _RANDOM.integers(0, 256, (2, 8, 8, 3), np.uint8)


def a_graph(nodes: str, outputs: str, **constants: Any) -> onnx.ModelProto:
    """A graph over images uint8 [B,8,8,3] of these nodes, in ONNX's text form, with float constants."""
    text = f"""<ir_version: 10, opset_import: ["" : 20]>
    tiny (uint8[B,8,8,3] images) => ({outputs}) {{ pixels = Cast <to = 1> (images)
    scaled = Mul (pixels, one_255th) chw = Transpose <perm = [0, 3, 1, 2]> (scaled) {nodes} }}"""
    model = onnx.parser.parse_model(text)
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"
    constants["one_255th"] = np.float32(1 / 255)
    for name, values in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    onnx.checker.check_model(model, full_check=True)
    return model


def weights(*shape: int) -> Any:
    """Normally distributed weights."""
    return _RANDOM.normal(0, 0.3, shape).astype(np.float32)


def attention() -> onnx.ModelProto:
    """A patch embedding, one attention block with its normalisation, and a classifier."""
    nodes = """
    patches = Conv <kernel_shape = [2, 2], strides = [2, 2]> (chw, w_patch)
    rows = Reshape (patches, by_rows) tokens = Transpose <perm = [0, 2, 1]> (rows)
    normal = LayerNormalization <axis = -1> (tokens, gain)
    query = MatMul (normal, w_q) key = MatMul (normal, w_k) turned = Transpose <perm = [0, 2, 1]> (key)
    logits = MatMul (query, turned) shares = Softmax <axis = -1> (logits) mixed = MatMul (shares, tokens)
    sum = Add (tokens, mixed) pooled = ReduceMean <keepdims = 0> (sum, axis) out = MatMul (pooled, w_out)
    probabilities = Softmax <axis = -1> (out)
    """
    square = {name: weights(6, 6) for name in ("w_q", "w_k")}
    return a_graph(
        nodes,
        "float[B,5] probabilities",
        w_patch=weights(6, 3, 2, 2),
        by_rows=np.int64([0, 6, 16]),
        gain=np.ones(6, np.float32),
        axis=np.int64([1]),
        w_out=weights(6, 5),
        **square,
    )


def answers(model: onnx.ModelProto) -> list[Any]:
    """What ONNX Runtime answers to the pixels."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, {"images": _PIXELS}))


def operators(outcome: Mixed) -> set[str]:
    """The kinds of the nodes that became low."""
    return {node.op_type for node in outcome.model.graph.node if node.name in outcome.lowered}


def test_fp16_answers_nearly_the_same() -> None:
    """A network with islands of fp16 answers as in fp32, within fp16's precision, and not bit by bit."""
    model = attention()
    (expected,), (actual,) = answers(model), answers(mixed(model, "fp16").model)

    assert actual == pytest.approx(expected, rel=5e-3)
    assert not np.array_equal(expected, actual)


def test_normalisation_softmax_and_reductions_stay() -> None:
    """Products are low, and what is between them; normalisation, softmax and reductions are not."""
    outcome = mixed(attention(), "fp16")

    assert operators(outcome) == {"Conv", "Reshape", "Transpose", "MatMul", "Add"}
    assert "LayerNormalization (1)" in outcome.notes[0]


@pytest.mark.parametrize("kind", ["fp16", "bf16"])
def test_the_border_and_the_graph_given_stay_as_they_are(kind: Any) -> None:
    """Inputs and outputs keep name and type, and the graph that was given is not changed."""
    model = attention()
    before = model.SerializeToString()
    outcome = mixed(model, kind).model

    assert model.SerializeToString() == before
    assert (list(outcome.graph.input), list(outcome.graph.output)) == (
        list(model.graph.input),
        list(model.graph.output),
    )


@pytest.mark.parametrize(("kind", "element"), [("fp16", TensorProto.FLOAT16), ("bf16", TensorProto.BFLOAT16)])
def test_weights_of_low_layers_are_stored_low(kind: Any, element: int) -> None:
    """The weights of a low layer are there once, in its precision."""
    kept = {tensor.name: tensor.data_type for tensor in mixed(attention(), kind).model.graph.initializer}

    assert kept[f"w_patch__{kind}"] == element
    assert "w_patch" not in kept


def test_a_weight_beyond_the_range_keeps_its_layer_in_fp32() -> None:
    """A layer of which a weight is beyond 65504 stays fp32 in fp16's scheme, and is low in bf16's."""
    model = a_graph("out = Conv (chw, big)", "float[B,2,6,6] out", big=np.full((2, 3, 3, 3), 1e5, np.float32))

    assert not mixed(model, "fp16").lowered
    assert operators(mixed(model, "bf16")) == {"Conv"}
    assert np.isfinite(answers(mixed(model, "fp16").model)[0]).all()


def test_activations_that_come_near_the_limit_keep_their_layer_in_fp32() -> None:
    """Where activations were seen beyond half of fp16's range, the layers that make or take them stay fp32."""
    nodes = "big = Conv (chw, w_big) less = Mul (big, tiny) out = Conv (less, w_out)"
    constants = {
        "w_big": np.full((2, 3, 1, 1), 3e4, np.float32),
        "tiny": np.float32(1e-3),
        "w_out": weights(2, 2, 1, 1),
    }
    model = a_graph(nodes, "float[B,2,8,8] out", **constants)
    ranges = activation_ranges(model, _PIXELS)
    outcome = mixed(model, "fp16", ranges)

    assert ranges["big"] == pytest.approx(float(_PIXELS.astype(np.float64).sum(-1).max()) / 255 * 3e4, rel=1e-5)
    assert [node.output[0] for node in outcome.model.graph.node if node.name in outcome.lowered] == ["out__fp16"]
    assert "range in 1 more layers" in outcome.notes[1]


def test_what_an_fp32_layer_hands_to_a_product_is_measured_too() -> None:
    """A product stays fp32 if what flows into it, from a layer that is never low, is beyond fp16's range."""
    nodes = "scores = Mul (chw, twenty) huge = Exp (scores) out = Conv (huge, w)"
    model = a_graph(nodes, "float[B,2,8,8] out", twenty=np.float32(20), w=weights(2, 3, 1, 1) * np.float32(1e-6))

    assert operators(mixed(model, "fp16")) == {"Conv"}
    assert operators(mixed(model, "fp16", activation_ranges(model, _PIXELS))) == set()


def test_a_graph_that_cannot_run_is_not_measured() -> None:
    """Where ONNX Runtime refuses the graph, the failure says so, and which precisions need no measurement."""
    model = a_graph("out = Conv (chw, w)", "float[B,2,8,8] out", w=weights(2, 3, 1, 1))
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights(2, 5, 1, 1), "w"))
    with pytest.raises(BuildFailure, match="cannot be measured") as failed:
        activation_ranges(model, _PIXELS)

    assert "fp32 or bf16" in failed.value.remedy


def test_the_way_from_the_last_product_to_a_choice_stays() -> None:
    """Decoding after the last product, and what TopK chooses by, is computed in fp32."""
    nodes = """raw = Conv (chw, w) doubled = Mul (raw, two) flat = Flatten (doubled)
    values, places = TopK (flat, count) out = Mul (values, two)"""
    model = a_graph(nodes, "float[B,3] out", w=weights(2, 3, 1, 1), two=np.float32(2), count=np.int64([3]))

    assert operators(mixed(model, "fp16")) == {"Conv"}


def test_a_constant_that_would_vanish_keeps_its_layer_in_fp32() -> None:
    """An epsilon that fp16 rounds to zero is not lost."""
    nodes = "first = Conv (chw, w) safe = Add (first, epsilon) out = Conv (safe, w2)"
    constants = {"w": weights(2, 3, 1, 1), "w2": weights(2, 2, 1, 1), "epsilon": np.float32(1e-12)}
    model = a_graph(nodes, "float[B,2,8,8] out", **constants)

    assert operators(mixed(model, "fp16")) == {"Conv"}


def test_places_and_sizes_are_no_data() -> None:
    """The scales of a Resize stay fp32, as ONNX demands, while its map becomes low."""
    nodes = 'a = Conv (chw, w) b = Resize <mode = "linear"> (a, , scales) out = Conv (b, w2)'
    scales = np.float32([1, 1, 2, 2])
    model = a_graph(nodes, "float[B,2,16,16] out", w=weights(2, 3, 1, 1), w2=weights(2, 2, 1, 1), scales=scales)
    outcome = mixed(model, "fp16")
    onnx.checker.check_model(outcome.model, full_check=True)

    assert operators(outcome) == {"Conv", "Resize"}
    assert answers(outcome.model)[0] == pytest.approx(answers(model)[0], abs=5e-3)


def test_a_branch_sees_the_tensors_around_it_in_fp32() -> None:
    """What a graph within a node takes from outside keeps its name and type."""
    nodes = """first = Conv (chw, w) yes = Constant <value = bool {1}> ()
    chosen = If (yes) <then_branch = a () => (float[B,2,8,8] x) { x = Exp (first) },
                       else_branch = b () => (float[B,2,8,8] y) { y = Neg (first) }>
    out = Conv (chosen, w2)"""
    model = a_graph(nodes, "float[B,2,8,8] out", w=weights(2, 3, 1, 1), w2=weights(2, 2, 1, 1))

    assert answers(mixed(model, "fp16").model)[0] == pytest.approx(answers(model)[0], rel=1e-2, abs=1e-2)


def test_the_initialisers_of_a_graph_are_all_used() -> None:
    """Nothing is stored that no node needs."""
    graph = mixed(attention(), "fp16").model.graph
    used = {name for node in graph.node for name in node.input}

    assert {tensor.name for tensor in graph.initializer} <= used
