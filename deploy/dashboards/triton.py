"""Triton and the GPU: what the gateway sees of its Tritons, what they say of themselves, and what the hardware does.

Triton's metrics are those of its port 8002; the GPU's are those of NVIDIA's DCGM exporter with its default counters.
"""

from deploy.dashboards.board import Board, Row
from deploy.dashboards.colours import BAD, GOOD, STAGES, WARNING
from deploy.dashboards.panels import STACKED, Query, Unit, figure, lines
from deploy.dashboards.promql import SERVICE, number, rate, ratio, series, share, total

_NAME = "{{model}}:{{version}}"
_TRITON = 'instance=~"$triton"'
_MODELS = f'{_TRITON}, model=~"$model", version=~"$version"'
_HOST = 'Hostname=~"$host"'
_GPU = "{{Hostname}} GPU {{gpu}}"
_PARTS = (
    ("queue", "nv_inference_queue_duration_us", STAGES["queue"]),
    ("input", "nv_inference_compute_input_duration_us", STAGES["preprocess"]),
    ("compute", "nv_inference_compute_infer_duration_us", STAGES["compute"]),
    ("output", "nv_inference_compute_output_duration_us", STAGES["postprocess"]),
)


def _each(metric: str) -> str:
    return total(rate(metric, _MODELS), "model", "version")


def _gpu(metric: str) -> str:
    return series(metric, _HOST)


_GATEWAY = Row(
    "As the gateway sees it",
    [
        figure(
            "Tritons up",
            "Replicas that take traffic, as a share of those that are known.",
            Unit.SHARE,
            Query(f"avg({series('vitrail_triton_replica_up', SERVICE)})"),
            width=6,
            steps=[(0, BAD), (0.5, WARNING), (1, GOOD)],
        ),
        figure(
            "Triton's requests",
            "Requests each second that Triton answered.",
            Unit.REQUESTS_PER_SECOND,
            Query(total(rate("nv_inference_request_success", _MODELS))),
            width=6,
        ),
        figure(
            "Triton's failures",
            "Share of Triton's requests that failed.",
            Unit.SHARE,
            Query(
                number(
                    share(
                        total(rate("nv_inference_request_failure", _MODELS)),
                        f"({total(rate('nv_inference_request_success', _MODELS))} + "
                        f"{total(rate('nv_inference_request_failure', _MODELS))})",
                    )
                )
            ),
            width=6,
            steps=[(0, GOOD), (0.001, WARNING), (0.01, BAD)],
        ),
        figure(
            "GPU",
            "Mean share of the time in which the chosen GPUs were busy.",
            Unit.PERCENT,
            Query(f"avg({series('DCGM_FI_DEV_GPU_UTIL', _HOST)})"),
            width=6,
        ),
        lines(
            "Replicas",
            "1 where a Triton takes traffic.",
            Unit.NUMBER,
            Query(f"max by (replica) ({series('vitrail_triton_replica_up', SERVICE)})", "{{replica}}"),
            top=1,
        ),
        lines(
            "Sent to another Triton",
            "Requests since the service started that went to a second replica, by cause.",
            Unit.NUMBER,
            Query(total(series("vitrail_triton_retries_total", SERVICE), "cause"), "{{cause}}"),
        ),
        lines(
            "Loaded anew",
            "Models since the service started that were loaded again into a Triton that had lost them.",
            Unit.NUMBER,
            Query(total(series("vitrail_triton_repairs_total", SERVICE), "model"), "{{model}}"),
        ),
        lines(
            "Answered by the gateway itself",
            "1 for a version whose Triton is away, and for which the embedded engine answers (--fallback embedded).",
            Unit.NUMBER,
            Query(f"max by (model, version) ({series('vitrail_degraded', SERVICE)})", "{{model}}:{{version}}"),
            top=1,
        ),
    ],
)
_ITSELF = Row(
    "As Triton sees itself",
    [
        lines(
            "Inferences by version",
            "Images each second.",
            Unit.PER_SECOND,
            Query(_each("nv_inference_count"), _NAME),
        ),
        lines(
            "Images in an execution",
            "The mean: how well requests are put together, by the gateway and by Triton's own batcher.",
            Unit.NUMBER,
            Query(ratio(_each("nv_inference_count"), _each("nv_inference_exec_count")), _NAME),
        ),
        lines(
            "Waiting in Triton",
            "Requests that wait for an instance of their model.",
            Unit.NUMBER,
            Query(total(series("nv_inference_pending_request_count", _MODELS), "model", "version"), _NAME),
        ),
        lines(
            "Time of a request in Triton",
            "Mean of each part, upon one another.",
            Unit.SECONDS,
            *(
                Query(
                    f"{total(rate(metric, _MODELS))} / {total(rate('nv_inference_request_success', _MODELS))} / 1e6",
                    name,
                )
                for name, metric, _ in _PARTS
            ),
            colours={name: colour for name, _, colour in _PARTS},
            stacked=STACKED,
        ),
        lines(
            "Time of a request in Triton, by version",
            "Mean of the whole.",
            Unit.SECONDS,
            Query(
                f"{_each('nv_inference_request_duration_us')} / {_each('nv_inference_request_success')} / 1e6", _NAME
            ),
        ),
        lines(
            "Failures by reason",
            "Requests each second that failed in Triton.",
            Unit.REQUESTS_PER_SECOND,
            Query(
                total(rate("nv_inference_request_failure", _MODELS), "model", "version", "reason"),
                f"{_NAME} {{{{reason}}}}",
            ),
        ),
        lines(
            "Processors of Triton's host",
            "Share of the host's processors in use, as Triton sees it.",
            Unit.SHARE,
            Query(series("nv_cpu_utilization", _TRITON), "{{instance}}"),
            top=1,
        ),
        lines(
            "Memory of Triton's host",
            "In use, of what there is.",
            Unit.SHARE,
            Query(
                ratio(series("nv_cpu_memory_used_bytes", _TRITON), series("nv_cpu_memory_total_bytes", _TRITON)),
                "{{instance}}",
            ),
            top=1,
        ),
        lines(
            "Memory of Triton's GPUs",
            "In use, of what there is, as Triton sees it.",
            Unit.SHARE,
            Query(
                ratio(series("nv_gpu_memory_used_bytes", _TRITON), series("nv_gpu_memory_total_bytes", _TRITON)),
                "{{instance}} {{gpu_uuid}}",
            ),
            top=1,
        ),
    ],
)
_HARDWARE = Row(
    "GPU",
    [
        lines(
            "GPU in use",
            "Share of the time in which something ran there, however little.",
            Unit.PERCENT,
            Query(_gpu("DCGM_FI_DEV_GPU_UTIL"), _GPU),
            top=100,
        ),
        lines(
            "Tensor cores in use",
            "Share of the time in which the tensor cores worked: of a model in half precision or less, what counts.",
            Unit.SHARE,
            Query(_gpu("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"), _GPU),
            top=1,
        ),
        lines(
            "Memory interface in use",
            "Share of the time in which memory was read or written.",
            Unit.PERCENT,
            Query(_gpu("DCGM_FI_DEV_MEM_COPY_UTIL"), _GPU),
            top=100,
        ),
        lines(
            "GPU memory",
            "In use, and free.",
            Unit.MEBIBYTES,
            Query(_gpu("DCGM_FI_DEV_FB_USED"), f"{_GPU}, used"),
            Query(_gpu("DCGM_FI_DEV_FB_FREE"), f"{_GPU}, free"),
            colours={"/free$/": STAGES["fetch"]},
        ),
        lines("Power", "What the GPU draws.", Unit.WATTS, Query(_gpu("DCGM_FI_DEV_POWER_USAGE"), _GPU)),
        lines(
            "Temperature",
            "Of the GPU; near its limit it slows itself down.",
            Unit.CELSIUS,
            Query(_gpu("DCGM_FI_DEV_GPU_TEMP"), _GPU),
        ),
        lines(
            "Clock",
            "Of the multiprocessors, in MHz: a fall under load is heat or a power limit.",
            Unit.NUMBER,
            Query(_gpu("DCGM_FI_DEV_SM_CLOCK"), _GPU),
        ),
        lines(
            "Video decoder in use",
            "NVDEC; Vitrail decodes videos on the CPU, so this is somebody else's.",
            Unit.PERCENT,
            Query(_gpu("DCGM_FI_DEV_DEC_UTIL"), _GPU),
            top=100,
        ),
        lines(
            "Last XID error",
            "The number of the driver's last error: 0 is none; 48, 63, 79 and 94 want a look at the machine.",
            Unit.PLAIN,
            Query(_gpu("DCGM_FI_DEV_XID_ERRORS"), _GPU),
        ),
    ],
)

TRITON = Board(
    "triton",
    "Triton and GPU",
    "What the gateway sees of its Tritons, what they say of themselves, and what the hardware does.",
    ("job", "instance", "triton", "model", "version", "host"),
    (_GATEWAY, _ITSELF, _HARDWARE),
)
