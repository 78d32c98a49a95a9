#!/usr/bin/env python3
"""Whatever goes wrong around lum ends in one clear error line with a remedy, the documented exit code, the same in JSON, and a store that is
as it was (figure j). One function a case; its name says what is wrong with the world.

    failures.py [CASE...]     without names: all. Cases that need root (small file systems, read-only mounts, another user) are
                              left out aloud without it; 77 if nothing is left."""
import contextlib
import hashlib
import inspect
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import lum_program as lum  # noqa: E402

DONE, IO, USAGE, DAMAGE, BUSY, PERSON, INPUT, SPACE, MISSING = 0, 1, 2, 3, 4, 5, 6, 7, 8
MIB = 1 << 20
ROWS = lum.Rows(20000)


class Skipped(Exception):
    pass


def demand(condition, what):
    if not condition:
        raise AssertionError(what)


# ----------------------------------------------------------------------------------------------------------- the world

class World:
    """A scratch folder with a healthy store of 1,000 rows, and what must be undone at the end."""

    def __init__(self, folder, undo):
        self.folder = folder
        self.undo = undo
        self.store = self.path("store")
        self.good = self.path("good.csv")
        ROWS.write_csv(self.good, 0, 1000)
        result = lum.run("load", self.store, self.good)
        demand(result.returncode == DONE, f"the healthy store cannot be made: {lum.tail(result.stderr)}")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def mount(self, name, *arguments):
        """Mounts something at folder/name, unmounted at the end."""
        if os.geteuid() != 0:
            raise Skipped("needs root to mount")
        place = self.path(name)
        os.makedirs(place, exist_ok=True)
        result = subprocess.run(["mount", *arguments, place], stderr=subprocess.PIPE, check=False)
        if result.returncode != 0:
            raise Skipped(f"cannot mount here: {lum.tail(result.stderr)}")
        self.undo.callback(subprocess.run, ["umount", "-l", place], check=False)
        return place

    def tmpfs(self, size):
        return self.mount("small", "-t", "tmpfs", "-o", f"size={size}", "none")

    def loop_ext4(self, size):
        image = self.path("disk.img")
        with open(image, "wb") as file:
            file.truncate(size)
        if shutil.which("mkfs.ext4") is None:
            raise Skipped("mkfs.ext4 is not here")
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        return self.mount("small", "-o", "loop", image)

    def read_only(self, directory):
        place = self.mount("read-only", "--bind", directory)
        subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
        return place


def fingerprint(directory):
    """Name, size, times and content of everything in a directory (access times aside)."""
    found = {}
    for folder, _, names in os.walk(directory):
        found[folder] = os.stat(folder).st_mtime_ns
        for name in names:
            path = os.path.join(folder, name)
            state = os.stat(path)
            with open(path, "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
            found[path] = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, content)
    return found


def rows_of(store):
    result = lum.run("scan", store, "--format", "raw")
    demand(result.returncode == DONE, f"scan: exit {result.returncode}: {lum.tail(result.stderr)}")
    return result.stdout


def demand_intact(store, count=1000):
    """Verify is clean and the rows are exactly the first `count` ones."""
    result = lum.run("verify", store)
    demand(result.returncode == DONE, f"verify: exit {result.returncode}: {lum.tail(result.stdout + result.stderr)}")
    demand(rows_of(store) == ROWS.expected_raw(count), f"the store does not hold exactly its {count} rows")


# ---------------------------------------------------------------------------------------------------------- the demand

def check_text(result, words, remedy):
    """One `lum:` line that has all the words; behind it indented lines of remedy, the accounting of a load, and nothing else."""
    text = result.stderr.decode()
    lines = text.splitlines()
    errors = [line for line in lines if line.startswith("lum:")]
    demand(len(errors) == 1, f"{len(errors)} error lines instead of 1:\n{text}")
    for word in words:
        demand(word in text, f"the message does not tell \"{word}\":\n{text}")
    behind = lines[lines.index(errors[0]) + 1:]
    remedies = [line for line in behind if line.startswith("     ")]
    accounts = [line for line in behind if line.startswith("rows_read ")]
    demand(len(remedies) + len(accounts) == len(behind), f"lines behind the error that are neither its remedy nor the accounting:\n{text}")
    demand(bool(remedies) or not remedy, f"there is no remedy:\n{text}")
    demand(len(errors[0]) < 1200, "a line that nobody reads")


def check_json(result, exit_code, error_name, error_file, error_line, remedy):
    if result.stdout.strip():
        report = lum.json_of(result)
    else:  # of commands whose data goes to stdout
        report = json.loads([line for line in result.stderr.splitlines() if line.startswith(b"{")][-1])
    demand(report["exit_code"] == exit_code and report["schema_version"] >= 1, f"exit_code in JSON: {report}")
    error = report["error"]
    for name in ("name", "message", "file", "line", "offset", "errno", "remedy"):
        demand(name in error, f"error.{name} is missing: {error}")
    demand(error["name"] == error_name, f"error.name is {error['name']} instead of {error_name}")
    demand(bool(error["message"]), "error.message is empty")
    if error_file is not None:
        demand(error["file"] == error_file or os.path.basename(error["file"] or "") == os.path.basename(error_file),
               f"error.file is {error['file']} instead of {error_file}")
    if error_line is not None:
        demand(error["line"] == error_line, f"error.line is {error['line']} instead of {error_line}")
    demand(bool(error["remedy"]) or not remedy, f"error.remedy is empty: {error}")


def fails(*arguments, exit_code, name, words=(), file=None, line=None, remedy=True, **options):
    """Runs lum twice, for people and as JSON; both must fail as told."""
    result = lum.run(*arguments, **options)
    demand(result.returncode == exit_code, f"exit {result.returncode} instead of {exit_code}: {lum.tail(result.stderr)}")
    if file is not None:
        words = (*words, os.path.basename(file))
    if line is not None:
        words = (*words, f":{line}")
    check_text(result, words, remedy)
    result = lum.run(*arguments, "--json", **options)
    demand(result.returncode == exit_code, f"with --json: exit {result.returncode} instead of {exit_code}")
    check_json(result, exit_code, name, file, line, remedy)


# -------------------------------------------------------------------------------------------------- cases: the command

def case_unknown_option(world):
    fails("load", world.store, world.good, "--comit-every", "5", exit_code=USAGE, name="ERR_USAGE",
          words=("--comit-every", "--commit-every"))
    demand_intact(world.store)


def case_unknown_command(world):
    fails("laod", world.store, exit_code=USAGE, name="ERR_USAGE", words=("laod", "load"))


def case_unknown_suffix(world):
    fails("load", world.store, world.good, "--memory", "64Q", exit_code=USAGE, name="ERR_USAGE", words=("64Q", "--memory", "Mi"),
          remedy=False)
    demand_intact(world.store)


def case_missing_argument(world):
    fails("load", world.store, exit_code=USAGE, name="ERR_USAGE", words=("FILE",))


# ---------------------------------------------------------------------------------------------------- cases: the input

def case_missing_file(world):
    fails("load", world.store, world.path("nothing.csv"), exit_code=MISSING, name="ERR_NOT_FOUND", file="nothing.csv", remedy=False)
    demand_intact(world.store)
    fails("load", world.path("new"), world.path("nothing.csv"), exit_code=MISSING, name="ERR_NOT_FOUND", file="nothing.csv", remedy=False)
    demand(not os.path.exists(world.path("new")), "a store was made for an input that is not there")


def case_empty_file(world):
    empty = world.write("empty.csv", b"")
    result = lum.run("load", world.store, empty, "--json")
    if result.returncode == DONE:  # an empty stream is a source without rows; but it says so
        report = lum.json_of(result)
        demand(report["rows_read"] == report["rows_loaded"] == 0, f"rows out of nothing: {report}")
        demand(b"empty" in lum.run("load", world.store, empty).stderr, "nothing says that the file is empty")
    else:
        fails("load", world.store, empty, exit_code=INPUT, name="ERR_INPUT", file=empty, words=("empty",))
    demand_intact(world.store)


def case_binary_rubbish(world):
    noise = b"".join(hashlib.sha256(bytes([i % 256, i // 256])).digest() for i in range(4096))
    rubbish = world.write("rubbish.csv", noise)
    fails("load", world.store, rubbish, exit_code=INPUT, name="ERR_INPUT", file=rubbish)
    result = lum.run("load", world.store, rubbish)
    demand(all(byte >= 32 or byte in b"\n\t" for byte in result.stderr), "control characters of the input reach the terminal")
    demand(len(result.stderr) < 4000, "rubbish is echoed at length")
    demand_intact(world.store)


def case_rubbish_in_the_middle(world):
    good = open(world.good, "rb").read().splitlines(keepends=True)
    bad = world.write("middle.csv", b"".join(good[:501]) + bytes(range(256)) * 3 + b"\n" + b"".join(good[501:]))
    fails("load", world.store, bad, exit_code=INPUT, name="ERR_INPUT", file=bad)
    demand_intact(world.store)


def case_damaged_archive(world):
    if shutil.which("zstd") is None:
        raise Skipped("zstd is not here")
    whole = subprocess.run(["zstd", "-qc", world.good], stdout=subprocess.PIPE, check=True).stdout
    cut = world.write("cut.csv.zst", whole[:len(whole) * 2 // 3])
    fails("load", world.store, cut, exit_code=INPUT, name="ERR_INPUT", file=cut)
    demand_intact(world.store)


def case_line_of_10_mb(world):
    line = b"7,1,5,6,0,1700000000000000000,0,0"
    text = lum.COLUMNS.encode() + b",note\n" + line + b",short\n" + line + b"," + b"x" * 10_000_000 + b"\n"
    path = world.write("long.csv", text)
    fails("load", world.store, path, "--map", "position_x=note", exit_code=INPUT, name="ERR_INPUT", file=path, line=2)
    demand_intact(world.store)
    # in a column that nobody asked for, such a line is fine
    result = lum.run("load", world.path("long"), path, "--json")
    demand(result.returncode == DONE and lum.json_of(result)["rows_loaded"] == 2, f"a long text is in the way: {lum.tail(result.stderr)}")
    # ... and one that is not a number is quoted shortly
    text = lum.COLUMNS.encode() + b"\n" + line + b"\n8," + b"9" * 10_000_000 + b",5,6,0,17,0,0\n"
    path = world.write("digits.csv", text)
    fails("load", world.store, path, exit_code=INPUT, name="ERR_INPUT", file=path, line=3, words=("presence",))
    demand_intact(world.store)


def case_wrong_column_name(world):
    text = b"ident,lon,lat\n1,5,6\n"
    path = world.write("names.csv", text)
    fails("load", world.store, path, exit_code=INPUT, name="ERR_INPUT", file=path, words=("ident", "lon", "lat", "--map", "id="))
    fails("load", world.store, path, "--map", "id=ident", "--map", "position_x=longitude", exit_code=INPUT, name="ERR_INPUT", file=path,
          words=("longitude", "ident", "lon", "lat", "--map"))
    demand_intact(world.store)


def case_number_out_of_range(world):
    lines = [b"id,position_x,position_y"] + [b"%d,%d,%d" % (i, i, -i) for i in range(1, 3000)]
    lines[2717] = b"2717,2147483648,-2717"  # line 2718
    path = world.write("range.csv", b"\n".join(lines) + b"\n")
    fails("load", world.store, path, exit_code=INPUT, name="ERR_INPUT", file=path, line=2718,
          words=("position_x", "2147483648"))
    demand_intact(world.store)
    # Two thousand rows stand before the bad row's transaction, and two loads try. One worker has built all of them when it meets the bad row, so they are
    # committed; of more, another one may still be at them.
    for threads, allowed in (("1", (5000,)), ("2", (5000, 6000, 7000, 8000, 9000))):
        fails("load", world.store, path, "--commit-every", "1000", "--threads", threads, exit_code=INPUT, name="ERR_INPUT", file=path, line=2718)
        lums = lum.json_of(lum.run("info", world.store, "--json"))["lums"]
        demand(lums in allowed, f"{lums} rows: only whole transactions before the bad row may be there")
    demand(lum.run("verify", world.store).returncode == DONE, "verify finds damage")


def case_digits_left_over(world):
    path = world.write("digits.csv", b"id,lon\n1,12.34567891\n")
    fails("load", world.store, path, "--map", "position_x=lon*1e7", exit_code=INPUT, name="ERR_INPUT", file=path, line=2,
          words=("12.34567891", "--round"))
    demand_intact(world.store)


def case_ragged_row(world):
    path = world.write("ragged.csv", b"id,position_x\n1,5\n2\n3,7\n")
    fails("load", world.store, path, exit_code=INPUT, name="ERR_INPUT", file=path, line=3)
    demand_intact(world.store)


def case_accounting_of_a_refused_input(world):
    lines = [b"id"] + [b"%d" % i for i in range(10000)] + [b"x"]
    path = world.write("late.csv", b"\n".join(lines) + b"\n")
    result = lum.run("load", world.store, path, "--json")
    demand(result.returncode == INPUT, f"exit {result.returncode}")
    report = lum.json_of(result)
    demand(report["rows_read"] == report["rows_loaded"] + report["rows_rejected"] + report["rows_skipped"] + report["rows_rolled_back"],
           f"rows are unaccounted for: {report}")
    demand(report["rows_loaded"] == 0 and report["rows_read"] > 0, f"rows_loaded of a load that was undone: {report}")
    demand_intact(world.store)


# ---------------------------------------------------------------------------------------------------- cases: the store

def case_missing_store(world):
    for command in (("scan",), ("info",), ("verify",), ("wal",), ("recover",), ("checkpoint",), ("get", "1")):
        fails(command[0], world.path("nowhere"), *command[1:], exit_code=MISSING, name="ERR_NOT_FOUND", words=("nowhere",), remedy=False)
        demand(not os.path.exists(world.path("nowhere")), f"{command[0]} made a directory")


def case_a_directory_that_is_not_a_store(world):
    os.mkdir(world.path("photos"))
    world.write("photos/cat.jpg", b"\xff\xd8\xff")
    before = fingerprint(world.path("photos"))
    for command in ("scan", "info", "verify", "recover"):
        fails(command, world.path("photos"), exit_code=MISSING, name="ERR_NOT_FOUND", words=("photos",), remedy=False)
    result = lum.run("load", world.path("photos"), world.good)
    demand(result.returncode in (USAGE, DAMAGE), f"loading into a folder of photos: exit {result.returncode}: {lum.tail(result.stderr)}")
    check_text(result, ("cat.jpg", "empty or a new directory"), False)
    result = lum.run("stress", world.path("photos"), "--count", "10K")
    demand(result.returncode in (USAGE, DAMAGE), f"stress in a folder of photos: exit {result.returncode}: {lum.tail(result.stderr)}")
    check_text(result, (), False)
    demand(fingerprint(world.path("photos")) == before, "something in a folder that is no store was touched")


def case_a_file_where_a_store_should_be(world):
    for command in (("load", world.good, world.good), ("scan", world.good)):
        result = lum.run(*command)
        demand(result.returncode not in (DONE, USAGE + 126), f"exit {result.returncode}")
        check_text(result, ("good.csv",), False)


def case_stress_in_a_real_store(world):
    result = lum.run("stress", world.store, "--count", "10K")
    demand(result.returncode != DONE, "stress took a store of somebody's data")
    check_text(result, (), False)
    demand_intact(world.store)


def case_missing_id(world):
    fails("get", world.store, "999999999", exit_code=MISSING, name="ERR_NOT_FOUND", words=("999999999",), remedy=False)


def case_second_writer(world):
    holder = lum.start("load", world.store, "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    world.undo.callback(holder.kill)
    holder.stdin.write(lum.COLUMNS.encode() + b"\n")
    holder.stdin.flush()
    deadline = time.monotonic() + 10
    while b"pid %d" % holder.pid not in open(os.path.join(world.store, "LOCK"), "rb").read():
        demand(time.monotonic() < deadline, "the first writer does not write its pid")
        time.sleep(0.005)
    for command in (("load", world.store, world.good), ("checkpoint", world.store), ("recover", world.store)):
        begin = time.monotonic()
        fails(*command, exit_code=BUSY, name="ERR_BUSY", words=(f"{holder.pid}",), remedy=False)
        demand(time.monotonic() - begin < 2, f"{command[0]} waited {time.monotonic() - begin:.1f} s for a store in use")
    # readers may
    demand_intact(world.store)
    # and the first writer is not disturbed
    out, err = holder.communicate(ROWS.csv[ROWS.csv_ends[1000]:ROWS.csv_ends[1500]], timeout=30)
    demand(holder.returncode == DONE, f"the first writer failed: {lum.tail(out + err)}")
    demand_intact(world.store, 1500)


def case_no_permission(world):
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        raise Skipped("needs root and setpriv to become somebody else")
    os.chmod(world.folder, 0o755)
    copy = shutil.copy(lum.program(), world.path("lum-copy"))  # where nobody may run it
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy]
    os.chmod(world.store, 0o700)
    os.mkdir(world.path("closed"), 0o755)

    def run_as_nobody(*arguments):
        return subprocess.run([*nobody, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=60, check=False)

    for command in (("scan", world.store), ("info", world.store), ("verify", world.store), ("load", world.store, world.good),
                    ("load", world.path("closed", "new"), world.good)):
        result = run_as_nobody(*command)
        demand(result.returncode == IO, f"{command}: exit {result.returncode} instead of 1: {lum.tail(result.stderr)}")
        check_text(result, ("ermission",), False)
        result = run_as_nobody(*command, "--json")
        check_json(result, IO, "ERR_PERMISSION", None, None, False)
    # an input that may not be read
    secret = world.write("secret.csv", b"id\n1\n")
    os.chmod(secret, 0o600)
    os.mkdir(world.path("open"))
    os.chown(world.path("open"), 65534, 65534)
    result = run_as_nobody("load", world.path("open", "new"), secret)
    demand(result.returncode == IO, f"an unreadable input: exit {result.returncode}: {lum.tail(result.stderr)}")
    check_text(result, ("secret.csv", "ermission"), False)
    os.chmod(world.store, 0o750)
    demand_intact(world.store)


def demand_readable_on_read_only_media(world, place, needs_recovery):
    before = fingerprint(place)
    for command in (("verify",), ("info",), ("wal",), ("get", "999"), ("scan", "--format", "csv")):
        result = lum.run(command[0], place, *command[1:])
        demand(result.returncode == DONE, f"{command[0]} on a read-only mount: exit {result.returncode}: {lum.tail(result.stderr)}")
    demand(rows_of(place) == ROWS.expected_raw(1000), "scan on a read-only mount gives other rows")
    info = lum.run("info", place)
    told = b"recovery" in info.stdout + info.stderr or b"recover" in info.stdout + info.stderr
    demand(told or not needs_recovery, f"info does not tell that a recovery is needed: {lum.tail(info.stdout + info.stderr)}")
    for command in (("load", place, world.good), ("checkpoint", place), ("recover", place)):
        if command[0] != "load" and not needs_recovery:
            result = lum.run(*command)
            demand(result.returncode == IO, f"{command[0]} on a read-only mount: exit {result.returncode}: {lum.tail(result.stderr)}")
            check_text(result, (), False)
            continue
        fails(*command, exit_code=IO, name="ERR_PERMISSION", words=("ead-only",), remedy=False)
    demand(fingerprint(place) == before, "a command changed something on read-only media")


def case_read_only_mount(world):
    place = world.read_only(world.store)
    demand_readable_on_read_only_media(world, place, False)


def case_read_only_mount_of_a_killed_store(world):
    process = lum.start("load", world.store, "-", "--commit-every", "4096", stdin=subprocess.PIPE)
    process.stdin.write(lum.COLUMNS.encode() + b"\n" + ROWS.csv[:ROWS.csv_ends[2000]])
    process.stdin.flush()
    time.sleep(0.3)
    process.kill()
    process.communicate()
    place = world.read_only(world.store)
    demand_readable_on_read_only_media(world, place, True)


# ----------------------------------------------------------------------------------------------------- cases: the disk

def noisy_csv(path, rows):
    """Rows that do not shrink: about 30 bytes each on disk."""
    with open(path, "wb") as file:
        file.write(b"id,timestamp,memory_address,position_x,position_y\n")
        for first in range(0, rows, 20000):
            count = min(20000, rows - first)
            file.write(b"".join(b"%d,%d,%d,%d,%d\n" % (
                noise, noise >> 3, noise * 7 & lum.U64, (noise >> 5) % 2000000000, -((noise >> 9) % 2000000000))
                for noise in ((first + i + 1) * 0x9E3779B97F4A7C15 & lum.U64 for i in range(count))))
    return path


def fill_the_disk(world, place, commit_every):
    """A load into a store on a small file system that is too large for it."""
    store = os.path.join(place, "store")
    result = lum.run("load", store, world.good, "--chunk-lums", "4096", "--threads", "1")
    demand(result.returncode == DONE, f"the store does not fit: {lum.tail(result.stderr)}")
    large = noisy_csv(world.path("large.csv"), 1500000)
    options = ["--chunk-lums", "65536", *(["--commit-every", "100000"] if commit_every else [])]
    fails("load", store, large, *options, exit_code=SPACE, name="ERR_NO_SPACE")
    if not commit_every:
        demand_intact(store)
        result = lum.run("load", store, world.good)  # there is room again for a small one
        demand(result.returncode == DONE, f"after a load that ran out of space: exit {result.returncode}: {lum.tail(result.stderr)}")
        demand(lum.json_of(lum.run("info", store, "--json"))["lums"] == 2000, "the small load is not there")
    else:
        lums = lum.json_of(lum.run("info", store, "--json"))["lums"]
        demand(lums % 100000 == 1000, f"{lums} rows: not at a commit")
    result = lum.run("verify", store)
    demand(result.returncode == DONE, f"verify: exit {result.returncode}: {lum.tail(result.stdout + result.stderr)}")
    return store


def case_disk_full_during_load_on_tmpfs(world):
    fill_the_disk(world, world.tmpfs("24m"), False)


def case_disk_full_during_load_on_ext4(world):
    fill_the_disk(world, world.loop_ext4(28 * MIB), False)


def case_disk_full_between_commits(world):
    place = world.tmpfs("24m")
    store = fill_the_disk(world, place, True)
    subprocess.run(["mount", "-o", "remount,size=128m", place], check=True)
    result = lum.run("load", store, world.good)
    demand(result.returncode == DONE, f"with room again: exit {result.returncode}: {lum.tail(result.stderr)}")


def case_disk_too_small_for_a_store(world):
    place = world.tmpfs("1m")
    fails("load", os.path.join(place, "store"), world.good, exit_code=SPACE, name="ERR_NO_SPACE")
    subprocess.run(["mount", "-o", "remount,size=64m", place], check=True)
    result = lum.run("load", os.path.join(place, "store"), world.good)
    demand(result.returncode == DONE, f"with room for a store: exit {result.returncode}: {lum.tail(result.stderr)}")
    demand_intact(os.path.join(place, "store"))


def case_stress_refuses_before_anything_is_made(world):
    place = world.tmpfs("24m")
    before = fingerprint(place)
    fails("stress", os.path.join(place, "store"), "--count", "100M", exit_code=SPACE, name="ERR_NO_SPACE")
    demand(fingerprint(place) == before, f"stress made something: {os.listdir(place)}")


def case_full_output(world):
    if not os.path.exists("/dev/full"):
        raise Skipped("there is no /dev/full")
    with open("/dev/full", "wb") as full:
        result = subprocess.run([lum.program(), "scan", world.store, "--format", "csv"], stdout=full, stderr=subprocess.PIPE,
                                check=False)
    demand(result.returncode == SPACE, f"exit {result.returncode}: {lum.tail(result.stderr)}")
    check_text(result, (), False)


# -------------------------------------------------------------------------------------------------------------- running

def run_case(name, function):
    """True if it passed, None if it was left out."""
    with contextlib.ExitStack() as undo:
        folder = undo.enter_context(tempfile.TemporaryDirectory(prefix="lum-failures-", ignore_cleanup_errors=True))
        try:
            function(World(folder, undo))
        except Skipped as reason:
            print(f"left out  {name}: {reason}")
            return None
        except (AssertionError, KeyError, ValueError, subprocess.SubprocessError) as problem:
            print(f"FAILED    {name}: {type(problem).__name__}: {problem}")
            return False
    print(f"ok        {name}")
    return True


def main():
    cases = {name[5:]: function for name, function in inspect.getmembers(sys.modules[__name__], inspect.isfunction)
             if name.startswith("case_")}
    unknown = [name for name in sys.argv[1:] if name not in cases]
    if unknown:
        sys.exit(f"there is no case {unknown[0]}; there are {', '.join(cases)}")
    results = [run_case(name, cases[name]) for name in (sys.argv[1:] or cases)]
    print(f"{results.count(True)} passed, {results.count(False)} failed, {results.count(None)} left out")
    sys.exit(1 if False in results else 0 if True in results else lum.SKIPPED)


if __name__ == "__main__":
    main()
