"""Plans for TensorRT: really built by TensorRT-RTX where it is installed, refused with a reason, certified or not."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from build_engines.artifact import BuildFailure, Tensors
from build_engines.compile import Options, compile_plan, step
from build_engines.compile.certify import certify
from build_engines.compile.gpu import NoGpu, first_gpu
from build_engines.compile.listening import Log, Stages
from build_engines.compile.precision import of_information
from build_engines.compile.refusals import advice, builder_refusal
from build_engines.compile.repository import compile_repository
from build_engines.compile.step import fingerprint
from build_engines.optimize.graph.tensorrt_nms import without_nms
from build_engines.optimize.graph.tensorrt_types import in_engine_types
from build_engines.verify import EngineRunner
from contract.preprocess import Pixels
from contract.repository import Repository
from contract.task import Task
from tests.build_engines.orders import an_artifact, an_order
from tests.tiny_models import colour_model, write_version

_RANDOM = np.random.default_rng(8)
_IMAGES = _RANDOM.integers(0, 256, (3, 8, 8, 3), np.uint8)


def rtx() -> Any:
    """TensorRT-RTX's library, or the test is passed over."""
    return pytest.importorskip("tensorrt_rtx_bindings", reason="the extra `rtx` is not installed")


without_gpu = pytest.mark.skipif(not isinstance(first_gpu(), NoGpu), reason="this machine has a GPU")


def graph(nodes: str, outputs: str, inputs: str = "uint8[B,8,8,3] images") -> onnx.ModelProto:
    """A valid graph of these nodes in ONNX's text form."""
    text = f'<ir_version: 10, opset_import: ["" : 20]> tiny ({inputs}) => ({outputs}) {{ {nodes} }}'
    model = onnx.parser.parse_model(text)
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model: onnx.ModelProto, **inputs: Any) -> list[Any]:
    """What ONNX Runtime answers."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


CLASS_MAP = """turned = Transpose <perm = [0, 3, 1, 2]> (images) numbers = Cast <to = 1> (turned)
best = ArgMax <axis = 1, keepdims = 0> (numbers) class_map = Cast <to = {kind}> (best)"""

SUPPRESSION = """most = Constant <value_ints = [4]> () iou = Constant <value_floats = [0.3]> ()
least = Constant <value_floats = [0.2]> () chosen = NonMaxSuppression (boxes, scores, most, iou, least)
size = Shape (scores) nothing = Expand (no, size)
count = Shape <start = 0, end = 1> (chosen) everything = Expand (yes, count)
kept = ScatterND (nothing, chosen, everything)"""


def suppression() -> onnx.ModelProto:
    """The builder's form of non-maximum suppression."""
    text = f"""<ir_version: 10, opset_import: ["" : 20]>
    tiny (float[B,N,4] boxes, float[B,C,N] scores) => (bool[B,C,N] kept)
    <bool[1] no = {{0}}, bool[1] yes = {{1}}> {{ {SUPPRESSION} }}"""
    return onnx.parser.parse_model(text)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_plan_is_built_in_every_precision(precision: Any) -> None:
    """TensorRT-RTX builds a real plan on this machine, and tells its version and the layers' precisions."""
    rtx()
    plan = compile_plan(colour_model(), "tensorrt-rtx", (1, 2, 4), Options(precision=precision))

    assert plan.file == "model.rtx.plan"
    assert len(plan.content) > 1000
    assert plan.layer_precisions["fp32"] >= 1
    assert plan.precision == ("fp32" if precision == "fp32" else f"mixed-{precision}")


def test_the_progress_of_a_build_is_told_and_can_stop_it() -> None:
    """Whoever listens hears phases and steps; where it answers False there is no plan."""
    rtx()
    heard: list[tuple[str, int, int]] = []

    def listen(phase: str, done: int, steps: int) -> bool:
        heard.append((phase, done, steps))
        return False

    with pytest.raises(BuildFailure):
        compile_plan(colour_model(), "tensorrt-rtx", (1, 2), progress=listen)

    assert heard[0][2] >= 1


@pytest.mark.parametrize(("kind", "type_name", "noted"), [(2, "uint8", False), (5, "int16", True), (6, "int32", False)])
def test_class_maps_of_all_types_are_built(kind: int, type_name: str, noted: bool) -> None:
    """Pixels turned before they are cast, and maps in types that the engine lacks, are mended; int16 is noted."""
    rtx()
    model = graph(CLASS_MAP.format(kind=kind), f"{type_name}[B,8,8] class_map")
    plan = compile_plan(model, "tensorrt-rtx", (1, 2))

    assert any("class_map as int32" in note for note in plan.notes) == noted


@pytest.mark.parametrize(("kind", "type_name"), [(2, "uint8"), (5, "int16")])
def test_other_types_change_no_value(kind: int, type_name: str) -> None:
    """A graph in the engine's types gives the same numbers."""
    model = graph(CLASS_MAP.format(kind=kind), f"{type_name}[B,8,8] class_map")
    changed, _ = in_engine_types(model)
    onnx.checker.check_model(changed, full_check=True)

    assert np.array_equal(run(model, images=_IMAGES)[0], run(changed, images=_IMAGES)[0])
    assert len({node.name for node in changed.graph.node}) == len(changed.graph.node)


def test_suppression_by_rounds_keeps_the_same_boxes() -> None:
    """Without NonMaxSuppression the same boxes are kept, with ties, limits and boxes without area, in every image."""
    changed, notes = without_nms(suppression())
    onnx.checker.check_model(changed, full_check=True)
    for count in (1, 5, 30):
        corner = _RANDOM.random((2, count, 2))
        size = _RANDOM.random((2, count, 2)) * 0.6 * _RANDOM.integers(0, 4, (2, count, 1)).clip(0, 1)
        boxes = np.concatenate([corner, corner + size], axis=-1).astype(np.float32)
        scores = (_RANDOM.integers(0, 10, (2, 3, count)) / 10).astype(np.float32)
        expected, actual = (run(model, boxes=boxes, scores=scores)[0] for model in (suppression(), changed))

        assert np.array_equal(expected, actual)
    assert "NonMaxSuppression" not in {node.op_type for node in changed.graph.node}
    assert len(notes) == 1


def test_suppression_is_built() -> None:
    """TensorRT-RTX, which has no suppression, builds the rounds."""
    rtx()
    plan = compile_plan(_sized(suppression()), "tensorrt-rtx", (1, 2))

    assert plan.layer_precisions
    assert "rounds" in plan.notes[0]


def _sized(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same for 16 boxes of 2 classes."""
    sizes = {"boxes": ["B", 16, 4], "scores": ["B", 2, 16]}
    for value in model.graph.input:
        kind = onnx.helper.make_tensor_type_proto(1, sizes[value.name])
        value.type.CopyFrom(kind)
    return model


def test_another_form_of_suppression_is_refused_by_name() -> None:
    """Indices that become no mask stay, and the engine's refusal names the operator, the node and a way out."""
    rtx()
    text = SUPPRESSION.split("size =", maxsplit=1)[0]
    model = graph(text, "int64[M,3] chosen", "float[B,16,4] boxes, float[B,2,16] scores")
    with pytest.raises(BuildFailure) as refused:
        compile_plan(model, "tensorrt-rtx", (1, 2))

    assert "NonMaxSuppression at NonMaxSuppression_3" in refused.value.reason
    assert "kept_by_nms" in refused.value.remedy


def test_a_refusal_names_the_module() -> None:
    """An operator that the parser lacks is told with its node and the module that it comes from."""
    rtx()
    model = graph("x = Cast <to = 1> (images) places = NonZero (x)", "int64[4,M] places")
    model.graph.node[1].name = "node_nonzero"
    model.graph.node[1].metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['', 'network.head', 'nonzero']")
    with pytest.raises(BuildFailure, match=r"NonZero at node_nonzero \(module head\)") as refused:
        compile_plan(model, "tensorrt-rtx", (1, 2))

    assert "Where or TopK" in refused.value.remedy


def test_a_builders_error_is_traced_to_its_node() -> None:
    """The engine hangs numbers on a node's name; the longest name in the message is the node."""
    model = graph("x = Cast <to = 1> (images) y = Exp (x)", "float[B,8,8,3] y")
    model.graph.node[1].name = "layer/exp"
    refused = builder_refusal("an engine", ["Internal Error (layer/exp_0 has no runners In f at /a/b.cpp:48)"], model)

    assert "Exp at layer/exp" in refused.reason
    assert "/a/b.cpp" not in refused.reason


def test_known_rewrites_are_found_by_operator_and_message() -> None:
    """Advice fits the operator and the message; what is not known has none."""
    assert "3840" in (advice("TopK", "K exceeds the maximum value allowed (3840)") or "")
    assert "int32" in (advice("Cast", "Unsupported ONNX data type: INT16") or "")
    assert advice("Relu", "no reason") is None


def test_a_fixed_batch_is_refused() -> None:
    """A graph for one batch size only is no plan for several."""
    rtx()
    model = graph("x = Cast <to = 1> (images)", "float[2,8,8,3] x", "uint8[2,8,8,3] images")
    with pytest.raises(BuildFailure, match="batch is fixed at 2"):
        compile_plan(model, "tensorrt-rtx", (1, 2))


def test_an_unknown_compute_capability_is_refused() -> None:
    """Plans can be aimed at named GPUs only."""
    rtx()

    assert compile_plan(colour_model(), "tensorrt-rtx", (1,), Options(compute_capabilities=("8.9",))).content
    with pytest.raises(BuildFailure, match=r"no compute capability 1\.0"):
        compile_plan(colour_model(), "tensorrt-rtx", (1,), Options(compute_capabilities=("1.0",)))


def test_the_inspectors_words_are_understood() -> None:
    """Precisions are read from both forms of the inspector's JSON, and layers without types are passed over."""
    layers = [
        {"Name": "a", "Outputs": [{"Name": "x", "Datatype": "Half"}]},
        {"Name": "b", "Outputs": [{"Name": "y", "Format/Datatype": "Row major linear FP32 format"}]},
        {"Name": "c", "Outputs": [{"Format": "Channel major FP16 format where channel % 4 == 0"}]},
        "d",
        {"Name": "e", "Outputs": [{"Format/Datatype": "Int32"}]},
    ]

    assert of_information(json.dumps({"Layers": layers})) == {"fp16": 2, "fp32": 1}
    assert of_information("no JSON") == {}


def test_the_log_keeps_what_matters_once() -> None:
    """Errors and warnings are kept without repetition, chatter is not."""
    log = Log()
    for severity, text in [("INFO", "a"), ("WARNING", "b\n c"), ("WARNING", "b c"), ("ERROR", "d")]:
        log.take(severity, text)
    log.take("WARNING", "Make sure output x has Int64 binding.")

    assert (log.warnings, log.errors) == (["b c"], ["d"])


def test_the_outermost_phase_counts() -> None:
    """The bar follows the outermost phase, and is named after the innermost one that runs."""
    heard: list[tuple[str, int, int]] = []
    stages = Stages(lambda *told: not heard.append(told))
    stages.start("building", None, 2)
    stages.start("timing", "building", 10)
    stages.step("timing", 7)
    stages.finish("timing")
    stages.step("building", 0)

    assert heard == [("timing", 0, 2), ("building", 1, 2)]


class Double:
    """The graph in ONNX Runtime as a plan's runner would answer: int32 for narrow integers, and wrong where told."""

    name = "a double"

    def __init__(self, model: onnx.ModelProto, wrong_at: int | None = None) -> None:
        self._runner = EngineRunner(model.SerializeToString())
        self._wrong_at = wrong_at

    def run(self, images: Pixels) -> Tensors:
        answers = self._runner.run(images)
        if len(images) == self._wrong_at:
            answers = {name: values[::-1] for name, values in answers.items()}
        return {
            name: values.astype(np.int32) if values.dtype == np.int16 else values for name, values in answers.items()
        }


def test_a_plan_that_answers_alike_is_certified() -> None:
    """Every offered size is checked on pictures and on noise."""
    model = colour_model()
    certificate = certify(
        EngineRunner(model.SerializeToString()), Double(model), Task.CLASSIFY, _IMAGES, (1, 2, 3), "fp32"
    )

    assert [check.batch_size for check in certificate.checks] == [1, 2, 3, 1, 2, 3]
    assert certificate.passed


def test_a_plan_that_mixes_its_slots_is_refused() -> None:
    """A plan that is right at batch 1 and 2 and exchanges slots at batch 3 is found."""
    model = colour_model()
    reference = EngineRunner(model.SerializeToString())
    with pytest.raises(BuildFailure, match=r"2 of 6 checks, first at batch size 3"):
        certify(reference, Double(model, wrong_at=3), Task.CLASSIFY, _IMAGES, (1, 2, 3), "fp32")


def test_a_class_map_of_a_wider_type_is_the_same_map() -> None:
    """int32 for int16 is no difference."""
    model = graph(CLASS_MAP.format(kind=5), "int16[B,8,8] class_map")
    reference = EngineRunner(model.SerializeToString())

    assert certify(reference, Double(model), Task.SEGMENT, _IMAGES, (1, 2), "fp32").passed


@without_gpu
def test_the_step_adds_an_uncertified_plan_beside_the_model(tmp_path: Path) -> None:
    """Without a GPU the plan says that it is not certified, and the model that is served stays the ONNX graph."""
    rtx()
    order = dataclasses.replace(an_order(tmp_path), engine="tensorrt-rtx", precision="fp16")
    model = colour_model()
    before = an_artifact(tmp_path, order=order, model=model, batch_sizes=(1, 2, 3), samples=_IMAGES)
    after = step(EngineRunner)(before)

    ((plan, content),) = after.plans
    assert (plan.certified, plan.gpu, plan.precision) == (False, None, "mixed-fp16")
    assert "never offered" in plan.notes[0]
    assert content
    assert after.model is model


def test_the_step_goes_on_without_a_plan(tmp_path: Path) -> None:
    """A graph that the engine refuses is served by ONNX Runtime, and the artifact says why there is no plan."""
    rtx()
    order = dataclasses.replace(an_order(tmp_path), engine="tensorrt-rtx")
    model = graph("x = Cast <to = 1> (images) places = NonZero (x)", "int64[4,M] places")
    after = step(EngineRunner)(an_artifact(tmp_path, order=order, model=model, batch_sizes=(1,), samples=_IMAGES))

    assert after.plans == ()
    assert "NonZero" in (after.plan_problem or "")


@without_gpu
def test_tensorrt_proper_needs_the_gpu_that_serves(tmp_path: Path) -> None:
    """Without it, or without its library, there is no plan; the reason and the other engine are named."""
    order = dataclasses.replace(an_order(tmp_path), engine="tensorrt")
    after = step(EngineRunner)(
        an_artifact(tmp_path, order=order, model=colour_model(), batch_sizes=(1,), samples=_IMAGES)
    )

    assert "tensorrt" in (after.plan_problem or "")


def test_a_repository_is_compiled_once(tmp_path: Path) -> None:
    """Plans stand beside the ONNX files and in the cards; a second run changes nothing, another precision does."""
    rtx()
    write_version(tmp_path, "colours")
    repository = Repository(tmp_path)
    first, again = (next(compile_repository(repository, [], "tensorrt-rtx", Options(), EngineRunner)) for _ in range(2))
    other = next(compile_repository(repository, ["colours:1"], "tensorrt-rtx", Options("bf16"), EngineRunner))
    (plan,) = repository.read_card("colours", 1).plans

    assert [row.outcome for row in (first, again, other)] == ["built", "up to date", "built"]
    assert (tmp_path / "colours" / "1" / plan.file).stat().st_size == other.size
    assert plan.precision == "mixed-bf16"


def test_one_models_failure_does_not_stop_the_others(tmp_path: Path) -> None:
    """A model that is refused is a row with a reason; the next is built."""
    rtx()
    write_version(tmp_path, "a")
    write_version(tmp_path, "b")
    (tmp_path / "a" / "1" / "golden.npz").unlink()
    rows = list(compile_repository(Repository(tmp_path), [], "tensorrt-rtx", Options(), EngineRunner))

    assert [row.outcome for row in rows] == ["failed", "built"]


def test_a_name_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A typing error is told at once."""
    with pytest.raises(BuildFailure, match="no nothing in the repository"):
        list(compile_repository(Repository(tmp_path), ["nothing"], "tensorrt-rtx", Options(), EngineRunner))


def test_the_fingerprint_follows_what_the_plan_is_made_from() -> None:
    """Another graph, precision or range of batches makes another plan."""
    rtx()
    marks = {
        fingerprint(colour_model(sharpness), "tensorrt-rtx", sizes, Options(precision))
        for sharpness, sizes, precision in [
            (1.0, (1, 2), "fp32"),
            (2.0, (1, 2), "fp32"),
            (1.0, (1, 3), "fp32"),
            (1.0, (1, 2), "fp16"),
        ]
    }

    assert len(marks) == 4
