"""The Open Inference Protocol, as the clients of Triton and KServe speak it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from contract.repository import Repository
from service.api.rest.inference_protocol import STATUS
from service.errors import ErrorKind
from service.registry.traffic import ModelTraffic, Routing
from service.registry.version import VersionState
from tests.doubles import until
from tests.service.api.rest.test_wire import listening
from tests.service.running import Running, running
from tests.tiny_models import SIDE, write_version

SHAPE = (SIDE, SIDE, 3)
PRIMARIES = np.zeros((3, *SHAPE), np.uint8)
for channel in range(3):
    PRIMARIES[channel, ..., channel] = 255


@pytest.fixture
async def port(service: Running) -> AsyncIterator[int]:
    """The port that it listens on."""
    async with listening(service) as port:
        yield port


@pytest.fixture
async def client(port: int) -> AsyncIterator[triton_aio.InferenceServerClient]:
    """Triton's own client for asyncio."""
    async with triton_aio.InferenceServerClient(f"127.0.0.1:{port}") as client:
        yield client


def images_input(images: np.ndarray, *, binary: bool = True) -> triton.InferInput:
    """The input of the tiny models."""
    tensor = triton.InferInput("images", list(images.shape), "UINT8")
    tensor.set_data_from_numpy(images, binary_data=binary)
    return tensor


def request(images: np.ndarray = PRIMARIES, **more: Any) -> dict[str, Any]:
    """A request in JSON, as KServe documents it."""
    tensor = {"name": "images", "shape": list(images.shape), "datatype": "UINT8", "data": images.ravel().tolist()}
    return {"inputs": [tensor], **more}


async def post(service: Running, body: Any, path: str = "colours", **headers: str) -> httpx.Response:
    """Ask for an inference; header names with ``_`` for ``-``."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await service.client.post(f"/v2/models/{path}/infer", content=content, headers=named)


def binary_request(document: dict[str, Any], *tensors: bytes) -> tuple[bytes, dict[str, str]]:
    """A request by the binary tensor data extension: body and headers."""
    head = json.dumps(document).encode()
    return b"".join([head, *tensors]), {"Inference_Header_Content_Length": str(len(head))}


def described(size: int, shape: tuple[int, ...] = (1, *SHAPE)) -> dict[str, Any]:
    """A document whose input comes as so many bytes."""
    parameters = {"binary_data_size": size}
    return {"inputs": [{"name": "images", "shape": list(shape), "datatype": "UINT8", "parameters": parameters}]}


def test_every_kind_of_error_has_a_status() -> None:
    """No kind was forgotten."""
    assert set(STATUS) == set(ErrorKind)


def test_tritons_client_in_a_thread(tiny_repository: Path) -> None:
    """Triton's blocking client learns of a model and sends it tensors, in both forms."""

    def ask(port: int) -> tuple[Any, ...]:
        with triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
            plain = [triton.InferRequestedOutput("probabilities", binary_data=False)]
            return (
                client.is_server_live(),
                client.is_server_ready(),
                client.is_model_ready("colours", "2"),
                client.get_model_metadata("colours"),
                client.infer("colours", [images_input(PRIMARIES)]).as_numpy("probabilities"),
                client.infer("colours", [images_input(PRIMARIES, binary=False)], outputs=plain).as_numpy(
                    "probabilities"
                ),
            )

    async def proof() -> tuple[Any, ...]:
        async with running(tiny_repository) as service, listening(service) as port:
            return await asyncio.to_thread(ask, port)

    *alive, metadata, as_bytes, as_json = asyncio.run(proof())
    assert alive == [True, True, True]
    assert metadata["name"] == "colours"
    assert as_bytes.argmax(axis=1).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(as_bytes, as_json)


async def test_the_server_says_what_it_is(client: triton_aio.InferenceServerClient) -> None:
    """The server's metadata have the fields of the protocol, and the extension that is offered."""
    metadata = await client.get_server_metadata()
    assert set(metadata) == {"name", "version", "extensions"}
    assert metadata["extensions"] == ["binary_tensor_data"]


async def test_the_model_says_what_it_takes(client: triton_aio.InferenceServerClient) -> None:
    """A model's metadata are its card's tensors, with the batch axis, and its versions."""
    metadata = await client.get_model_metadata("colours")
    assert metadata == {
        "name": "colours",
        "versions": ["1", "2"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, *SHAPE]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}],
    }
    assert await client.get_model_metadata("colours@stable") == await client.get_model_metadata("colours", "1")


async def test_what_is_not_there_is_404(service: Running) -> None:
    """A model, version or alias that is not there is not found, whatever is asked of it."""
    for path in ("absent", "colours/versions/9", "Colours", "colours/versions/x", "colours@no"):
        answers = [await service.client.get(f"/v2/models/{path}{end}") for end in ("", "/ready")]
        answers.append(await post(service, request(), path))
        assert [answer.status_code for answer in answers] == [404, 404, 404], path
        assert all(set(answer.json()) == {"error"} for answer in answers), path


async def test_readiness_of_a_broken_version(tmp_path: Path) -> None:
    """A version that could not be loaded is not ready, and its inference is refused with the reason."""
    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    (Repository(tmp_path).version_path("colours", 1) / "golden.npz").unlink()
    async with running(tmp_path) as service:
        ready = [await service.client.get(f"/v2/models/colours/versions/{n}/ready") for n in (1, 2)]
        refused = await post(service, request(), "colours/versions/1")
        metadata = (await service.client.get("/v2/models/colours")).json()
    assert [answer.status_code for answer in ready] == [503, 200]
    assert refused.status_code == 503
    assert "golden.npz" in refused.json()["error"]
    assert metadata["versions"] == ["2"]


async def test_readiness_ends_with_the_drain(service: Running) -> None:
    """The server is ready until it drains, and alive meanwhile."""
    before = await service.client.get("/v2/health/ready")
    service.application.draining = True
    after = [(await service.client.get(f"/v2/health/{what}")).status_code for what in ("ready", "live")]
    assert (before.status_code, before.json()) == (200, {"ready": True})
    assert after == [503, 200]


async def test_kserves_documented_request(service: Running) -> None:
    """A request in JSON is answered in JSON as documented: the id, the model, each output asked for, flat."""
    response = await post(service, request(id="42", outputs=[{"name": "probabilities"}]))
    answer = response.json()
    (output,) = answer.pop("outputs")
    assert answer == {"id": "42", "model_name": "colours", "model_version": "2"}
    assert (output["name"], output["shape"], output["datatype"]) == ("probabilities", [3, 3], "FP32")
    assert np.argmax(np.reshape(output["data"], (3, 3)), axis=1).tolist() == [0, 1, 2]
    assert response.headers["content-type"] == "application/json"
    assert "server-timing" in response.headers


async def test_tritons_documented_binary_request(service: Running) -> None:
    """The extension's example: bytes after the JSON, a model_name within it, and bytes back."""
    outputs = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    body, headers = binary_request(
        {"model_name": "colours", **described(192), "outputs": outputs}, PRIMARIES[:1].tobytes()
    )
    response = await post(service, body, **headers)
    length = int(response.headers["inference-header-content-length"])
    document, rest = json.loads(response.content[:length]), response.content[length:]
    assert response.headers["content-type"] == "application/octet-stream"
    assert document["outputs"][0]["parameters"] == {"binary_data_size": 12}
    assert np.frombuffer(rest, "<f4").argmax() == 0


async def test_nested_data_are_taken(service: Running) -> None:
    """Data may be nested as the shape is."""
    nested = request()
    nested["inputs"][0]["data"] = PRIMARIES.tolist()
    assert (await post(service, nested)).json()["outputs"] == (await post(service, request())).json()["outputs"]


async def test_one_output_may_differ_from_the_others(client: triton_aio.InferenceServerClient) -> None:
    """What is said of one output goes before what is said of all; outputs come in the order asked for."""
    outputs = [triton.InferRequestedOutput("labels", binary_data=False), triton.InferRequestedOutput("boxes")]
    answer = await client.infer("middle", [images_input(np.full((2, *SHAPE), 200, np.uint8))], outputs=outputs)
    assert [output["name"] for output in answer.get_response()["outputs"]] == ["labels", "boxes"]
    assert "data" in answer.get_response()["outputs"][0]
    assert answer.as_numpy("labels").dtype == np.int32
    np.testing.assert_allclose(answer.as_numpy("boxes"), np.tile(np.float32([0.25, 0.25, 0.75, 0.75]), (2, 1, 1)))


@pytest.mark.parametrize("binary", [True, False])
async def test_all_outputs_come_with_their_types(
    service: Running, client: triton_aio.InferenceServerClient, *, binary: bool
) -> None:
    """Each output has the card's type and shape, and the values that the engine gives."""
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), np.uint8)
    for model in ("middle", "blobs", "double", "means", "distances", "diagonal"):
        version = service.application.registry.aliased(model)
        names = [output.name for output in version.card.outputs]
        wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
        answer = await client.infer(model, [images_input(images)], outputs=wanted)
        inferred = await version.engine.infer(list(images))
        for name in names:
            expected = np.stack([item.outputs[name] for item in inferred])
            np.testing.assert_array_equal(answer.as_numpy(name), expected, strict=True)


async def test_clips_are_tensors_like_others(client: triton_aio.InferenceServerClient) -> None:
    """A model of clips, which has no route for images, takes clips here."""
    answer = await client.infer("clips", [images_input(np.stack([PRIMARIES[[2, 2, 2, 2]]]))])
    assert answer.as_numpy("probabilities").argmax() == 2


async def test_batches_beyond_the_certified(service: Running, client: triton_aio.InferenceServerClient) -> None:
    """A batch larger than the engine takes is answered in order, in parts."""
    images = PRIMARIES[np.arange(11) % 3]
    answer = await client.infer("colours", [images_input(images)], request_id="eleven")
    assert answer.as_numpy("probabilities").argmax(axis=1).tolist() == (np.arange(11) % 3).tolist()
    assert answer.get_response()["id"] == "eleven"


async def test_compressed_bodies(client: triton_aio.InferenceServerClient) -> None:
    """Triton's client may compress what it sends, and ask for a compressed answer, which it need not get."""
    for way in ("gzip", "deflate"):
        answer = await client.infer(
            "colours",
            [images_input(PRIMARIES)],
            request_compression_algorithm=way,
            response_compression_algorithm=way,
        )
        assert answer.as_numpy("probabilities").argmax(axis=1).tolist() == [0, 1, 2]


async def test_versions_and_aliases(service: Running) -> None:
    """A version is named in the path, an alias with the name; the bare name goes by traffic."""
    traffic = ModelTraffic(aliases={"stable": 2, "canary": 1}, weights={"canary": 1})
    service.application.registry.route(Routing(models={"colours": traffic}))
    paths = ["colours", "colours@stable", "colours%40canary", "colours/versions/2", "colours/versions/1"]
    answers = [(await post(service, request(), path)).json() for path in paths]
    assert [answer["model_version"] for answer in answers] == ["1", "2", "1", "2", "1"]
    assert {answer["model_name"] for answer in answers} == {"colours"}


async def test_a_share_that_fails_is_answered_by_stable(tmp_path: Path) -> None:
    """A caller who named no version gets stable's answer where the canary's engine fails."""
    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    async with running(tmp_path) as service:
        traffic = ModelTraffic(aliases={"stable": 1, "canary": 2}, weights={"canary": 1})
        service.application.registry.route(Routing(models={"colours": traffic}))
        await service.application.registry.aliased("colours", "canary").engine.close()
        by_share, by_name = await post(service, request()), await post(service, request(), "colours@canary")
    assert (by_share.status_code, by_share.json()["model_version"]) == (200, "1")
    assert by_name.status_code == 503


async def test_a_version_out_of_memory_comes_back(service: Running) -> None:
    """A version that gave its memory to others is ready and described, and the first request brings it back."""
    lifecycle, version = service.application.lifecycle, service.application.registry.version("means", 1)
    await lifecycle._retire(version, VersionState.EVICTED, "for this test")
    asked = [(await service.client.get(f"/v2/models/means{end}")).status_code for end in ("", "/ready")]
    assert (asked, version.loaded) == ([200, 200], None)
    assert (await post(service, request(), "means")).status_code == 200
    assert version.loaded


async def test_requests_are_counted_like_others(service: Running) -> None:
    """An answer stands in the version's metrics, a refusal among the rejections."""
    await post(service, request())
    await post(service, b"{")
    text = (await service.client.get("/metrics")).text
    assert 'vitrail_images_total{model="colours",task="classify",version="2"} 3.0' in text
    series = (
        'vitrail_requests_total{alias="stable",code="200",model="colours",task="classify",transport="rest",version="2"}'
    )
    assert f"{series} 1.0" in text
    assert 'vitrail_rejections_total{reason="invalid_parameters",task="",transport="rest"} 1.0' in text


async def test_a_refusal_for_want_of_a_version_belongs_to_the_models_task(service: Running) -> None:
    """The alert VitrailRequestsFindNoVersion goes by task, and callers of this protocol are to be among them."""
    await service.client.post("/v1/models/colours/versions/1:unload")
    assert (await post(service, request(), "colours/versions/1")).status_code == 503
    text = (await service.client.get("/metrics")).text
    assert 'vitrail_rejections_total{reason="version_not_ready",task="classify",transport="rest"} 1.0' in text


BAD_INPUT: dict[str, tuple[dict[str, Any], str]] = {
    "another name": ({"name": "pixels"}, "takes one input, 'images'; the request has ['pixels']"),
    "another type": ({"datatype": "FP32"}, "must be UINT8, not 'FP32'"),
    "another size": ({"shape": [1, 4, 4, 3]}, "of shape [-1, 8, 8, 3], -1 being the number of images"),
    "no batch axis": ({"shape": list(SHAPE)}, "of shape [-1, 8, 8, 3]"),
    "no shape": ({"shape": []}, "of shape [-1, 8, 8, 3]"),
    "no images": ({"shape": [0, *SHAPE], "data": []}, "no image"),
    "a negative size": ({"shape": [-1, *SHAPE]}, "inputs.0.shape.0"),
    "a size in words": ({"shape": ["3", *SHAPE]}, "inputs.0.shape.0"),
    "too few data": ({"data": [1, 2, 3]}, "has 576 numbers, flat or nested; its data are of shape [3]"),
    "data of another form": ({"data": [[1] * 192] * 3}, "flat or nested"),
    "uneven data": ({"data": [[1], [2, 3]]}, "uneven"),
    "fractions": ({"data": [0.5] * 576}, "whole numbers from 0 to 255"),
    "beyond a byte": ({"data": [256] * 576}, "whole numbers from 0 to 255"),
    "below zero": ({"data": [-1] * 576}, "whole numbers from 0 to 255"),
    "far beyond": ({"data": [2**70] * 576}, "whole numbers from 0 to 255"),
    "words": ({"data": ["1"] * 576}, "whole numbers from 0 to 255"),
    "no data": ({"data": None}, "either data or binary_data_size"),
    "shared memory": ({"parameters": {"shared_memory_region": "x"}}, "an extension that is not offered"),
}


async def test_a_bad_input_is_400_and_says_what_is_expected(service: Running) -> None:
    """Whatever is wrong with the tensor, the message says what would be right."""
    for fault, (changes, expected) in BAD_INPUT.items():
        body = request()
        body["inputs"][0] |= changes
        response = await post(service, body)
        assert response.status_code == 400, fault
        assert expected in response.json()["error"], fault


BAD_REQUESTS: dict[str, tuple[Any, str]] = {
    "no JSON": (b"{", "is not JSON"),
    "nothing": (b"", "is not JSON"),
    "no object": ([], "protocol's form"),
    "no inputs": ({"inputs": []}, "inputs"),
    "two inputs": ({"inputs": request()["inputs"] * 2}, "takes one input"),
    "an unknown output": (request(outputs=[{"name": "logits"}]), "no output 'logits'; it has probabilities"),
    "an output twice": (request(outputs=[{"name": "probabilities"}] * 2), "more than once"),
    "a number for an id": (request(id=7), "id"),
    "classification": (
        request(outputs=[{"name": "probabilities", "parameters": {"classification": 1}}]),
        "an extension that is not offered",
    ),
}


async def test_a_bad_request_is_400(service: Running) -> None:
    """Whatever is wrong with the document, the message names it."""
    for fault, (body, expected) in BAD_REQUESTS.items():
        response = await post(service, body)
        assert response.status_code == 400, fault
        assert expected in response.json()["error"], fault


async def test_tritons_client_shows_the_error(client: triton_aio.InferenceServerClient) -> None:
    """Triton's client finds the message and the status where it looks for them."""
    with pytest.raises(InferenceServerException, match="must be of shape") as raised:
        await client.infer("colours", [images_input(np.zeros((1, 4, 4, 3), np.uint8))])
    assert raised.value.status() == "400"


async def test_too_many_images_and_too_large_a_body(tiny_repository: Path) -> None:
    """The limits of all routes hold here: images in a request, bytes of a body, inflated or not."""
    async with running(tiny_repository, max_images_per_request=2, max_body_bytes=4000) as service:
        many = await post(service, request())
        large = await post(service, b" " * 4001)
    assert (many.status_code, many.json()["error"]) == (413, "the request holds 3 images; at most 2 are taken")
    assert (large.status_code, large.headers["connection"]) == (413, "close")


async def test_other_encodings_are_415(service: Running) -> None:
    """A body in an encoding that is not known is refused with those that are."""
    response = await post(service, request(), Content_Encoding="br")
    assert response.status_code == 415
    assert "gzip or deflate" in response.json()["error"]


async def test_overload_is_429(tiny_repository: Path) -> None:
    """Beyond the images in flight a request is refused, with the time to come back."""
    async with running(tiny_repository, max_images_in_flight=3) as service:
        service.engines["colours:2"].hold()
        first = asyncio.create_task(post(service, request()))
        await until(lambda: service.application.inference.in_flight == 3)
        second = await post(service, request())
        service.engines["colours:2"].let_go()
        assert (await first).status_code == 200
    assert (second.status_code, second.headers["retry-after"]) == (429, "1")


@pytest.mark.parametrize("where", ["parameter", "header"])
async def test_the_deadline_is_504(service: Running, where: str) -> None:
    """The caller's time, as Triton's parameter in microseconds or as our header, bounds the request."""
    service.engines["colours:2"].hold()
    body = request(parameters={"timeout": 20_000}) if where == "parameter" else request()
    headers = {"X_Request_Timeout_Ms": "20"} if where == "header" else {}
    response = await post(service, body, **headers)
    assert response.status_code == 504
    assert service.application.inference.in_flight == 0


async def test_a_caller_who_leaves_frees_the_place(service: Running, port: int) -> None:
    """Who disconnects takes the images back, and the permit."""
    service.engines["colours:2"].hold()
    body = json.dumps(request()).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v2/models/colours/infer HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await until(lambda: service.application.inference.in_flight == 3)
    writer.close()
    await until(lambda: service.application.inference.in_flight == 0)
    assert reader.at_eof() or not service.engines["colours:2"].computed


async def test_what_is_not_offered_is_said_in_the_protocols_form(service: Running) -> None:
    """Triton's other routes are answered with an error that its clients can show."""
    answers = [await service.client.get("/v2/models/colours/config"), await service.client.post("/v2/repository/index")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert all("not offered" in answer.json()["error"] for answer in answers)
