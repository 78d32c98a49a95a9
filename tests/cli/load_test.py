#!/usr/bin/env python3
"""Proves `lum load` and the commands that read: real data comes back exactly (compared by Python), several files are one load, accounts add
up, events are told in order, ranges select, JSON has its names."""
import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys

from program import CITIES, CITIES_MAP, SOURCE, check, lum, run_tests

LOAD_NAMES = {"rows_read", "rows_loaded", "rows_rejected", "rows_skipped", "rows_rolled_back", "bytes_read", "transaction_id",
              "commit_sequence", "durable", "label", "elapsed_nanoseconds", "schema_version", "exit_code"}
INFO_NAMES = {"store_id", "format_version", "state", "lums", "chunks", "bytes_on_disk", "last_sequence", "durable_sequence",
              "checkpoint_sequence", "digest", "labels", "schema_version", "exit_code"}
RECOVER_NAMES = {"state", "crash_detected", "attempts", "max_recovery_attempts", "auto_recovery_enabled", "crash_timestamp",
                 "recovery_timestamp", "last_checkpoint_sequence", "wal_records_replayed", "transactions_committed",
                 "transactions_rolled_back", "chunks_verified", "tail_bytes_cut", "unproven_tail", "recovery_time_nanoseconds",
                 "error_details", "wal_path", "data_path"}


def test_cities_come_back_exactly():
    result = lum("load", "cities.lum", CITIES, "--map", CITIES_MAP, "--label", "cities", "--json").json
    check(LOAD_NAMES <= set(result), "names missing:", LOAD_NAMES - set(result))
    check(result["rows_read"] == result["rows_loaded"] == 199568 and result["durable"] is True and result["label"] == "cities", result)
    lum("scan", "cities.lum", "--columns", "all", "-o", "scan.csv")
    subprocess.run([sys.executable, os.path.join(SOURCE, "tests/support/compare_cities.py"), CITIES, "scan.csv"], check=True)


def test_info_get_verify_wal_checkpoint_recover_tell():
    info = lum("info", "cities.lum", "--json").json
    check(INFO_NAMES <= set(info), "names missing:", INFO_NAMES - set(info))
    check(info["lums"] == 199568 and info["state"] == "normal" and info["labels"] == ["cities"], info)
    check("199,568" in lum("info", "cities.lum").out.decode(), "info for people")
    paris = lum("get", "cities.lum", "2988507", "--json").json
    check((paris["position_x"], paris["position_y"], paris["memory_address"]) == (23488000, 488534100, 2138551), paris)
    check("structure_type  0 (linear)" in lum("get", "cities.lum", "2988507").out.decode(), "get for people")
    check(lum("get", "cities.lum", "1", "--json", expect=8).json["exit_code"] == 8, "get of no id")
    verify = lum("verify", "cities.lum", "--json").json
    check(verify["ok"] is True and verify["errors"] == [] and verify["lums_checked"] == 199568 and verify["chunks_checked"] > 0, verify)
    wal = lum("wal", "cities.lum", "--json").json
    types = [record["type"] for record in wal["records"]]
    check("commit" in types and wal["record_count"] == len(types) > 0, wal)
    sequences = [record["sequence"] for record in wal["records"]]
    check(sequences == sorted(sequences), "sequences", sequences)
    check(len(lum("wal", "cities.lum").out.splitlines()) == len(types), "wal for people: a line a record")
    check(lum("checkpoint", "cities.lum", "--json").json["lums"] == 199568, "checkpoint")
    recover = lum("recover", "cities.lum", "--json").json
    check(RECOVER_NAMES <= set(recover) and recover["crash_detected"] is False, recover)


def test_ranges_formats_and_columns_select():
    with open("scan.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chosen = [r for r in rows if 20000000 <= int(r["position_x"]) <= 30000000 and 480000000 <= int(r["position_y"]) <= 490000000
              and int(r["timestamp"]) >= 1577836800000000000]
    check(0 < len(chosen) < len(rows), "a range that selects nothing proves nothing")
    ranges = ["--x", "20000000..30000000", "--y", "480000000..490000000", "--time", "2020-01-01.."]
    got = list(csv.DictReader(io.StringIO(lum("scan", "cities.lum", "--columns", "all", *ranges).out.decode())))
    check(got == chosen, "rows in range:", len(got), "instead of", len(chosen))
    lines = lum("scan", "cities.lum", "--format", "ndjson", "--columns", "timestamp,id", *ranges).out.decode().splitlines()
    check([json.loads(line) for line in lines] == [{"timestamp": int(r["timestamp"]), "id": int(r["id"])} for r in chosen], "ndjson")
    raw = lum("scan", "cities.lum", "--format", "raw", *ranges).out
    check([int.from_bytes(raw[i:i + 8], "little") for i in range(0, len(raw), 40)] == [int(r["id"]) for r in chosen], "raw")
    one = lum("scan", "cities.lum", "--id", chosen[0]["id"])
    check(one.out.decode().splitlines()[1].startswith(chosen[0]["id"] + ","), "one id")
    check(one.out.decode().splitlines()[0] == "id,presence,position_x,position_y,structure_type,timestamp", "default columns")
    result = lum("scan", "cities.lum", "--json", "-o", "again.csv").json
    check(result["rows"] == 199568 and result["bytes_written"] == os.path.getsize("again.csv"), result)
    check(json.loads(lum("scan", "cities.lum", "--json", "-q").err)["rows"] == 199568, "JSON on stderr when data takes stdout")


def test_a_scan_loads_into_an_equal_store():
    lum("load", "copy.lum", "scan.csv", "--chunk-lums", "8192", "--threads", "3")
    check(lum("info", "copy.lum", "--json").json["digest"] == lum("info", "cities.lum", "--json").json["digest"], "digests")


def write_numbers(name, first, end):
    with open(name, "w", encoding="utf-8") as file:
        file.write("id,position_x\n")
        file.writelines(f"{i},{-i}\n" for i in range(first, end))


def test_files_follow_each_other_with_events():
    write_numbers("a.csv", 0, 25000)
    write_numbers("b.csv", 25000, 25001)
    write_numbers("c.csv", 25001, 25001)  # a header only
    write_numbers("d.csv", 25001, 60000)
    result = lum("load", "four.lum", "a.csv", "b.csv", "c.csv", "d.csv", "--commit-every", "10K", "--events", "events", "--json", "--threads",
                 "4").json
    check(result["rows_loaded"] == 60000 and result["commits"] == 6, result)
    out = lum("scan", "four.lum", "--columns", "id,position_x").out.decode().splitlines()
    check(out[1:] == [f"{i},{-i}" for i in range(60000)], "rows or their order")
    with open("events", encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    check(all(set(e) >= {"event", "file", "rows_committed", "sequence", "transaction_id", "durable"} for e in events), events)
    told = [(e["file"], e["rows_committed"]) for e in events]
    check(told == [("a.csv", 10000), ("a.csv", 20000), ("a.csv", 25000), ("b.csv", 1), ("d.csv", 4999), ("d.csv", 14999), ("d.csv", 24999),
                   ("d.csv", 34999)], told)
    sequences = [e["sequence"] for e in events]
    check(sequences == sorted(sequences) and sequences[-1] == result["commit_sequence"], sequences)
    last = lum("load", "four.lum", "a.csv").err.strip().splitlines()
    check("rows_read 25,000 = loaded 25,000 + rejected 0 + skipped 0 + rolled_back 0" in last, last)
    for word in ("25,000 rows", "on disk", "of the raw rows", "durable at sequence"):
        check(word in last[-1], "the last line lacks", word, last[-1])
    check(lum("info", "four.lum", "--json").json["lums"] == 85000, "a second load adds")


def test_row_numbers_go_on_through_all_files():
    """id=@row, with memory_address telling what it must be: all formats, plain, packed and piped, many workers, rows refused in between."""
    ends = (0, 30000, 30001, 45000, 70000, 90000, 100000)
    parts = [range(a + 1, b + 1) for a, b in zip(ends, ends[1:])]
    refused = {40007, 40008, 69999, 99000}
    text = [f"memory_address,presence\n" + "".join(f"{n},{3 if n in refused else 1}\n" for n in part) for part in parts]
    with open("n0.csv", "w", encoding="ascii") as file:
        file.write(text[0])
    with open("n1.csv", "w", encoding="ascii") as file:
        file.write(text[1].replace("1\n", '"1"\n'))
    with gzip.open("n2.csv.gz", "wb") as file:
        file.write(text[2].encode())
    with open("n3.ndjson", "w", encoding="ascii") as file:
        file.writelines(json.dumps({"memory_address": n, "presence": 3 if n in refused else 1}) + "\n" for n in parts[3])
    lum("load", "n4.lum", "-", "--map", "id=@row", stdin=text[4].encode())
    lum("scan", "n4.lum", "--columns", "memory_address,presence", "--format", "npy", "-o", "n4.npy")
    arguments = ["n0.csv", "n1.csv", "n2.csv.gz", "n3.ndjson", "n4.npy", "-", "--map", "id=@row", "--on-error", "skip"]
    for threads in (1, 4):
        store = f"numbered-{threads}.lum"
        result = lum("load", store, *arguments, "--threads", threads, "--chunk-lums", "4Ki", "--commit-every", "7K", "--json", stdin=text[5].encode()).json
        check(result["rows_rejected"] == len(refused), result)
        out = lum("scan", store, "--columns", "id,memory_address").out.decode().splitlines()[1:]
        check(out == [f"{n},{n}" for n in range(1, 100001) if n not in refused], "row numbers, threads", threads)
    shown = lum("load", "numbered-1.lum", "n1.csv", "n0.csv", "--map", "id=@row", "--dry-run", "--json").json["first_rows"]
    check([row["id"] for row in shown] == [1, 2, 3, 4, 5] and [row["memory_address"] for row in shown] == [30001, 1, 2, 3, 4], shown)


def test_the_least_memory_is_told_and_is_enough():
    for threads, chunk in ((1, "4Ki"), (2, "256Ki"), (3, "64Ki"), (8, "4Ki")):
        arguments = ["--threads", threads, "--chunk-lums", chunk]
        for given, shown in (("1", "1 bytes"), ("1000", "1000 bytes"), ("1Ki", "1 KiB"), ("100K", "100000 bytes"), ("200K", "195 KiB")):
            error = lum("load", "memory.lum", "-", *arguments, "--memory", given, stdin=b"id\n1\n", expect=2).err
            check(f" {shown} of memory are too little for {threads} thread" in error, given, error)
        least = re.search(r"at least (\d+) MiB are needed", error).group(1)
        lum("load", "memory.lum", "-", *arguments, "--memory", f"{least}Mi", stdin=b"id\n1\n")
        if least != "1":
            lum("load", "memory.lum", "-", *arguments, "--memory", f"{int(least) - 1}Mi", stdin=b"id\n1\n", expect=2)


def test_stdin_and_delimiters():
    lum("load", "in.lum", "-", "--no-header", "--delimiter", "tab", "--map", "id=#2,timestamp=#1", stdin=b"5\t7\n6\t8\n")
    check(lum("scan", "in.lum", "--columns", "id,timestamp").out == b"id,timestamp\n7,5\n8,6\n", "tab")
    lum("load", "in.lum", "-", "--delimiter", ";", "--map", "id=@row", "--map", "position_y=y*10", stdin=b"x;y\n1;2.5\n")
    check(lum("get", "in.lum", "1", "--json").json["position_y"] == 25, "two --map")
    result = lum("load", "none.lum", "-", "--sync", "none", "--json", stdin=b"id\n1\n").json
    check(result["durable"] is True, "closing makes durable what --sync none did not", result)
    result = lum("load", "in.lum", "-", "--events", "-", "--json", stdin=b"id\n1\n2\n3\n")
    check(json.loads(result.out)["rows_committed"] == 3, "events on stdout")
    check(json.loads(result.err.strip().splitlines()[-1])["rows_loaded"] == 3, "then the JSON is on stderr")


def test_large_inputs_packed_plain_and_piped_are_one_load():
    """60 MB packed, 20 MB plain and 20 MB through a pipe, one behind the other, on several workers."""
    ends = (0, 1700000, 2200000, 2700000)
    texts = ["id,timestamp,position_x\n" + "".join(f"{i},170000000000{i:07},{i % 1000000}\n" for i in range(a, b)) for a, b in zip(ends, ends[1:])]
    check(len(texts[0]) > 55e6, "the packed one is small", len(texts[0]))
    with gzip.open("large.csv.gz", "wb", 1) as file:
        file.write(texts[0].encode())
    with open("large.csv", "w", encoding="ascii") as file:
        file.write(texts[1])
    result = lum("load", "large.lum", "large.csv.gz", "large.csv", "-", "--threads", "4", "--commit-every", "250K", "--events", "large.events",
                 "--json", stdin=texts[2].encode()).json
    check(result["rows_loaded"] == ends[-1] and result["commits"] == 11 and result["bytes_read"] > 90e6, result)
    out = lum("scan", "large.lum", "--columns", "id,timestamp,position_x").out
    check(out == (texts[0] + texts[1].partition("\n")[2] + texts[2].partition("\n")[2]).encode(), "rows or their order")
    with open("large.events", encoding="utf-8") as file:
        last = [json.loads(line) for line in file][-1]
    check((last["file"], last["rows_committed"]) == ("-", 500000), last)


run_tests(globals())
