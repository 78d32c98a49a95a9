#!/usr/bin/env python3
"""Proves figure d: load, scan, load is the identity for each format and for each pair of formats, from rows with every extreme and from real
data; NumPy and Python read what lum wrote and lum reads what they wrote. Exits with 77 where NumPy is not installed."""
import csv
import functools
import io
import json
import os
import random
import resource
import struct
import subprocess
import sys

try:
    import numpy
except ImportError:  # another python3 may stand first in the PATH, without NumPy
    if os.path.realpath(sys.executable) != os.path.realpath("/usr/bin/python3") and os.access("/usr/bin/python3", os.X_OK):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    print("NumPy is not installed (Debian: python3-numpy)")
    sys.exit(77)

sys.path.insert(0, os.path.join(os.environ["LUM_SOURCE_DIR"], "tests", "support"))
from lum_program import RECORD, crc32c  # noqa: E402
from program import CITIES, CITIES_MAP, check, lum, run_tests  # noqa: E402

FORMATS = ["csv", "ndjson", "npy", "raw"]
NAMES = ["id", "presence", "position_x", "position_y", "structure_type", "timestamp", "memory_address", "is_destroyed", "checksum"]
RECORD_TYPE = numpy.dtype([("id", "<u8"), ("timestamp", "<u8"), ("memory_address", "<u8"), ("position_x", "<i4"), ("position_y", "<i4"),
                           ("checksum", "<u4"), ("presence", "u1"), ("structure_type", "u1"), ("is_destroyed", "u1"), ("reserved", "u1")])
U64, I32 = 2**64 - 1, 2**31


@functools.cache
def extreme_records():
    """Every extreme of every field with a few of the others, versions of one id and tombstones; then anything."""
    ids, times, xs = [0, 1, U64, 2**63, 9007199254740993], [0, U64, 1, 2**63 - 1], [0, -1, I32 - 1, -I32]
    rows = []
    for i in range(3000):
        noise = (i + 1) * 0x9E3779B97F4A7C15 & U64
        rows.append((ids[i % 5] if i < 600 else noise, times[i // 5 % 4] if i < 600 else noise * 3 & U64, times[i // 7 % 4] if i % 2 else noise,
                     xs[i // 3 % 4] if i < 600 else (noise >> 7 & 2 * I32 - 1) - I32, xs[i % 4] if i % 3 else (noise >> 9 & 2 * I32 - 1) - I32,
                     i & 1, i % 6, i % 7 == 0, 0))
    return b"".join(RECORD.pack(*row[:5], crc32c(RECORD.pack(*row[:5], 0, *row[5:])), *row[5:]) for row in rows)


def scan(store, format_name, *more):
    return lum("scan", store, "--format", format_name, "-q", *more).out


def all_columns(format_name):
    return [] if format_name == "raw" else ["--columns", "all"]


def check_pairs(name, raw):
    """raw -> A -> B -> raw for all A and B, by files and by pipes, is raw again."""
    with open(f"{name}.raw", "wb") as file:
        file.write(raw)
    lum("load", f"{name}.lum", f"{name}.raw", "-q")
    check(scan(f"{name}.lum", "raw") == raw, name, "raw -> raw")
    digest = lum("info", f"{name}.lum", "--json").json["digest"]
    for first in FORMATS:
        lum("scan", f"{name}.lum", "--format", first, *all_columns(first), "-o", f"{name}-a.{first}", "-q")
        lum("load", f"{name}-{first}.lum", f"{name}-a.{first}", "--threads", "3", "--chunk-lums", "4096", "-q")
        check(lum("info", f"{name}-{first}.lum", "--json").json["digest"] == digest, name, first)
        for second in FORMATS:
            pair = f"{name}-{first}-{second}"
            data = scan(f"{name}-{first}.lum", second, *all_columns(second))
            lum("load", f"{pair}.lum", "-", "--format", second, "--chunk-lums", "8192", "-q", stdin=data)
            check(lum("info", f"{pair}.lum", "--json").json["digest"] == digest, pair, "digest")
            check(scan(f"{pair}.lum", "raw") == raw, pair, "rows")


def test_every_pair_of_formats_is_the_identity_for_extremes():
    check_pairs("extreme", extreme_records())


def test_every_pair_of_formats_is_the_identity_for_cities():
    lum("load", "cities.lum", CITIES, "--map", CITIES_MAP, "-q")
    check_pairs("city", scan("cities.lum", "raw"))


def test_python_reads_what_lum_wrote():
    records = [RECORD.unpack_from(extreme_records(), i * 40) for i in range(3000)]
    want = [dict(zip(("id", "timestamp", "memory_address", "position_x", "position_y", "checksum", "presence", "structure_type",
                      "is_destroyed"), r[:9])) for r in records]
    rows = list(csv.DictReader(io.StringIO(scan("extreme.lum", "csv", "--columns", "all").decode())))
    check([{k: int(v) for k, v in row.items()} for row in rows] == want, "csv")
    check([json.loads(line) for line in scan("extreme.lum", "ndjson", "--columns", "all").splitlines()] == want, "ndjson")
    check([json.loads(line) for line in scan("extreme.lum", "ndjson", "--columns", "timestamp,id").splitlines()]
          == [{"timestamp": w["timestamp"], "id": w["id"]} for w in want], "ndjson columns")
    array = numpy.frombuffer(scan("extreme.lum", "raw"), RECORD_TYPE)
    check(array.tobytes() == extreme_records(), "raw")
    for columns in ("all", "id", "timestamp,id", "position_x,is_destroyed,checksum", ",".join(NAMES)):
        lum("scan", "extreme.lum", "--format", "npy", "--columns", columns, "-o", "columns.npy", "-q")
        array = numpy.load("columns.npy", mmap_mode="r", allow_pickle=False)
        names = list(array.dtype.names) if columns == "all" else columns.split(",")
        check(list(array.dtype.names) == names and sorted(names) == sorted(NAMES if columns == "all" else names), columns, array.dtype)
        check(array.shape == (3000,) and array.dtype.itemsize == (40 if columns == "all" else sum(RECORD_TYPE[n].itemsize for n in names)), array.dtype)
        check(os.path.getsize("columns.npy") % 64 == array.nbytes % 64, "the data begins at a multiple of 64")
        for name in names:
            check([int(v) for v in array[name]] == [w[name] for w in want], columns, name)
    check(scan("extreme.lum", "npy") == scan("extreme.lum", "npy", "-o", "-"), "a pipe gets the same bytes as standard output")
    lum("scan", "extreme.lum", "--format", "npy", "--id", "5..4", "-o", "none.npy", "-q", expect=2)
    lum("scan", "extreme.lum", "--format", "npy", "--id", "2..3", "-o", "none.npy", "-q")
    for mode in (None, "r", "c"):  # mapped too: there is a header to map
        array = numpy.load("none.npy", mmap_mode=mode, allow_pickle=False)
        check(array.shape == (0,) and array.dtype.names[0] == "id", "an array without rows", mode, array.dtype)
    check(lum("load", "none.lum", "none.npy", "--json", "-q").json["rows_loaded"] == 0, "an array without rows is read")
    with open("redirected.npy", "wb") as file:
        subprocess.run([os.path.join(os.environ["LUM_BUILD_DIR"], "lum"), "scan", "extreme.lum", "--format", "npy", "-q"], stdout=file, check=True)
    check(numpy.load("redirected.npy").shape == (3000,), "redirected")
    with open("appended.npy", "ab") as file:
        file.write(b"12345")
        file.flush()
        subprocess.run([os.path.join(os.environ["LUM_BUILD_DIR"], "lum"), "scan", "extreme.lum", "--format", "npy", "-q"], stdout=file, check=True)
    with open("appended.npy", "rb") as file:
        check(file.read(5) == b"12345" and numpy.load(file).shape == (3000,), "appended to a file")


def load_array(array, *more, expect=0):
    """Through a file of np.save's; gives back the rows as RECORD_TYPE."""
    numpy.save("array.npy", array)
    subprocess.run(["rm", "-rf", "array.lum"], check=True)
    result = lum("load", "array.lum", "array.npy", "-q", *more, expect=expect)
    return numpy.frombuffer(scan("array.lum", "raw"), RECORD_TYPE) if expect == 0 else result.err


def test_lum_reads_what_numpy_wrote():
    whole = numpy.frombuffer(extreme_records(), RECORD_TYPE)
    check(load_array(whole).tobytes() == whole.tobytes(), "the record itself")
    for names in (["id"], ["position_y", "id"], ["id", "timestamp", "is_destroyed", "structure_type"], [n for n in RECORD_TYPE.names if n != "reserved"]):
        for align in (False, True):
            for order in "<>":
                kind = numpy.dtype([(n, RECORD_TYPE[n].newbyteorder(order)) for n in names], align=align)
                array = numpy.zeros(len(whole), kind)
                for name in names:
                    array[name] = whole[name]
                got = load_array(array)
                for name in RECORD_TYPE.names:
                    if name == "checksum" and "checksum" not in names:
                        continue
                    want = whole[name] if name in names else numpy.full(len(whole), name == "presence")
                    check((got[name] == want).all(), names, "align" if align else "", order, name)
    view = whole[["id", "position_x"]]  # a view with holes, saved with its padding
    got = load_array(view)
    check((got["id"] == whole["id"]).all() and (got["position_x"] == whole["position_x"]).all(), "a view")


def test_numpy_types_are_converted_exactly():
    times = numpy.array(["1970-01-01", "2026-11-25T12:34:56.789", "2554-07-21T23:34:33"], "M8[ms]")
    for unit in ("ns", "us", "ms", "s"):
        array = numpy.zeros(2, [("id", "<i2"), ("timestamp", f"<M8[{unit}]"), ("presence", "?")])
        array["id"], array["timestamp"], array["presence"] = [3, 4], times[:2], [True, False]
        got = load_array(array)
        want = [0, int(numpy.datetime64(times[1], unit).astype("M8[ns]").astype("u8"))]
        check(got["timestamp"].tolist() == want and got["presence"].tolist() == [1, 0] and got["id"].tolist() == [3, 4], unit, got)
    array = numpy.zeros(3, [("n", ">i8"), ("lon", "<i4"), ("t", "<u4")])
    array["n"], array["lon"], array["t"] = [1, 2, 3], [-5, 0, 7], [0, 1, 4294967295]
    got = load_array(array, "--map", "id=n,position_x=lon*1e3,timestamp=t,structure_type=group", "--time-unit", "s")
    check(got["position_x"].tolist() == [-5000, 0, 7000] and got["timestamp"].tolist() == [0, 10**9, 4294967295 * 10**9], got)
    check(got["structure_type"].tolist() == [3, 3, 3], "a constant")
    array["n"] = [1, -2, 3]
    err = load_array(array, "--map", "id=n", expect=6)
    check('column 1 "n", for id: "-2" is out of range' in err and "array.npy" in err, err)
    got = lum("load", "array.lum", "array.npy", "--map", "id=n", "--on-error", "reject=bad", "--json").json
    check((got["rows_read"], got["rows_loaded"], got["rows_rejected"]) == (3, 2, 1), got)
    bad = numpy.load("bad")
    check(bad.dtype == array.dtype and bad.tolist() == [(-2, 0, 1)], "the refused record", bad)
    bad["n"] = 2
    numpy.save("good.npy", bad)
    lum("load", "array.lum", "good.npy", "--map", "id=n", "-q")
    check(sorted(numpy.frombuffer(scan("array.lum", "raw"), RECORD_TYPE)["id"].tolist()) == [1, 2, 3], "the set is complete")
    for wrong, words in ((numpy.zeros(3), "plain values"), (numpy.zeros((2, 2), [("id", "<u8")]), "2 dimensions"),
                         (numpy.zeros((2, 2), [("id", "<u8")], order="F"), "Fortran order"),
                         (numpy.zeros(2, [("id", "<f8")]), "floating point"), (numpy.zeros(2, [("x", "<u8")]), 'no column is named "id"')):
        err = load_array(wrong, expect=6)
        check(words in err, words, err)
    objects = numpy.zeros(2, [("id", "O")])
    numpy.save("array.npy", objects, allow_pickle=True)
    check("pickle" in lum("load", "objects.lum", "array.npy", expect=6).err, "objects")


def test_lum_reads_what_json_wrote():
    whole = numpy.frombuffer(extreme_records(), RECORD_TYPE)
    rows = [dict(zip(RECORD_TYPE.names[:9], map(int, list(r)[:9]))) for r in whole]
    writings = {"default": json.dumps, "compact": lambda r: json.dumps(r, separators=(",", ":")), "sorted": lambda r: json.dumps(r, sort_keys=True),
                "quoted": lambda r: json.dumps({k: str(v) for k, v in r.items()}),
                "with more": lambda r: json.dumps({"name": "gr\u00fc\u00dfe \U0001F30D", **r, "tags": ["a", {"b": [None, True]}]}),
                "not ascii": lambda r: json.dumps({"name": "gr\u00fc\u00dfe \U0001F30D", **r}, ensure_ascii=False),
                "turned": lambda r: json.dumps(dict(reversed(r.items())) if r["id"] % 3 == 0 else r)}
    for name, write in writings.items():
        with open("rows.ndjson", "w", encoding="utf-8") as file:
            file.writelines(write(row) + "\n" for row in rows)
        lum("load", f"{name}.lum", "rows.ndjson", "-q", "--threads", "2")
        check(scan(f"{name}.lum", "raw") == whole.tobytes(), name)


def test_raw_and_formats_are_told_apart():
    check("--map does not go with raw" in lum("load", "x.lum", "extreme.raw", "--map", "id=@row", expect=2).err, "--map")
    with open("short.raw", "wb") as file:
        file.write(extreme_records()[:-1])
    result = lum("load", "x.lum", "short.raw", "--json", expect=6)
    check(result.json["error"]["offset"] == 2999 * 40 and not os.path.exists("x.lum"), result.err)
    broken = bytearray(extreme_records())
    struct.pack_into("<I", broken, 40 * 1000 + 32, 0)  # a checksum of 0 is none either
    with open("broken.raw", "wb") as file:
        file.write(broken)
    result = lum("load", "x.lum", "broken.raw", "--json", expect=6)
    check(result.json["error"]["offset"] == 40032 and "checksum is given as 0" in result.err, result.err)
    got = lum("load", "y.lum", "broken.raw", "--on-error", "reject=bad.raw", "--json").json
    check((got["rows_loaded"], got["rows_rejected"]) == (2999, 1), got)
    with open("bad.raw", "rb") as file:
        check(file.read() == broken[40000:40040], "the refused record")


def test_limit_and_interruption():
    for count in (1, 4095, 4096, 4097, 100000):
        out = scan("city.lum", "csv", "--limit", count, "--threads", "2")
        check(out.count(b"\n") == count + 1 and scan("city.lum", "csv", "--limit", 100001).startswith(out), count)
    check(scan("city.lum", "raw", "--limit", "7") == scan("city.lum", "raw")[:280], "raw")
    check(numpy.frombuffer(scan("city.lum", "npy", "--limit", "7")[-26 * 7:], "V26").shape == (7,), "npy")
    got = lum("scan", "city.lum", "--limit", "10", "--json", "-o", "ten.csv").json
    check(got["rows"] == 10 and got["pages_read"] < 49, got)
    one = scan("city.lum", "csv", "--columns", "all", "--threads", "1")
    for threads in (2, 3, 8):
        check(scan("city.lum", "csv", "--columns", "all", "--threads", threads) == one, threads, "threads")
    check(scan("city.lum", "csv", "--columns", "all", "--memory", "1Mi", "--threads", "8") == one, "little memory")
    # An output file appears whole or not at all; one that was there keeps its mode, and a link stays a link.
    with open("kept.csv", "w", encoding="utf-8") as file:
        file.write("old\n")
    os.chmod("kept.csv", 0o640)
    os.symlink("kept.csv", "link.csv")
    lum("scan", "city.lum", "--limit", "3", "-o", "link.csv")
    check(os.path.islink("link.csv") and os.stat("kept.csv").st_mode & 0o777 == 0o640, "mode and link")
    check(sum(1 for _ in open("kept.csv", encoding="utf-8")) == 4, "written through the link")
    # A file that cannot be written to its end does not appear, and the one that was there stays.
    for name, old in (("kept.csv", True), ("new.csv", False)):
        done = subprocess.run([os.path.join(os.environ["LUM_BUILD_DIR"], "lum"), "scan", "city.lum", "-o", name],
                              stderr=subprocess.PIPE, restore_signals=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)), check=False)
        check(done.returncode != 0 and b"cannot write to" in done.stderr, done)
        check(os.path.exists(name) == old, name)
    check(sum(1 for _ in open("kept.csv", encoding="utf-8")) == 4, "the old file")
    check(not [name for name in os.listdir(".") if ".part-" in name], "a temporary file is left")


def test_damage_does_not_replace_an_earlier_file():
    """A scan that misses rows once took the name, and the place, of a whole file."""
    lum("load", "damaged.lum", "-", stdin=("id\n" + "".join(f"{i * i}\n" for i in range(20000))).encode())
    for form in ("csv", "ndjson", "npy", "raw"):
        lum("scan", "damaged.lum", "--format", form, *all_columns(form), "-o", f"whole.{form}")
    segment = os.path.join("damaged.lum", "data", "1.seg")
    with open(segment, "r+b") as file:
        data = file.read()
        at = data.index(b"LPAG") + 1000
        file.seek(at)
        file.write(bytes([data[at] ^ 1]))
    for form in ("csv", "ndjson", "npy", "raw"):
        with open(f"whole.{form}", "rb") as file:
            whole = file.read()
        done = lum("scan", "damaged.lum", "--format", form, *all_columns(form), "-o", f"whole.{form}", expect=3)
        check("whole." + form + ".incomplete" in done.err, done.err)
        with open(f"whole.{form}", "rb") as file:
            check(file.read() == whole, form, "the earlier file was replaced")
        check(0 < os.path.getsize(f"whole.{form}.incomplete") < len(whole), form, "what could be read")
        lum("scan", "damaged.lum", "--format", form, "-o", f"never.{form}", expect=3)
        check(not os.path.exists(f"never.{form}"), form, "a partial file has the whole one's name")
    check(not [name for name in os.listdir(".") if ".part-" in name], "a temporary file is left")


def test_latest_is_the_newest_version_of_each_id():
    newest = {}
    for i in range(3000):  # a later version replaces an earlier one, also in its place
        record = extreme_records()[i * 40:i * 40 + 40]
        newest.pop(record[:8], None)
        newest[record[:8]] = record
    want = b"".join(r for r in newest.values() if r[38] == 0)
    check(scan("extreme.lum", "raw", "--latest") == want and len(want) < len(extreme_records()) - 40 * 590, "latest")
    check(scan("extreme.lum", "raw", "--latest", "--limit", "5", "--threads", "2") == want[:200], "latest with a limit")
    check(scan("extreme.lum", "raw", "--latest", "--id", "0..1") == b"".join(r for k, r in newest.items() if r[38] == 0 and int.from_bytes(k, "little") < 2),
          "latest in a range")


def lines_of_json(count):
    """Lines that are nearly JSON, with what Python's json says of each: the id that the row has, or None."""
    generator = random.Random(int(os.environ.get("LUM_SEED", "1")))
    scraps = ["{", "}", "[", "]", '"', ":", ",", "\\", "\\u0041", "\\ud83d\\ude00", " ", "\t", "NaN", "-", "e5", ".", "0", "null", "true", "\u00e9", "1",
              '"id":1', '"id":', "\x01", "\x7f", "\u2028"]
    values = ["1", "-0", "7.5", "18446744073709551615", "18446744073709551616", '"12"', "null", "true", "[]", '{"id":3}', '"x\\ny"', "1e2", "0.0", "-3"]
    for _ in range(count):
        keys = generator.sample(["a", "b", "c", "d", "id"], generator.randrange(1, 5)) if generator.randrange(4) else ["id", "a"]
        if generator.randrange(10) == 0: keys.append("a")
        pairs = [f'"{key}":{generator.choice(values) if key != "id" or generator.randrange(3) == 0 else generator.randrange(100)}' for key in dict.fromkeys([*keys, "id"])]
        line = "{" + ",".join(pairs) + "}"
        for _ in range(generator.choice([0, 0, 0, 1, 1, 2])):
            place, gap = generator.randrange(len(line) + 1), generator.choice([0, 0, 1, 3])
            line = line[:place] + generator.choice(scraps) + line[place + gap:]
        if line:
            yield line


def id_by_python(line):
    def constant(name):
        raise ValueError(name)

    class Pairs(list):
        pass

    try:
        row = json.loads(line, parse_constant=constant, parse_float=lambda text: ("float", text), object_pairs_hook=Pairs)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, Pairs):
        return None
    known = [key for key, _ in row if key in ("id", "a")]  # the keys of the first line: any other may stand there twice
    value = dict(row).get("id")
    if len(set(known)) != len(known) or isinstance(value, (bool, tuple, list)) or value is None:
        return None
    if isinstance(value, str) and not (value.strip(" \t").lstrip("+-").isdecimal() and value.isascii()):
        return None
    return int(value) if 0 <= int(value) <= U64 else None


def test_what_is_json_is_what_python_says():
    lines = ['{"id":0,"a":1}', *lines_of_json(20000)]
    with open("nearly.ndjson", "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)
    got = lum("load", "nearly.lum", "nearly.ndjson", "--on-error", "reject=nearly.bad", "--json").json
    want = [id_by_python(line) for line in lines]
    good = [i for i in want if i is not None]
    check(got["rows_read"] == len(lines) and 4000 < len(good) < 18000, got, len(good))
    with open("nearly.bad", encoding="utf-8") as file:
        bad = file.read().split("\n")[:-1]
    wrong = next((pair for pair in zip(bad, (line for line, i in zip(lines, want) if i is None)) if pair[0] != pair[1]), None)
    check(wrong is None, "refused by lum and by Python:", wrong)
    check([int(i) for i in numpy.frombuffer(scan("nearly.lum", "raw"), RECORD_TYPE)["id"]] == good, "ids")


run_tests(globals())
