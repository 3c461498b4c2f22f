"""Addresses of replicas: fixed ones, and those that a name stands for."""

import pytest

from service.engines.triton.addresses import addresses, is_name, look_up


async def lookup(host: str, port: int) -> list[str]:
    """A resolver that knows one name."""
    assert host == "triton.example"
    return [f"192.0.2.{last}:{port}" for last in (2, 1)]


async def test_fixed_addresses_stay_as_they_are() -> None:
    """Hosts, IPv4 and IPv6 addresses are taken as given, each once."""
    urls = ["triton:8001", "127.0.0.1:8001", "[::1]:8001", "triton:8001"]
    assert await addresses(urls, lookup) == ["triton:8001", "127.0.0.1:8001", "[::1]:8001"]


async def test_a_name_stands_for_all_its_addresses() -> None:
    """Each address of a name is a replica of its own."""
    assert is_name("dns:///triton.example:9")
    assert await addresses(["dns:///triton.example:9", "a:1"], lookup) == ["192.0.2.2:9", "192.0.2.1:9", "a:1"]


@pytest.mark.parametrize("url", ["triton", "triton:", ":8001", "http://triton:8001/", "dns:///triton.example"])
async def test_what_is_no_address_is_refused(url: str) -> None:
    """A URL without a host or a port is the operator's mistake, and is named."""
    with pytest.raises(ValueError, match="is not host:port"):
        await addresses([url], lookup)


async def test_the_system_resolves_names() -> None:
    """The real resolver knows this machine."""
    assert "127.0.0.1:8001" in await look_up("127.0.0.1", 8001)
