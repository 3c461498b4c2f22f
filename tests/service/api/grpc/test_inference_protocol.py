"""The Open Inference Protocol over gRPC, as the clients of Triton and KServe speak it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from contract.repository import Repository
from contract.task import Task
from service.api.grpc import tensor_calls
from service.api.grpc.inference_protocol import SERVICE
from service.registry.traffic import ModelTraffic, Routing
from service.registry.version import VersionState
from tests.doubles import until
from tests.service.api.grpc.channel import listening
from tests.service.api.rest.test_inference_protocol import post
from tests.service.api.rest.test_inference_protocol import request as rest_request
from tests.service.running import Running, running
from tests.service.tiny_tasks import share_model, write_task
from tests.tiny_models import COLOURS, SIDE, write_version

SHAPE = (SIDE, SIDE, 3)
PRIMARIES = np.zeros((3, *SHAPE), np.uint8)
for channel in range(3):
    PRIMARIES[channel, ..., channel] = 255

Client = triton_aio.InferenceServerClient
Stub = service_pb2_grpc.GRPCInferenceServiceStub


def images_input(images: np.ndarray = PRIMARIES) -> triton.InferInput:
    """The input of the tiny models."""
    tensor = triton.InferInput("images", list(images.shape), "UINT8")
    tensor.set_data_from_numpy(images)
    return tensor


def request(images: np.ndarray = PRIMARIES, model: str = "colours", **more: Any) -> Any:
    """A request with its images as bytes."""
    message = service_pb2.ModelInferRequest(model_name=model, raw_input_contents=[images.tobytes()], **more)
    message.inputs.add(name="images", datatype="UINT8", shape=images.shape)
    return message


async def refusal(call: Any) -> tuple[str, str]:
    """The status and the words by which a call of a stub, or of Triton's client, is refused."""
    with pytest.raises((grpc.aio.AioRpcError, InferenceServerException)) as raised:
        await call
    if isinstance(raised.value, grpc.aio.AioRpcError):
        return raised.value.code().name, raised.value.details()
    return raised.value.status().removeprefix("StatusCode."), raised.value.message()


async def test_every_call_of_the_protocol_is_answered_or_refused(address: str) -> None:
    """No call was forgotten: none in Triton's own description is unknown to the service."""
    described = service_pb2.DESCRIPTOR.services_by_name[SERVICE.rpartition(".")[2]]
    assert described.full_name == SERVICE
    async with grpc.aio.insecure_channel(address) as channel:
        for method in described.methods:
            kind = channel.stream_stream if method.client_streaming else channel.unary_unary
            call = kind(f"/{SERVICE}/{method.name}")(iter(()) if method.client_streaming else b"")
            assert await call.details() not in (None, "Method not found!"), method.name


async def test_tritons_client_learns_of_server_and_model(service: Running, client: Client) -> None:
    """Triton's client for asyncio hears that all is ready, and of a model what REST says of it."""
    alive = [await client.is_server_live(), await client.is_server_ready(), await client.is_model_ready("colours", "2")]
    assert alive == [True, True, True]
    assert (await client.get_server_metadata()).name == "vitrail"
    for name, path in (("colours", "colours"), ("colours@stable", "colours@stable")):
        metadata = await client.get_model_metadata(name, as_json=True)
        over_rest = (await service.client.get(f"/v2/models/{path}")).json()
        for tensor in (*metadata["inputs"], *metadata["outputs"]):
            # Protobuf's JSON has 64-bit numbers as text.
            tensor["shape"] = [int(size) for size in tensor["shape"]]
        assert metadata == over_rest


async def test_tritons_client_in_a_thread(tiny_repository: Path) -> None:
    """Triton's blocking client makes the whole round: alive, metadata, configuration, inference, a stream."""

    def ask(address: str) -> tuple[Any, ...]:
        answers: list[Any] = []
        with triton.InferenceServerClient(address) as client:
            alive = client.is_server_live(), client.is_server_ready(), client.is_model_ready("colours")
            name, config = client.get_model_metadata("colours").name, client.get_model_config("colours").config.name
            plain = client.infer("colours", [images_input()], client_timeout=20)
            client.start_stream(lambda result, error: answers.append(error or result.as_numpy("probabilities")))
            for _ in range(3):
                client.async_stream_infer("colours", [images_input()])
            client.stop_stream()
        return alive, name, config, plain.as_numpy("probabilities"), answers

    async with running(tiny_repository) as service, listening(service) as address:
        alive, name, config, plain, answers = await asyncio.to_thread(ask, address)
    assert (alive, name, config) == ((True, True, True), "colours", "colours")
    assert plain.argmax(axis=1).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(answers, [plain] * 3)


async def test_answers_equal_rests(service: Running, client: Client) -> None:
    """For every model the tensors are those of REST: names, types, shapes and each number."""
    for name in service.application.registry.models():
        card = service.application.registry.aliased(name).card
        images = np.random.default_rng(1).integers(0, 256, (2, *card.input.shape), np.uint8)
        answer = (await client.infer(name, [images_input(images)])).get_response()
        result = triton.InferResult(answer)
        for output in (await post(service, rest_request(images), name)).json()["outputs"]:
            values = result.as_numpy(output["name"])
            described = next(each for each in answer.outputs if each.name == output["name"])
            assert (described.datatype, list(described.shape)) == (output["datatype"], output["shape"])
            np.testing.assert_array_equal(values.ravel(), np.array(output["data"], values.dtype), strict=True)


async def test_the_configuration_is_tritons(client: Client) -> None:
    """A model's configuration is its config.pbtxt, as a message."""
    config = (await client.get_model_config("middle")).config
    assert (config.name, config.platform, config.max_batch_size) == ("middle", "onnxruntime_onnx", 4)
    assert [(tensor.name, list(tensor.dims)) for tensor in config.input] == [("images", list(SHAPE))]
    assert [tensor.name for tensor in config.output] == ["boxes", "scores", "labels"]


async def test_ids_outputs_and_versions(client: Client) -> None:
    """The id comes back, with the version that answered and the outputs asked for, in their order."""
    wanted = [triton.InferRequestedOutput(name) for name in ("labels", "boxes")]
    answer = (await client.infer("middle", [images_input()], outputs=wanted, request_id="42")).get_response()
    assert (answer.id, answer.model_name, answer.model_version) == ("42", "middle", "1")
    assert [(output.name, output.datatype) for output in answer.outputs] == [("labels", "INT32"), ("boxes", "FP32")]
    assert [len(data) for data in answer.raw_output_contents] == [3 * 4, 3 * 4 * 4]


async def test_numbers_are_taken(stub: Stub) -> None:
    """Pixels may come as numbers in contents.uint_contents."""
    numbers = request()
    numbers.ClearField("raw_input_contents")
    numbers.inputs[0].contents.uint_contents.extend(PRIMARIES.ravel().tolist())
    as_numbers, as_bytes = await stub.ModelInfer(numbers), await stub.ModelInfer(request())
    assert as_numbers == as_bytes


async def test_the_workers_read_and_write_the_same(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large, and goes through the worker threads, is answered as what is small."""
    at_once = await stub.ModelInfer(request(model="double"))
    monkeypatch.setattr(tensor_calls, "_SMALL", 0)
    assert await stub.ModelInfer(request(model="double")) == at_once


async def test_nan_is_carried_as_it_is(tmp_path: Path) -> None:
    """Tensors are what the model put out: NaN stays NaN, which JSON would have no word for."""
    write_task(tmp_path, "shares", Task.CLASSIFY, share_model(), labels=COLOURS)
    async with running(tmp_path) as service, listening(service) as address, Client(address) as client:
        answer = await client.infer("shares", [images_input(np.zeros((1, *SHAPE), np.uint8))])
    assert np.isnan(answer.as_numpy("probabilities")).all()


async def test_what_is_not_there_is_not_found(client: Client) -> None:
    """A model, version or alias that is not there is not found, whatever is asked of it."""
    for name, version in (("absent", ""), ("colours", "9"), ("Colours", ""), ("colours", "x"), ("colours@no", "")):
        asked = [
            client.is_model_ready(name, version),
            client.get_model_metadata(name, version),
            client.get_model_config(name, version),
            client.get_inference_statistics(name, version),
            client.infer(name, [images_input()], version),
        ]
        assert [(await refusal(call))[0] for call in asked] == ["NOT_FOUND"] * 5, name


async def test_a_broken_version(tmp_path: Path) -> None:
    """A version that could not be loaded is not ready, in the index with the reason, and its inference is refused."""
    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    (Repository(tmp_path).version_path("colours", 1) / "golden.npz").unlink()
    async with running(tmp_path) as service, listening(service) as address, Client(address) as client:
        ready = [await client.is_model_ready("colours", version) for version in ("1", "2")]
        status, message = await refusal(client.infer("colours", [images_input()], "1"))
        index = {entry.version: entry for entry in (await client.get_model_repository_index()).models}
        metadata = await client.get_model_metadata("colours")
    assert (ready, list(metadata.versions)) == ([False, True], ["2"])
    assert (status, "golden.npz" in message) == ("FAILED_PRECONDITION", True)
    assert [index["1"].state, index["2"].state, index["2"].reason] == ["UNAVAILABLE", "READY", ""]
    assert "golden.npz" in index["1"].reason


async def test_the_index_may_be_of_the_ready_alone(service: Running, stub: Stub) -> None:
    """Who wants the ready versions only gets no others; a repository's name is one too many."""
    lifecycle, registry = service.application.lifecycle, service.application.registry
    await lifecycle.unload("colours", 1)
    await lifecycle._retire(registry.version("means", 1), VersionState.EVICTED, "for this test")
    every, ready = [
        {(entry.name, entry.version) for entry in (await stub.RepositoryIndex(wanted)).models}
        for wanted in (service_pb2.RepositoryIndexRequest(), service_pb2.RepositoryIndexRequest(ready=True))
    ]
    assert every - ready == {("colours", "1")}
    named = service_pb2.RepositoryIndexRequest(repository_name="mine")
    assert (await refusal(stub.RepositoryIndex(named)))[0] == "INVALID_ARGUMENT"


async def test_readiness_ends_with_the_drain(service: Running, client: Client) -> None:
    """The server is ready until it drains, and alive meanwhile."""
    before = await client.is_server_ready()
    service.application.draining = True
    assert (before, await client.is_server_ready(), await client.is_server_live()) == (True, False, True)


async def test_versions_and_aliases(service: Running, client: Client) -> None:
    """A version is named beside the model, an alias with it; the bare name goes by traffic."""
    traffic = ModelTraffic(aliases={"stable": 2, "canary": 1}, weights={"canary": 1})
    service.application.registry.route(Routing(models={"colours": traffic}))
    asked = [("colours", ""), ("colours@stable", ""), ("colours@canary", ""), ("colours", "2"), ("colours", "1")]
    answers = [(await client.infer(name, [images_input()], version)).get_response() for name, version in asked]
    assert [answer.model_version for answer in answers] == ["1", "2", "1", "2", "1"]
    assert {answer.model_name for answer in answers} == {"colours"}


async def test_a_version_out_of_memory_comes_back(service: Running, client: Client) -> None:
    """A version that gave its memory to others is ready and described, and the first request brings it back."""
    lifecycle, version = service.application.lifecycle, service.application.registry.version("means", 1)
    await lifecycle._retire(version, VersionState.EVICTED, "for this test")
    assert await client.is_model_ready("means")
    assert (await client.get_model_metadata("means")).name == "means"
    assert version.loaded is None
    await client.infer("means", [images_input()])
    assert version.loaded


async def test_statistics_are_those_of_the_metrics(service: Running, client: Client) -> None:
    """A model's statistics count what it answered, over REST too, and where the time went."""
    _, before = (await client.get_inference_statistics("colours")).model_stats
    await client.infer("colours", [images_input()])
    await post(service, rest_request())
    first, second = (await client.get_inference_statistics("colours")).model_stats
    assert (first.version, first.inference_count, first.inference_stats.success.count) == ("1", 0, 0)
    times = second.inference_stats
    assert (second.version, second.inference_count, before.inference_count) == ("2", 6, 0)
    assert second.execution_count - before.execution_count == 2
    assert [times.success.count, times.queue.count, times.compute_infer.count, times.fail.count] == [2, 2, 2, 0]
    assert 0 < times.compute_infer.ns < times.success.ns
    everything = (await client.get_inference_statistics()).model_stats
    assert len(everything) == len(service.application.registry.versions())


async def test_requests_are_counted_like_others(service: Running, client: Client) -> None:
    """An answer stands in the version's metrics, a refusal among the rejections, both by gRPC's names."""
    await client.infer("colours", [images_input()])
    await refusal(client.infer("colours", [images_input(PRIMARIES[:, :4])]))
    text = (await service.client.get("/metrics")).text
    assert 'vitrail_images_total{model="colours",task="classify",version="2"} 3.0' in text
    series = (
        'vitrail_requests_total{alias="stable",code="OK",model="colours",task="classify",transport="grpc",version="2"}'
    )
    assert f"{series} 1.0" in text
    series = (
        'vitrail_requests_total{alias="",code="INVALID_ARGUMENT",model="",task="classify",transport="grpc",version=""}'
    )
    assert f"{series} 1.0" in text
    assert 'vitrail_rejections_total{reason="invalid_parameters",task="classify",transport="grpc"} 1.0' in text


def numbers(*values: int) -> Any:
    """Contents in numbers."""
    return service_pb2.InferTensorContents(uint_contents=values)


def changed(**fields: Any) -> Callable[[Any], None]:
    """The input has these fields."""

    def change(message: Any) -> None:
        described = service_pb2.ModelInferRequest.InferInputTensor(**fields)
        if "shape" in fields:
            message.inputs[0].ClearField("shape")
        message.inputs[0].MergeFrom(described)

    return change


def in_numbers(*values: int) -> Callable[[Any], None]:
    """The data are these numbers."""

    def change(message: Any) -> None:
        message.ClearField("raw_input_contents")
        message.inputs[0].contents.uint_contents.extend(values)

    return change


def with_parameter(name: str, **value: Any) -> Callable[[Any], None]:
    """The request has this parameter."""
    return lambda message: message.parameters[name].MergeFrom(service_pb2.InferParameter(**value))


def tensor_parameter(tensor: str, name: str, **value: Any) -> Callable[[Any], None]:
    """The input, or an output, has this parameter."""

    def change(message: Any) -> None:
        described = message.inputs[0] if tensor == "images" else message.outputs.add(name=tensor)
        described.parameters[name].MergeFrom(service_pb2.InferParameter(**value))

    return change


BAD_REQUESTS: dict[str, tuple[Callable[[Any], object], str]] = {
    "another name": (changed(name="pixels"), "takes one input, 'images'; the request has ['pixels']"),
    "another type": (changed(datatype="FP32"), "must be UINT8, not 'FP32'"),
    "strings": (changed(datatype="BYTES"), "must be UINT8, not 'BYTES'"),
    "another size": (changed(shape=[3, 4, 4, 3]), "of shape [-1, 8, 8, 3], -1 being the number of images"),
    "no batch axis": (changed(shape=SHAPE), "of shape [-1, 8, 8, 3]"),
    "no shape": (lambda message: message.inputs[0].ClearField("shape"), "of shape [-1, 8, 8, 3]"),
    "no images": (changed(shape=[0, *SHAPE]), "no image"),
    "a negative size": (changed(shape=[-3, *SHAPE]), "a negative size"),
    "too few bytes": (changed(shape=[4, *SHAPE]), "has 768 bytes, not 576"),
    "too few numbers": (in_numbers(1, 2, 3), "has 576 numbers, flat or nested; its data are of shape [3]"),
    "beyond a byte": (in_numbers(*[256] * 576), "whole numbers from 0 to 255"),
    "no data": (lambda message: message.ClearField("raw_input_contents"), "either raw_input_contents or contents"),
    "data twice": (lambda message: message.inputs[0].contents.CopyFrom(numbers(1)), "either raw_input_contents or"),
    "more data": (lambda message: message.raw_input_contents.append(b""), "1 inputs, and 2 raw_input_contents"),
    "no inputs": (lambda message: message.ClearField("inputs"), "0 inputs, and 1 raw_input_contents"),
    "an unknown output": (lambda message: message.outputs.add(name="logits"), "no output 'logits'; it has probabil"),
    "an output twice": (
        lambda message: message.outputs.extend([message.outputs.add(name="probabilities")]),
        "more than once",
    ),
    "a long id": (lambda message: setattr(message, "id", "x" * 1025), "id is longer than 1024"),
    "a sequence": (with_parameter("sequence_id", uint64_param=7), "sequence_id, of an extension that is not offered"),
    "a sequence in words": (with_parameter("sequence_id", string_param="seven"), "sequence_id, of an extension"),
    "classification": (
        tensor_parameter("probabilities", "classification", int64_param=1),
        "asks for classification, an extension that is not offered",
    ),
    "shared memory": (
        tensor_parameter("images", "shared_memory_region", string_param="x"),
        "asks for shared_memory_region, an extension that is not offered",
    ),
}


async def test_a_bad_request_is_an_invalid_argument_and_says_what_is_expected(stub: Stub) -> None:
    """Whatever is wrong with the tensors, the message says what would be right."""
    for fault, (change, expected) in BAD_REQUESTS.items():
        message = request()
        change(message)
        status, details = await refusal(stub.ModelInfer(message))
        assert (status, expected in details) == ("INVALID_ARGUMENT", True), (fault, details)


async def test_the_words_are_rests(service: Running, client: Client) -> None:
    """The same fault is told of in the same words over both transports."""
    for images in (PRIMARIES[:, :4], PRIMARIES[0]):
        over_rest = (await post(service, rest_request(images))).json()["error"]
        assert await refusal(client.infer("colours", [images_input(images)])) == ("INVALID_ARGUMENT", over_rest)


async def test_what_is_no_message_is_an_invalid_argument(address: str) -> None:
    """Bytes that are no request are told of, not a failure of the service."""
    async with grpc.aio.insecure_channel(address) as channel:
        status, details = await refusal(channel.unary_unary(f"/{SERVICE}/ModelInfer")(b"\xff\xff"))
    assert (status, "no ModelInferRequest" in details) == ("INVALID_ARGUMENT", True)


async def test_parameters_that_mean_nothing_here_are_left_aside(client: Client) -> None:
    """A priority, an unset sequence and a parameter of somebody's own change nothing."""
    more = {"priority": 1, "parameters": {"mine": "x", "number": 2.5}}
    answer = await client.infer("colours", [images_input()], sequence_id=0, timeout=20_000_000, **more)
    assert answer.as_numpy("probabilities").argmax(axis=1).tolist() == [0, 1, 2]


async def test_too_many_images_and_too_large_a_message(tiny_repository: Path) -> None:
    """The limits of all transports hold: images in a request, bytes of a message."""
    async with (
        running(tiny_repository, max_images_per_request=2, max_body_bytes=4000) as service,
        listening(service) as address,
        Client(address) as client,
    ):
        many = await refusal(client.infer("colours", [images_input()]))
        large = await refusal(client.infer("colours", [images_input(np.zeros((1000, *SHAPE), np.uint8))]))
        assert await client.is_server_live()
    assert many == ("RESOURCE_EXHAUSTED", "the request holds 3 images; at most 2 are taken")
    assert (large[0], "larger than max" in large[1]) == ("RESOURCE_EXHAUSTED", True)


async def test_overload_is_resource_exhausted(tiny_repository: Path) -> None:
    """Beyond the images in flight a request is refused at once."""
    async with (
        running(tiny_repository, max_images_in_flight=3) as service,
        listening(service) as address,
        Client(address) as client,
    ):
        service.engines["colours:2"].hold()
        first = asyncio.create_task(client.infer("colours", [images_input()]))
        await until(lambda: service.application.inference.in_flight == 3)
        status, message = await refusal(client.infer("colours", [images_input()]))
        service.engines["colours:2"].let_go()
        assert (await first).as_numpy("probabilities").shape == (3, 3)
    assert (status, "try again" in message) == ("RESOURCE_EXHAUSTED", True)


@pytest.mark.parametrize("whose", [{"timeout": 20_000}, {"client_timeout": 0.05}], ids=["parameter", "call"])
async def test_the_deadline_is_deadline_exceeded(service: Running, client: Client, whose: dict[str, Any]) -> None:
    """The caller's time, as Triton's parameter in microseconds or as gRPC's deadline, bounds the request."""
    service.engines["colours:2"].hold()
    status, _ = await refusal(client.infer("colours", [images_input()], **whose))
    assert status == "DEADLINE_EXCEEDED"
    await until(lambda: service.application.inference.in_flight == 0)


async def test_a_caller_who_leaves_frees_the_place(service: Running, stub: Stub) -> None:
    """Who cancels takes the images back, and the permit; it is counted as such."""
    service.engines["colours:2"].hold()
    call = stub.ModelInfer(request())
    await until(lambda: service.application.inference.in_flight == 3)
    call.cancel()
    await until(lambda: service.application.inference.in_flight == 0)
    text = (await service.client.get("/metrics")).text
    assert 'vitrail_rejections_total{reason="cancelled",task="classify",transport="grpc"} 1.0' in text


NOT_OFFERED: dict[str, Callable[[Client], Any]] = {
    "admin routes": lambda client: client.load_model("colours"),
    "…:unload": lambda client: client.unload_model("colours"),
    "shared memory": lambda client: client.get_system_shared_memory_status(),
    "raw_input_contents": lambda client: client.register_system_shared_memory("x", "/x", 1),
    "SystemSharedMemoryUnregister": lambda client: client.unregister_system_shared_memory(),
    "CudaSharedMemoryStatus": lambda client: client.get_cuda_shared_memory_status(),
    "CudaSharedMemoryUnregister": lambda client: client.unregister_cuda_shared_memory(),
    "trace settings": lambda client: client.get_trace_settings(),
    "log settings": lambda client: client.get_log_settings(),
}


async def test_what_is_not_offered_is_refused_by_name(client: Client) -> None:
    """Triton's client gets an error that it can show, of every call that is not offered."""
    for words, ask in NOT_OFFERED.items():
        status, message = await refusal(ask(client))
        assert (status, words in message) == ("UNIMPLEMENTED", True), message


async def test_the_callers_request_id_comes_back(stub: Stub) -> None:
    """X-Request-Id, sent as metadata, comes back with the answer, and with a refusal."""
    metadata = (("x-request-id", "mine"),)
    call, refused = (
        stub.ModelInfer(request(), metadata=metadata),
        stub.ModelInfer(request(model="no"), metadata=metadata),
    )
    await call
    await refusal(refused)
    assert [dict(await each.trailing_metadata())["x-request-id"] for each in (call, refused)] == ["mine", "mine"]
