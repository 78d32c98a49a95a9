#!/usr/bin/env python3
"""Proves that a scan touches the pages it must and no others (figure f): on a store whose layout is known, pages_read is exactly the number of
pages that hold a row in the ranges, counted here from the rows, and the bytes read are those of these pages and of their chunks' directories."""
import csv
import json
import os
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import lum_program

PAGE, CHUNK, ROWS = 4096, 16 * 4096, 4 * 16 * 4096 - 1000  # the last page is not full
DIRECTORY_BYTES, BLOCK = 20480, 4096


def make_rows():
    source = random.Random(7)
    rows = []
    for number in range(ROWS):
        page = number // PAGE
        rows.append({"id": 1000 + number,  # ascending: neighbours lie together
                     "timestamp": 5_000_000 - number * 3,  # descending
                     "position_x": page * 10 + source.randrange(10),  # a band a page
                     "position_y": source.randrange(-10**9, 10**9) if page % 7 else 42,  # every seventh page constant
                     "memory_address": source.getrandbits(64)})  # makes pages large: 8 bytes a row that cannot be packed
    return rows


def bounds(page, name):
    values = [row[name] for row in page]
    return min(values), max(values)


def scan(store, out, ranges):
    arguments = [word for option, (low, high) in ranges.items() for word in (option, f"{low}..{high}")]
    done = lum_program.run("scan", store, "--json", "-o", out, "--columns", "id", *arguments)
    if done.returncode != 0:
        sys.exit(f"lum scan {arguments} ended with {done.returncode}: {lum_program.tail(done.stderr)}")
    with open(out, encoding="ascii") as file:
        ids = [int(line["id"]) for line in csv.DictReader(file)]
    return ids, lum_program.json_of(done)


OPTIONS = {"--id": "id", "--time": "timestamp", "--x": "position_x", "--y": "position_y"}


def check(store, out, rows, pages, ranges):
    def is_in(row):
        return all(low <= row[OPTIONS[option]] <= high for option, (low, high) in ranges.items())

    ids, told = scan(store, out, ranges)
    must = [index for index, page in enumerate(pages)
            if all(page[OPTIONS[option]][0] <= high and low <= page[OPTIONS[option]][1] for option, (low, high) in ranges.items())]
    wanted_ids = [row["id"] for index in must for row in rows[index * PAGE:(index + 1) * PAGE] if is_in(row)]  # the other pages' bounds say no
    chunks = {index // (CHUNK // PAGE) for index in must}
    what = f"{ranges}: {told}"
    assert ids == wanted_ids, what
    assert told["pages_total"] == len(pages), what
    assert told["pages_read"] == len(must), f"{len(must)} pages must be read: {what}"
    # A page has 4,096 rows of 12 to 17 bytes. Neighbours may be read in one go, with gaps up to 64 KiB, so only lone pages are bounded.
    if len(must) <= 1:
        limit = len(must) * (PAGE * 17 + 2 * BLOCK) + sum(1 for _ in chunks) * (DIRECTORY_BYTES + BLOCK)
        assert told["bytes_read"] <= limit, f"at most {limit} bytes: {what}"
    return len(must)


def main():
    rows = make_rows()
    pages = [{name: bounds(rows[first:first + PAGE], name) for name in ("id", "timestamp", "position_x", "position_y")}
             for first in range(0, ROWS, PAGE)]
    counts = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as directory:
        store, source, out = (os.path.join(directory, name) for name in ("s.lum", "rows.csv", "out.csv"))
        with open(source, "w", encoding="ascii", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        done = lum_program.run("load", store, source, "--chunk-lums", CHUNK, "-q")
        assert done.returncode == 0, done.stderr
        first, last = rows[0]["id"], rows[-1]["id"]
        chooser = random.Random(11)
        cases = [
            {"--id": (first, last)},
            {"--id": (0, first - 1)},  # nothing: no page
            {"--id": (last + 1, 2**64 - 1)},
            {"--id": (first + PAGE - 1, first + PAGE - 1)},  # the last row of a page
            {"--id": (first + PAGE - 1, first + PAGE)},  # and the first one of the next
            {"--id": (first + CHUNK - 1, first + CHUNK)},  # of two chunks
            {"--id": (last, last)},
            {"--x": (70, 79)},
            {"--y": (42, 42)},  # what only minima and maxima can tell: every page may hold it
            {"--x": (30, 59), "--time": (5_000_000 - 3 * PAGE * 5, 5_000_000 - 3 * PAGE * 4)},
            {"--id": (first, first + 10), "--x": (200, 209)},  # each has rows, together none
        ]
        for _ in range(30):
            name = chooser.choice(list(OPTIONS))
            low, high = sorted(chooser.choice(rows)[OPTIONS[name]] for _ in range(2))
            case = {name: (low, high)}
            other = chooser.choice(list(OPTIONS))
            low, high = sorted(chooser.choice(rows)[OPTIONS[other]] for _ in range(2))
            case[other] = (low, high)
            cases.append(case)
        for ranges in cases:
            counts.append(check(store, out, rows, pages, ranges))
    assert counts[:7] == [len(pages), 0, 0, 1, 2, 2, 1], counts
    print(f"{len(cases)} scans of {len(pages)} pages read {sum(counts)} pages, each of which they must")


if __name__ == "__main__":
    main()
