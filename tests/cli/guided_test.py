#!/usr/bin/env python3
"""Guided recovery (figure d, issue items 4 and 5): where recovery refuses or gave up, no writer gets in (exit 5), readers read what is intact, and
`lum recover --guided` shows what was found and what each way out keeps and loses, counts it right, copies the original bytes first, and does what
was chosen. Recovery that is killed again and again counts its attempts; a full disk costs none.

    guided_test.py [CASE...]"""
import hashlib
import inspect
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import lum_program as lum  # noqa: E402

ROWS = lum.Rows(100000)
COMMIT = 1000
DONE, USAGE, DAMAGE, PERSON, SPACE = 0, 2, 3, 5, 7
SHIM = os.environ.get("LUM_SHIM", "")


class Skipped(Exception):
    pass


def demand(condition, what):
    if not condition:
        raise AssertionError(what)


def contents(directory):
    """Files of a store by name, but for LOCK, whose text is only a message, and emergency/."""
    found = {}
    for folder, _, names in os.walk(directory):
        inner = os.path.relpath(folder, directory)
        if inner.split(os.sep)[0] == "emergency":
            continue
        for name in names:
            if name != "LOCK":
                with open(os.path.join(folder, name), "rb") as file:
                    found[os.path.join(inner, name)] = hashlib.sha256(file.read()).hexdigest()
    return found


class World:
    def __init__(self, folder, crashed):
        self.folder = folder
        self.store = os.path.join(folder, "store")
        subprocess.run(["cp", "-a", crashed, self.store], check=True)
        self.good = os.path.join(folder, "good.csv")
        ROWS.write_csv(self.good, 0, 10)

    def path(self, *names):
        return os.path.join(self.store, *names)

    def flip(self, name, offset):
        with open(self.path(name), "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 4]))

    def records(self, kind):
        """(file, offset) of the log records of a type, in order."""
        found = []
        for name in sorted(os.listdir(self.path("wal")), key=lambda name: int(name[:-4])):
            with open(self.path("wal", name), "rb") as file:
                data = file.read()
            found += [(os.path.join("wal", name), at) for at in range(4096, len(data), 8)
                      if data[at:at + 4] == b"WALX" and struct.unpack_from("<H", data, at + 6)[0] == kind]
        return found

    def chunks(self):
        """(file, offset) of the chunks, in order of their transactions."""
        with open(self.path("data", "1.seg"), "rb") as file:
            data = file.read()
        found = [at for at in range(4096, len(data), 4096) if data[at:at + 4] == b"LUMC"]
        return sorted(found, key=lambda at: struct.unpack_from("<QQ", data, at + 40))


def crash_a_load(folder):
    """Commits of 1,000 rows, one chunk each, no checkpoint behind them, killed."""
    store = os.path.join(folder, "crashed")
    process = lum.start("load", store, "-", "--commit-every", COMMIT, "--chunk-lums", "4096", stdin=subprocess.PIPE)
    process.stdin.write(lum.COLUMNS.encode() + b"\n" + ROWS.csv)
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        info = lum.run("info", store, "--json")
        if info.returncode == DONE and lum.json_of(info)["lums"] >= 20000:
            break
        time.sleep(0.02)
    process.kill()
    process.communicate()
    copy = os.path.join(folder, "recovered")
    subprocess.run(["cp", "-a", store, copy], check=True)
    demand(lum.run("recover", copy).returncode == DONE, "the crashed store does not recover")
    count = lum.json_of(lum.run("info", copy, "--json"))["lums"]
    demand(count >= 20000 and count % COMMIT == 0, f"{count} rows")
    return store, count


def rows_of(store):
    result = lum.run("scan", store, "--format", "raw")
    demand(result.returncode == DONE, f"scan: exit {result.returncode}: {lum.tail(result.stderr)}")
    return result.stdout


def demand_refused(world, readable=None):
    """Exit 5 for writers, twice; readers get in."""
    for command in (("load", world.store, world.good), ("recover", world.store), ("checkpoint", world.store)):
        result = lum.run(*command)
        demand(result.returncode == PERSON, f"{command[0]}: exit {result.returncode}: {lum.tail(result.stderr)}")
        demand(b"--guided" in result.stderr or b"recover" in result.stderr, f"no way is shown: {lum.tail(result.stderr)}")
    info = lum.run("info", world.store, "--json")
    demand(info.returncode == DONE and lum.json_of(info)["state"] == "failed", f"info: {lum.tail(info.stdout + info.stderr)}")
    if readable is not None:
        demand(rows_of(world.store) == ROWS.expected_raw(readable), "readers do not get what is intact")


def show(world):
    """The choices, by name; nothing changes."""
    before = contents(world.store)
    result = lum.run("recover", world.store, "--guided", "--dry-run", "--json")
    demand(result.returncode == DONE, f"--dry-run: exit {result.returncode}: {lum.tail(result.stdout + result.stderr)}")
    text = lum.run("recover", world.store, "--guided")  # not a terminal: shown, and left as it is
    demand(text.returncode == PERSON and b"What was found" in text.stdout and b"lum salvage" in text.stdout,
           f"--guided without an answer: exit {text.returncode}: {lum.tail(text.stdout + text.stderr)}")
    wrong = lum.run("recover", world.store, "--choose", "nonsense")
    demand(wrong.returncode == USAGE and b"nonsense" in wrong.stderr, f"--choose nonsense: {lum.tail(wrong.stderr)}")
    demand(contents(world.store) == before, "showing the choices changed something")
    report = lum.json_of(result)
    demand(report["findings"] and report["choice"] is None, f"{report}")
    return report["findings"], {choice["name"]: choice for choice in report["choices"]}


def choose(world, name, rows, verify=DONE):
    """Chooses; the original bytes are in emergency/, writers get in again."""
    before = contents(world.store)
    result = lum.run("recover", world.store, "--choose", name, "--json")
    demand(result.returncode == DONE, f"--choose {name}: exit {result.returncode}: {lum.tail(result.stdout + result.stderr)}")
    report = lum.json_of(result)
    demand(report["choice"] == name and report["state"] == "recovered", f"{report}")
    demand(contents(report["emergency_backup"]) == before, "the emergency backup does not hold the original bytes")
    demand(os.path.dirname(report["emergency_backup"]) == world.path("emergency"), report["emergency_backup"])
    verified = lum.run("verify", world.store)
    demand(verified.returncode == verify, f"verify: exit {verified.returncode}: {lum.tail(verified.stdout)}")
    info = lum.json_of(lum.run("info", world.store, "--json"))
    demand(info["lums"] == rows and info["state"] == "normal", f"{info}")
    again = lum.run("load", world.store, world.good)
    demand(again.returncode == DONE, f"a writer does not get in: {lum.tail(again.stderr)}")
    return report


# ------------------------------------------------------------------------------------------------------ a damaged chunk

def damage_a_chunk(world, index):
    world.flip("data/1.seg", world.chunks()[index] + 256 + 72 * 1 + 40 + 4096)  # in its page


def case_damaged_chunk_dropped(world):
    damage_a_chunk(world, 12)
    demand_refused(world)
    findings, choices = show(world)
    demand(findings[0]["row"] == "S" and findings[0]["file"] == "data/1.seg", f"{findings}")
    drop = choices["drop"]
    lost = world.count - 12 * COMMIT
    demand((drop["lums_kept"], drop["lums_lost"], drop["transactions_lost"]) == (12 * COMMIT, lost, lost // COMMIT), f"{drop}")
    demand((drop["id_min"], drop["id_max"]) == (12 * COMMIT, world.count - 1) and drop["loss_is_exact"], f"{drop}")
    choose(world, "drop", 12 * COMMIT)
    demand(rows_of(world.store) == bytes(ROWS.expected_raw(12 * COMMIT)) + bytes(ROWS.expected_raw(10)), "other rows than before the damage")


def case_damaged_chunk_kept(world):
    damage_a_chunk(world, 12)
    demand_refused(world)
    _, choices = show(world)
    keep = choices["keep"]
    demand((keep["lums_kept"], keep["lums_lost"], keep["transactions_lost"]) == (world.count - COMMIT, COMMIT, 0), f"{keep}")
    demand((keep["id_min"], keep["id_max"]) == (12 * COMMIT, 13 * COMMIT - 1) and keep["loss_is_exact"], f"{keep}")
    choose(world, "keep", world.count, verify=DAMAGE)
    result = lum.run("get", world.store, world.count - 1)
    demand(result.returncode == DONE, "what is intact behind the damage cannot be read")
    demand(lum.run("get", world.store, 12 * COMMIT).returncode == DAMAGE, "damage is returned as data")


# ------------------------------------------------------------------------------------------------------ a damaged log

def case_log_breaks_below_the_watermark(world):
    commits = world.records(4)
    name, at = commits[8]
    world.flip(name, at + 20)
    demand_refused(world, 8 * COMMIT)
    findings, choices = show(world)
    demand(findings[0]["row"] == "W" and findings[0]["file"] == name, f"{findings}")
    keep = choices["keep"]
    demand(keep["lums_kept"] == 8 * COMMIT and keep["lums_lost"] == world.count - 9 * COMMIT and not keep["loss_is_exact"], f"{keep}")
    choose(world, "keep", 8 * COMMIT)


def case_log_segment_missing(world):
    os.unlink(world.path("wal", "1.wal"))
    demand_refused(world, 0)
    findings, choices = show(world)
    demand(findings[0]["row"] == "L" and "drop" not in choices, f"{findings} {choices}")
    choose(world, "keep", 0)


def case_closed_cleanly_but_the_log_is_short(world):
    demand(lum.run("recover", world.store).returncode == DONE, "recovery")
    names = os.listdir(world.path("wal"))
    with open(world.path("wal", max(names, key=lambda name: int(name[:-4]))), "r+b") as file:
        file.seek(4096)
        file.write(bytes(os.fstat(file.fileno()).st_size - 4096))
    result = lum.run("load", world.store, world.good)
    demand(result.returncode == PERSON, f"exit {result.returncode}: {lum.tail(result.stderr)}")
    findings, choices = show(world)
    demand(findings[0]["row"] == "M" and choices["keep"]["lums_kept"] == world.count, f"{findings} {choices}")
    choose(world, "keep", world.count)


# ------------------------------------------------------------------------------------------------------------------ STATE

def case_state_missing(world):
    os.unlink(world.path("STATE"))
    findings, choices = show(world)
    demand(findings[0]["file"] == "STATE" and choices["state"]["lums_kept"] == world.count, f"{findings} {choices}")
    choose(world, "state", world.count)


def case_state_of_an_older_time(world):
    shutil.copy(world.path("STATE"), os.path.join(world.folder, "old-state"))
    for _ in range(2):
        demand(lum.run("load", world.store, world.good).returncode == DONE, "loading")
    shutil.copy(os.path.join(world.folder, "old-state"), world.path("STATE"))
    result = lum.run("load", world.store, world.good)
    demand(result.returncode == PERSON, f"exit {result.returncode}: {lum.tail(result.stderr)}")
    _, choices = show(world)
    demand(choices["state"]["lums_kept"] == world.count + 20, f"{choices}")
    choose(world, "state", world.count + 20)


# ----------------------------------------------------------------------------------------------------- what does not help

def case_nothing_but_salvage(world):
    for name in os.listdir(world.store):
        if name.startswith("checkpoint-"):
            world.flip(name, 100)
    result = lum.run("recover", world.store, "--guided")
    demand(result.returncode == DAMAGE and b"lum salvage" in result.stdout + result.stderr, f"{result.returncode}: {lum.tail(result.stdout)}")
    demand(not os.path.exists(world.path("emergency")), "a backup was made for nothing")


def case_nothing_to_choose(world):
    result = lum.run("recover", world.store, "--guided", "--json")
    report = lum.json_of(result)
    demand(result.returncode == DONE and report["choice"] is None and report["state"] == "recovered", f"{report}")
    demand(not os.path.exists(world.path("emergency")), "a backup was made for nothing")
    demand(rows_of(world.store) == ROWS.expected_raw(world.count), "other rows")


def case_no_room_for_the_backup(world):
    if os.geteuid() != 0:
        raise Skipped("needs root to mount")
    damage_a_chunk(world, 3)
    small = os.path.join(world.folder, "small")
    os.mkdir(small)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", small], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise Skipped("cannot mount here")
    try:
        before = contents(world.store)
        result = lum.run("recover", world.store, "--choose", "drop", "--backup-dir", os.path.join(small, "copy"))
        demand(result.returncode == SPACE and b"--backup-dir" in result.stderr, f"exit {result.returncode}: {lum.tail(result.stderr)}")
        demand(contents(world.store) == before and os.listdir(small) == [], "something was done without a backup")
    finally:
        subprocess.run(["umount", "-l", small], check=True)
    place = os.path.join(world.folder, "elsewhere")
    result = lum.run("recover", world.store, "--choose", "drop", "--backup-dir", place)
    demand(result.returncode == DONE and contents(place) == before, f"exit {result.returncode}: {lum.tail(result.stderr)}")


# --------------------------------------------------------------------------------------------------------------- attempts

def shimmed(**variables):
    if not SHIM:
        raise Skipped("the shim is not built here")
    return {**os.environ, "LD_PRELOAD": SHIM, **{name: str(value) for name, value in variables.items()}}


def told(world):
    return lum.json_of(lum.run("recover", world.store, "--dry-run", "--json"))


def case_recovery_killed_again_and_again(world):
    """Figure d. Each attempt is durable before it is made: the kill comes right after that, or later."""
    for attempt, sync in enumerate((2, 3, 4), start=1):
        result = lum.run("recover", world.store, env=shimmed(LUM_SHIM_KILL_AT_SYNC=sync)) if attempt == 1 else \
            lum.run("load", world.store, world.good, env=shimmed(LUM_SHIM_KILL_AT_SYNC=sync))
        demand(result.returncode == -9, f"attempt {attempt} was not killed: exit {result.returncode}: {lum.tail(result.stderr)}")
        report = told(world)
        demand((report["attempts"], report["max_recovery_attempts"]) == (attempt, 3), f"after {attempt} kills: {report}")
        info = lum.json_of(lum.run("info", world.store, "--json"))
        demand(info["state"] == "recovering", f"state {info['state']} while recovery was killed")
        demand(rows_of(world.store) == ROWS.expected_raw(world.count), "readers see something else meanwhile")
    result = lum.run("load", world.store, world.good)
    demand(result.returncode == PERSON and b"3 attempts" in result.stderr, f"exit {result.returncode}: {lum.tail(result.stderr)}")
    info = lum.json_of(lum.run("info", world.store, "--json"))
    demand(info["state"] == "failed", f"state {info['state']}")
    demand(rows_of(world.store) == ROWS.expected_raw(world.count), "readers do not get in")
    demand(lum.run("load", world.store, world.good).returncode == PERSON, "a writer got in")
    findings, choices = show(world)
    demand("3 attempts" in findings[0]["what"] and choices["retry"]["lums_kept"] == world.count, f"{findings} {choices}")
    report = choose(world, "retry", world.count)
    history = report["history"]
    demand([(entry["succeeded"], entry["choice"]) for entry in history] == [(True, "retry"), (False, "")], f"the history: {history}")
    demand(report["attempts"] == 1, f"attempts {report['attempts']}")


def case_full_disk_costs_no_attempt(world):
    if os.geteuid() != 0:
        raise Skipped("needs root to mount")
    place = os.path.join(world.folder, "small")
    os.mkdir(place)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "none", place], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise Skipped("cannot mount here")
    try:
        store = os.path.join(place, "store")
        subprocess.run(["cp", "-a", "--sparse=always", world.store, store], check=True)
        world.store = store
        with open(os.path.join(place, "filler"), "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        for _ in range(4):  # more often than there are attempts
            result = lum.run("recover", store)
            demand(result.returncode == SPACE, f"exit {result.returncode}: {lum.tail(result.stderr)}")
        report = told(world)
        demand(report["attempts"] == 0, f"a full disk cost {report['attempts']} attempts")
        os.unlink(os.path.join(place, "filler"))
        result = lum.run("recover", store)
        demand(result.returncode == DONE, f"with room again: exit {result.returncode}: {lum.tail(result.stderr)}")
        demand(rows_of(store) == ROWS.expected_raw(world.count), "other rows")
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def main():
    cases = {name[5:]: function for name, function in inspect.getmembers(sys.modules[__name__], inspect.isfunction)
             if name.startswith("case_")}
    failed = 0
    with tempfile.TemporaryDirectory(prefix="lum-guided-") as top:
        crashed, count = crash_a_load(top)
        for name in sys.argv[1:] or cases:
            with tempfile.TemporaryDirectory(prefix="lum-guided-") as folder:
                world = World(folder, crashed)
                world.count = count
                try:
                    cases[name](world)
                    print(f"ok        {name}", flush=True)
                except Skipped as reason:
                    print(f"left out  {name}: {reason}", flush=True)
                except (AssertionError, KeyError, IndexError, struct.error, subprocess.SubprocessError) as problem:
                    failed += 1
                    print(f"FAILED    {name}: {type(problem).__name__}: {problem}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
