"""Every knob of the service, once: its name, environment variable, flag, default and explanation."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import ByteSize, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contract.task import Task
from service.url_policy import UrlPolicy

_MIB = 1 << 20
_LAST_PORT = 65_535
_RATE = "^[1-9][0-9]{0,8}/(second|minute|hour|day)$"
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


class Settings(BaseSettings):
    """Serve the models of a repository over HTTP and gRPC.

    Two commands stand beside it, each with a --help of its own: `vitrail-serve doctor` says what is wrong with a
    deployment, and `vitrail-serve keys` makes API keys and lists those of a file.
    """

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
    fallback: Annotated[
        Literal["none", "embedded"],
        Field(
            description="What answers while no Triton does: nothing, or ONNX Runtime in this process, which says so; "
            "only with --engine triton."
        ),
    ] = "none"
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
    adaptive_limit: Annotated[
        bool,
        Field(
            description="Admit fewer images at a time where more would only wait: between two batches for each thread "
            "and --max-images-in-flight."
        ),
    ] = True
    queue_limit_s: Annotated[
        float,
        Field(gt=0, description="Seconds for which hardly an admitted image is on its way, with --adaptive-limit."),
    ] = 0.5
    max_images_per_request: Annotated[int, Field(ge=1, description="Images in one request.")] = 64
    max_body_bytes: Annotated[int, Field(ge=1, description="Size of a request's body.")] = 32 * _MIB
    max_pixels: Annotated[int, Field(ge=1, description="Pixels of an image, by its header.")] = 50_000_000
    max_pixels_per_request: Annotated[int, Field(ge=1, description="Pixels of the images in one request together.")] = (
        400_000_000
    )
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
    admin_port: Annotated[
        int | None,
        Field(
            ge=0,
            le=_LAST_PORT,
            description="Port that alone has the calls which change what is served, /metrics, /v1/history and "
            "/dashboard; 0 takes a free one. Default: they are at --port.",
        ),
    ] = None
    keys_file: Annotated[
        Path | None,
        Field(
            description="YAML file of the API keys, as `vitrail-serve keys new` prints them; it is looked at every "
            "second. Without one, and without --jwt-keys, nobody needs a key to ask models."
        ),
    ] = None
    jwt_keys: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Public keys (a JWKS) that tokens may be signed by: an https:// address or a file. Needs "
            "--jwt-issuer, --jwt-audience and the extra jwt.",
        ),
    ] = None
    jwt_issuer: Annotated[str | None, Field(min_length=1, description="The iss that a token must have.")] = None
    jwt_audience: Annotated[str | None, Field(min_length=1, description="The aud that a token must have.")] = None
    jwt_scope_claim: Annotated[
        str,
        Field(
            min_length=1,
            description="Claim of a token that holds its scopes, infer and admin among them: words, or a list; a dot "
            "leads into an object, as in realm_access.roles.",
        ),
    ] = "scope"
    rate_limit: Annotated[
        str | None,
        Field(
            pattern=_RATE,
            description="Requests that a caller may begin who has no limit of its own, e.g. 50/second, by each "
            "process; second, minute, hour or day. Default: no limit.",
        ),
    ] = None
    max_concurrent_per_caller: Annotated[
        int | None,
        Field(
            ge=1,
            description="Requests and streams under way of a caller who has no limit of its own, in each process. "
            "Default: no limit.",
        ),
    ] = None
    tls_certificate: Annotated[
        Path | None,
        Field(
            description="PEM file of the service's certificate and those between it and its root, for REST and gRPC; "
            "needs --tls-key. It is read anew when it changes."
        ),
    ] = None
    tls_key: Annotated[Path | None, Field(description="PEM file of the certificate's private key.")] = None
    tls_client_ca: Annotated[
        Path | None,
        Field(
            description="PEM file of the roots by which callers' certificates are checked; then each must bring one."
        ),
    ] = None
    cors_origins: Annotated[
        list[str],
        NoDecode,
        Field(
            description="Sites whose pages may call this service from a browser, separated by commas: "
            "https://app.example.com; * is all. Default: none."
        ),
    ] = []

    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$", description="debug … error.")] = "info"
    log_format: Annotated[
        Literal["text", "json"], Field(description="Lines for people, or a JSON object a line for a log collector.")
    ] = "text"
    access_log_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="Share, 0 to 1, of the requests that get a line in the log, with the time of each stage; those "
            "that fail by a fault of the service have one always.",
        ),
    ] = 0.0
    otlp_endpoint: Annotated[
        str | None,
        Field(
            pattern=r"^https?://\S+$",
            description="Where traces are sent, http://host:4318; needs the extra otel. Without one there are none.",
        ),
    ] = None
    trace_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="Share, 0 to 1, of the requests that are traced; a caller's own traceparent goes before.",
        ),
    ] = 0.01
    history_s: Annotated[
        int, Field(ge=60, le=86_400, description="Seconds of the history that /dashboard can show.")
    ] = 3600

    @field_validator("allowed_urls")
    @classmethod
    def _urls_can_be_read(cls, text: str) -> str:
        UrlPolicy.of(text)
        return text

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _origins_are_a_list(cls, given: object) -> object:
        """By a variable it is one text; a flag's is a list already, whose entries may hold commas."""
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list):
            return given
        return [origin.strip() for text in texts for origin in str(text).split(",") if origin.strip()]

    @field_validator("cors_origins")
    @classmethod
    def _origins_can_be_read(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if origin != "*" and _ORIGIN.fullmatch(origin) is None:
                raise ValueError(f"{origin!r} is no origin; it is like https://app.example.com, without a path")
        return origins

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("--tls-certificate and --tls-key go together; one is missing")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("--tls-client-ca needs --tls-certificate and --tls-key: callers prove themselves over TLS")
        return self

    @model_validator(mode="after")
    def _tokens_are_checked_whole(self) -> Self:
        given = (self.jwt_keys, self.jwt_issuer, self.jwt_audience)
        if any(given) and not all(given):
            raise ValueError("--jwt-keys, --jwt-issuer and --jwt-audience go together; one or two are missing")
        return self

    @model_validator(mode="after")
    def _fallback_has_a_triton(self) -> Self:
        if self.fallback != "none" and self.engine != "triton":
            raise ValueError(
                f"--fallback {self.fallback} needs --engine triton: without it there is nothing to stand in for"
            )
        return self

    @model_validator(mode="after")
    def _admin_has_a_port(self) -> Self:
        if self.admin_port and self.admin_port in (self.port, self.grpc_port_used):
            raise ValueError(f"--admin-port {self.admin_port} is taken by REST or gRPC; it needs one of its own")
        return self

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
