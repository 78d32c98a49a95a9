#!/usr/bin/env python3
"""Kills the real program with SIGKILL at random moments and proves figure g: after reopening, everything that was acknowledged is
there, bit-identical, nothing of an uncommitted transaction is, and verify is clean.

    kill_loop.py        LUM_KILLS=50 kills, LUM_SEED=... replays the choices (not the moments: those are the machine's)
                        LUM_KEEP=1 keeps the folder of a failed round

One store lives through many rounds, each of which loads the rest of one fixed input, so what must be there is always a prefix of it:

    acknowledged (last whole line of --events) <= recovered <= submitted, and recovered is a multiple of --commit-every

Kills hit the creation of a store, the load, the close, and the recovery of the next opening, itself up to twice in a row (three
failed attempts would rightly ask for a person). Before a recovery, readers must already show the same prefix without changing a byte."""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import lum_program as lum  # noqa: E402

ROWS = int(os.environ.get("LUM_ROWS", "240000"))
KILLS = int(os.environ.get("LUM_KILLS", "50"))
SEED = int(os.environ.get("LUM_SEED") or time.time_ns() % 1000000007)
SECONDS_MAX = 30  # for anything that lum does here


class Broken(Exception):
    pass


def demand(condition, what):
    if not condition:
        raise Broken(what)


class Round:
    """One load that is killed, and what is known about it."""

    def __init__(self, choose, folder, base):
        self.base = base                      # rows in the store before
        self.input = os.path.join(folder, "input.csv")
        self.events = os.path.join(folder, "events")
        self.commit_every = choose.choice((20, 300, 1000, 4096, 7777, 20000, 50000, 0))  # 20 makes the log rotate
        self.arguments = ["--threads", choose.choice((1, 2, 3, 4)), "--chunk-lums", choose.choice((4096, 8192, 65536, 262144))]
        if self.commit_every:
            self.arguments += ["--commit-every", self.commit_every]
        self.sync = choose.choice(("commit", "commit", "commit", "interval=5", "none"))
        self.arguments += ["--sync", self.sync, "--events", self.events]
        self.io = choose.choice(("", "", "buffered", "threads"))  # LUM_IO: without O_DIRECT, without io_uring
        self.moment = choose.choice(("begin", "load", "load", "load", "close"))

    def acknowledged(self):
        """Rows in the store by the last whole line of the events, and whether that line ends the input."""
        try:
            with open(self.events, "rb") as file:
                whole = file.read().rpartition(b"\n")[0]
        except FileNotFoundError:
            return self.base
        if not whole:
            return self.base
        event = json.loads(whole.rpartition(b"\n")[2])
        demand(event["event"] == "commit" and (event["durable"] or self.sync != "commit"), f"an odd event: {event}")
        return self.base + event["rows_committed"]

    def is_boundary(self, count):
        if count in (self.base, ROWS):
            return True
        return self.commit_every > 0 and self.base < count < ROWS and (count - self.base) % self.commit_every == 0


class Loop:
    def __init__(self, rows):
        self.rows = rows
        self.choose = random.Random(SEED)
        self.folder = tempfile.mkdtemp(prefix="lum-kill-")
        self.store = os.path.join(self.folder, "store")
        self.count = 0          # rows in the store
        self.kills = 0
        self.hits = {}          # what a kill hit -> how often
        self.load_seconds = {}  # commit_every -> of a whole load, measured as we go

    def note(self, what):
        self.hits[what] = self.hits.get(what, 0) + 1

    def lum(self, *arguments):
        result = lum.run(*arguments, timeout=SECONDS_MAX)
        demand(result.returncode in (0, 3, 5, 8), f"lum {arguments}: exit {result.returncode}: {lum.tail(result.stderr)}")
        return result

    # ------------------------------------------------------------------------------------------------------- killing

    def wait_for_moment(self, process, this):
        """Sleeps until the moment of the kill; False if the load ended before."""
        seconds = {"begin": self.choose.uniform(0, 0.02), "load": self.choose.uniform(0, self.load_seconds.get(this.commit_every, 0.5) * 1.1),
                   "close": 0}[this.moment]
        deadline = time.monotonic() + seconds
        if this.moment == "close":  # the last commit is acknowledged, and the store is about to be closed
            deadline = time.monotonic() + SECONDS_MAX
            while time.monotonic() < deadline and process.poll() is None and this.acknowledged() < ROWS:
                time.sleep(0.001)
            deadline = time.monotonic() + self.choose.uniform(0, 0.01)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(min(0.001, max(0, deadline - time.monotonic())))
        return process.poll() is None

    def load_and_kill(self, this):
        self.rows.write_csv(this.input, this.base, ROWS)
        if os.path.exists(this.events):
            os.unlink(this.events)
        begin = time.monotonic()
        process = lum.start("load", self.store, this.input, "--json", *this.arguments, stdout=subprocess.PIPE,
                            env=dict(os.environ, **({"LUM_IO": this.io} if this.io else {})))
        is_running = self.wait_for_moment(process, this)
        if is_running:
            process.kill()
        out, err = process.communicate(timeout=SECONDS_MAX)
        if process.returncode == -9:
            self.kills += 1
            self.note(this.moment)
            return
        demand(process.returncode == 0, f"the load ended with exit {process.returncode}: {lum.tail(err)}")
        report = json.loads(out)
        demand(report["rows_read"] == report["rows_loaded"] == ROWS - this.base, f"the accounting is wrong: {report}")
        demand(this.acknowledged() == ROWS, "the last event does not tell of the last row")
        if this.base < ROWS // 2:  # of a short rest the start-up is most
            self.load_seconds[this.commit_every] = (time.monotonic() - begin) * ROWS / (ROWS - this.base)
        self.note("not at all")

    def kill_recovery(self):
        for _ in range(self.choose.choice((0, 0, 1, 2))):
            process = lum.start("recover", self.store, "--threads", self.choose.choice((1, 3)))
            time.sleep(self.choose.uniform(0, 0.015))
            if process.poll() is None:
                process.kill()
                self.kills += 1
                self.note("recovery")
            process.communicate(timeout=SECONDS_MAX)

    # ------------------------------------------------------------------------------------------------------ checking

    def check_rows(self, this, at_least):
        """The rows in the store, which must be a prefix of the input that ends at a commit."""
        if self.choose.random() < 0.15:
            got, expected = self.lum("scan", self.store, "--format", "csv", "--columns", "all").stdout, None
            count = got.count(b"\n") - 1
            demand(0 <= count <= ROWS, f"{count} rows, but {ROWS} were submitted")
            expected = self.rows.expected_csv(count)
        else:
            got = self.lum("scan", self.store, "--format", "raw").stdout
            count = len(got) // lum.RECORD.size
            demand(len(got) % lum.RECORD.size == 0 and count <= ROWS, f"{len(got)} bytes are not rows that were submitted")
            expected = self.rows.expected_raw(count)
        demand(count >= at_least, f"{at_least} rows were acknowledged, {count} are there")
        demand(this.is_boundary(count), f"{count} rows: a part of a transaction (before: {this.base}, "
               f"--commit-every {this.commit_every})")
        demand(got == expected, f"one of the first {count} rows is not what was loaded")
        return count

    def fingerprint(self):
        """Name, size, time and content of every file."""
        found = []
        for folder, _, names in sorted(os.walk(self.store)):
            for name in sorted(names):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found.append((path, os.stat(path).st_mtime_ns, hash(file.read())))
        return found

    def check_readers_before_recovery(self, this, acknowledged):
        before = self.fingerprint()
        count = self.check_rows(this, acknowledged)
        verified = self.lum("verify", self.store)
        demand(verified.returncode == 0, f"verify of a killed store finds damage: {lum.tail(verified.stderr)}")
        demand(self.fingerprint() == before, "a reader changed a file")
        return count

    def recover(self):
        """Any writer's opening recovers; here `lum recover`, which tells what it did."""
        result = self.lum("recover", self.store, "--json")
        demand(result.returncode in (0, 8), f"recover: exit {result.returncode}: {lum.tail(result.stderr)}")
        if result.returncode == 8:
            return None
        report = json.loads(result.stdout)
        demand(report["state"] in ("normal", "recovered"), f"recover says {report}")
        return report

    def check(self, this):
        acknowledged = this.acknowledged()
        shown = None
        if self.choose.random() < 0.3 and os.path.exists(os.path.join(self.store, "STATE")):
            shown = self.check_readers_before_recovery(this, acknowledged)
        self.kill_recovery()
        if self.recover() is None:  # killed before there was a store
            demand(acknowledged == 0 and this.base == 0, "the store is gone")
            demand(not os.path.exists(os.path.join(self.store, "STATE")), "a store with STATE was not found")
            self.count = 0
            self.note("before there was a store")
            return
        self.count = self.check_rows(this, acknowledged)
        demand(shown in (None, self.count), f"readers showed {shown} rows before the recovery and {self.count} after it")
        verified = self.lum("verify", self.store, "--json")
        demand(verified.returncode == 0, f"verify: exit {verified.returncode}: {lum.tail(verified.stdout)}")
        demand(json.loads(verified.stdout)["lums_checked"] == self.count, "verify checked another number of rows")

    def run_round(self):
        if self.count == ROWS or self.choose.random() < 0.15:
            shutil.rmtree(self.store, ignore_errors=True)
            self.count = 0
        this = Round(self.choose, self.folder, self.count)
        try:
            self.load_and_kill(this)
            self.check(this)
        except (Broken, subprocess.TimeoutExpired, ValueError) as problem:
            raise Broken(f"{problem}\n  round: base {this.base}, {' '.join(map(str, this.arguments))}, io {this.io or 'default'}, "
                         f"acknowledged {this.acknowledged()}, moment {this.moment}") from problem


def main():
    print(f"seed {SEED}, {KILLS} kills, {ROWS} rows")
    loop = Loop(lum.Rows(ROWS))
    begin = time.monotonic()
    rounds = 0
    try:
        while loop.kills < KILLS:
            rounds += 1
            if rounds > 20 * KILLS + 20:
                sys.exit("the loads end before they can be killed: use a larger LUM_ROWS")
            loop.run_round()
    except Broken as problem:
        print(f"FAILED after {loop.kills} kills (LUM_SEED={SEED}): {problem}")
        if os.environ.get("LUM_KEEP"):
            print(f"  kept: {loop.folder}")
        else:
            shutil.rmtree(loop.folder, ignore_errors=True)
        sys.exit(1)
    shutil.rmtree(loop.folder, ignore_errors=True)
    hits = ", ".join(f"{what} {count}" for what, count in sorted(loop.hits.items()))
    print(f"{loop.kills} kills in {rounds} rounds ({hits}), {time.monotonic() - begin:.1f} s: nothing lost, nothing extra")


if __name__ == "__main__":
    main()
