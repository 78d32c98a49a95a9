#!/usr/bin/env python3
"""Proves what `lum load` does with bad rows: under any number of workers the reject file has exactly them, as they were, in input order, and the
errors file their lines and columns; the corrected reject file completes the set; --max-errors, a full disk and a kill leave nothing half done, and
no durable commit counts a refused row that is not in the file (figure b)."""
import csv
import json
import os
import random
import signal
import subprocess
import time

from program import LUM, check, lum, run_tests

HEADER = "id,presence,position_x,position_y,structure_type,timestamp,note\n"
ROWS = 200000


def good_row(i):
    note = f'"line one\nline two, {i}"' if i % 1000 == 77 else "plain"
    end = "\r\n" if i % 3 == 0 else "\n"
    return f"{i},{i & 1},{i % 4000 - 2000},{-i},{i % 6},{1700000000000000000 + i},{note}{end}"


# What can be wrong: how a good row becomes bad, the column of the offence (0: the row as a whole), and the code.
BAD = [
    (lambda f: ["x" + f[0], *f[1:]], 1, "syntax"),
    (lambda f: ["", *f[1:]], 1, "empty"),
    (lambda f: [f[0], "2", *f[2:]], 2, None),
    (lambda f: [*f[:2], "2147483648", *f[3:]], 3, "range"),
    (lambda f: [*f[:3], "1.5", *f[4:]], 4, "leftover"),
    (lambda f: [*f[:4], "sphere", *f[5:]], 5, None),
    (lambda f: [*f[:5], "Monday", *f[6:]], 6, "syntax"),
    (lambda f: [*f[:5], "1950-01-01", *f[6:]], 6, None),
    (lambda f: f[:5], 0, "fields"),
    (lambda f: [*f, "one more"], 0, "fields"),
    (lambda f: [*f[:6], '"closed" too early'], 7, "quote"),
    (lambda f: ["18446744073709551616", *f[1:]], 1, "range"),
]


class Data:
    """bad.csv: one row of a hundred is bad, spread at random; good.csv: the same rows, all good."""

    def __init__(self, seed=1):
        rng = random.Random(seed)
        self.good, self.bad_rows, self.expected, lines = [], [], [], [HEADER]
        self.is_bad = bytearray(ROWS)
        line = 2
        for i in range(ROWS):
            row = good_row(i)
            self.good.append(row)
            if rng.random() < 0.01:
                change, column, code = BAD[rng.randrange(len(BAD))]
                row = ",".join(change(f"{i},{i & 1},{i % 4000 - 2000},{-i},{i % 6},{1700000000000000000 + i},plain".split(","))) + "\n"
                self.is_bad[i] = 1
                self.bad_rows.append(i)
                self.expected.append((row, i + 1, line, column, code))
            lines.append(row)
            line += row.count("\n")
        self.text = "".join(lines)
        with open("bad.csv", "w", encoding="utf-8", newline="") as file:
            file.write(self.text)
        with open("good.csv", "w", encoding="utf-8", newline="") as file:
            file.writelines([HEADER, *self.good])


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def rows_of_file(path, text):
    """The rows of a reject file: each must be one of the input's bad rows, so they can be told apart by their text alone."""
    check(text.startswith(HEADER), path, "has not the header of the input")
    return text[len(HEADER):]


def account(report):
    check(report["rows_read"] == report["rows_loaded"] + report["rows_rejected"] + report["rows_skipped"] + report["rows_rolled_back"], report)


def sorted_scan(store):
    return sorted(lum("scan", store).out.splitlines()[1:])


def test_rows_lines_and_columns_are_right_for_any_number_of_workers():
    global data
    data = Data()
    check(len(data.expected) > 1500, "too few bad rows")
    for threads in (1, 2, 8):
        report = lum("load", f"s{threads}", "bad.csv", "--on-error", f"reject=r{threads}.csv", "--threads", threads, "--chunk-lums", "4096",
                     "--json").json
        account(report)
        count = len(data.expected)
        check(report["rows_rejected"] == report["reject_file_rows"] == count and report["rows_read"] == ROWS, report)
        check(report["reject_file"] == f"r{threads}.csv" and report["reject_errors_file"] == f"r{threads}.csv.errors.csv", report)
        check(rows_of_file(f"r{threads}.csv", read(f"r{threads}.csv")) == "".join(e[0] for e in data.expected), threads, "workers: other bad rows")
        with open(f"r{threads}.csv.errors.csv", encoding="utf-8", newline="") as file:
            told = list(csv.DictReader(file))
        check(len(told) == count, len(told), count)
        for error, (row, number, line, column, code) in zip(told, data.expected):
            seen = (error["file"], int(error["row"]), int(error["line"]), int(error["column"] or 0))
            check(seen == ("bad.csv", number, line, column), row, error)
            check(code is None or error["code"] == code, code, error)
            check(error["reason"] and data.text.encode()[int(error["byte"]):int(error["byte"]) + 1] != b"", error)
    check(read("r1.csv.errors.csv") == read("r2.csv.errors.csv") == read("r8.csv.errors.csv"), "the errors differ with the workers")


def test_the_corrected_reject_file_completes_the_set():
    text = HEADER + "".join(data.good[i] for i in data.bad_rows)
    check(len(text) != len(read("r8.csv")), "nothing was corrected")
    with open("r8.csv", "w", encoding="utf-8", newline="") as file:
        file.write(text)
    lum("load", "s8", "r8.csv")
    lum("load", "good", "good.csv")
    check(sorted_scan("s8") == sorted_scan("good"), "the set is not complete")
    # as it is, the reject file loads with the same options: every row is refused again, byte for byte
    report = lum("load", "again", "r2.csv", "--on-error", "reject=r22.csv", "--json").json
    check(report["rows_loaded"] == 0 and report["rows_rejected"] == len(data.expected), report)
    check(read("r22.csv") == read("r2.csv"), "the reject file of a reject file")


def test_skip_counts_and_keeps_nothing():
    before = set(os.listdir("."))
    result = lum("load", "skip", "bad.csv", "--on-error", "skip", "--json")
    account(result.json)
    check(result.json["rows_rejected"] == len(data.expected) and result.json["reject_file"] is None, result.json)
    check(set(os.listdir(".")) - before == {"skip"}, "files were made")
    first = data.expected[0]
    check(f"refused rows: {len(data.expected):,}, the first: bad.csv:{first[2]}: " in result.err, result.err)


def test_max_errors():
    count = len(data.expected)
    lum("load", "max", "bad.csv", "--on-error", "skip", "--max-errors", count)
    for more in ([], ["--commit-every", "10K"]):
        for threads in (1, 8):
            report = lum("load", "max2", "bad.csv", "--on-error", "reject=max.csv", "--max-errors", count - 1, "--json", "--threads", threads, *more,
                         expect=6).json
            account(report)
            check(report["error"]["file"] == "bad.csv" and report["error"]["line"] > 1 and str(count - 1) in report["error"]["message"], report)
            loaded = lum("info", "max2", "--json").json["lums"]
            check(loaded == report["rows_loaded"], loaded, report)
            prefix = committed_prefix(loaded)
            if not more:
                check(prefix == 0 and not os.path.exists("max.csv") and not os.path.exists("max.csv.errors.csv"), "something stayed")
                continue
            check(prefix % 10000 == 0 and (prefix > 0 or threads > 1), "what is committed is no prefix of transactions", prefix)
            if prefix > 0:
                check(rows_of_file("max.csv", read("max.csv")) == "".join(e[0] for e in data.expected if e[1] <= prefix), "the file is not cut back")
                check(len(list(csv.DictReader(open("max.csv.errors.csv", newline="", encoding="utf-8")))) == report["reject_file_rows"], report)
                os.unlink("max.csv")
                os.unlink("max.csv.errors.csv")
            subprocess.run(["rm", "-r", "max2"], check=True)


def committed_prefix(loaded):
    """Input rows of the smallest whole number of 10,000 row transactions that load `loaded` rows; -1: there is none."""
    good = 0
    for end in range(0, ROWS + 1, 10000):
        if good == loaded:
            return end
        good += 10000 - sum(data.is_bad[end:end + 10000])
    return -1


def test_what_a_reject_file_may_not_be():
    with open("one.csv", "w", encoding="utf-8") as file:
        file.write("id\n1\nx\n")
    lum("load", "one", "one.csv", "--on-error", "skip")
    with open("there.csv", "w", encoding="utf-8") as file:
        file.write("id\n2\n")
    for name, code, words in (("there.csv", 2, "is there already"), ("one.csv", 2, "is an input"), ("./one.csv", 2, "is an input"),
                              ("one/x.csv", 2, "in the store"), ("/dev/null", 2, "not a regular file"), ("none/x.csv", 8, "cannot make"), (".", 2, "")):
        result = lum("load", "one", "one.csv", "--on-error", f"reject={name}", expect=code)
        check(words in result.err, words, result.err)
    check(read("there.csv") == "id\n2\n" and read("one.csv") == "id\n1\nx\n", "a file was touched")
    os.rename("there.csv", "x.csv.errors.csv")
    lum("load", "one", "one.csv", "--on-error", "reject=x.csv", expect=2)
    check(not os.path.exists("x.csv"), "half of a pair was made")
    open("empty.csv", "w", encoding="utf-8").close()
    lum("load", "one", "one.csv", "--on-error", "reject=empty.csv")
    check(read("empty.csv") == "id\nx\n", "an empty file may be taken")
    for words, arguments in (("needs the name", ["--on-error", "reject"]), ("needs the name", ["--on-error", "reject="]),
                             ("no \"discard\"", ["--on-error", "discard"]), ("--max-errors", ["--max-errors", "3"])):
        result = lum("load", "one", "one.csv", *arguments, expect=2)
        check(words in result.err, words, result.err)
    check(lum("info", "one", "--json").json["lums"] == 2, "a refused command loaded something")


def test_no_bad_row_leaves_no_file():
    lum("load", "clean", "good.csv", "--on-error", "reject=none.csv")
    check(not os.path.exists("none.csv") and not os.path.exists("none.csv.errors.csv"), "files without rows")


def test_several_files_share_one_reject_file():
    for name, text in (("f1.csv", "id,position_x\n1,1\n2,bad\n3,3\nbad,4"), ("f2.csv", "id,position_x\n5,bad\n6,6\n"),
                       ("f3.csv", "position_x,id\n7,7\n"), ("f4.csv", "id,position_x\nx,8")):
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)
    for threads in (1, 4):
        lum("load", "files", "f1.csv", "f2.csv", "f4.csv", "--on-error", f"reject=files{threads}.csv", "--threads", threads)
        check(read(f"files{threads}.csv") == "id,position_x\n2,bad\nbad,4\n5,bad\nx,8\n", "rows of several files")
        told = [(e["file"], e["line"], e["column"]) for e in csv.DictReader(open(f"files{threads}.csv.errors.csv", newline="", encoding="utf-8"))]
        check(told == [("f1.csv", "3", "2"), ("f1.csv", "5", "1"), ("f2.csv", "2", "2"), ("f4.csv", "2", "1")], told)
    result = lum("load", "files2", "f1.csv", "f3.csv", "--on-error", "reject=other.csv", expect=6)
    check("f3.csv" in result.err and "not that of f1.csv" in result.err, result.err)
    check(not os.path.exists("other.csv") and lum("info", "files2", "--json").json["lums"] == 0, "something stayed")
    lum("load", "files2", "f1.csv", "f3.csv", "--on-error", "skip")
    check(lum("info", "files2", "--json").json["lums"] == 3, "without a reject file they may follow each other")


def test_quotes_in_names_and_values_come_out_as_csv():
    with open("quotes.csv", "w", encoding="utf-8") as file:
        file.write('id,"the ""x"" of it"\n1,5\n2,"say ""no"""\n3,a"b"\n')
    with open("quotes.ndjson", "w", encoding="utf-8") as file:
        file.write('{"id":1,"the \\"x\\" of it":5}\n{"id":2,"the \\"x\\" of it":"say \\"no\\""}\n{"id":3,"the \\"x\\" of it":[]}\n')
    shown = {"quotes.csv": ['"say ""no""" is not a number', '"a"b"" is not a number'],
             "quotes.ndjson": ['"say "no"" is not a number', "an object or an array is no value"]}
    for name, reasons in shown.items():
        lum("load", "quoted." + name, name, "--map", 'position_x=the "x" of it', "--on-error", f"reject=rejected.{name}")
        told = list(csv.DictReader(open(f"rejected.{name}.errors.csv", newline="", encoding="utf-8")))
        check(len(told) == 2 and all(None not in e and e["column_name"] == 'the "x" of it' for e in told), told)
        for e, reason in zip(told, reasons):
            check(' "the "x" of it", for position_x: ' in e["reason"] and reason in e["reason"], name, e)
            result = lum("load", "alone", name, "--map", 'position_x=the "x" of it', expect=6)
            check(told[0]["reason"] in result.err, "the file and the error tell different reasons", result.err)


def test_all_rows_bad():
    with open("all.csv", "w", encoding="utf-8") as file:
        file.write("id\n" + "".join(f"bad{i}\n" for i in range(100000)))
    for threads in (1, 8):
        report = lum("load", "all", "all.csv", "--on-error", f"reject=all{threads}.csv", "--threads", threads, "--chunk-lums", "4096", "--json").json
        account(report)
        check(report["rows_loaded"] == 0 and report["rows_rejected"] == 100000 and report["commits"] == 1, report)
        check(read(f"all{threads}.csv") == read("all.csv"), "not the input")


def test_the_other_formats_make_files_that_load():
    """ndjson, npy and raw: what is refused is a file of the same format, refused again as it is and loaded once it is put right."""
    lum("load", "source", "good.csv")
    bad = sorted(random.Random(5).sample(range(ROWS), 500))
    for name in ("ndjson", "npy", "raw"):
        columns = {"ndjson": ["--columns", "id,presence"], "npy": ["--columns", "all"], "raw": []}[name]
        lum("scan", "source", "--format", name, *columns, "-o", f"whole.{name}")
        with open(f"whole.{name}", "rb") as file:
            data = bytearray(file.read())
        if name == "ndjson":
            lines = data.splitlines(keepends=True)
            for i in bad:
                lines[i] = lines[i].replace(b'"presence":', b'"presence":7')
            records, data = [lines[i] for i in bad], b"".join(lines)
        else:
            begin = len(data) - 40 * ROWS
            check(begin % 64 == 0, name, "of another size", len(data))
            for i in bad:
                data[begin + 40 * i + 38] = 9  # is_destroyed
            records = [bytes(data[begin + 40 * i:begin + 40 * i + 40]) for i in bad]
        with open(f"some.{name}", "wb") as file:
            file.write(data)
        for threads in (1, 8):
            store, rejects = f"{name}{threads}", f"rejects{threads}.{name}"
            report = lum("load", store, f"some.{name}", "--on-error", f"reject={rejects}", "--threads", threads, "--chunk-lums", "4096", "--commit-every",
                         "50K", "--json").json
            account(report)
            check(report["rows_rejected"] == len(bad) == report["reject_file_rows"] and report["rows_loaded"] == ROWS - len(bad), report)
            with open(rejects, "rb") as file:
                kept = file.read()
            check(kept.endswith(b"".join(records)), name, "not the bytes of the refused rows")
            check(name == "npy" or kept == b"".join(records), name, "something in front of the rows")
            check(name != "npy" or (f"'shape': ({len(bad)},)".encode() in kept and (len(kept) - 40 * len(bad)) % 64 == 0), kept[:300])
            told = list(csv.DictReader(open(f"{rejects}.errors.csv", newline="", encoding="utf-8")))
            check([int(e["row"]) for e in told] == [i + 1 for i in bad], name, "rows of the errors file")
            check([e["line"] for e in told] == ([str(i + 1) for i in bad] if name == "ndjson" else [""] * len(bad)), name, "lines")
            report = lum("load", "none", rejects, "--on-error", f"reject=again.{name}", "--json").json
            check(report["rows_loaded"] == 0 and report["rows_rejected"] == len(bad), report)
            with open(f"again.{name}", "rb") as file:
                check(file.read() == kept, name, "a reject file of a reject file")
            os.unlink(f"again.{name}")
            os.unlink(f"again.{name}.errors.csv")
            mended = kept.replace(b'"presence":7', b'"presence":') if name == "ndjson" else mend(kept, len(bad))
            with open(rejects, "wb") as file:
                file.write(mended)
            lum("load", store, rejects)
            if threads == 1:
                lum("load", f"all-{name}", f"whole.{name}")
            check(sorted_scan(store) == sorted_scan(f"all-{name}"), name, "the set is not complete")


def mend(kept, count):
    """The refused records with is_destroyed back at 0: their checksums are right again."""
    data = bytearray(kept)
    for i in range(count):
        data[len(data) - 40 * count + 40 * i + 38] = 0
    return bytes(data)


def test_formats_may_be_mixed_but_not_in_one_reject_file():
    lum("load", "mixed", "whole.npy", "whole.ndjson", "whole.raw", "good.csv", "--threads", "4", "--on-error", "skip", "--chunk-lums", "8192")
    rows = lum("scan", "mixed", "--columns", "id").out.splitlines()[1:]
    check([int(r) for r in rows] == list(range(ROWS)) * 4, "rows or their order")
    result = lum("load", "mixed2", "whole.npy", "good.csv", "--on-error", "reject=mixed.csv", expect=6)
    check("good.csv" in result.err and "not that of whole.npy" in result.err, result.err)


def test_a_full_disk_fails_the_load_and_loses_nothing():
    if os.geteuid() != 0:
        print("    left out: needs root to mount")
        return
    os.mkdir("small")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", "small"], check=False).returncode != 0:
        print("    left out: cannot mount here")
        return
    try:
        for more in ([], ["--commit-every", "10K"]):
            report = lum("load", "full", "bad.csv", "--on-error", "reject=small/full.csv", "--json", "--threads", 2, *more, expect=7).json
            account(report)
            check(report["error"]["name"] == "ERR_NO_SPACE" and "small/full.csv" in report["error"]["file"] and report["error"]["remedy"], report)
            loaded = lum("info", "full", "--json").json["lums"]
            prefix = committed_prefix(loaded)
            check(loaded == report["rows_loaded"] and prefix >= 0 and (more or prefix == 0), loaded, report)
            told = [e for e in data.expected if e[1] <= prefix]
            if told:
                check(rows_of_file("full", read("small/full.csv")) == "".join(e[0] for e in told), "refused rows of committed transactions are missing")
            else:
                check(not os.path.exists("small/full.csv"), "a file of nothing")
    finally:
        subprocess.run(["umount", "-l", "small"], check=False)


def test_inputs_with_other_line_ends_share_a_reject_file():
    """Each row keeps its own; so does a first input that is a header without a line end."""
    texts = {"lf.csv": "id,position_x\n1,2\nx3,3\n", "crlf.csv": "id,position_x\r\n4,2\r\nx5,3\r\n", "cr.csv": "id,position_x\r6,2\rx7,3\r",
             "head.csv": "id,position_x"}
    for name, text in texts.items():
        with open(name, "w", encoding="ascii", newline="") as file:
            file.write(text)
    for number, names in enumerate((["lf.csv", "crlf.csv", "cr.csv"], ["crlf.csv", "cr.csv", "lf.csv"], ["cr.csv", "head.csv", "lf.csv", "crlf.csv"],
                                    ["head.csv", "crlf.csv", "lf.csv", "cr.csv"])):
        store, bad = f"ends{number}", f"ends{number}.csv"
        lum("load", store, *names, "--on-error", f"reject={bad}")
        refused = "".join(texts[name][texts[name].index("x", 13):] for name in names if name != "head.csv")
        end = "\n" if names[0] in ("head.csv", "lf.csv") else texts[names[0]][13:texts[names[0]].index("4" if "crlf" in names[0] else "6")]
        content = open(bad, encoding="ascii", newline="").read()
        check(content == "id,position_x" + end + refused, names, repr(content))
        with open(bad, "w", encoding="ascii", newline="") as file:
            file.write(content.replace("x3", "3").replace("x5", "5").replace("x7", "7"))
        lum("load", store, bad)
        ids = sorted(lum("scan", store, "--columns", "id").out.decode().split()[1:])
        check(ids == ["1", "3", "4", "5", "6", "7"], names, ids)


def npy_file(name, descr, records):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': ({len(records)},), }}"
    header += " " * (64 - (11 + len(header)) % 64) + "\n"
    with open(name, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"".join(records))


def test_inputs_whose_rows_cannot_share_a_reject_file():
    """The message says what differs. The two .npy once went into one file, though their bytes mean other numbers."""
    for name, text in (("f.csv", "id,position_x\n1,2\nx,3\n"), ("h.csv", "id,position_y\n1,2\n"), ("f.tsv", "id\tposition_x\n1\t2\n"),
                       ("f.ndjson", '{"id":1}\n'), ("m.ndjson", '{"id":1,"presence":1}\n')):
        with open(name, "w", encoding="ascii") as file:
            file.write(text)
    npy_file("little.npy", "[('id', '<i4')]", [b"\1\0\0\0", b"\0\0\0\xff"])
    npy_file("big.npy", "[('id', '>i4')]", [b"\0\0\0\1", b"\xff\0\0\0"])
    for first, second, what in (("f.csv", "h.csv", "header row"), ("f.csv", "f.tsv", "header row"), ("f.csv", "f.ndjson", "format"),
                                ("f.ndjson", "m.ndjson", "mapping"), ("little.npy", "big.npy", "record type")):
        error = lum("load", "none", first, second, "--on-error", "reject=no.csv", "--json", expect=6).json["error"]
        check(error["file"] == second and f"its {what} is not that of {first}" in error["message"] and "by itself" in error["message"], error)
        check(not os.path.exists("no.csv"), "a reject file is left")
    lum("load", "none", "little.npy", "little.npy", "--on-error", "reject=both.npy")
    check(open("both.npy", "rb").read()[-8:] == b"\0\0\0\xff" * 2, "the same type twice")


def test_numbered_rows_are_told_to_need_ids():
    with open("numbered.csv", "w", encoding="ascii") as file:
        file.write("position_x\n1\nx\n3\n")
    done = lum("load", "numbered", "numbered.csv", "--map", "id=@row", "--on-error", "reject=unnumbered.csv")
    check("loaded by itself, unnumbered.csv is numbered from 1 again" in done.err, done.err)


def interrupt_once(number):
    """A load that gets SIGINT after its first commit; returns its exit code."""
    names = (f"i{number}", f"i{number}.csv", f"i{number}.events")
    with subprocess.Popen([LUM, "load", names[0], "bad.csv", "--on-error", f"reject={names[1]}", "--commit-every", "2K", "--events", names[2], "--json"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while process.poll() is None and not (os.path.exists(names[2]) and os.path.getsize(names[2])):
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    report = json.loads(out)
    account(report)
    lines = read(names[2]).splitlines()
    committed = json.loads(lines[-1])["rows_committed"]
    expected = "".join(e[0] for e in data.expected if e[1] <= committed)
    check(rows_of_file(names[1], read(names[1])) == expected, "the reject file is not that of the committed rows", committed, err)
    check(report["reject_file_rows"] == expected.count("\n") and lum("info", names[0], "--json").json["lums"] == report["rows_loaded"], report)
    return process.returncode


def test_an_interrupted_load_keeps_what_is_committed():
    codes = [interrupt_once(number) for number in range(3)]
    check(130 in codes and set(codes) <= {0, 130}, "exit codes", codes)


def kill_at_random(number, rng, seconds):
    """One load killed; returns the rows that were told durable."""
    names = (f"k{number}", f"k{number}.csv", f"k{number}.events")
    with subprocess.Popen([LUM, "load", names[0], "bad.csv", "--on-error", f"reject={names[1]}", "--commit-every", "2K", "--events", names[2],
                           "--threads", str(rng.choice((1, 2, 4)))], stderr=subprocess.DEVNULL) as process:
        time.sleep(rng.random() * seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    if not os.path.exists(names[2]):
        return 0
    lines = read(names[2]).split("\n")[:-1]  # what has no end was not flushed
    durable = json.loads(lines[-1])["rows_committed"] if lines else 0
    rows = rows_of_file(names[1], read(names[1])) if durable and os.path.getsize(names[1]) else ""
    expected = "".join(e[0] for e in data.expected if e[1] <= durable)
    check(rows.startswith(expected), "after a kill", durable, "rows are durable, but refused ones of them are not in the file")
    loaded = lum("info", names[0], "--json").json["lums"] if os.path.exists(f"{names[0]}/STATE") else 0
    check(loaded >= durable - sum(data.is_bad[:durable]), "loaded", loaded, "of", durable)
    return durable


def test_a_kill_loses_no_refused_row_of_a_durable_commit():
    seed = int(os.environ.get("LUM_SEED", "0")) or random.randrange(1, 1 << 30)
    print(f"    LUM_SEED={seed}")
    rng = random.Random(seed)
    begin = time.monotonic()
    lum("load", "whole", "bad.csv", "--on-error", "reject=whole.csv", "--commit-every", "2K", "--threads", "2")
    seconds = min(time.monotonic() - begin, 3)
    durable = []
    while len(durable) < 12 or (len(durable) < 60 and not any(0 < d < ROWS for d in durable)):
        durable.append(kill_at_random(len(durable), rng, seconds))
        seconds *= 0.9 if durable[-1] == ROWS else 1.1 if durable[-1] == 0 else 1  # the machine's speed is not always the first load's
    check(any(0 < d < ROWS for d in durable), "no kill came in the middle", durable)


run_tests(globals())
