"""The hostile corpus against a real service: documented answers only, and its memory is afterwards what it was."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.hostile import Answers, load, send_all, settled_mb, warmed_mb
from tests.end_to_end.gateway import Gateway, gateway
from tests.hostile.corpus import SMALL
from tests.tiny_models import write_version


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A service that reads a million pixels."""
    root = tmp_path_factory.mktemp("hostile")
    write_version(root / "models", "colours")
    with gateway(root / "models", root / "log", max_pixels=SMALL.pixels, threads=2) as running:
        yield running


@pytest.fixture(scope="module")
def memory_mb(service: Gateway) -> list[float]:
    """The service's memory before the corpus, once all that is loaded once is loaded."""
    return [warmed_mb(service.port, psutil.Process(service.process.pid), SMALL)]


@pytest.fixture(scope="module")
def answers(service: Gateway, memory_mb: list[float]) -> Answers:
    """What the service says to the corpus."""
    told = send_all(service.port, SMALL, every_form=False)
    load(service.port, SMALL)
    memory_mb.append(settled_mb(psutil.Process(service.process.pid)))
    return told


def test_every_answer_is_documented(answers: Answers) -> None:
    """Each hostile image and body, in each form, gets a good answer or an error that is documented, and no other."""
    assert answers.undocumented == []
    assert answers.requests > 1000


def test_refusals_are_of_more_than_one_kind(answers: Answers) -> None:
    """The corpus reaches beyond the first check: some of it is answered, and there are errors of several kinds."""
    assert answers.answered > 100
    assert {"invalid_image", "too_large", "invalid_parameters", "forbidden"} <= answers.documented_errors.keys()


def test_memory_comes_back(answers: Answers, memory_mb: list[float]) -> None:
    """After the corpus the service's memory is at most a tenth above what it was before."""
    before, after = memory_mb

    assert after < before * 1.1


def test_the_log_tells_of_no_surprise(answers: Answers, service: Gateway) -> None:
    """Nothing in the corpus leads to an error that nobody foresaw."""
    log = Path(service.log).read_text()

    assert "Traceback" not in log
    assert service.process.poll() is None
