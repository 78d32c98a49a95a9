#!/usr/bin/env python3
"""Compares the scan of a store with the places it was loaded from, by a reader of its own: Python's csv and exact decimals.

    compare_cities.py cities500.csv.zst scan.csv

scan.csv is the output of `lum scan --format csv --columns all`. Every row, in order: id, position (exact to the last digit),
time, memory_address, and the fixed fields. Exit 0 if all are equal, 1 with the first differences."""
import csv
import datetime
import decimal
import io
import subprocess
import sys

DIFFERENCES_SHOWN = 5


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc32c_table()


def checksum(row):
    """CRC-32C of the record's 40 bytes, its checksum field as zero."""
    record = b"".join((
        row["id"].to_bytes(8, "little"), row["timestamp"].to_bytes(8, "little"),
        row["memory_address"].to_bytes(8, "little"), row["position_x"].to_bytes(4, "little", signed=True),
        row["position_y"].to_bytes(4, "little", signed=True), bytes(4),
        bytes((row["presence"], row["structure_type"], row["is_destroyed"], 0))))
    state = 0xFFFFFFFF
    for byte in record:
        state = TABLE[(state ^ byte) & 0xFF] ^ state >> 8
    return state ^ 0xFFFFFFFF


def scaled(text):
    value = decimal.Decimal(text) * 10**7
    if value != value.to_integral_value():
        raise ValueError(f"{text} has more than 7 digits behind the point")
    return int(value)


def expected_rows(path):
    data = subprocess.run(["zstd", "-dcq", path], check=True, stdout=subprocess.PIPE).stdout
    for place in csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")):
        modified = datetime.datetime.fromisoformat(place["modified"]).replace(tzinfo=datetime.timezone.utc)
        row = {
            "id": int(place["geonameid"]),
            "presence": 1,
            "position_x": scaled(place["longitude"]),
            "position_y": scaled(place["latitude"]),
            "structure_type": 0,
            "timestamp": int(modified.timestamp()) * 10**9,
            "memory_address": int(place["population"]),
            "is_destroyed": 0,
        }
        row["checksum"] = checksum(row)
        yield row


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    differences = 0
    count = 0
    with open(sys.argv[2], newline="", encoding="utf-8") as file:
        scanned = csv.DictReader(file)
        for expected in expected_rows(sys.argv[1]):
            row = next(scanned, None)
            if row is None:
                print(f"the scan ends after {count} rows", file=sys.stderr)
                differences += 1
                break
            got = {name: int(row.get(name) or -1) for name in expected}
            if got != expected:
                differences += 1
                if differences <= DIFFERENCES_SHOWN:
                    print(f"row {count}: expected {expected}, got {got}", file=sys.stderr)
            count += 1
        if next(scanned, None) is not None:
            print(f"the scan has more than {count} rows", file=sys.stderr)
            differences += 1
    if differences:
        sys.exit(f"{differences} differences in {count} rows")
    print(f"{count} rows compared: every id, position, time, memory_address and checksum is equal")


if __name__ == "__main__":
    main()
