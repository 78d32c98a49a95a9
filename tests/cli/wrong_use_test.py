#!/usr/bin/env python3
"""Proves that wrong uses end with the documented exit code and a line naming file, line and remedy, and leave the store as it was: bad input of
every kind, no permission, missing and foreign paths, a second writer, a full disk."""
import gzip
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

from program import LUM, check, lum, run_tests


def write(name, content):
    with open(name, "wb") as file:
        file.write(content)
    return name


def digest_of(store):
    info = lum("info", store, "--json").json
    return info["lums"], info["digest"], info["transactions"]


def test_no_output_goes_over_the_store_or_the_input():
    """Each of these once emptied or replaced a file of the store, or the input, some with exit code 0, or left a file in the store."""
    lum("load", "kept.lum", "-", stdin=b"id\n1\n2\n")
    rows = b"id,presence\n5,3\n6,1\n"
    write("in-1.csv", rows)
    os.symlink("in-1.csv", "in-link")
    os.link("in-1.csv", "in-hard")
    os.symlink("kept.lum/STATE", "state-link")
    before = digest_of("kept.lum")
    for target in ("kept.lum/STATE", "kept.lum/data/1.seg", "./kept.lum/../kept.lum/new", "state-link", "kept.lum"):
        for arguments in (["scan", "kept.lum", "-o"], ["load", "kept.lum", "in-1.csv", "--events"], ["load", "kept.lum", "in-1.csv", "--report"],
                          ["load", "kept.lum", "in-1.csv", "--dry-run", "--report"]):
            done = lum(*arguments, target, expect=2)
            check("would lie in the store" in done.err, arguments, target, done.err)
    check(not os.path.exists("kept.lum/new"), "a file was made in the store")
    for number, name in enumerate(("STATE", "LOCK", "checkpoint-1", "wal/1.wal")):
        os.link(os.path.join("kept.lum", name), f"hard-{number}")
        for arguments in (["scan", "kept.lum", "-o"], ["load", "kept.lum", "in-1.csv", "--events"], ["load", "kept.lum", "in-1.csv", "--report"],
                          ["load", "kept.lum", "in-1.csv", "--on-error"], ["recover", "kept.lum", "--report"]):
            word = f"reject=hard-{number}" if arguments[-1] == "--on-error" else f"hard-{number}"
            done = lum(*arguments, word, expect=2)
            check(f"is a link to the store's file {name}" in done.err, arguments, name, done.err)
        os.unlink(f"hard-{number}")
    for target in ("in-1.csv", "in-link", "in-hard"):
        for option in ("--events", "--report"):
            for source in ("in-1.csv", "in-[0-9].csv"):
                done = lum("load", "kept.lum", source, "--on-error", "skip", option, target, expect=2)
                check("is an input of this load" in done.err, option, target, done.err)
                with open("in-1.csv", "rb") as file:
                    check(file.read() == rows, option, target, "changed the input")
    check(lum("verify", "kept.lum", "--json").json["ok"] is True and digest_of("kept.lum") == before, "the store changed")


def test_bad_input_is_refused_and_the_store_stays():
    lum("load", "s.lum", "-", stdin=b"id,position_x\n1,2\n3,4\n")
    before = digest_of("s.lum")
    random.seed(1)
    zipped = gzip.compress(b"id\n" + b"1\n" * 100000)
    cases = [  # name, content, line named, a part of the message
        ("letters.csv", b"id,position_x\n5,6\n7,x8\n", 3, "position_x"),
        ("range.csv", b"id,position_x\n5,6\n7,2147483648\n", 3, "out of range"),
        ("flag.csv", b"id,presence\n5,1\n7,2\n", 3, "presence"),
        ("negative.csv", b"id\n5\n-7\n", 3, "id"),
        ("short.csv", b"id,position_x\n5,6\n7\n", 3, "7" and ""),
        ("quote.csv", b"id,position_x\n5,\"6\n", None, "quote"),
        ("columns.csv", b"ident,px\n5,6\n", 1, "ident, px"),
        ("date.csv", b"id,timestamp\n5,2020-02-30\n", 2, "timestamp"),
        ("rubbish.csv", random.randbytes(300000), None, ""),
        ("empty.csv", b"", None, "empty"),
        ("long.csv", b"id\n" + b"7" * 10000000 + b"\n8\n", 2, ""),
        ("endless.csv", b"id,position_x\n1," + b"\"" + b"a" * 20000000, None, ""),
        ("cut.csv.gz", zipped[:len(zipped) // 2], None, ""),
    ]
    for name, content, line, part in cases:
        write(name, content)
        result = lum("load", "s.lum", name, "--json", expect=6)
        error = result.json["error"]
        check(error["file"] == name and error["name"] == "ERR_INPUT" and error["message"], name, error)
        check(line is None or error["line"] == line, name, "line", error)
        check(part in error["message"], name, "message", error)
        check(error["remedy"], name, "has no remedy:", error)
        said = [text for text in result.err.splitlines() if text.startswith("lum: ")]
        check(len(said) == 1 and name in said[0] and len(said[0]) < 400, name, "says", result.err)
        accounts = result.json
        check(accounts["rows_read"] == sum(accounts[f"rows_{k}"] for k in ("loaded", "rejected", "skipped", "rolled_back")), accounts)
        check(digest_of("s.lum") == before, name, "changed the store")
    check(lum("verify", "s.lum", "--json").json["ok"] is True, "verify")


def npy_of(name, kind, value):
    header = f"{{'descr': [('id', '<u8'), ('{name}', '{kind}')], 'fortran_order': False, 'shape': (1,), }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(7) + b"\1" + value


def test_the_range_of_each_field_is_told():
    """What may stand there instead, in every format: the range of that field and no other."""
    ranges = {"presence": ("0 or 1", 3), "is_destroyed": ("0 or 1", 2), "structure_type": ("0 to 5", 6), "checksum": ("0 to 4294967295", 1 << 32),
              "position_x": ("-2147483648 to 2147483647", 1 << 31), "position_y": ("-2147483648 to 2147483647", 1 << 40),
              "timestamp": ("0 to 18446744073709551615 nanoseconds", -1), "memory_address": ("0 to 18446744073709551615", -1)}
    for name, (text, value) in ranges.items():
        write("range.csv", f"id,{name}\n1,{value}\n".encode())
        write("range.ndjson", f'{{"id":1,"{name}":{value}}}\n'.encode())
        write("range.npy", npy_of(name, "<i8", value.to_bytes(8, "little", signed=True)))
        for file in ("range.csv", "range.ndjson", "range.npy"):
            error = lum("load", "range.lum", file, "--json", expect=6).json["error"]
            told = error["message"] + "; " + error["remedy"]
            other = [other for other, _ in ranges.values() if other not in text and text not in other and f" {other}" in told]
            is_date = name == "timestamp" and "neither an ISO 8601 date nor a number" in told
            check((f" {text}" in told or is_date) and not other, file, name, told)
    for offset, value, text in ((36, 3, "presence is 3, neither 0 nor 1"), (37, 6, "structure_type is 6, which is not from 0 to 5"),
                                (38, 2, "is_destroyed is 2, neither 0 nor 1"), (39, 1, "reserved is 1 and not 0")):
        row = bytearray(40)
        row[offset] = value
        write("range.raw", bytes(row))
        check(text in lum("load", "range.lum", "range.raw", expect=6).err, text)


def test_bad_command_lines_make_nothing():
    write("good.csv", b"id\n1\n")
    lum("load", "n.lum", "nothing.csv", expect=8)
    lum("load", "n.lum", "good.csv", "nothing.csv", expect=8)
    lum("load", "n.lum", ".", expect=6)
    lum("load", "n.lum", "good.csv", "--map", "idd=x", expect=2)
    lum("load", "n.lum", "good.csv", "--map", "id=nocolumn", expect=6)
    lum("load", "n.lum", "good.csv", "--on-error", "discard", expect=2)
    lum("load", "n.lum", "good.csv", "--delimiter", "xx", expect=2)
    lum("load", "n.lum", "good.csv", "--chunk-lums", "5000", expect=2)
    lum("load", "n.lum", "good.csv", "--events", "no/where", expect=8)
    check(not os.path.exists("n.lum"), "a store was made")
    lum("load", "no/where.lum", "good.csv", expect=8)
    lum("load", "good.csv", "good.csv", expect=1 if lum_code("load", "good.csv", "good.csv") == 1 else 3)
    for command in ("info", "scan", "verify", "recover", "checkpoint", "wal"):
        lum(command, "n.lum", expect=8)
    lum("get", "n.lum", "5", expect=8)
    lum("get", "s.lum", "five", expect=2)
    os.mkdir("foreign")
    write("foreign/notes.txt", b"mine")
    for command in ("info", "scan", "verify", "recover", "checkpoint", "wal"):
        code = lum_code(command, "foreign")
        check(code in (3, 8), command, "of a directory that is no store ended with", code)
    check(lum_code("load", "foreign", "good.csv") in (2, 3), "a foreign directory was taken as a store")
    check(os.listdir("foreign") == ["notes.txt"], "the foreign directory was written to")


def lum_code(*arguments):
    return subprocess.run([LUM, *arguments], capture_output=True, check=False).returncode


def test_a_second_writer_is_refused_at_once():
    writer = subprocess.Popen([LUM, "load", "busy.lum", "-", "--commit-every", "1K", "--events", "busy.events"], stdin=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    # Until a commit is told: more than is parsed at once, and the stream stays open.
    writer.stdin.write(b"id\n" + b"".join(b"%d\n" % i for i in range(3000000)))
    writer.stdin.flush()
    deadline = time.monotonic() + 30
    while not (os.path.exists("busy.events") and os.path.getsize("busy.events")) and time.monotonic() < deadline:
        time.sleep(0.05)
    start = time.monotonic()
    result = lum("load", "busy.lum", "good.csv", "--json", expect=4)
    check(time.monotonic() - start < 3, "it waited for a writer that lives")
    check(re.search(rf"\b{writer.pid}\b", result.json["error"]["message"]), "the holder's pid", writer.pid, result.json)
    check("busy.lum" in result.err, "the store's name", result.err)
    for command in ("checkpoint", "recover"):
        lum(command, "busy.lum", expect=4)
    check(lum("info", "busy.lum", "--json").json["lums"] > 0, "readers run beside a writer")
    check(len(lum("scan", "busy.lum", "-q").out.splitlines()) > 1, "scans run beside a writer")
    writer.stdin.close()
    check(writer.wait() == 0, writer.stderr.read())
    check(lum("info", "busy.lum", "--json").json["lums"] == 3000000, "the writer was disturbed")


def test_no_permission():
    if os.geteuid() == 0:
        user = 65534  # a process that is not root, in a directory that everyone may enter
        directory = tempfile.mkdtemp(prefix="lum-cli-")
        os.chmod(directory, 0o755)
        program = shutil.copy(LUM, directory)
        os.chmod(program, 0o755)
    else:
        user, directory, program = None, os.getcwd(), LUM
    store, source = os.path.join(directory, "p.lum"), os.path.join(directory, "p.csv")
    write(source, b"id\n1\n")
    lum("load", store, source)
    os.chmod(source, 0o000)

    def run(*arguments):
        return subprocess.run([program, *arguments], user=user, capture_output=True, check=False)

    result = run("load", os.path.join(directory, "q.lum"), source)
    check(result.returncode == 1 and b"p.csv" in result.stderr and b"ermission" in result.stderr, "unreadable file", result)
    os.chmod(source, 0o644)
    for root, folders, files in os.walk(store):
        for name in folders + files:
            os.chmod(os.path.join(root, name), 0o555 if name in folders else 0o444)
    os.chmod(store, 0o555)
    os.chmod(directory, 0o555)
    result = run("load", store, source)
    check(result.returncode == 1 and b"p.lum" in result.stderr, "a store without write permission", result)
    result = run("load", os.path.join(directory, "q.lum"), source)
    check(result.returncode == 1, "a directory without write permission", result)
    check(json.loads(run("info", store, "--json").stdout)["lums"] == 1, "info needs no write permission")
    check(b"\n1," in run("scan", store).stdout, "scan needs no write permission")
    check(run("verify", store).returncode == 0, "verify needs no write permission")
    check(run("wal", store).returncode == 0, "wal needs no write permission")
    os.chmod(directory, 0o755)
    for root, _, _ in os.walk(store):
        os.chmod(root, 0o755)
    shutil.rmtree(store)
    if user:
        shutil.rmtree(directory)


def test_full_outputs():
    lum("scan", "s.lum", "-o", "/dev/full", expect=7)
    lum("scan", "s.lum", "-o", "no/where.csv", expect=8)
    with open("/dev/full", "wb") as full:
        for arguments in (["scan", "s.lum"], ["info", "s.lum", "--json"], ["info", "s.lum"], ["wal", "s.lum"]):
            done = subprocess.run([LUM, *arguments], stdout=full, stderr=subprocess.PIPE, check=False)
            check(done.returncode in (1, 7) and b"lum: " in done.stderr, arguments, done)
    lum("load", "s.lum", "good.csv", "--events", "/dev/full", expect=7)


def test_closed_pipes_kill_quietly():
    lum("stress", "pipe.lum", "--count", "100K", "--keep", "-q")
    scan = subprocess.Popen([LUM, "scan", "pipe.lum", "-q"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    scan.stdout.readline()
    scan.stdout.close()
    check(scan.wait() == -13 and scan.stderr.read() == b"", "SIGPIPE", scan.returncode)


def test_a_full_disk():
    """On a file system of 24 MiB, where one can be mounted."""
    os.mkdir("small")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", "small"], capture_output=True, check=False).returncode != 0:
        print("  skipped: no file system can be mounted here")
        return
    try:
        write("wide.csv", b"id,timestamp,memory_address\n" + b"".join(
            b"%d,%d,%d\n" % (i, random.getrandbits(63), random.getrandbits(63)) for i in range(1500000)))
        result = lum("load", "small/f.lum", "wide.csv", "--commit-every", "200K", "--json", "--events", "full.events", expect=7)
        loaded = result.json["rows_loaded"]
        with open("full.events", encoding="utf-8") as file:
            told = [json.loads(line)["rows_committed"] for line in file]
        check(loaded == (told[-1] if told else 0) and loaded % 200000 == 0, loaded, told)
        check(result.json["error"]["name"] == "ERR_NO_SPACE" and result.json["error"]["remedy"], result.json)
        check(result.json["rows_read"] == loaded + result.json["rows_rolled_back"], result.json)
        check(lum("info", "small/f.lum", "--json").json["lums"] == loaded, "rows after a full disk")
        check(lum("verify", "small/f.lum", "--json").json["ok"] is True, "verify after a full disk")
        lum("stress", "small/s.lum", "--count", "10M", expect=7)
        check(not os.path.exists("small/s.lum"), "stress made something without room")
    finally:
        subprocess.run(["umount", "-l", "small"], check=False)


if sys.platform != "linux":
    sys.exit(77)
run_tests(globals())
