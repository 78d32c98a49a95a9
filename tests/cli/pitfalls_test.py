#!/usr/bin/env python3
"""Pitfalls of the durability list, met by the real program (figure i); each case names its number. Those that a program linked with liblum
meets are in tests/api/pitfalls_test.c.

    pitfalls_test.py [CASE...]"""
import inspect
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import lum_program as lum  # noqa: E402

ROWS = lum.Rows(6000)
DONE, DAMAGE, BUSY, PERSON = 0, 3, 4, 5
SHIM = os.environ.get("LUM_SHIM", "")


class Skipped(Exception):
    pass


def demand(condition, what):
    if not condition:
        raise AssertionError(what)


class World:
    def __init__(self, folder):
        self.folder = folder
        self.store = os.path.join(folder, "store")
        self.csv = os.path.join(folder, "rows.csv")
        ROWS.write_csv(self.csv, 0, 1000)
        self.load()

    def load(self, store=None, exit_code=DONE, **options):
        result = lum.run("load", store or self.store, self.csv, "--threads", "2", **options)
        demand(result.returncode == exit_code, f"load: exit {result.returncode} instead of {exit_code}: {lum.tail(result.stderr)}")
        return result

    def path(self, *names):
        return os.path.join(self.store, *names)

    def info(self):
        return lum.json_of(lum.run("info", self.store, "--json"))

    def checkpoints(self):
        return sorted((name for name in os.listdir(self.store) if name.startswith("checkpoint-")), key=lambda name: int(name[11:]))

    def demand_whole(self, copies):
        result = lum.run("verify", self.store)
        demand(result.returncode == DONE, f"verify: {lum.tail(result.stdout + result.stderr)}")
        result = lum.run("scan", self.store, "--format", "raw")
        demand(result.stdout == bytes(ROWS.expected_raw(1000)) * copies, f"{len(result.stdout) // 40} rows, or not the rows")


# -------------------------------------------------------------------------------------------------------------------- 30

def clock_off_by(seconds):
    if not SHIM:
        raise Skipped("the shim is not built here")
    return {**os.environ, "LD_PRELOAD": SHIM, "LUM_SHIM_CLOCK": str(seconds)}


def case_30_clock_set_back(world):
    """Two hours, then a year: order comes from the log's sequence, durations from the monotonic clock; times are labels."""
    for seconds in (-7200, -365 * 86400, 0, -365 * 86400):
        result = lum.run("load", world.store, world.csv, "--json", env=clock_off_by(seconds))
        demand(result.returncode == DONE, f"load with the clock off by {seconds} s: {lum.tail(result.stderr)}")
        demand(0 < lum.json_of(result)["elapsed_nanoseconds"] < 60 * 10**9, "a duration by the wall clock")
    world.demand_whole(5)
    # a crash under a clock of last year, recovered under one of today and the other way round
    for crash, recover in ((-365 * 86400, 0), (0, -365 * 86400)):
        before = world.info()["lums"]
        process = lum.start("load", world.store, "-", "--commit-every", "1000", stdin=subprocess.PIPE, env=clock_off_by(crash))
        process.stdin.write(lum.COLUMNS.encode() + b"\n" + ROWS.csv)
        process.stdin.flush()
        deadline = time.monotonic() + 10
        while world.info()["lums"] < before + 1000 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        process.communicate()
        result = lum.run("recover", world.store, "--json", env=clock_off_by(recover))
        report = lum.json_of(result)
        demand(result.returncode == DONE and report["crash_detected"], f"recovery: {lum.tail(result.stderr)}")
        demand(report["recovery_time_nanoseconds"] < 60 * 10**9, "a recovery's duration by the wall clock")
        demand(world.info()["lums"] >= before and lum.run("verify", world.store).returncode == DONE, "rows are lost, or verify fails")
    newest = [int(name[11:]) for name in world.checkpoints()]
    world.load()
    demand([int(name[11:]) for name in world.checkpoints()] > newest, "checkpoints went backwards")


# -------------------------------------------------------------------------------------------------------------- 17, 18

def case_17_a_stale_lock_text(world):
    """The text in LOCK is only a message: a live foreign pid in it keeps nobody out, rubbish neither."""
    for text in (b"writer pid 1\n", b"writer pid %d\n" % os.getpid(), b"\xff\xfe rubbish pid 99999999999999999999", b""):
        with open(world.path("LOCK"), "wb") as file:
            file.write(text)
        world.load()
    world.demand_whole(5)


def case_17_a_held_lock_with_a_dead_pid_in_its_text(world):
    """And the lock alone keeps out, whatever the text says."""
    process = lum.start("load", world.store, "-", stdin=subprocess.PIPE)
    process.stdin.write(lum.COLUMNS.encode() + b"\n")
    process.stdin.flush()
    while b"pid %d" % process.pid not in open(world.path("LOCK"), "rb").read():
        time.sleep(0.005)
    with open(world.path("LOCK"), "r+b") as file:
        file.write(b"writer pid 1      ")
    world.load(exit_code=BUSY)
    ended = subprocess.Popen(["true"])
    ended.wait()
    killed = subprocess.Popen(["sleep", "60"])
    killed.kill()
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # a zombie: nobody asks for its end before the test does
    for pid in (ended.pid, killed.pid):  # whoever holds the lock of a dead writer is waited for, five seconds
        with open(world.path("LOCK"), "r+b") as file:
            file.write(b"writer pid %d      " % pid)
        start = time.monotonic()
        done = world.load(exit_code=BUSY)
        seconds = time.monotonic() - start
        demand(4 < seconds < 30, f"a lock whose holder has ended was waited for {seconds:.1f} s")
        demand(b"which has ended" in done.stderr, f"the holder's end is not told: {done.stderr}")
    killed.wait()
    process.communicate()
    world.load()
    world.demand_whole(2)


# -------------------------------------------------------------------------------------------------------------- 20

def case_20_closed_standard_descriptors(world):
    """Data never lands on descriptors 0 to 2, and stray prints never in data."""
    command = f"exec '{lum.program()}' load '{world.store}' '{world.csv}' <&- >&- 2>&-"
    demand(subprocess.run(["sh", "-c", command], check=False).returncode in (DONE, 1), "a load without standard descriptors")
    command = f"exec '{lum.program()}' verify '{world.store}' <&- >&- 2>&-"
    subprocess.run(["sh", "-c", command], check=False)
    world.demand_whole(2)


# -------------------------------------------------------------------------------------------------------------- 21, 34

STORE_FILES = ("STATE", "LOCK", "checkpoint", "wal", "data")


def file_of(world, kind):
    if kind == "checkpoint":
        return world.path(world.checkpoints()[-1])
    if kind in ("wal", "data"):
        return world.path(kind, max(os.listdir(world.path(kind)), key=lambda name: int(name.split(".")[0])))
    return world.path(kind)


def demand_refused(world, kind, what):
    for command in (("load", world.store, world.csv), ("scan", world.store), ("verify", world.store), ("backup", world.store, world.store + "-copy"),
                    ("recover", world.store, "--dry-run")):
        result = lum.run(*command, timeout=20)  # a pipe must not hang it
        shutil.rmtree(world.store + "-copy", ignore_errors=True)
        if kind == "wal" and command[0] not in ("load", "verify"):
            continue  # readers of a store that a writer gave up on get what is intact
        if result.returncode in (DONE, 1) and kind == "checkpoint":
            continue  # the older one and the log say the same, and the first writer puts a new one in its place
        if result.returncode == DONE and kind == "data" and command[0] == "recover":
            continue  # a clean store's chunks are not read by a dry run
        demand(result.returncode in (DAMAGE, PERSON), f"{kind} is {what}: {command[0]}: exit {result.returncode}: {lum.tail(result.stderr)}")


def case_34_links_pipes_and_devices_in_place_of_files(world):
    """None is followed, opened for writing or waited for."""
    for kind in STORE_FILES:
        for what in ("a symbolic link", "a pipe", "a device", "a folder"):
            store = world.store
            world.store = store + "-" + kind
            subprocess.run(["cp", "-a", store, world.store], check=True)
            path = file_of(world, kind)
            moved = os.path.join(world.folder, "moved")
            os.rename(path, moved)
            before = open(moved, "rb").read()
            if what == "a symbolic link":
                os.symlink(moved, path)
            elif what == "a pipe":
                os.mkfifo(path)
            elif what == "a folder":
                os.mkdir(path)
            elif os.geteuid() == 0:
                try:
                    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
                except OSError:
                    os.symlink("/dev/zero", path)
            else:
                os.symlink("/dev/zero", path)
            demand_refused(world, kind, what)
            demand(open(moved, "rb").read() == before, f"something was written through {what} in place of {kind}")
            shutil.rmtree(world.store)
            world.store = store


def case_34_a_symbolic_link_in_place_of_a_folder(world):
    for folder in ("wal", "data"):
        os.rename(world.path(folder), os.path.join(world.folder, folder))
        os.symlink(os.path.join(world.folder, folder), world.path(folder))
        result = lum.run("load", world.store, world.csv)
        demand(result.returncode in (DAMAGE, PERSON), f"{folder}: exit {result.returncode}: {lum.tail(result.stderr)}")
        os.unlink(world.path(folder))
        os.rename(os.path.join(world.folder, folder), world.path(folder))
        lum.run("recover", world.store)
    world.demand_whole(1)


def case_34_others_may_write(world):
    """Mode 0777 and a foreign owner are told, once, and do not keep out."""
    demand(b"may write" not in world.load().stderr, "a warning for nothing")
    os.chmod(world.store, 0o777)
    demand(b"may write" in world.load().stderr, "mode 0777 is not told")
    demand(b"may write" in lum.run("info", world.store).stderr, "mode 0777 is not told to a reader")
    os.chmod(world.store, 0o755)
    demand(b"may write" not in world.load().stderr, "a warning for nothing")
    if os.geteuid() != 0:
        raise Skipped("needs root to give the store away")
    os.chown(world.store, 65534, 65534)
    demand(b"may write" in world.load().stderr, "a foreign owner is not told")
    world.demand_whole(5)


def case_34_modes_do_not_follow_the_umask(world):
    store = os.path.join(world.folder, "open-to-all")
    subprocess.run(["sh", "-c", f"umask 0; exec '{lum.program()}' load '{store}' '{world.csv}' -q"], check=True)
    for folder, _, names in os.walk(store):
        for name in names:
            mode = os.stat(os.path.join(folder, name)).st_mode & 0o777
            demand(mode & 0o027 == 0, f"{name} has mode {mode:o}")


def case_21_hard_links(world):
    """A file with a second name is not a store's own: whoever holds the other name may change it."""
    for kind in STORE_FILES:
        path = file_of(world, kind)
        os.link(path, os.path.join(world.folder, "second-name"))
        demand_refused(world, kind, "linked twice")
        os.unlink(os.path.join(world.folder, "second-name"))
        lum.run("recover", world.store)
    world.demand_whole(world.info()["lums"] // 1000)


# -------------------------------------------------------------------------------------------------------------- 22

def case_22_files_of_another_store(world):
    """Each file carries the store's id: whatever comes from elsewhere is refused, and the store works when its own is back."""
    other = World.__new__(World)
    other.folder, other.store, other.csv = world.folder, world.store + "-other", world.csv
    other.load()
    for kind in ("STATE", "checkpoint", "wal", "data"):
        mine, own = file_of(world, kind), os.path.join(world.folder, "own")
        shutil.copy2(mine, own)
        with open(mine, "wb") as into, open(file_of(other, kind), "rb") as source:
            into.write(source.read())
        result = lum.run("verify", world.store)
        demand(result.returncode == DAMAGE, f"verify with {kind} of another store: exit {result.returncode}")
        result = lum.run("scan", world.store, "--format", "raw")
        is_right = result.returncode == DONE and result.stdout == bytes(ROWS.expected_raw(1000))
        demand(result.returncode != DONE or (is_right and kind in ("checkpoint", "wal")), f"scan with {kind} of another store: exit {result.returncode}")
        shutil.copy2(own, mine)
        world.demand_whole(1)


# -------------------------------------------------------------------------------------------------------------- 25, 28

def case_25_reading_needs_no_permission_to_write(world):
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        raise Skipped("needs root and setpriv to become somebody else")
    subprocess.run(["chmod", "-R", "a+rX", world.folder], check=True)
    copy = shutil.copy(lum.program(), os.path.join(world.folder, "lum-copy"))
    before = {name: os.stat(os.path.join(folder, name)).st_mtime_ns for folder, _, names in os.walk(world.store) for name in names}
    os.mkdir(os.path.join(world.folder, "mine"))
    os.chown(os.path.join(world.folder, "mine"), 65534, 65534)
    for command in (("verify", world.store), ("info", world.store), ("wal", world.store), ("get", world.store, "5"),
                    ("backup", world.store, os.path.join(world.folder, "mine", "backup")),
                    ("salvage", world.store, os.path.join(world.folder, "mine", "salvaged"))):
        result = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy, *command], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=60, check=False)
        demand(result.returncode == DONE, f"{command[0]} as somebody else: exit {result.returncode}: {lum.tail(result.stderr)}")
    after = {name: os.stat(os.path.join(folder, name)).st_mtime_ns for folder, _, names in os.walk(world.store) for name in names}
    demand(before == after, "reading changed a time")


def case_28_a_state_that_says_running_blocks_nobody(world):
    """What STATE says of a process is a message: only the lock and the log decide."""
    process = lum.start("load", world.store, "-", stdin=subprocess.PIPE)
    process.stdin.write(lum.COLUMNS.encode() + b"\n")
    process.stdin.flush()
    while open(world.path("STATE"), "rb").read()[84:88] != bytes(4):  # marked running
        time.sleep(0.005)
    process.kill()
    process.communicate()
    demand(b"recovered" in world.load().stderr, "the crash was not seen")
    world.demand_whole(2)


def main():
    cases = {name[5:]: function for name, function in inspect.getmembers(sys.modules[__name__], inspect.isfunction)
             if name.startswith("case_")}
    failed = 0
    for name in sys.argv[1:] or cases:
        with tempfile.TemporaryDirectory(prefix="lum-pitfalls-") as folder:
            try:
                cases[name](World(folder))
                print(f"ok        {name}", flush=True)
            except Skipped as reason:
                print(f"left out  {name}: {reason}", flush=True)
            except (AssertionError, KeyError, IndexError, json.JSONDecodeError, OSError, subprocess.SubprocessError) as problem:
                failed += 1
                print(f"FAILED    {name}: {type(problem).__name__}: {problem}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
