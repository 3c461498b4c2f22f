import asyncio

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ErrorKind, ServiceError
from service.video.live_limits import LiveLimits
from service.video.live_readers import Reader, Readers

FEW = LiveLimits(lines=3, readers=2)


def line(number: int) -> bytes:
    """A line of JSON."""
    return orjson.dumps({"frame": number}, option=orjson.OPT_APPEND_NEWLINE)


async def rest_of(reader: Reader) -> list[dict[str, int]]:
    """All lines up to the end."""
    return [orjson.loads(one) for some in [some async for some in reader] for one in some.splitlines()]


async def test_readers_get_what_comes_from_now_on() -> None:
    """Each reader has the lines since it came, in order, up to the end of the stream."""
    readers = Readers(LiveLimits())
    first = readers.add()
    readers.publish(line(0))
    second = readers.add()
    readers.publish(line(1))
    readers.end()
    assert await rest_of(first) == [{"frame": 0}, {"frame": 1}]
    assert await rest_of(second) == [{"frame": 1}]


async def test_a_reader_waits_for_lines() -> None:
    """Who has read everything waits for the next line."""
    readers = Readers(LiveLimits())
    waiting = asyncio.ensure_future(anext(readers.add()))
    await asyncio.sleep(0)
    assert not waiting.done()
    readers.publish(line(7))
    assert await waiting == line(7)


async def test_a_slow_reader_loses_the_oldest() -> None:
    """Only the newest lines wait, and the first of them says how many are missing; others lose nothing."""
    readers = Readers(FEW)
    slow, quick = readers.add(), readers.add()
    for number in range(5):
        readers.publish(line(number))
        assert await anext(quick) == line(number)
    readers.end()
    assert await rest_of(slow) == [{"frame": 2, "missed": 2}, {"frame": 3}, {"frame": 4}]


async def test_long_lines_are_few() -> None:
    """Lines that take too much go too, but the newest always stays."""
    readers = Readers(LiveLimits(line_bytes=20))
    reader = readers.add()
    for text in ("a" * 4, "b" * 4, "c" * 100):
        readers.publish(orjson.dumps({"t": text}, option=orjson.OPT_APPEND_NEWLINE))
    readers.end()
    assert await rest_of(reader) == [{"t": "c" * 100, "missed": 2}]


async def test_little_is_taken_at_a_time() -> None:
    """What waits is given in pieces of some lines, so that readers who stall hold no copies of it all."""
    readers = Readers(LiveLimits())
    reader = readers.add()
    for number in range(4):
        readers.publish(orjson.dumps({"frame": number, "t": "a" * 200_000}, option=orjson.OPT_APPEND_NEWLINE))
    readers.end()
    assert [some.count(b"\n") async for some in reader] == [2, 2]


async def test_places_are_few_and_given_back() -> None:
    """There are so many readers and no more; one that closes leaves its place, and gets nothing any more."""
    readers = Readers(FEW)
    first = readers.add()
    readers.add()
    with pytest.raises(ServiceError) as refused:
        readers.add()
    assert refused.value.kind is ErrorKind.RATE_LIMITED
    first.close()
    first.close()
    readers.publish(line(0))
    assert (len(readers), await rest_of(first)) == (1, [])
    assert len(readers) + bool(readers.add()) == 2


async def test_a_stream_that_is_over_has_no_lines() -> None:
    """Who comes after the end is told that it is the end, and takes no place."""
    readers = Readers(FEW)
    readers.end()
    assert await rest_of(readers.add()) == []
    assert len(readers) == 0


@given(st.lists(st.integers(0, 5), max_size=30))
async def test_no_line_is_lost_without_a_word(bursts: list[int]) -> None:
    """However reading and writing alternate, lines read and lines said to be missing add up to all."""
    readers = Readers(FEW)
    reader = readers.add()
    number, read = 0, []
    for burst in bursts:
        for _ in range(burst):
            readers.publish(line(number))
            number += 1
        if burst:
            read += [orjson.loads(one) for one in (await anext(reader)).splitlines()]
    readers.end()
    read += await rest_of(reader)
    places = 0
    for one in read:
        places += one.get("missed", 0)
        assert one["frame"] == places
        places += 1
    assert places == number
