"""Packages for tests of the audit."""

from deploy.audit.shipped import Package


def a_package(name: str = "Example.Lib", version: str = "1.5.0", *images: str) -> Package:
    """A package that the gateway ships, unless other images are named."""
    return Package(name, version, images or ("gateway",))
