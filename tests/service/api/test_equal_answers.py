"""One image, one model, one answer: by whatever way it is asked for."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc.aio as triton_grpc
from google.protobuf.message_factory import GetMessageClass
from websockets.asyncio.client import connect

from contract.image import decode
from contract.preprocess import preprocess
from contract.proto.vitrail.v1 import vision_pb2
from contract.task import Task
from contract.tasks.table import TASKS
from service.api.grpc.messages import MESSAGES, result_of
from service.api.json_answers import as_json
from service.inference import parse_parameters
from service.registry.version import LoadedVersion
from tests.service.api.grpc.channel import method, open_channel
from tests.service.api.listening import listening
from tests.service.running import Running, encode

PIXELS = np.random.default_rng(0).integers(0, 100, (30, 44, 3), np.uint8)
PIXELS[4:20, 10:30] += 150
IMAGE = encode(PIXELS)
"""Noise, with a bright part where there is something to be found."""
PARAMETERS: list[tuple[Task, dict[str, str]]] = [
    *((task, {}) for task, definition in TASKS.items() if not definition.clips),
    (Task.CLASSIFY, {"top_k": "2", "score_threshold": "0.1"}),
    (Task.DETECT, {"score_threshold": "0.01", "max_objects": "2", "labels": "red,blue"}),
    *((Task.SEGMENT, {"mask_format": form}) for form in ("rle", "polygon", "png", "palette", "bits", "none")),
    (Task.SEGMENT, {"mask_format": "bits", "mask_crop": "true"}),
    (Task.SEGMENT, {"max_bytes": "60"}),
    (Task.EMBED, {"normalize": "false"}),
    (Task.DEPTH, {"encoding": "npy"}),
    (Task.EXPLAIN, {"encoding": "npy", "class": "1"}),
]


@dataclass(frozen=True)
class Asked:
    """The service, what is asked of it, and what is to be expected."""

    service: Running
    channel: grpc.aio.Channel
    task: Task
    parameters: dict[str, str]

    @property
    def version(self) -> LoadedVersion:
        """The version that answers."""
        return self.service.application.registry.resolve(self.task, None).version

    def typed(self, outputs: Any) -> Any:
        """The result that the contract makes of a model's outputs, as JSON's values."""
        version, definition = self.version, TASKS[self.task]
        limits = self.service.application.inference.decode_limits
        _, geometry = preprocess(decode(IMAGE, limits), version.card.preprocess)
        parameters = parse_parameters(definition, self.parameters)
        return definition.postprocess(outputs, geometry, version.card, version.settings, parameters)

    @property
    def input(self) -> Any:
        """What the model sees."""
        limits = self.service.application.inference.decode_limits
        return preprocess(decode(IMAGE, limits), self.version.card.preprocess)[0]

    async def expected(self) -> Any:
        """The result by the shortest way: the engine itself, and the contract."""
        (inferred,) = await self.version.engine.infer([self.input])
        return self.typed(inferred.outputs)


@pytest.fixture(params=PARAMETERS, ids=lambda wanted: "-".join([wanted[0], *wanted[1].values()]))
async def asked(service: Running, request: pytest.FixtureRequest) -> AsyncIterator[Asked]:
    """Each task, with its defaults and otherwise."""
    async with open_channel(service) as channel:
        yield Asked(service, channel, *request.param)


async def by_rest(asked: Asked) -> Any:
    """As JSON."""
    headers = {"Content-Type": "image/png"}
    response = await asked.service.client.post(
        f"/v1/{asked.task}", params=asked.parameters, content=IMAGE, headers=headers
    )
    assert response.status_code == 200, response.text
    return response.json()["results"][0]


async def by_websocket(asked: Asked) -> Any:
    """As JSON, of the only frame of a stream."""
    query = "&".join(f"{name}={value}" for name, value in {"task": asked.task, **asked.parameters}.items())
    async with listening(asked.service.application.asgi) as listener, connect(listener.url(query)) as socket:
        await socket.send(IMAGE)
        return json.loads(await socket.recv())["result"]


def parameters_message(asked: Asked) -> Any:
    """The parameters as their message."""
    request = GetMessageClass(vision_pb2.DESCRIPTOR.message_types_by_name[f"{MESSAGES[asked.task]}Request"])()
    message = request.parameters
    for name, text in asked.parameters.items():
        field = message.DESCRIPTOR.fields_by_name[name]
        if field.enum_type:
            prefix = field.enum_type.values[0].name.rpartition("_")[0]
            setattr(message, name, field.enum_type.values_by_name[f"{prefix}_{text.upper()}"].number)
        elif field.is_repeated:
            getattr(message, name).extend(text.split(","))
        else:
            setattr(message, name, text if field.cpp_type == field.CPPTYPE_STRING else json.loads(text))
    return request


async def by_grpc(asked: Asked) -> Any:
    """As a message."""
    request = parameters_message(asked)
    request.images.append(IMAGE)
    response = await method(asked.channel, MESSAGES[asked.task])(request)
    return response.results[0]


async def by_stream_frames(asked: Asked) -> Any:
    """As a message, of the only frame of a stream."""
    start = vision_pb2.StreamStart(**{asked.task: parameters_message(asked).parameters})
    start_message, frame = vision_pb2.StreamFramesRequest(start=start), vision_pb2.Frame(image=IMAGE)
    requests = iter([start_message, vision_pb2.StreamFramesRequest(frame=frame)])
    (answer,) = [answer async for answer in method(asked.channel, "StreamFrames")(requests)]
    return getattr(answer, answer.WhichOneof("answer"))


async def by_tensors(asked: Asked) -> Any:
    """As what the contract makes of tensors that came over the Open Inference Protocol, by REST."""
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, *asked.input.shape], "data": asked.input.ravel()}
    body = json.dumps({"inputs": [tensor | {"data": tensor["data"].tolist()}]})
    response = await asked.service.client.post(f"/v2/models/{asked.version.card.name}/infer", content=body)
    shapes = {output.name: output for output in asked.version.card.outputs}
    return asked.typed(
        {
            output["name"]: np.array(output["data"], shapes[output["name"]].dtype.numpy).reshape(output["shape"])[0]
            for output in response.json()["outputs"]
        }
    )


async def by_triton_grpc(asked: Asked) -> Any:
    """As what the contract makes of tensors that came over the Open Inference Protocol, by gRPC."""
    batch = asked.input[None]
    tensor = triton_grpc.InferInput("images", list(batch.shape), "UINT8")
    tensor.set_data_from_numpy(batch)
    async with triton_grpc.InferenceServerClient(f"127.0.0.1:{asked.service.application.grpc.port}") as client:
        answer = await client.infer(asked.version.card.name, [tensor])
    return asked.typed({output.name: answer.as_numpy(output.name)[0] for output in asked.version.card.outputs})


@pytest.mark.parametrize("way", [by_rest, by_websocket, by_tensors, by_triton_grpc])
async def test_ways_that_give_values(asked: Asked, way: Callable[[Asked], Awaitable[Any]]) -> None:
    """REST, WebSocket and tensors give what the engine and the contract give, number for number."""
    expected = json.loads(as_json(await asked.expected()))
    found = await way(asked)
    assert json.loads(as_json(found)) == expected


@pytest.mark.parametrize("way", [by_grpc, by_stream_frames])
async def test_ways_that_give_messages(asked: Asked, way: Callable[[Asked], Awaitable[Any]]) -> None:
    """Messages hold what the engine and the contract give, field for field."""
    assert await way(asked) == result_of(asked.task, await asked.expected())


async def test_an_answer_is_there(asked: Asked) -> None:
    """What is compared is something: no task answers these images with nothing."""
    expected = await asked.expected()
    assert all(value not in (None, [], {}, "") for name, value in expected.items())
