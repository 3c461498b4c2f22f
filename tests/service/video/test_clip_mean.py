import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.card import ModelCard
from contract.task import Task
from service.video.clip_mean import ClipMean
from tests.cards import a_card

CARD = a_card(task=Task.CLASSIFY_VIDEO)


def classes(*scores: float) -> list[dict[str, Any]]:
    """All classes of an answer, best first."""
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    return [{"label": CARD.labels[index], "index": index, "score": scores[index]} for index in order]


async def added(path: Path, *windows: tuple[int, tuple[float, ...]], card: ModelCard = CARD) -> tuple[list[float], int]:
    """The mean after these windows, and how many are left out of it."""
    async with ClipMean(path, card) as mean:
        for frame, scores in windows:
            await mean.add(frame, classes(*scores))
        return mean.mean().tolist(), mean.others


FIRST, SECOND, THIRD = (0, (0.7, 0.2, 0.1)), (8, (0.1, 0.3, 0.6)), (16, (0.000001, 0.999999, 0.0))


async def test_it_is_the_mean(tmp_path: Path) -> None:
    """Each class has the mean of its scores; without a window there is nothing to take it of."""
    mean, _ = await added(tmp_path / "a", FIRST, SECOND, THIRD)
    assert mean == pytest.approx(np.mean([FIRST[1], SECOND[1], THIRD[1]], axis=0), abs=1e-7)
    assert await added(tmp_path / "b") == ([0.0, 0.0, 0.0], 0)


async def test_it_survives_a_restart(tmp_path: Path) -> None:
    """Taken up again it is exactly what it would have been; a window that comes twice counts as it did at first."""
    at_once = await added(tmp_path / "a", FIRST, SECOND, THIRD)
    await added(tmp_path / "b", FIRST, SECOND)
    again = (SECOND[0], (0.0, 0.0, 1.0))
    assert await added(tmp_path / "b", again, THIRD) == at_once


async def test_a_torn_line_is_no_window(tmp_path: Path) -> None:
    """What a crash has left half written is written anew."""
    at_once = await added(tmp_path / "a", FIRST, SECOND)
    text = await asyncio.to_thread((tmp_path / "a").read_bytes)
    await asyncio.to_thread((tmp_path / "b").write_bytes, text[:-9])
    assert await added(tmp_path / "b", SECOND) == at_once


async def test_other_classes_are_not_mixed(tmp_path: Path) -> None:
    """Windows that were asked for other classes are left out, and counted."""
    await added(tmp_path / "a", FIRST, SECOND)
    other = a_card(task=Task.CLASSIFY_VIDEO, labels=("Katze", "Hund", "Vogel"))
    mean, others = await added(tmp_path / "a", THIRD, card=other)
    assert (mean, others) == (pytest.approx(THIRD[1]), 2)
