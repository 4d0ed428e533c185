#!/usr/bin/env python3
"""Reads a run of brimful with programs that are not brimful's, and fails where they see something else than it says.

usage: read_back.py RUN LOG OPENMETRICS SCHEMAS DOCUMENTS

RUN is a run folder: its report.json and every .hlog below it are compared. LOG is the run in `--format hlog`, OPENMETRICS in
`--format openmetrics`. SCHEMAS is a folder of schemas, NAME-1.json: every JSON in DOCUMENTS/NAME must be of
that name's. A schema without a document is a failure.
"""

import json
import math
import sys
from pathlib import Path

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from jsonschema import Draft202012Validator
from prometheus_client.openmetrics.parser import text_string_to_metric_families

# Three significant digits: a value is kept to one part in a thousand, in the log as in the report.
PRECISION = 2e-3

problems = []


def expect(what, got, wanted, precision=0.0):
    """Notes a difference. Numbers may differ by a share, anything else not at all."""
    numbers = all(isinstance(value, (int, float)) for value in (got, wanted))
    near = numbers and abs(got - wanted) <= precision * max(abs(got), abs(wanted))
    if got != wanted and not near:
        problems.append(f"{what}: {got}, and report.json says {wanted}")


def histograms(path):
    """The histograms of an interval log by their tags."""
    found = {}
    reader = HistogramLogReader(str(path), HdrHistogram(1, 2**62, 3))
    while (histogram := reader.get_next_interval_histogram()) is not None:
        found[histogram.get_tag()] = histogram
    reader.close()
    return found


def rank(share, count):
    """The rank of a quantile, from 1."""
    return max(1, math.ceil(share * count - 1e-9))


def at_rank(histogram, wanted):
    """The value of a rank."""
    return histogram.get_value_at_percentile(100.0 * wanted / histogram.get_total_count())


def compare_probe(where, passed, failed, probe):
    expect(f"{where}: answered probes", passed.get_total_count(), probe["ok"])
    expect(f"{where}: failed probes", failed.get_total_count(), probe["failed"])
    if probe["failed"]:
        for value in (failed.get_min_value(), failed.get_max_value()):
            expect(f"{where}: the deadline of failed probes", value, probe["timeout_ns"], PRECISION)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)):
        said, wanted = probe["latency_ns"][name], rank(share, probe["sent"])
        if wanted > probe["ok"]:
            expect(f"{where}: {name}", {"at_least_ns": probe["timeout_ns"]}, said)
        else:
            expect(f"{where}: {name}", at_rank(passed, wanted), said, PRECISION)


def compare_load(where, connect, lag, load):
    expect(f"{where}: handshakes", connect.get_total_count(), load["established"])
    for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        if load["established"]:
            value = at_rank(connect, rank(share, load["established"]))
            expect(f"{where}: {name} of handshakes", value, load["connect_latency_ns"][name], PRECISION)
    expect(f"{where}: attempts", lag.get_total_count(), load["attempted"])
    if load["attempted"]:
        value = at_rank(lag, rank(0.99, load["attempted"]))
        expect(f"{where}: p99 of lateness", value, load["lag_ns"]["p99"], PRECISION)


def compare_logs(report, run, log):
    """Every block in a log of its own, and again in the one log of the run. Returns how many there were."""
    whole, blocks = histograms(log), 0
    for cell in report["cells"]:
        for block in cell["blocks"]:
            number = block["block"]
            path = run / "cells" / cell["id"] / f"{number}.hlog"
            prefix = f"{cell['id'].replace(',', ';')}/{number}/"
            for where, found, before in ((path, histograms(path), ""), (f"{log}: {prefix}", whole, prefix)):
                try:
                    tags = [found[before + tag] for tag in ("probe", "probe-failed", "connect", "lag")]
                except KeyError as missing:
                    problems.append(f"{where}: no histogram is tagged {missing}")
                    continue
                compare_probe(where, tags[0], tags[1], block["probe"])
                compare_load(where, tags[2], tags[3], block["load"])
            blocks += 1
    return blocks


def compare_metrics(report, text):
    """The counts of probes; the parser itself refuses what is no OpenMetrics."""
    probes = {}
    families = list(text_string_to_metric_families(text))
    for sample in (sample for family in families for sample in family.samples):
        if sample.name == "brimful_probes_total":
            probes[sample.labels["cell"]] = probes.get(sample.labels["cell"], 0) + sample.value
    for cell in report["cells"]:
        wanted = 0 if cell["outcome"] == "void" else cell["probe"]["sent"]
        expect(f"brimful_probes_total of {cell['id']}", probes.get(cell["id"], 0), wanted)
    return len(families)


def validate(schema, paths):
    """Every document against its schema."""
    validator = Draft202012Validator(json.loads(schema.read_text()))
    validator.check_schema(validator.schema)
    for path in paths:
        for error in validator.iter_errors(json.loads(path.read_text())):
            problems.append(f"{path}: {error.json_path}: {error.message[:200]}")
    if not paths:
        problems.append(f"{schema}: there is no document to hold to it")
    return len(paths)


def main(run, log, metrics, schemas, documents):
    report = json.loads((run / "report.json").read_text())
    blocks = compare_logs(report, run, log)
    families = compare_metrics(report, metrics.read_text())
    validated = 0
    for schema in schemas.glob("*-1.json"):
        validated += validate(schema, list((documents / schema.name.removesuffix("-1.json")).glob("*.json")))
    if not blocks:
        problems.append(f"{run}: there is no block to compare")
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{blocks} blocks, {families} families of metrics and {validated} documents read back as they were written")
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    sys.exit(main(*map(Path, sys.argv[1:])))
