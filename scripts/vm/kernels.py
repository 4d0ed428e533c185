#!/usr/bin/env python3
"""Writes what differs between two kernels, from runs that scripts/vm/kernels left, and fails where a difference has no reason.

usage: kernels.py RUNS SCENARIOS PAGE

RUNS has the folders host, guest, host-ladder, guest-ladder, host-nobody and guest-nobody, and for each a .status and a .log. SCENARIOS is the
catalogue, for what each cell is to come to. PAGE is written.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

# Linux 6.2 brought the number of descriptors as the size of /proc/PID/fd (f1f1f2569901).
COUNTED = (
    "before Linux 6.2 the descriptors of a process can only be counted one by one, which has a budget of a hundredth of a core: on the guest's translated processor that is a "
    "few times a cell, too few to see that they stood still while probes failed"
)

# Why two kernels come to different verdicts, by scenario. A difference that is not here is shown, and is a failure.
REASONS = {
    "synq-synack-retries": "the steps of the client's retries (see below): without the linear ones the flood comes back after 1, 3 and 7 s only, and a place in the "
    "queue that was freed after a second stays free in between",
    "accept-slow-cpu": "no fact of a kernel: the guest's one translated processor is too slow to open 20,000 connections in the ramp, and the cell says so",
    "exec-blind": "no fact of a kernel: the guest has no program but brimful, so no `true` for the exec probe to run",
    "app-conn-cap": COUNTED,
    "restart-loop": COUNTED,
    "what-takes-effect-process": COUNTED,
}

# Why a scenario is run on one of them only. A program that the guest does not have is a reason by itself.
ALONE = {
    "what-takes-effect-synack": "it sets `tcp_syn_linear_timeouts`, which came with Linux 6.5",
}

# Counters of these groups are compared; the others depend on devices and modules.
GROUPS = ("TcpExt.", "IpExt.", "Tcp.", "Ip.")

# Two instants at which a counter was read are a tenth of a second apart, and a kernel that counts its own time may read late.
TENTH = 1e8


def cells(folder):
    """Scenario name to its report, of a run of one or of several scenarios."""
    reports = sorted(folder.glob("*/report.json")) or sorted(folder.glob("report.json"))
    found = [json.loads(path.read_text()) for path in reports]
    return {report["scenario"]["name"]: (report, path.parent) for report, path in zip(found, reports)}


def records(folder):
    """The records of a run of one scenario, by cell."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("cells/*/0.json"))}


def flat(table, prefix=""):
    """`{sysctl: {"net.core.somaxconn": 128}}` as one name to its value."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def truth(scenario, knobs):
    """What [expect] says of a cell: outcomes and cause."""
    for line in scenario.get("expect", {}).get("cells", []):
        when = dict(flat(line.get("when", {})))
        if all(name in knobs and knobs[name]["asked"] == value for name, value in when.items()):
            outcomes = line.get("outcome", [])
            return ([outcomes] if isinstance(outcomes, str) else outcomes), line.get("cause")
    return [], None


def said(cell):
    """A verdict in a few words."""
    if cell is None:
        return "not run"
    cause = cell["verdict"]["cause"]
    return f"{cell['outcome']}, {cause}" if cause else cell["outcome"]


def holds(cell, expected):
    """Whether a verdict is what was expected."""
    outcomes, cause = expected
    if cell is None:
        return False
    return (not outcomes or cell["outcome"] in outcomes) and (cause is None or cell["verdict"]["cause"] == cause)


def ladder(folder):
    """Seconds after the first SYN at which the one connection's SYN was sent again."""
    [(_, place)] = cells(folder).values()
    [record] = records(place).values()
    points = record["evidence"]["client"]["counters"]["TcpExt.TCPSynRetrans"]["points"]
    return [round(at / 1e9, 1) for at, _ in points[1:]]


def queue(run, scenario, what):
    """The most that a queue held, and its limit, in the first cell of a scenario."""
    if scenario not in run:
        return None
    record = next(iter(records(run[scenario][1]).values()))
    server = record["evidence"]["server"]
    name, listener = next(iter(server["listeners"].items()))
    if what == "recv_q":
        return listener["recv_q"]["max"], listener["limit"]["last"]
    port = name.rsplit(":", 1)[1]
    half_open = {key: series["max"] for key, series in server["sockets"].get("SYN_RECV", {}).items() if key == port}
    return (half_open[port], listener["limit"]["last"]) if half_open else None


def counters(run):
    """The names of all counters that any record of a run has, of the groups that are compared."""
    names = set()
    for _, place in run.values():
        for record in records(place).values():
            names |= {name for name in record["evidence"]["server"]["counters"] if name.startswith(GROUPS)}
    return names


def nobody(runs, side):
    """What became of an ordinary user's run: exit status, and the first line of an error."""
    status = (runs / f"{side}-nobody.status").read_text().strip()
    if status == "0":
        return "set, and read back"
    log = (runs / f"{side}-nobody.log").read_text()
    error = re.search(r"^error: (.*)$", log, re.MULTILINE)
    text = error.group(1) if error else next(iter(log.strip().splitlines()), "no word")
    return f"refused (exit {status}): {text}"


def table(head, rows):
    """A table of Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(field).replace("|", "\\|") for field in row) + " |" for row in rows]


def main():
    runs, catalogue, page = (Path(word) for word in sys.argv[1:])
    host, guest = cells(runs / "host"), cells(runs / "guest")
    [here] = {report["host"]["kernel"] for report, _ in host.values()}
    [there] = {report["host"]["kernel"] for report, _ in guest.values()}
    out = [
        "# Two kernels",
        "",
        f"The catalogue on Linux {here} and, in the guest of [`brimful vm run`](vm.md), on Linux {there}: what differs, and why. `scripts/vm/kernels`",
        "writes this page from two runs of the short form of each scenario (`--quick`). Nothing here is a duration of the guest's: those mean nothing.",
        "",
    ]
    unexplained = []

    rows, same, right = [], 0, {here: 0, there: 0}
    alone = []
    for name in sorted(host.keys() ^ guest.keys()):
        command = tomllib.loads((catalogue / f"{name}.toml").read_text()).get("target", {}).get("kind") == "command"
        reason = "the guest has no program but brimful" if command and name in host else ALONE.get(name)
        alone.append((f"`{name}`", here if name in host else there, reason or "not explained"))
        if reason is None:
            unexplained.append(f"{name} was run on one of the two only")
    for name in sorted(host.keys() & guest.keys()):
        scenario = tomllib.loads((catalogue / f"{name}.toml").read_text())
        by_side = [{cell["id"]: cell for cell in side[name][0]["cells"]} for side in (host, guest)]
        for cell in sorted(by_side[0].keys() | by_side[1].keys()):
            pair = [side.get(cell) for side in by_side]
            knobs = next(one for one in pair if one)["knobs"]
            expected = truth(scenario, knobs)
            for kernel, one in zip((here, there), pair):
                right[kernel] += holds(one, expected)
            if said(pair[0]) == said(pair[1]):
                same += 1
                if holds(pair[0], expected):
                    continue
            wanted = "/".join(expected[0]) + (f", {expected[1]}" if expected[1] else "")
            reason = REASONS.get(name)
            if reason is None:
                unexplained.append(f"{name} {cell}: {said(pair[0])} and {said(pair[1])}, where {wanted} is the truth")
            rows.append((f"`{name}`", f"`{cell}`" if cell else "", said(pair[0]), said(pair[1]), wanted, reason or "not explained"))
    total = same + sum(1 for row in rows if row[2] != row[3])
    out += [
        "## Verdicts",
        "",
        f"{total} cells of {len(host.keys() & guest.keys())} scenarios; {same} come to the same verdict on both. As the scenario says it must be: "
        f"{right[here]} on {here}, {right[there]} on {there}.",
        "",
    ]
    if rows:
        out += table(["scenario", "cell", here, there, "truth", "because"], rows) + [""]

    if alone:
        out += ["Run on one of the two only:", "", *table(["scenario", "on", "because"], alone), ""]

    steps = [ladder(runs / f"{side}-ladder") for side in ("host", "guest")]
    linear = [all(any(abs(step - wanted) < 0.5 for step in side) for wanted in (2, 4, 5)) for side in steps]
    out += ["## When a SYN that nobody answers is sent again", ""]
    out += table(
        ["", "seconds after the first", ""],
        [
            (kernel, ", ".join(str(step) for step in side), "four steps of a second first (`tcp_syn_linear_timeouts`)" if straight else "each step twice the last")
            for kernel, side, straight in zip((here, there), steps, linear)
        ],
    )
    out += [
        "",
        "A connection that a full queue turned away comes back at one of these instants. A probe that gives up after a second sees none of them.",
        "Linux 6.5 brought the linear steps; the number of retries and the time after which the client gives up did not grow with them.",
        "",
        "## How many a queue holds",
        "",
    ]
    held = []
    for what, scenario, key in (("accept queue", "accept-dead", "recv_q"), ("SYN queue", "synq-full-nocookies", "syn_recv")):
        for kernel, run in ((here, host), (there, guest)):
            found = queue(run, scenario, key)
            held.append((what, f"`{scenario}`", kernel, *(found or ("not read", "not read")), found[0] - found[1] if found else ""))
    out += table(["queue", "scenario", "kernel", "held at most", "limit", "beyond it"], held)
    out += [
        "",
        "The accept queue is full when more than its limit are in it (`sk_acceptq_is_full`), so it holds one more, on every kernel since 4.19. The SYN queue",
        "did with its limit exactly until January 2025, and holds one more since (`inet_csk_reqsk_queue_is_full`); Debian's 6.1 has that from its stable branch.",
        "",
        "## net.core.somaxconn without root",
        "",
    ]
    out += table(["kernel", "an ordinary user sets it in a namespace of their own"], [(kernel, nobody(runs, side)) for kernel, side in ((here, "host"), (there, "guest"))])
    out += ["", "Before Linux 6.3 the files of net.core are hidden from all but the first user namespace.", "", "## Counters", ""]
    names = counters(host), counters(guest)
    for kernel, only in ((here, names[0] - names[1]), (there, names[1] - names[0])):
        listed = ", ".join(f"`{name}`" for name in sorted(only)) or "none"
        out += [f"Only on {kernel} ({len(only)}): {listed}.", ""]
    out += [f"{len(names[0] & names[1])} are on both. Counters are read by name, and one that a kernel does not have is not taken for zero.", ""]
    page.write_text("\n".join(out))
    for line in unexplained:
        print(f"not explained: {line}", file=sys.stderr)
    sys.exit(1 if unexplained else 0)


main()
