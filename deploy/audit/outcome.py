"""How an audit ends: clean, weak, or not made at all, which is never the same as clean."""

from dataclasses import dataclass, field
from enum import IntEnum


class Status(IntEnum):
    """The exit status of an audit."""

    CLEAN = 0
    VULNERABLE = 1
    NOT_CHECKED = 3


@dataclass(frozen=True, slots=True)
class Weakness:
    """A known vulnerability of a version that is shipped."""

    package: str
    version: str
    id: str
    aliases: tuple[str, ...] = ()
    """Its names elsewhere, e.g. the CVE's."""
    fixed_in: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """For people."""
        also = f" ({', '.join(self.aliases)})" if self.aliases else ""
        fixed = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "no version is known to be without it"
        return f"{self.package} {self.version}: {self.id}{also}; {fixed}"


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found."""

    source: str
    """Who was asked."""
    checked: int
    """Packages that were looked up."""
    weaknesses: tuple[Weakness, ...] = ()
    unchecked: dict[str, str] = field(default_factory=dict)
    """Packages that nobody could say anything of, each with the reason."""
    failure: str = ""
    """Why nothing was checked."""

    @property
    def status(self) -> Status:
        """A weakness counts before all; without one, what was not checked is not clean."""
        if self.weaknesses:
            return Status.VULNERABLE
        return Status.NOT_CHECKED if self.failure or self.unchecked else Status.CLEAN

    @property
    def lines(self) -> list[str]:
        """For people."""
        told = [f"VULNERABLE  {weakness.line}" for weakness in self.weaknesses]
        told += [f"NOT CHECKED {name}: {reason}" for name, reason in self.unchecked.items()]
        if self.failure:
            told.append(f"NOT CHECKED: {self.failure}")
            told.append(
                "Whether what is shipped has known weaknesses is not known. --osv-file works without a network."
            )
        elif self.status is Status.CLEAN:
            told.append(f"CLEAN: {self.source} knows no weakness of the {self.checked} packages")
        return told
