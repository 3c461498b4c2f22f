"""gRPC beside REST in a real service."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from contract.proto.vitrail.v1 import vision_pb2
from tests.end_to_end.gateway import Gateway, gateway
from tests.service.running import RED

CLASSIFY = "/vitrail.v1.VisionService/Classify"


def classify(channel: grpc.Channel, model: str = "") -> "grpc.Future[vision_pb2.ClassifyResponse]":
    """A call under way."""
    call = channel.unary_unary(
        CLASSIFY,
        request_serializer=vision_pb2.ClassifyRequest.SerializeToString,
        response_deserializer=vision_pb2.ClassifyResponse.FromString,
    )
    return call.future(vision_pb2.ClassifyRequest(model=model, images=[RED]), timeout=60)


def test_both_are_served(tiny_gateway: Gateway) -> None:
    """The process that answers REST answers gRPC, on a port that its log names."""
    with grpc.insecure_channel(tiny_gateway.grpc_address) as channel:
        response = classify(channel).result()
    assert response.results[0].classes[0].label == "red"


def test_calls_under_way_are_finished(tiny_repository: Path, tmp_path: Path) -> None:
    """Calls in flight at the signal are answered; then the process ends with 0."""
    with (
        gateway(tiny_repository, tmp_path / "log", threads=2) as running,
        grpc.insecure_channel(running.grpc_address) as channel,
    ):
        begun = [classify(channel, "slow") for _ in range(4)]
        running.until_figure("vitrail_images_in_flight", 4)
        assert running.leave() == 0
        assert [len(call.result().results) for call in begun] == [1] * 4
        assert "Traceback" not in running.log.read_text()


def test_a_second_signal_ends_calls_too(tiny_repository: Path, tmp_path: Path) -> None:
    """Who asks twice does not wait for calls either."""
    with (
        gateway(tiny_repository, tmp_path / "log", threads=1, drain_delay_s=600) as running,
        grpc.insecure_channel(running.grpc_address) as channel,
    ):
        begun = [classify(channel, "slow") for _ in range(20)]
        running.until_figure("vitrail_images_in_flight", 20)
        running.process.send_signal(signal.SIGTERM)
        running.until_figure("vitrail_images_in_flight", 20)
        assert running.leave() == 1
    assert any(call.exception() is not None for call in begun)


def test_a_port_that_is_taken(tiny_repository: Path) -> None:
    """Where another listens already, the process says which setting to change, and ends with an error."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = [sys.executable, "-m", "service", "--repository", str(tiny_repository), "--port", "0"]
        done = subprocess.run([*command, "--grpc-port", port], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "--grpc-port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["65535"])
def test_no_port_after_the_last(tiny_repository: Path, port: str) -> None:
    """The last port has none after it for gRPC: that is said before anything is loaded."""
    command = [sys.executable, "-m", "service", "--repository", str(tiny_repository), "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--grpc-port" in done.stderr
