"""`python -m deploy.audit`: known weaknesses, bills of materials, licences and pins of what the images ship."""

import argparse
import sys
from pathlib import Path

from deploy.audit import bill, licences, osv, pins, vulnerabilities
from deploy.audit.hosts import private_hosts, without_hosts
from deploy.audit.outcome import Status
from deploy.audit.shipped import EXTRAS, PROJECT, NotInstalled, Package, shipped

_WHAT = ("sbom", "licences", "vulnerabilities", "pins")


def main(arguments: list[str] | None = None) -> int:
    """Carry out what is asked for; the exit status is that of `Status`, or 2 where this environment lacks something."""
    options = _options(arguments)
    work = {"vulnerabilities": _vulnerabilities, "sbom": _sbom, "licences": _licences, "pins": _pins}
    try:
        packages = shipped()
        return max(work[name](packages, options) for name in options.what or _WHAT[:-1])
    except NotInstalled as error:
        sys.stderr.write(f"audit: {error}\n")
        return 2


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.audit", description=__doc__)
    parser.add_argument("what", nargs="*", help=f"of {', '.join(_WHAT)}; without a word all but pins")
    parser.add_argument("--service", choices=["pypi", "osv"], default="pypi", help="who knows of vulnerabilities")
    parser.add_argument("--osv-url", help="another address of an OSV service")
    parser.add_argument(
        "--osv-file",
        type=Path,
        help="OSV's archive of PyPI (all.zip), or a folder of its records: no network is needed",
    )
    parser.add_argument("--output", type=Path, default=PROJECT / "build" / "audit", help="where bills of materials go")
    parser.add_argument("--check", action="store_true", help="write no page: fail where it is not what it should be")
    options = parser.parse_args(arguments)
    if unknown := set(options.what) - set(_WHAT):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(_WHAT)}")
    return options


def _vulnerabilities(packages: list[Package], options: argparse.Namespace) -> int:
    if options.osv_file is not None:
        audit = osv.audit(packages, options.osv_file)
    else:
        audit = vulnerabilities.audit(packages, options.service, options.osv_url)
    _tell("\n".join(audit.lines))
    return audit.status


def _sbom(packages: list[Package], options: argparse.Namespace) -> int:
    whole, hosts = bill.environment(), private_hosts()
    options.output.mkdir(parents=True, exist_ok=True)
    for image in EXTRAS:
        path = options.output / f"{image}.cdx.json"
        of_image = bill.of_image(whole, image, packages)
        if (fault := bill.invalid(of_image)) is not None:
            raise ValueError(f"the bill of the {image} is none: {fault}")
        path.write_text(without_hosts(bill.text(of_image), hosts))
        _tell(f"{path}: {sum(image in package.images for package in packages)} packages")
    return Status.CLEAN


def _licences(packages: list[Package], options: argparse.Namespace) -> int:
    rows = licences.licensed(packages)
    unjustified = licences.unjustified(rows)
    for row in unjustified:
        _tell(f"{row.package.name}: {row.licence!r} asks for more than its notice, and licences.py has no note of it")
    settled = _settle(licences.PAGE, licences.page(licences.PAGE.read_text(), rows), options)
    return max(settled, int(bool(unjustified)))


def _pins(_: list[Package], options: argparse.Namespace) -> int:
    pins.FILE.parent.mkdir(exist_ok=True)
    return _settle(pins.FILE, pins.compiled(), options)


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _settle(path: Path, text: str, options: argparse.Namespace) -> int:
    """Write a file, or, where that is only to be checked, tell whether it is as it should be."""
    if not options.check:
        path.write_text(text)
        return Status.CLEAN
    if path.is_file() and path.read_text() == text:
        return Status.CLEAN
    _tell(f"{path.name} is not up to date: write it anew")
    return 1


if __name__ == "__main__":
    sys.exit(main())
