#!/usr/bin/env python3
"""Backups beside a running load (figure h): each one is a store of its own that verifies and holds a prefix of the rows that ends at a
transaction's boundary; a backup that is killed at a random moment leaves nothing that opens, or is whole. Neither disturbs the load.

    backup_loop.py      LUM_BACKUPS=24 of both kinds together, LUM_SEED=... replays the choices"""
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import lum_program as lum  # noqa: E402

ROWS = lum.Rows(120000)
BACKUPS = int(os.environ.get("LUM_BACKUPS", "24"))
SEED = int(os.environ.get("LUM_SEED") or time.time_ns() % 1000000007)
COMMIT_EVERY = 1000


def demand(condition, what):
    if not condition:
        sys.exit(f"FAILED (LUM_SEED={SEED}): {what}")


class Load:
    """A load that is fed until it is told to stop."""

    def __init__(self, store, choose):
        self.process = lum.start("load", store, "-", "--commit-every", COMMIT_EVERY, "--chunk-lums", "4096", stdin=subprocess.PIPE)
        self.pause = choose.uniform(0.0005, 0.003)
        self.stopped = threading.Event()
        self.fed = 0
        self.thread = threading.Thread(target=self.feed)
        self.thread.start()

    def feed(self):
        self.process.stdin.write(lum.COLUMNS.encode() + b"\n")
        while not self.stopped.is_set() and self.fed < ROWS.count:
            end = min(self.fed + 200, ROWS.count)
            try:
                self.process.stdin.write(ROWS.csv[ROWS.csv_ends[self.fed]:ROWS.csv_ends[end]])
                self.process.stdin.flush()
            except BrokenPipeError:
                return
            self.fed = end
            time.sleep(self.pause)

    def finish(self):
        self.stopped.set()
        self.thread.join()
        _, err = self.process.communicate(timeout=60)
        demand(self.process.returncode == 0, f"the load was disturbed: {lum.tail(err)}")


def count_of(store):
    result = lum.run("scan", store, "--format", "raw")
    demand(result.returncode == 0, f"scan of a copy: {lum.tail(result.stderr)}")
    count = len(result.stdout) // 40
    demand(result.stdout == ROWS.expected_raw(count), f"a copy holds other rows than the first {count}")
    return count


def check_copy(copy, count_max):
    result = lum.run("verify", copy)
    demand(result.returncode == 0, f"verify of a copy: {lum.tail(result.stdout + result.stderr)}")
    count = count_of(copy)
    demand(count % COMMIT_EVERY == 0 or count == count_max, f"a copy of {count} rows does not end at a commit")
    demand(count <= count_max, f"a copy of {count} rows, {count_max} were there")
    result = lum.run("recover", copy, "--json")  # a writer gets in, and finds a clean end
    demand(result.returncode == 0 and not lum.json_of(result)["crash_detected"], f"a copy needs recovery: {lum.tail(result.stderr)}")
    return count


def one_backup(store, copy, load, choose, seconds, is_killed):
    """Returns what became of it, and how long a whole one takes."""
    begin = time.monotonic()
    process = lum.start("backup", store, copy)
    if is_killed:
        time.sleep(choose.uniform(0, seconds * 1.05))
        process.kill()
    _, err = process.communicate(timeout=60)
    took = time.monotonic() - begin
    if not os.path.exists(os.path.join(copy, "STATE")):
        demand(is_killed, f"exit {process.returncode}: {lum.tail(err)}")
        for command in ("info", "scan", "verify"):
            result = lum.run(command, copy)
            demand(result.returncode in (3, 8), f"{command} of half a copy: exit {result.returncode}")
        return "cut off", seconds
    rows = check_copy(copy, load.fed if load else ROWS.count)
    return ("whole though killed" if process.returncode else "whole"), (took if not is_killed else seconds) or rows


def main():
    choose = random.Random(SEED)
    folder = tempfile.mkdtemp(prefix="lum-backup-")
    store = os.path.join(folder, "store")
    found, seconds = {}, 0.3
    try:
        load = Load(store, choose)
        while not os.path.exists(os.path.join(store, "STATE")):
            time.sleep(0.001)
        for number in range(BACKUPS):
            copy = os.path.join(folder, f"copy-{number}")
            what, seconds = one_backup(store, copy, load, choose, seconds, number % 2 == 1)
            found[what] = found.get(what, 0) + 1
            shutil.rmtree(copy, ignore_errors=True)
        load.finish()
        # a store whose load was killed: copied as recovery would leave it
        load = Load(store + "2", choose)
        time.sleep(0.5)
        load.process.kill()
        load.stopped.set()
        load.thread.join()
        load.process.wait()
        result = lum.run("backup", store + "2", os.path.join(folder, "copy"), "--json")
        demand(result.returncode == 0 and lum.json_of(result)["was_crashed"], f"of a crashed store: {lum.tail(result.stderr)}")
        rows = check_copy(os.path.join(folder, "copy"), load.fed)
        demand(lum.run("recover", store + "2").returncode == 0, "recovery of the killed store")
        demand(count_of(store + "2") == rows, "the copy of a crashed store is not what recovery made of it")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"backups: {found}; of a crashed store {rows} rows")
    demand(found.get("whole", 0) > 0 and found.get("cut off", 0) > 0, "too few of one kind")


if __name__ == "__main__":
    main()
