"""Real services, shared by all end-to-end tests: over the default models, and over tiny ones with small limits."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.gateway import Gateway, gateway
from tests.end_to_end.slow_model import slow_model
from tests.tiny_models import write_version


@pytest.fixture(scope="session")
def model_repository() -> Path:
    """The repository with the default models; `make models` builds them, and `make test` calls it first."""
    root = Path(os.environ.get("VITRAIL_TEST_REPOSITORY", Path(__file__).parents[2] / "model_repository"))
    if not (root / "efficientnet_lite0" / "1" / "card.json").is_file():
        pytest.fail(f"{root} lacks the default models; run `make models`")
    return root


@pytest.fixture(scope="session")
def gateway_url(model_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running `vitrail-serve` over the default models."""
    with gateway(model_repository, tmp_path_factory.mktemp("gateway") / "log") as running:
        yield running.url


@pytest.fixture(scope="session")
def tiny_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quick classifier, ``colours``, which is the default, and one that takes a good while, ``slow``."""
    root = tmp_path_factory.mktemp("tiny")
    write_version(root, "colours")
    write_version(root, "slow", model=slow_model(), batch_sizes=(1,))
    return root


@pytest.fixture(scope="session")
def tiny_gateway(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A service over the tiny models with small limits and little patience."""
    log = tmp_path_factory.mktemp("tiny_gateway") / "log"
    limits = {"threads": 2, "max_images_in_flight": 6, "body_stall_s": 1, "body_timeout_s": 2.5}
    with gateway(tiny_repository, log, **limits) as running:
        yield running
