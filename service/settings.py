"""Every knob of the service, once: its name, environment variable, flag, default and explanation."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import ByteSize, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.task import Task
from service.url_policy import UrlPolicy

_MIB = 1 << 20
_LAST_PORT = 65_535


class Settings(BaseSettings):
    """Serve the models of a repository over HTTP."""

    model_config = SettingsConfigDict(
        env_prefix="VITRAIL_",
        cli_prog_name="vitrail-serve",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_show_env_vars=True,
        cli_hide_none_type=True,
        frozen=True,
    )

    repository: Annotated[Path, Field(description="Folder of the model repository.")] = Path("model_repository")
    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=_LAST_PORT, description="Port to listen on; 0 takes a free one.")] = 8000

    grpc_port: Annotated[
        int | None,
        Field(ge=0, le=_LAST_PORT, description="Port for gRPC; 0 takes a free one. Default: the one after --port."),
    ] = None
    max_grpc_calls: Annotated[
        int, Field(ge=1, description="gRPC calls and streams under way at the same time; more are refused.")
    ] = 1024

    engine: Annotated[
        Literal["embedded", "triton"],
        Field(description="What runs the models: ONNX Runtime in this process, or Triton over the same repository."),
    ] = "embedded"
    triton_url: Annotated[
        str,
        Field(
            description="Triton's gRPC address, host:port; several separated by commas; dns:///host:port means every "
            "address of that name."
        ),
    ] = "127.0.0.1:8001"
    triton_instances: Annotated[
        int, Field(ge=1, description="Batches of one version that each Triton runs at the same time, on each device.")
    ] = 1
    triton_shared_memory: Annotated[
        bool, Field(description="Hand tensors to Triton through shared memory; both must be on one host.")
    ] = False
    triton_unload_on_exit: Annotated[
        bool, Field(description="Unload the versions from Triton at the end; not where other gateways share it.")
    ] = False
    device: Annotated[
        Literal["auto", "cpu"],
        Field(description="Where models run: auto takes a CUDA GPU where ONNX Runtime finds one, cpu never does."),
    ] = "auto"
    threads: Annotated[
        int | None, Field(ge=1, description="Batches that run at the same time. Default: the processors available.")
    ] = None
    max_batch_size: Annotated[
        int | None, Field(ge=1, description="Largest batch sent to an engine. Default: the largest certified.")
    ] = None
    max_queue: Annotated[int, Field(ge=1, description="Images that may wait for one version; more are refused.")] = 256
    max_images_in_flight: Annotated[int, Field(ge=1, description="Images admitted at a time; more are refused.")] = 256
    max_images_per_request: Annotated[int, Field(ge=1, description="Images in one request.")] = 64
    max_body_bytes: Annotated[int, Field(ge=1, description="Size of a request's body.")] = 32 * _MIB
    max_pixels: Annotated[int, Field(ge=1, description="Pixels of an image, by its header.")] = 50_000_000
    body_timeout_s: Annotated[
        float, Field(gt=0, description="Seconds within which a body must have arrived whole.")
    ] = 30.0
    body_stall_s: Annotated[float, Field(gt=0, description="Seconds that a body may pause.")] = 5.0
    default_timeout_s: Annotated[
        float, Field(gt=0, description="Deadline of a request; X-Request-Timeout-Ms may set a shorter one.")
    ] = 30.0
    drain_delay_s: Annotated[
        float,
        Field(ge=0, description="Seconds between 'not ready' and the end of listening, for balancers to notice."),
    ] = 0.0
    drain_timeout_s: Annotated[float, Field(gt=0, description="Seconds given to requests in flight at the end.")] = 30.0
    default_models: Annotated[
        dict[Task, str],
        Field(description='Model that answers a task when none is named, as JSON: {"classify": "name"}.'),
    ] = {}
    memory_limit: Annotated[
        ByteSize | None,
        Field(
            description="Memory that versions may take together, e.g. 4GiB; beyond it the least recently used go, and "
            "their next request brings them back. Default: no limit."
        ),
    ] = None
    memory_min_idle_s: Annotated[
        float, Field(ge=0, description="Seconds without a request before a version may give its memory to another.")
    ] = 30.0
    repository_interval_s: Annotated[
        float, Field(gt=0, description="Seconds between two looks at the repository for versions that come and go.")
    ] = 1.0
    routing_interval_s: Annotated[
        float, Field(gt=0, description="Seconds between two looks at the repository's routing.yaml.")
    ] = 1.0
    max_copies: Annotated[
        int, Field(ge=0, description="Requests that may wait to be asked of a second version, to compare; 0: none.")
    ] = 8
    keep_disagreeing_images: Annotated[
        bool, Field(description="Keep the images on which two versions disagree most, for people who look.")
    ] = False
    videos: Annotated[
        Path, Field(description="Folder of the video jobs: what was sent, and what was found. Of this process alone.")
    ] = Path("videos")
    video_jobs: Annotated[int, Field(ge=1, description="Video jobs that run at the same time.")] = 1
    video_queue: Annotated[int, Field(ge=1, description="Video jobs that may wait; more are refused.")] = 64
    video_max_bytes: Annotated[ByteSize, Field(ge=1, description="Size of one video.")] = ByteSize(4 << 30)
    video_disk_bytes: Annotated[
        ByteSize | None,
        Field(description="Disk that all video jobs may take, e.g. 50GiB; the oldest make room. Default: no limit."),
    ] = None
    video_min_free_bytes: Annotated[
        ByteSize, Field(description="Disk that video jobs leave free; below it new ones are refused.")
    ] = ByteSize(1 << 30)
    video_keep_s: Annotated[
        float | None, Field(gt=0, description="Seconds after its end that a video job is kept; 604800 is a week.")
    ] = 7 * 86_400.0
    video_decoder_threads: Annotated[
        int | None,
        Field(
            ge=1, le=16, description="Threads that decode one video. Default: the processors, up to 4; 1 for streams."
        ),
    ] = None
    video_hardware: Annotated[
        str | None,
        Field(description="Device that decodes videos, by FFmpeg's name: cuda, vaapi, vaapi:/dev/dri/renderD128 …"),
    ] = None
    allowed_urls: Annotated[
        str,
        Field(
            description="Addresses that callers may have this service call, for cameras, videos by URL and webhooks: "
            "scheme://host[:port], separated by commas; host may be *.example.com, 10.0.0.0/8 or *, port may be *. "
            "Default: none."
        ),
    ] = ""
    max_streams: Annotated[int, Field(ge=1, description="Live sources that are watched; more are refused.")] = 8
    max_streams_per_caller: Annotated[int, Field(ge=1, description="Live sources of one caller.")] = 4
    max_frame_streams: Annotated[
        int, Field(ge=1, description="Streams of frames, by WebSocket and gRPC; more are refused.")
    ] = 256
    max_frame_streams_per_caller: Annotated[int, Field(ge=1, description="Streams of frames of one caller.")] = 64
    admin_key: Annotated[
        SecretStr | None,
        Field(description="Key that calls which change something must bring; without one only callers here may."),
    ] = None
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$", description="debug … error.")] = "info"

    @field_validator("allowed_urls")
    @classmethod
    def _urls_can_be_read(cls, text: str) -> str:
        UrlPolicy.of(text)
        return text

    @model_validator(mode="after")
    def _grpc_has_a_port(self) -> Self:
        if self.grpc_port is None and self.port == _LAST_PORT:
            raise ValueError(f"--grpc-port is needed: there is none after port {self.port}")
        if self.grpc_port == self.port and self.port:
            raise ValueError(f"--grpc-port and --port are both {self.port}; each needs its own")
        return self

    @property
    def grpc_port_used(self) -> int:
        """Where gRPC is listened for: the setting, else the port after REST's; 0 for a free one."""
        if self.grpc_port is not None:
            return self.grpc_port
        return self.port + 1 if self.port else 0
