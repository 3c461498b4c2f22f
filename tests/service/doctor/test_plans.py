"""TensorRT plans against what is here."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract.card import Platform
from service.doctor.gpu import Gpu, Gpus
from service.doctor.plans import PlanFacts, gpu, plans, read, runnable
from service.settings import Settings
from tests.cards import a_card, a_certificate, a_plan
from tests.service.doctor.telling import OK, PROBLEM, WARNING, levels, only
from tests.tiny_models import write_version

H200 = Gpus((Gpu("NVIDIA H200", "9.0"),), "580.95.05", "13.0")
ON_H200 = {
    "engine": "tensorrt",
    "file": "model.plan",
    "tensorrt_version": "11.0.0.24",
    "gpu": "NVIDIA H200",
    "driver": "13.0",
    "compute_capability": "9.0",
    "certified": True,
    "certificate": a_certificate(),
}


def facts(gpus: Gpus = H200, library: str | None = None, platform: Platform = Platform.ONNX, **plan: Any) -> PlanFacts:
    """A machine, and one card with one plan, that of an H200 with changes."""
    recorded = a_plan(**{**ON_H200, **plan})
    libraries = {} if library is None else {recorded.engine: library}
    return PlanFacts("triton", (a_card(plans=(recorded,), platform=platform),), gpus, libraries)


def test_a_plan_in_its_place() -> None:
    """A plan fits the GPU, driver and library that it was built with."""
    assert levels(plans(facts(library="11.0.0.24"))) == [OK]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"library": "10.16.1"}, "tensorrt 11.0.0.24, and 10.16.1 is here"),
        ({"driver": "13.2"}, "CUDA 13.2; the one here serves up to 13.0"),
        ({"compute_capability": "8.9", "gpu": "NVIDIA L4"}, "built on NVIDIA L4 (8.9); here is NVIDIA H200 (9.0)"),
        ({"gpu": "NVIDIA H100"}, "built on NVIDIA H100"),
    ],
)
def test_a_plan_elsewhere(changed: dict[str, Any], words: str) -> None:
    """Another library, an older driver and another GPU are each told of, with both sides."""
    finding = only(plans(facts(**changed)))
    assert (finding.level, words in finding.found) == (WARNING, True)


def test_a_version_that_is_its_plan() -> None:
    """Where the version is the plan, it does not run: that is a problem and no warning."""
    assert levels(plans(facts(platform=Platform.TENSORRT, library="10.16.1"))) == [PROBLEM]


def test_plans_for_every_gpu() -> None:
    """A plan of TensorRT-RTX runs from compute capability 8.0 on."""
    old = Gpus((Gpu("Tesla T4", "7.5"),), "580.95.05", "13.0")
    of_rtx = {"engine": "tensorrt-rtx", "file": "model.rtx.plan", "tensorrt_version": "1.7.1"}
    assert levels(plans(facts(**of_rtx))) == [OK]
    assert "has 7.5" in only(plans(facts(gpus=old, **of_rtx))).found


def test_no_gpu_here() -> None:
    """Where there is no GPU nothing is said against a plan but where to ask."""
    finding = only(plans(facts(gpus=Gpus(reason="nvidia-smi is not there"))))
    assert (finding.level, "run doctor there" in finding.found) == (OK, True)


def test_a_plan_that_is_gone() -> None:
    """A plan that the card records and the folder lacks is told of."""
    assert "is not there" in only(plans(replace(facts(), absent=frozenset({"tiny:1/model.plan"})))).found


def test_the_embedded_engine_runs_no_plan() -> None:
    """A version that is a plan needs Triton."""
    compiled = facts(platform=Platform.TENSORRT)
    assert levels(runnable(replace(compiled, engine="embedded"))) == [PROBLEM]
    assert levels(runnable(compiled)) == [OK]


def test_the_gpu_is_named() -> None:
    """The GPUs, their driver and its CUDA are told; or why there is none."""
    assert only(gpu(facts())).found == "NVIDIA H200 (9.0); driver 580.95.05, for CUDA up to 13.0"
    assert only(gpu(facts(gpus=Gpus(reason="none given")))).found == "none: none given"


def test_reading(tmp_path: Path) -> None:
    """Plans are read from the cards, and looked for beside them."""
    write_version(tmp_path, "colours", plans=(a_plan(),))
    found = read(Settings(repository=tmp_path))
    assert found.absent == {"colours:1/model.rtx.plan"}
