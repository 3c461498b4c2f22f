"""What runs the models."""

from dataclasses import replace

from service.doctor.engine import EngineFacts, device, read, runtime, variants
from service.doctor.gpu import Gpu, Gpus
from service.settings import Settings
from tests.service.doctor.telling import OK, PROBLEM, WARNING, levels, only

A_GPU = Gpus((Gpu("NVIDIA H200", "9.0"),), "580.95.05", "13.0")
ON_CPU = EngineFacts(
    engine="embedded",
    fallback="none",
    device="auto",
    installed={"onnxruntime": "1.31.1"},
    runtime="1.31.1",
    reason="",
    providers=("CPUExecutionProvider",),
    gpus=Gpus(reason="nvidia-smi is not there"),
)
ON_GPU = replace(ON_CPU, providers=("CUDAExecutionProvider", "CPUExecutionProvider"), gpus=A_GPU)


def test_no_runtime() -> None:
    """Without ONNX Runtime nothing is answered, unless Triton answers it all."""
    facts = replace(ON_CPU, installed={}, runtime=None, reason="No module named 'onnxruntime'", providers=())
    in_triton = replace(facts, engine="triton")
    assert (levels(runtime(facts)), levels(variants(facts))) == ([PROBLEM], [PROBLEM])
    assert (levels(runtime(in_triton)), levels(variants(in_triton)), levels(device(in_triton))) == ([OK], [OK], [OK])
    assert levels(runtime(replace(in_triton, fallback="embedded"))) == [PROBLEM]


def test_two_packages_of_one_module() -> None:
    """Two distributions in each other's place are a problem, and the change removes both."""
    finding = only(variants(replace(ON_CPU, installed={"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.30.0"})))
    assert (finding.level, "pip uninstall --yes onnxruntime onnxruntime-gpu" in finding.change) == (PROBLEM, True)


def test_a_runtime_of_nobody() -> None:
    """A module without a package was put there by hand."""
    assert levels(variants(replace(ON_CPU, installed={}))) == [WARNING]


def test_a_gpu_that_lies_idle() -> None:
    """A GPU and a runtime that cannot use it do not go together, and no more do a runtime for it and no GPU."""
    told = [levels(device(replace(ON_CPU, gpus=A_GPU))), levels(device(replace(ON_GPU, gpus=ON_CPU.gpus)))]
    assert told == [[WARNING], [WARNING]]


def test_devices_that_are_meant() -> None:
    """A GPU that is used, a processor where there is no other, and --device cpu are all well."""
    meant = [ON_GPU, ON_CPU, replace(ON_CPU, gpus=A_GPU, device="cpu")]
    assert [levels(device(facts)) for facts in meant] == [[OK]] * 3
    assert only(device(ON_GPU)).found == "NVIDIA H200"


def test_reading() -> None:
    """What is installed here is found, with its version and what it runs on."""
    facts = read(Settings())
    assert facts.runtime is not None
    assert facts.runtime in facts.installed.values()
    assert "CPUExecutionProvider" in facts.providers
