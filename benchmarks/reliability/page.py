"""What was measured → docs/reliability.md. The text on how the service behaves stands here, beside its figures."""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HOW = Path(__file__).with_name("behaviour.md")
_FULL_MINUTES = 30
_SHOWN = 4


def write_page(folder: Path, page: Path) -> None:
    """The page, from the JSON of every part that was measured."""
    parts = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    page.write_text("\n".join([HOW.read_text().rstrip(), "", *_figures(parts)]) + "\n")


def _figures(parts: dict[str, Any]) -> Iterator[str]:
    yield "## Figures"
    yield ""
    yield "`make reliability` measures all of this anew and writes this page; the soak is `python -m"
    yield "benchmarks.reliability soak --minutes 30`. The callers are on the same processors as what they ask."
    for name, section in (
        ("overload", _overload),
        ("chaos", _chaos),
        ("soak", _soak),
        ("hostile", _hostile),
        ("fuzzing", _fuzzing),
    ):
        if name in parts:
            yield ""
            yield from section(parts[name])


def _overload(told: dict[str, Any]) -> Iterator[str]:
    yield f"### Overload: {told['overload']} times the capacity"
    yield ""
    yield _prose(
        f"An open loop for {told['seconds']:g} s, {told['rounds']} rounds, the one with the median goodput; the queue "
        f"limit is {told['queue_limit_s'] * 1e3:g} ms. Capacity is what `wrk` gets with 32 callers just before and "
        "after; run by root, the callers of the open loop go before the service on the processors. What they take "
        "there the service has not: *processors* says what it had in the mean. Wanted: goodput of 90 %, p99 of the "
        "admitted within twice the unloaded one and the queue limit, refusals in less than 20 ms."
    )
    yield ""
    yield _machine(told)
    yield ""
    yield (
        "| model | capacity /s | asked /s | answered /s | **goodput** | processors "
        "| unloaded p50 / p99 ms | admitted p50 / p99 ms | wanted p99 "
        "| refused p50 / p99 ms | refused < 20 ms | limit | lost |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    for model, one in told["models"].items():
        yield (
            f"| {model} | {one['capacity_per_s']:.0f} | {one['asked_per_s']:.0f} | {one['goodput_per_s']:.0f} "
            f"| **{one['goodput']:.0%}** | {one['service_cpus']:.1f} "
            f"| {one['unloaded_p50_ms']:.0f} / {one['unloaded_p99_ms']:.0f} "
            f"| {one['admitted_p50_ms']:.0f} / {one['admitted_p99_ms']:.0f} | {one['allowed_p99_ms']:.0f} "
            f"| {one['refused_p50_ms']:.1f} / {one['refused_p99_ms']:.1f} | {one['refused_at_once']:.1%} "
            f"| {one['limits'][0]}-{one['limits'][1]} | {one['account']['lost']} |"
        )


def _chaos(told: dict[str, Any]) -> Iterator[str]:
    yield "### Chaos"
    yield ""
    yield _prose(
        "A steady load; something breaks after 4 s, is mended 10 s later, and the load goes on. Every request is "
        "accounted for: answered, by status; closed, where the connection ended or was refused before an answer; lost, "
        "where there was neither. *Gap* is the longest time without a good answer, *whole* the time from the mending "
        "to the first answer that is good and not a stand-in's. Packets are lost and delayed by a relay between two "
        "TUN devices, one of them in a network namespace of its own, in which Triton is."
    )
    yield ""
    yield _machine(told)
    yield ""
    yield "| what | sent | answered | by the stand-in | closed | **lost** | p99 ms | gap s | whole s | |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for one in told["cases"].values():
        account = one["account"]
        answered = ", ".join(f"{count} x {status}" for status, count in account["answered"].items())
        back = "never" if one["back_s"] is None else f"{one['back_s']:.1f}"
        notes = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in one["notes"].items())
        yield (
            f"| {one['what']} | {account['sent']} | {answered} | {account['stood_in']} "
            f"| {sum(account['closed'].values())} | **{account['lost']}** | {one['p99_ms']:.0f} | {one['gap_s']:.1f} "
            f"| {back} | {notes} |"
        )


def _soak(told: dict[str, Any]) -> Iterator[str]:
    yield f"### Soak: {told['minutes']:g} minutes at four fifths of the capacity"
    yield ""
    account = told["account"]
    answered = ", ".join(f"{count:,} x {status}" for status, count in account["answered"].items())
    yield _prose(
        f"{told['asked_per_s']:.0f} requests a second, one in 33 of them no image; besides, {told['left_early']:,} "
        f"callers left before their answer. {account['sent']:,} sent: {answered}, {sum(account['closed'].values())} "
        f"closed, {account['lost']} lost; p50 / p99 {told['p50_ms']:.0f} / {told['p99_ms']:.0f} ms."
    )
    if told["minutes"] < _FULL_MINUTES:
        yield f"This was a short one; what counts is one of {_FULL_MINUTES} minutes."
    yield ""
    yield _machine(told)
    yield ""
    yield "Least / median / most in each quarter; the growth is that from the first to the last."
    yield ""
    yield "| | first | second | third | last | growth of the median | of the least |"
    yield "|---|---|---|---|---|---|---|"
    for name, one in told["growth"].items():
        title = {"pss_mb": "memory (PSS), MB"}.get(name, name)
        quarters = " | ".join(" / ".join(f"{value:.0f}" for value in quarter) for quarter in one["quarters"])
        yield f"| {title} | {quarters} | {one['growth']:+.1%} | {one['floor']:+.1%} |"


def _hostile(told: dict[str, Any]) -> Iterator[str]:
    yield "### Hostile images"
    yield ""
    yield from _plain(told)


def _fuzzing(told: dict[str, Any]) -> Iterator[str]:
    yield "### Fuzzing"
    yield ""
    yield from _plain(told)


def _plain(told: dict[str, Any]) -> Iterator[str]:
    """Whatever figures there are, one a row; tables within are left to their JSON."""
    yield "| | |"
    yield "|---|---|"
    for name, value in told.items():
        if isinstance(value, dict):
            parts = [f"{key}: {_shown(part)}" for key, part in value.items() if not isinstance(part, dict | list)]
            if parts:
                yield f"| {name.replace('_', ' ')} | {', '.join(parts[:_SHOWN])} |"
        elif not isinstance(value, list):
            yield f"| {name.replace('_', ' ')} | {_shown(value)} |"


def _prose(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _machine(told: dict[str, Any]) -> str:
    machine = told["machine"]
    return (
        f"{machine['processors']} processors, {machine['system']}, Python {machine['python']}, {machine['date']}; load "
        f"average at the end {machine['load at the end']}."
    )
