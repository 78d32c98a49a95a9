#!/usr/bin/env python3
"""Loads the real dataset from its compressed CSV and proves figure f: every row is accounted for, and a scan gives back every id,
position (exact to the last digit), time and memory_address, as an independent reader (Python's csv and decimals) sees them."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import lum_program as lum  # noqa: E402

PLACES = 199568
DATA = os.path.join(HERE, "..", "data", "cities500.csv.zst")
MAPS = ("id=geonameid", "position_x=longitude*1e7", "position_y=latitude*1e7", "timestamp=modified", "memory_address=population")


def demand(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def load(store, *options):
    arguments = [word for item in MAPS for word in ("--map", item)]
    result = lum.run("load", store, DATA, *arguments, "--json", *options)
    demand(result.returncode == 0, f"load: exit {result.returncode}: {lum.tail(result.stderr)}")
    report = lum.json_of(result)
    for name, value in (("rows_read", PLACES), ("rows_loaded", PLACES), ("rows_rejected", 0), ("rows_skipped", 0),
                        ("rows_rolled_back", 0)):
        demand(report[name] == value, f"{name} is {report[name]} instead of {value}")
    demand(report["durable"] is True and report["commit_sequence"] > 0, f"the load is not durable: {report}")


def digest(store):
    result = lum.run("info", store, "--json")
    demand(result.returncode == 0, f"info: exit {result.returncode}: {lum.tail(result.stderr)}")
    info = lum.json_of(result)
    demand(info["lums"] == PLACES, f"info tells of {info['lums']} rows")
    return info["digest"]


def main():
    with tempfile.TemporaryDirectory(prefix="lum-cities-") as folder:
        store, scanned = os.path.join(folder, "cities.lum"), os.path.join(folder, "scan.csv")
        load(store)
        result = lum.run("scan", store, "--format", "csv", "--columns", "all", "-o", scanned)
        demand(result.returncode == 0, f"scan: exit {result.returncode}: {lum.tail(result.stderr)}")
        subprocess.run([sys.executable, os.path.join(HERE, "..", "support", "compare_cities.py"), DATA, scanned], check=True)
        demand(lum.run("verify", store).returncode == 0, "verify finds damage")
        # the same rows whatever the threads and chunks, and so the same digest
        other = os.path.join(folder, "other.lum")
        load(other, "--threads", "3", "--chunk-lums", "4096")
        demand(digest(store) == digest(other), "the digest depends on threads or chunk size")


if __name__ == "__main__":
    main()
