"""What the tests of the whole program share: rows by a fixed formula, an independent CRC-32C, and running `lum`.

A row's bytes, its CSV line and its checksum are computed here from its number alone, so that whatever comes out of a store can be
compared with the formula and not with what went in."""
import itertools
import json
import os
import struct
import subprocess
import sys

SKIPPED = 77
U64 = 0xFFFFFFFFFFFFFFFF
COLUMNS = "id,presence,position_x,position_y,structure_type,timestamp,memory_address,is_destroyed"
RECORD = struct.Struct("<QQQiiIBBBB")


# ---------------------------------------------------------------------------------------------------------- checksum

def crc32c_table_16():
    """CRC-32C (reflected polynomial) of every 16 bit value: two bytes a step."""
    table = []
    for value in range(65536):
        for _ in range(16):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


TABLE = crc32c_table_16()


def crc32c(data):
    state = 0xFFFFFFFF
    for (word,) in struct.iter_unpack("<H", data):
        state = TABLE[(state ^ word) & 0xFFFF] ^ state >> 16
    return state ^ 0xFFFFFFFF


assert crc32c(bytes(32)) == 0x8A9136AA and crc32c(bytes(range(32))) == 0x46DD794E  # RFC 3720 B.4


# -------------------------------------------------------------------------------------------------------------- rows

class Rows:
    """Rows 0 .. count - 1 of the formula, as CSV lines and as the 40 byte records that a scan must give."""

    def __init__(self, count):
        self.count = count
        lines, records, scanned = [], [], []
        for i in range(count):
            noise = (i + 1) * 0x9E3779B97F4A7C15 & U64
            noise ^= noise >> 29
            fields = (i, 1700000000000000000 + i * 1000 + (noise & 511), noise, (noise & 0xFFFFFFFF) - 0x80000000,
                      (noise >> 20 & 0xFFFFF) - 0x80000)
            flags = (i & 1, i % 6, 1 if i % 97 == 0 else 0, 0)
            checksum = crc32c(RECORD.pack(*fields, 0, *flags))
            records.append(RECORD.pack(*fields, checksum, *flags))
            line = (f"{i},{flags[0]},{fields[3]},{fields[4]},{flags[1]},{fields[1]},{noise},{flags[2]}")
            lines.append(line + "\n")
            scanned.append(f"{line},{checksum}\n")
        self.csv_ends = [0, *itertools.accumulate(map(len, lines))]
        self.scanned_ends = [0, *itertools.accumulate(map(len, scanned))]
        self.csv = "".join(lines).encode()
        self.raw = b"".join(records)
        self.scanned = "".join(scanned).encode()

    def write_csv(self, path, first, end):
        """Rows first .. end - 1 as a CSV file with a header."""
        with open(path, "wb") as file:
            file.write(COLUMNS.encode() + b"\n")
            file.write(memoryview(self.csv)[self.csv_ends[first]:self.csv_ends[end]])

    def expected_raw(self, count):
        return memoryview(self.raw)[:count * RECORD.size]

    def expected_csv(self, count):
        """What `lum scan --format csv --columns all` must print."""
        return COLUMNS.encode() + b",checksum\n" + self.scanned[:self.scanned_ends[count]]


# ------------------------------------------------------------------------------------------------------- the program

def program():
    """The path of the lum to test: $LUM_PROGRAM, else $LUM_BUILD_DIR/lum."""
    path = os.environ.get("LUM_PROGRAM") or os.path.join(os.environ.get("LUM_BUILD_DIR", "build/release"), "lum")
    if not os.access(path, os.X_OK):
        sys.exit(f"{path} is not there; build it, or say where it is with LUM_BUILD_DIR")
    return os.path.abspath(path)


def run(*arguments, timeout=60, **options):
    """Runs lum to its end; stdout and stderr as bytes."""
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([program(), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout, check=False, **options)


def start(*arguments, **options):
    """Starts lum, to be killed or waited for."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.DEVNULL)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen([program(), *map(str, arguments)], **options)


def json_of(result):
    """The JSON object that a run printed to stdout."""
    return json.loads(result.stdout.decode())


def tail(data, limit=600):
    text = data.decode(errors="replace")
    return text if len(text) <= limit else "..." + text[-limit:]
