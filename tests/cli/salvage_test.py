#!/usr/bin/env python3
"""Salvage saves every record outside of the damage, tells exactly what is lost, and changes nothing of what it reads (figure g): ten
randomly damaged chunks; each checkpoint, log segment, STATE and data segment damaged or missing; a crashed store; read-only media.

    salvage_test.py [CASE...]     LUM_SEED=... replays the damage"""
import hashlib
import inspect
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import lum_program as lum  # noqa: E402

COMMIT_EVERY, CHUNK_LUMS = 20000, 8192
ROWS = lum.Rows(240000)
SEED = int(os.environ.get("LUM_SEED") or time.time_ns() % 1000000007)
CHOOSE = random.Random(SEED)
DONE, USAGE, DAMAGE, BUSY, MISSING = 0, 2, 3, 4, 8


def demand(condition, what):
    if not condition:
        raise AssertionError(what)


def fingerprint(directory):
    """Everything of every file but the time it was last read."""
    found = {}
    for folder, _, names in os.walk(directory):
        found[folder] = os.stat(folder).st_mtime_ns
        for name in names:
            path = os.path.join(folder, name)
            info = os.stat(path)
            with open(path, "rb") as file:
                found[path] = (info.st_size, info.st_mtime_ns, info.st_ctime_ns, hashlib.sha256(file.read()).hexdigest())
    return found


# ------------------------------------------------------------------------------------------------------------- the chunks

class Chunk:
    """A chunk as its bytes say, by docs/format.md section 4."""

    def __init__(self, path, data, at):
        self.path, self.at = path, at
        self.transaction, self.ordinal, self.bytes, self.rows, page_count, first = struct.unpack_from("<QQIIII", data, at + 40)
        self.directory_end = 256 + 72 * page_count
        self.first_page = first
        self.pages = [struct.unpack_from("<III", data, at + 256 + 72 * i) for i in range(page_count)]  # offset, bytes, rows
        self.first_row = None  # in the whole store


def chunks_of(store):
    """All chunks of a store in which every chunk is committed and a load's transactions come one after the other."""
    found = []
    for name in sorted(os.listdir(os.path.join(store, "data"))):
        path = os.path.join(store, "data", name)
        with open(path, "rb") as file:
            data = file.read()
        found += [Chunk(path, data, at) for at in range(4096, len(data), 4096) if data[at:at + 4] == b"LUMC"]
    found.sort(key=lambda chunk: (chunk.transaction, chunk.ordinal))
    row = 0
    for chunk in found:
        chunk.first_row = row
        row += chunk.rows
    return found, row


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << CHOOSE.randrange(8)]))


def damage(chunk):
    """Flips a bit at random; the rows that it costs, numbered in the whole store."""
    where = CHOOSE.choice(("header", "directory", "page", "page", "page"))
    if where == "header":
        flip(chunk.path, chunk.at + CHOOSE.randrange(256))
    elif where == "directory":
        flip(chunk.path, chunk.at + CHOOSE.randrange(256, chunk.directory_end))
    else:
        index = CHOOSE.randrange(len(chunk.pages))
        offset, byte_count, rows = chunk.pages[index]
        flip(chunk.path, chunk.at + offset + CHOOSE.randrange(byte_count))
        first = chunk.first_row + sum(page[2] for page in chunk.pages[:index])
        return set(range(first, first + rows))
    return set(range(chunk.first_row, chunk.first_row + chunk.rows))


# -------------------------------------------------------------------------------------------------------------- the world

class World:
    def __init__(self, folder, healthy):
        self.folder = folder
        self.store = os.path.join(folder, "store")
        self.new = os.path.join(folder, "new")
        subprocess.run(["cp", "-a", healthy, self.store], check=True)

    def path(self, *names):
        return os.path.join(self.store, *names)

    def checkpoints(self):
        return sorted((name for name in os.listdir(self.store) if name.startswith("checkpoint-")), key=lambda name: int(name[11:]))


def make_healthy(folder):
    store = os.path.join(folder, "healthy")
    source = os.path.join(folder, "rows.csv")
    ROWS.write_csv(source, 0, ROWS.count)
    result = lum.run("load", store, source, "--commit-every", COMMIT_EVERY, "--chunk-lums", CHUNK_LUMS, "--label", "the-load")
    demand(result.returncode == DONE, f"the healthy store cannot be made: {lum.tail(result.stderr)}")
    return store


def expected_without(lost, count=ROWS.count):
    kept = bytearray()
    for row in range(count):
        if row not in lost:
            kept += ROWS.raw[row * 40:row * 40 + 40]
    return bytes(kept)


def salvage(world, exit_code, lost=frozenset(), orphans=None, count=ROWS.count):
    """Salvages twice: for people, and as JSON, which is returned. The new store holds all rows but the lost ones; the old one is as it was."""
    before = fingerprint(world.store)
    more = ["--orphans", orphans] if orphans else []
    result = lum.run("salvage", world.store, world.new, *more)
    demand(result.returncode == exit_code, f"exit {result.returncode} instead of {exit_code}: {lum.tail(result.stdout + result.stderr)}")
    demand((exit_code == DAMAGE) == (b"lost: " in result.stdout), f"what is lost is not told: {lum.tail(result.stdout)}")
    for name in (world.new, orphans):
        if name:
            shutil.rmtree(name, ignore_errors=True)
    result = lum.run("salvage", world.store, world.new, *more, "--json")
    demand(result.returncode == exit_code, f"with --json: exit {result.returncode}: {lum.tail(result.stdout + result.stderr)}")
    report = lum.json_of(result)
    demand(fingerprint(world.store) == before, "the damaged store was changed")
    verified = lum.run("verify", world.new)
    demand(verified.returncode == DONE, f"verify of the new store: {lum.tail(verified.stdout + verified.stderr)}")
    scanned = lum.run("scan", world.new, "--format", "raw")
    demand(scanned.stdout == expected_without(lost, count), f"{len(scanned.stdout) // 40} other rows than the {count - len(lost)} intact ones")
    demand(report["lums_saved"] == count - len(lost), f"lums_saved: {report['lums_saved']}")
    demand(report["loss_count"] == len(report["losses"]), f"loss_count: {report['loss_count']}")
    return report


# --------------------------------------------------------------------------------------------------------------- the cases

def case_healthy(world):
    report = salvage(world, DONE)
    # the last commit of a load with a label says that it is the last, and may have no rows
    demand(report["transactions_whole"] == ROWS.count // COMMIT_EVERY + 1 and report["transactions_damaged"] == 0, f"transactions: {report}")
    info = lum.json_of(lum.run("info", world.new, "--json"))
    old = lum.json_of(lum.run("info", world.store, "--json"))
    for name in ("lums", "transactions", "digest", "labels"):
        demand(info[name] == old[name], f"{name}: {info[name]} instead of {old[name]}")


def case_ten_damaged_chunks(world):
    chunks, rows = chunks_of(world.store)
    demand(rows == ROWS.count and len(chunks) >= 30, f"{len(chunks)} chunks with {rows} rows")
    starts = {}  # of each transaction, in the store
    for chunk in chunks:
        starts.setdefault(chunk.transaction, chunk.first_row)
    lost = set()
    for chunk in CHOOSE.sample(chunks, 10):
        lost |= damage(chunk)
    report = salvage(world, DAMAGE, lost)
    demand(report["lums_lost"] == len(lost) and report["lums_lost_is_exact"], f"lums_lost: {report['lums_lost']} instead of {len(lost)}")
    told = set()
    for loss in report["losses"]:
        first = starts[loss["transaction_id"]] + loss["first_row"]
        part = set(range(first, first + loss["lums_lost"]))
        demand(not part & told, "rows are told twice")
        told |= part
        # an id of these rows is the row's number, and their times grow with it but for some noise
        demand((loss["id_min"], loss["id_max"]) == (min(part), max(part)), f"ids of a loss: {loss}")
        times = [struct.unpack_from("<Q", ROWS.raw, row * 40 + 8)[0] for row in part]
        demand((loss["timestamp_min"], loss["timestamp_max"]) == (min(times), max(times)), f"times of a loss: {loss}")
        demand(os.path.exists(world.path(loss["file"])) and loss["offset"] % 64 == 0, f"place of a loss: {loss}")
    demand(told == lost, f"{len(told ^ lost)} rows are told wrongly")


def case_state_missing(world):
    os.unlink(world.path("STATE"))
    salvage(world, DONE)


def case_state_damaged(world):
    flip(world.path("STATE"), 300)
    salvage(world, DONE)


def case_newest_checkpoint_damaged(world):
    flip(world.path(world.checkpoints()[-1]), 4096 + 100)
    salvage(world, DONE)


def case_older_checkpoint_damaged(world):
    flip(world.path(world.checkpoints()[0]), 100)
    salvage(world, DONE)


def case_both_checkpoints_damaged_in_their_entries(world):
    """A sector of each: every chunk entry that is legible is proven by its chunk, and the others are found by searching."""
    for name in world.checkpoints():
        with open(world.path(name), "r+b") as file:
            file.seek(4096 + 512)
            file.write(os.urandom(512))  # four chunk entries
    report = salvage(world, DONE)
    demand(report["checkpoint_number"] is None and report["data_segments_searched"], f"{report}")


def case_checkpoints_and_log_gone(world):
    """Nothing says any more what was committed: all of it is orphans."""
    for name in world.checkpoints():
        os.unlink(world.path(name))
    shutil.rmtree(world.path("wal"))
    orphans = os.path.join(world.folder, "orphans")
    report = salvage(world, DAMAGE, set(range(ROWS.count)), orphans)
    demand(report["orphan_lums"] == ROWS.count and not report["lums_lost_is_exact"], f"{report}")
    scanned = lum.run("scan", orphans, "--format", "raw")
    demand(scanned.stdout == ROWS.expected_raw(ROWS.count), "the orphans are not the rows")


def case_log_segment_header_damaged(world):
    for name in os.listdir(world.path("wal")):
        flip(world.path("wal", name), 90)
    salvage(world, DONE)


def case_log_segments_missing(world):
    for name in os.listdir(world.path("wal")):
        os.unlink(world.path("wal", name))
    report = salvage(world, DAMAGE)  # every row is there; but nobody can know that nothing else was
    demand(report["losses"][0]["sequence_first"] and not report["lums_lost_is_exact"], f"{report}")


def case_data_segment_header_damaged(world):
    flip(world.path("data", "1.seg"), 20)
    salvage(world, DONE)


def case_data_segment_missing(world):
    os.unlink(world.path("data", "1.seg"))
    report = salvage(world, DAMAGE, set(range(ROWS.count)))
    demand(report["lums_lost"] == ROWS.count and report["lums_lost_is_exact"], f"{report}")


def case_lock_missing(world):
    os.unlink(world.path("LOCK"))
    salvage(world, DONE)


def crash_a_load(world, rows):
    """Rows in single-chunk transactions of 1,000, no checkpoint; what recovery makes of it is counted on a copy."""
    shutil.rmtree(world.store)
    process = lum.start("load", world.store, "-", "--commit-every", "1000", "--chunk-lums", "4096", stdin=subprocess.PIPE)
    process.stdin.write(lum.COLUMNS.encode() + b"\n" + ROWS.csv[:ROWS.csv_ends[rows]])
    process.stdin.flush()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        info = lum.run("info", world.store, "--json")
        if info.returncode == DONE and lum.json_of(info)["lums"] >= 15000:
            break
        time.sleep(0.05)
    process.kill()
    process.communicate()
    copy = os.path.join(world.folder, "recovered")
    subprocess.run(["cp", "-a", world.store, copy], check=True)
    demand(lum.run("recover", copy).returncode == DONE, "recovery of the crashed store")
    return lum.json_of(lum.run("info", copy, "--json"))["lums"]


def case_crashed(world):
    count = crash_a_load(world, 100000)
    report = salvage(world, DONE, count=count)
    demand(report["transactions_whole"] == count // 1000, f"{report}")


def case_crashed_with_a_damaged_log_record(world):
    """A commit record and a chunk record are hit: the first costs its transaction, the other nothing, for the chunk tells who it is."""
    count = crash_a_load(world, 100000)
    names = sorted(os.listdir(world.path("wal")), key=lambda name: int(name[:-4]))
    with open(world.path("wal", names[0]), "rb") as file:
        data = file.read()
    records = [(at, struct.unpack_from("<H", data, at + 6)[0]) for at in range(4096, len(data), 8) if data[at:at + 4] == b"WALX"]
    commits = [at for at, kind in records if kind == 4]
    chunks = [at for at, kind in records if kind == 3]
    demand(len(commits) > 10, "too few commits in the log")
    flip(world.path("wal", names[0]), chunks[4] + 100)
    flip(world.path("wal", names[0]), commits[8] + 20)
    report = salvage(world, DAMAGE, set(range(8000, 9000)), os.path.join(world.folder, "orphans"), count=count)
    demand(len(report["losses"]) == 2 and all(loss["sequence_first"] for loss in report["losses"]), f"{report['losses']}")
    demand(report["orphan_lums"] >= 1000, "the transaction without its commit is no orphan")


def case_read_only_media(world):
    if os.geteuid() != 0:
        return "needs root to mount"
    chunks, _ = chunks_of(world.store)
    lost = damage(CHOOSE.choice(chunks))
    place = os.path.join(world.folder, "read-only")
    os.mkdir(place)
    if subprocess.run(["mount", "--bind", world.store, place], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        return "cannot mount here"
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
        result = lum.run("salvage", place, world.new)
        demand(result.returncode == DAMAGE, f"exit {result.returncode}: {lum.tail(result.stderr)}")
    finally:
        subprocess.run(["umount", "-l", place], check=True)
    demand(lum.run("scan", world.new, "--format", "raw").stdout == expected_without(lost), "other rows than the intact ones")


def case_in_use_and_in_the_way(world):
    process = lum.start("load", world.store, "-", stdin=subprocess.PIPE)
    process.stdin.write(lum.COLUMNS.encode() + b"\n")
    process.stdin.flush()
    while b"pid %d" % process.pid not in open(world.path("LOCK"), "rb").read():
        time.sleep(0.005)
    demand(lum.run("salvage", world.store, world.new).returncode == BUSY, "a store in use was salvaged")
    process.communicate()
    demand(lum.run("salvage", world.store, world.store).returncode == USAGE, "into itself")
    demand(lum.run("salvage", world.store, world.path("inside")).returncode == USAGE, "into its own folder")
    os.mkdir(world.new)
    with open(os.path.join(world.new, "photo"), "w", encoding="ascii"):
        pass
    demand(lum.run("salvage", world.store, world.new).returncode == USAGE, "over somebody's files")
    demand(os.listdir(world.new) == ["photo"], "something in the way was touched")
    demand(lum.run("salvage", world.new, world.new + "2").returncode == MISSING, "a folder of photos")
    demand(not os.path.exists(world.new + "2"), "a store was made of nothing")


def main():
    cases = {name[5:]: function for name, function in inspect.getmembers(sys.modules[__name__], inspect.isfunction)
             if name.startswith("case_")}
    failed = 0
    with tempfile.TemporaryDirectory(prefix="lum-salvage-") as top:
        healthy = make_healthy(top)
        for name in sys.argv[1:] or cases:
            with tempfile.TemporaryDirectory(prefix="lum-salvage-") as folder:
                try:
                    left_out = cases[name](World(folder, healthy))
                    print(f"{'left out' if left_out else 'ok':9} {name}{': ' + left_out if left_out else ''}", flush=True)
                except (AssertionError, KeyError, IndexError, struct.error, subprocess.SubprocessError) as problem:
                    failed += 1
                    print(f"FAILED    {name} (LUM_SEED={SEED}): {type(problem).__name__}: {problem}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
