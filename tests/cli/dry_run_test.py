#!/usr/bin/env python3
"""Proves `lum load --dry-run`: it tells format, mapping, rows as they would be stored, bad rows and estimates that come near to what the load then
does, reads a bounded part of any input, and writes nothing, wherever the store is or is not."""
import gzip
import json
import os

from program import check, lum, run_tests

ROWS = 400000


def write_csv(name, rows, bad_every=0):
    with open(name, "w", encoding="utf-8") as file:
        file.write("key,when,lon\n")
        for i in range(rows):
            lon = "east" if bad_every and i % bad_every == bad_every - 1 else f"{i % 180}.25"
            file.write(f"{10_000_000 + i},2024-01-01T00:00:{i % 60:02},{lon}\n")


MAP = ["--map", "id=key,timestamp=when,position_x=lon*100"]


def world():
    return {os.path.join(folder, name): os.stat(os.path.join(folder, name)).st_mtime_ns for folder, _, names in os.walk(".") for name in names}


def dry(*arguments, **options):
    before = world()
    result = lum("load", *arguments, "--dry-run", **options)
    check(world() == before and not os.path.exists("none.lum"), "something was written")
    return result


def test_estimates_come_near_to_the_load():
    write_csv("big.csv", ROWS)
    with open("big.csv", "rb") as file, gzip.open("big.csv.gz", "wb", 1) as packed:
        packed.write(file.read())
    for name, compression in (("big.csv", "none"), ("big.csv.gz", "gzip")):
        told = dry("none.lum", name, *MAP, "--json").json
        source = told["inputs"][0]
        check((source["format"], source["compression"], source["whole"], source["rows_sampled"]) == ("csv", compression, False, 65536), told)
        check(source["mapping"].startswith("id=key,") and "position_x=lon*1e2" in source["mapping"], told)
        check(abs(told["estimated_rows"] / ROWS - 1) < (0.02 if compression == "none" else 0.25), "rows", told)
        loaded = lum("load", f"from-{compression}.lum", name, *MAP, "--json", "--threads", "1").json
        check(0.5 < told["estimated_bytes_on_disk"] / loaded["bytes_written"] < 2, "bytes", told, loaded)
        check(0 < told["estimated_nanoseconds"] < 60e9, "time", told)
        first = told["first_rows"]
        check(len(first) == 5 and first[1] == {"id": 10000001, "presence": 1, "position_x": 125, "position_y": 0, "structure_type": 0,
                                               "timestamp": 1704067201000000000, "memory_address": 0, "is_destroyed": 0}, first)
        row = lum("get", f"from-{compression}.lum", "10000001", "--json").json
        check(all(row[k] == v for k, v in first[1].items()), "a row is stored otherwise", row, first[1])


def test_a_small_input_is_counted():
    write_csv("small.csv", 3)
    told = dry("none.lum", "small.csv", "small.csv", *MAP, "--json").json
    check(told["estimated_rows"] == 6 and told["inputs"][0]["whole"] is True and len(told["inputs"]) == 2, told)
    text = dry("none.lum", "small.csv", *MAP).out.decode()
    for word in ("nothing is written", "small.csv: csv (by its name), compression none, --map 'id=key,", "all of it read: 3 rows, 0 bad", "10000002",
                 "1704067202000000000", "estimate: 3 rows"):
        check(word in text, "lacks", word, text)


def test_a_pipe_has_no_estimate():
    with open("big.csv", "rb") as file:
        told = dry("none.lum", "-", *MAP, "--json", stdin=file.read()).json
    check(told["estimated_rows"] is None and told["inputs"][0]["estimated_rows"] is None and len(told["first_rows"]) == 5, told)


def test_bad_rows_end_it_as_they_would_end_the_load():
    write_csv("bad.csv", 1000, bad_every=100)
    told = dry("none.lum", "bad.csv", *MAP, "--json", expect=6).json
    check(told["inputs"][0]["bad_rows_sampled"] == 10 and "10 bad rows" in told["error"]["message"], told)
    check(dry("none.lum", "bad.csv", *MAP, "--on-error", "skip", "--json").json["estimated_rows"] == 1000, "skip goes on")
    dry("none.lum", "bad.csv", *MAP, "--on-error", "reject=r.csv", "--max-errors", "9", expect=6)
    dry("none.lum", "bad.csv", *MAP, "--on-error", "reject=r.csv", "--max-errors", "10")
    text = dry("none.lum", "bad.csv", *MAP, expect=6).out.decode()
    check("the first bad one: line 101: " in text and "east" in text, text)


def test_a_store_that_is_there_is_not_touched():
    before = lum("info", "none.lum", expect=8)
    check(before.code == 8, "a store came to be")
    dry("from-gzip.lum", "small.csv", *MAP)
    check(lum("info", "from-gzip.lum", "--json").json["lums"] == ROWS, "loaded something")


def test_mistakes_are_told_as_by_a_load():
    dry("none.lum", "nothing.csv", expect=8)
    dry("none.lum", "small.csv", expect=6)  # no id
    check(json.loads(dry("none.lum", "small.csv", "--map", "idd=key", "--json", expect=2).out)["error"]["name"] == "ERR_ARGUMENT", "map")


run_tests(globals())
