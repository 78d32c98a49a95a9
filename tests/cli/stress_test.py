#!/usr/bin/env python3
"""Proves `lum stress`: every workload is written, read back by a new process and compared; its JSON has all names; it cleans up after itself,
leaves alone what it did not make, and finds a row that is not what was written."""
import os
import re
import subprocess
import time

from program import LUM, check, lum, run_tests

NAMES = {
    "schema_version", "exit_code", "test_session_id", "workload", "threads", "total_lums_processed", "total_chunks_written",
    "total_bytes_on_disk", "logical_bytes", "write_time_nanoseconds", "read_time_nanoseconds", "verification_errors", "io_errors",
    "stress_test_completed", "sync_count", "io_mode", "peak_memory_bytes"}


def test_every_workload_comes_back():
    for workload in ("seed", "random", "tracks", "seed+noise"):
        result = lum("stress", "w.lum", "--count", "700K", "--workload", workload, "--json", "--commit-every", "300K").json
        check(NAMES <= set(result), "names missing:", NAMES - set(result))
        check(result["workload"] == workload and result["total_lums_processed"] == 700000, result)
        check(result["verification_errors"] == 0 and result["io_errors"] == 0 and result["stress_test_completed"] is True, result)
        check(result["verified_lums"] == 700000 and result["commits"] == 3 and result["durable"] is True, result)
        check(result["logical_bytes"] == 28000000 and 0 < result["total_bytes_on_disk"] < 28000000, result)
        check(re.fullmatch(r"stress_\d+_[0-9a-f]{8}", result["test_session_id"]), result["test_session_id"])
        check(result["write_time_nanoseconds"] > 0 and result["read_time_nanoseconds"] > 0 and result["sync_count"] > 0, result)
        check(result["peak_memory_bytes"] <= 160 << 20, "memory", result["peak_memory_bytes"])
        check(not os.path.exists("w.lum"), "the store was not removed")
        # the same rows, handed over as columns
        columns = lum("stress", "w.lum", "--count", "700K", "--workload", workload, "--json", "--source", "columns", "--threads", "3").json
        whole = lum("stress", "w.lum", "--count", "700K", "--workload", workload, "--json", "--source", "rows").json
        check(columns["source"] == "columns" and whole["source"] == "rows", columns, whole)
        check(columns["verified_lums"] == 700000 and columns["digest"] == whole["digest"], "columns give other rows", columns, whole)


def test_without_a_store_a_directory_is_made_and_removed():
    before = set(os.listdir("."))
    result = lum("stress", "--count", "10K", "--threads", "3")
    check(set(os.listdir(".")) == before, "something is left:", os.listdir("."))
    last = result.err.strip().splitlines()[-1]
    for word in ("10,000 rows", "on disk", "of the raw rows", " s (", "durable at sequence"):
        check(word in last, "the last line lacks", word, ":", last)
    check(result.out == b"", "stdout is for data:", result.out)


def test_kept_stores_are_replaced_and_foreign_ones_left_alone():
    lum("stress", "k.lum", "--count", "20K", "--keep", "--report", "report.json", "-q")
    check(os.path.exists("report.json"), "no report")
    check(lum("info", "k.lum", "--json").json["lums"] == 20000, "kept rows")
    check(lum("verify", "k.lum", "--json").json["ok"] is True, "kept store")
    lum("stress", "k.lum", "--count", "30K", "--keep", "-q")
    check(lum("info", "k.lum", "--json").json["lums"] == 30000, "replaced rows")
    lum("load", "mine.lum", "-", stdin=b"id\n1\n2\n")
    os.mkdir("docs")
    with open("docs/thesis.txt", "w", encoding="utf-8") as file:
        file.write("years of work")
    for path in ("mine.lum", "docs", "docs/thesis.txt"):
        result = lum("stress", path, "--count", "10K", "--json", expect=2)
        check(result.json["error"]["name"] == "ERR_EXISTS", result.json)
    check(lum("info", "mine.lum", "--json").json["lums"] == 2, "a foreign store was touched")
    check(os.path.exists("docs/thesis.txt"), "a foreign file was touched")
    lum("load", "k.lum", "-", stdin=b"id\n1\n")  # no longer of stress alone
    lum("stress", "k.lum", "--count", "10K", expect=2)


def test_a_store_that_is_worked_on_is_not_replaced():
    lum("stress", "r.lum", "--count", "20K", "--keep", "-q")
    writer = subprocess.Popen([LUM, "load", "r.lum", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    writer.stdin.write(b"id,position_x\n1,2\n")
    writer.stdin.flush()
    deadline = time.monotonic() + 20
    while b"pid %d" % writer.pid not in open("r.lum/LOCK", "rb").read() and time.monotonic() < deadline:
        time.sleep(0.02)
    result = lum("stress", "r.lum", "--count", "10K", "--json", expect=4)
    check(result.json["error"]["name"] == "ERR_BUSY", result.json)
    writer.communicate()
    check(writer.returncode == 0 and lum("info", "r.lum", "--json").json["lums"] == 20001, "the writer was disturbed")


def test_too_little_room_is_told_before_anything_is_made():
    result = lum("stress", "big.lum", "--count", "100T", "--json", expect=7)
    check(result.json["error"]["name"] == "ERR_NO_SPACE" and not os.path.exists("big.lum"), result.json)


def test_a_wrong_row_is_found():
    """The reading process gets a store with other rows than it is told to expect."""
    lum("stress", "t.lum", "--count", "50K", "--workload", "tracks", "--keep", "-q")
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    for count, workload, expected in (("50000", "tracks", 0), ("50000", "random", 3), ("50001", "tracks", 3), ("49999", "tracks", 3)):
        pid = os.spawnv(os.P_NOWAIT, LUM, [LUM, "stress-read", "t.lum", "--count", count, "--workload", workload, "--result-fd",
                                           str(write_end), "--start-ns", "0", "-q"])
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        check(code == expected, workload, count, "ended with", code)
        os.read(read_end, 65536)


run_tests(globals())
