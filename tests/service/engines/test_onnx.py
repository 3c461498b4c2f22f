"""The embedded engine: it loads what the card describes, and runs what the certificate covers."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import psutil
import pytest
from onnx import TensorProto

from contract.card import ModelCard
from contract.task import Task
from contract.tensors import DType, TensorSpec
from service.engines.onnx import CPU, CUDA, OnnxEngine, UnusableModel
from service.errors import ErrorKind, ServiceError
from tests.service.tiny_tasks import A_CLIP, clip_model, write_task
from tests.tiny_models import SIDE, colour_model, wide_colour_model, write_version

RED = np.full((SIDE, SIDE, 3), (255, 0, 0), np.uint8)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for an engine."""
    with ThreadPoolExecutor(2) as threads:
        yield threads


def own_mb() -> float:
    """Memory that is this process's alone."""
    return float(psutil.Process().memory_full_info().uss) / 1e6


def open_engine(root: Path, threads: ThreadPoolExecutor, card: ModelCard, **options: Any) -> OnnxEngine:
    """The engine of a version that was written under ``root``."""
    return OnnxEngine(card, root / card.name / "1" / "model.onnx", threads, concurrency=2, **options)


async def test_a_batch_is_answered_in_order(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    """Each image of a batch gets its own output, with the batch's size and times."""
    engine = open_engine(tmp_path, threads, write_version(tmp_path, "colours"))
    images = [np.roll(RED, channel, axis=2) for channel in (0, 1, 2)]
    answers = await engine.infer(images)
    assert [int(answer.outputs["probabilities"].argmax()) for answer in answers] == [0, 1, 2]
    assert {answer.batch_size for answer in answers} == {3}
    assert all(answer.compute_s > 0 and answer.queue_s >= 0 for answer in answers)


async def test_a_proof_keeps_no_memory(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    """What a run takes beside the weights is given back until there is traffic, and kept for the next one then."""
    card = write_version(tmp_path, "wide", model=wide_colour_model())
    engine = open_engine(tmp_path, threads, card, until_traffic=threads)
    await engine.infer([RED])
    before = own_mb()
    await engine.infer([RED])
    assert own_mb() - before < 50
    engine.take_traffic()
    await engine.infer([RED])
    assert own_mb() - before > 150


async def test_only_certified_batches_are_run(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    """A batch size that the card does not offer, or that the settings forbid, is refused."""
    card = write_version(tmp_path, "colours", batch_sizes=(1, 2, 4))
    engine = open_engine(tmp_path, threads, card, max_batch_size=3)
    assert engine.batch_sizes == (1, 2)
    for size in (0, 3, 4):
        with pytest.raises(ValueError, match="not certified"):
            await engine.infer([RED] * size)


async def test_work_past_its_deadline_is_not_begun(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    """A batch whose deadline has passed is answered with that."""
    engine = open_engine(tmp_path, threads, write_version(tmp_path, "colours"))
    with pytest.raises(ServiceError) as error:
        await engine.infer([RED], deadline=time.monotonic() - 1)
    assert error.value.kind is ErrorKind.DEADLINE_EXCEEDED


async def test_an_input_that_the_graph_refuses(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    """What ONNX Runtime says of a failed run stays within; the caller hears that the engine is unavailable."""
    engine = open_engine(tmp_path, threads, write_version(tmp_path, "colours"))
    with pytest.raises(ServiceError) as error:
        await engine.infer([RED[:, :3]])
    assert error.value.kind is ErrorKind.ENGINE_UNAVAILABLE
    assert "ONNX" not in error.value.message


@pytest.mark.parametrize("content", [b"", b"this is no model", colour_model().SerializeToString()[:100]])
def test_a_file_that_is_no_model(tmp_path: Path, threads: ThreadPoolExecutor, content: bytes) -> None:
    """A file that cannot be loaded is refused with its name, and without its folder."""
    card = write_version(tmp_path, "colours")
    (tmp_path / "colours/1/model.onnx").write_bytes(content)
    with pytest.raises(UnusableModel, match=r"model\.onnx") as error:
        open_engine(tmp_path, threads, card)
    assert str(tmp_path) not in str(error.value)


def test_an_absent_file(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    """A version without its model is refused, without telling where it was looked for."""
    card = write_version(tmp_path, "colours")
    (tmp_path / "colours/1/model.onnx").unlink()
    with pytest.raises(UnusableModel, match=r"model\.onnx") as error:
        open_engine(tmp_path, threads, card)
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize(
    "output",
    [
        TensorSpec(name="scores", dtype=DType.FLOAT32, shape=(3,)),
        TensorSpec(name="probabilities", dtype=DType.FLOAT16, shape=(3,)),
        TensorSpec(name="probabilities", dtype=DType.FLOAT32, shape=(4,)),
        TensorSpec(name="probabilities", dtype=DType.FLOAT32, shape=(3, 1)),
    ],
    ids=["name", "type", "size", "rank"],
)
def test_outputs_must_be_those_of_the_card(tmp_path: Path, threads: ThreadPoolExecutor, output: TensorSpec) -> None:
    """A graph whose output has another name, type, size or rank than the card's is refused."""
    card = write_version(tmp_path, "colours").model_copy(update={"outputs": (output,)})
    with pytest.raises(UnusableModel, match="no output like the card's"):
        open_engine(tmp_path, threads, card)


def test_the_input_must_be_that_of_the_card(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    """A graph that takes images of another size than the card's is refused."""
    card = write_version(tmp_path, "colours")
    other = card.input.model_copy(update={"shape": (SIDE + 1, SIDE, 3)})
    with pytest.raises(UnusableModel, match="inputs"):
        open_engine(tmp_path, threads, card.model_copy(update={"input": other}))


def test_a_type_that_the_contract_does_not_carry(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    """A graph with an output in double precision is refused like any other mismatch."""
    model = colour_model()
    del model.graph.output[:]
    model.graph.node.append(
        onnx.helper.make_node("Cast", ["probabilities"], ["precise"], to=TensorProto.DOUBLE),
    )
    model.graph.output.append(onnx.helper.make_tensor_value_info("precise", TensorProto.DOUBLE, ["batch", 3]))
    card = write_version(tmp_path, "colours", model=model)
    with pytest.raises(UnusableModel, match="no output like the card's"):
        open_engine(tmp_path, threads, card)


@pytest.mark.parametrize("use_gpu", [False, True])
async def test_the_processor_is_always_there(tmp_path: Path, threads: ThreadPoolExecutor, *, use_gpu: bool) -> None:
    """The GPU is used only where it is allowed and ONNX Runtime has it; else the CPU is, and says so."""
    engine = open_engine(tmp_path, threads, write_version(tmp_path, "colours"), use_gpu=use_gpu)
    assert engine.provider == (CUDA if use_gpu and CUDA in ort.get_available_providers() else CPU)
    (answer,) = await engine.infer([RED])
    assert answer.outputs["probabilities"].argmax() == 0


async def test_clips_go_through_like_images(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    """An engine whose model takes clips answers each of a batch of clips."""
    card = write_task(tmp_path, "clips", Task.CLASSIFY_VIDEO, clip_model(), preprocess=A_CLIP)
    clips = [np.broadcast_to(np.roll(RED, channel, axis=2), A_CLIP.input_shape) for channel in (0, 1, 2)]
    answers = await open_engine(tmp_path, threads, card).infer(clips)
    assert [int(answer.outputs["probabilities"].argmax()) for answer in answers] == [0, 1, 2]
