#!/usr/bin/env python3
"""A full disk, during each kind of work (pitfall 13): exit 7, nothing half visible, no recovery attempt used up, and work goes on once there is room; or, with
--on-full wait, by itself. On small ext4 file systems behind loop devices, so it needs root.

    full_test.py [CASE...]     77: cannot run here"""
import contextlib
import inspect
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import lum_program as lum  # noqa: E402

DONE, SPACE, INTERRUPTED = 0, 7, 130
MIB = 1 << 20
NOISY_ROWS = 400_000  # about 29 bytes each on disk


class Skipped(Exception):
    pass


def demand(condition, what):
    if not condition:
        raise AssertionError(what)


def done(*arguments, **options):
    result = lum.run(*arguments, **options)
    demand(result.returncode == DONE, f"lum {' '.join(map(str, arguments))}: exit {result.returncode}: {lum.tail(result.stdout + result.stderr)}")
    return result


class World:
    """A scratch folder, and a small disk that can be filled and given room again."""

    def __init__(self, folder, undo, csv):
        self.folder, self.undo, self.csv = folder, undo, csv
        self.place = os.path.join(folder, "small")
        self.store = os.path.join(self.place, "store")

    def mount(self, size):
        if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
            raise Skipped("needs root and mkfs.ext4")
        image = os.path.join(self.folder, "disk.img")
        with open(image, "wb") as file:
            file.truncate(size)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        os.mkdir(self.place)
        if subprocess.run(["mount", "-o", "loop", image, self.place], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            raise Skipped("cannot mount here")
        self.undo.callback(subprocess.run, ["umount", "-l", self.place], check=False)

    def free(self):
        state = os.statvfs(self.place)
        return state.f_bavail * state.f_frsize

    def fill(self, leave):
        """Until `leave` bytes are left, or a little less. (What a file needs for its own map is not seen before.)"""
        with open(os.path.join(self.place, "fill"), "ab", buffering=0) as file:  # or what did not fit is written once more at the end
            while self.free() > leave:
                with contextlib.suppress(OSError):
                    file.write(b"x" * min(self.free() - leave, MIB))
                    file.flush()
                os.fsync(file.fileno())
                if leave == 0 and self.free() < 4096:
                    break

    def release(self):
        os.unlink(os.path.join(self.place, "fill"))
        subprocess.run(["sync", "-f", self.place], check=True)

    def demand_whole(self, rows):
        done("verify", self.store)
        lums = lum.json_of(done("info", self.store, "--json"))["lums"]
        demand(lums == rows, f"{lums} rows instead of {rows}")

    def fails_for_space(self, *arguments):
        result = lum.run(*arguments, "--json")
        demand(result.returncode == SPACE, f"lum {arguments[0]}: exit {result.returncode} instead of 7: {lum.tail(result.stderr)}")
        error = lum.json_of(result)["error"]
        demand(error["name"] == "ERR_NO_SPACE" and error["remedy"], f"{error}")
        return result


def head(csv, path, rows):
    with open(csv, "rb") as file, open(path, "wb") as out:
        for _ in range(rows + 1):
            out.write(file.readline())
    return path


def case_load(world):
    world.mount(24 * MIB)
    world.fill(9 * MIB)
    world.fails_for_space("load", world.store, world.csv)
    world.demand_whole(0)
    world.release()
    done("load", world.store, world.csv)
    world.demand_whole(NOISY_ROWS)


def case_load_that_waits(world):
    world.mount(32 * MIB)
    world.fill(9 * MIB)
    process = lum.start("load", world.store, world.csv, "--on-full", "wait", "--commit-every", "50000", "--json", stdout=subprocess.PIPE)
    world.undo.callback(process.kill)
    told = process.stderr.readline()
    while b"no room" not in told:
        demand(told, "the load ended instead of waiting")
        told = process.stderr.readline()
    demand(b"needed" in told and world.store.encode() in told, f"the message does not say what is needed where: {told}")
    time.sleep(2)
    demand(process.poll() is None, "it did not wait")
    world.release()
    out, err = process.communicate(timeout=60)
    demand(process.returncode == DONE, f"exit {process.returncode}: {lum.tail(err)}")
    demand(b"room again" in err and err.count(b"no room") == 0, f"told once, and when it is over: {lum.tail(err)}")
    demand(b'"rows_loaded":%d' % NOISY_ROWS in out.replace(b" ", b""), f"{lum.tail(out)}")
    world.demand_whole(NOISY_ROWS)


def case_an_interrupt_ends_the_waiting(world):
    world.mount(24 * MIB)
    world.fill(9 * MIB)
    process = lum.start("load", world.store, world.csv, "--on-full", "wait", "--json", stdout=subprocess.PIPE)
    world.undo.callback(process.kill)
    while b"no room" not in process.stderr.readline():
        demand(process.poll() is None, "the load ended instead of waiting")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    demand(process.returncode == INTERRUPTED, f"exit {process.returncode}: {lum.tail(err)}")
    demand(b'"exit_code":130' in out.replace(b" ", b""), f"{lum.tail(out)}")
    world.release()
    done("load", world.store, world.csv)
    world.demand_whole(NOISY_ROWS)


def case_opening_waits(world):
    """Not even the store can be made."""
    world.mount(32 * MIB)
    world.fill(MIB)
    process = lum.start("load", world.store, world.csv, "--on-full", "wait")
    world.undo.callback(process.kill)
    while b"no room" not in process.stderr.readline():
        demand(process.poll() is None, "the load ended instead of waiting")
    world.release()
    _, err = process.communicate(timeout=60)
    demand(process.returncode == DONE, f"exit {process.returncode}: {lum.tail(err)}")
    world.demand_whole(NOISY_ROWS)


def case_commits_stay(world):
    world.mount(24 * MIB)
    world.fill(12 * MIB)
    result = world.fails_for_space("load", world.store, world.csv, "--commit-every", "20000")
    loaded = lum.json_of(result)["rows_loaded"]
    demand(0 < loaded < NOISY_ROWS and loaded % 20000 == 0, f"{loaded} rows")
    world.demand_whole(loaded)
    world.release()
    world.demand_whole(loaded)


def case_checkpoint(world):
    world.mount(24 * MIB)
    few = head(world.csv, os.path.join(world.folder, "few.csv"), 60000)
    done("load", world.store, few, "--commit-every", "64")  # its catalogue takes some 180 KiB
    world.fill(40 * 1024)
    world.fails_for_space("checkpoint", world.store)
    world.fails_for_space("checkpoint", world.store)
    world.demand_whole(60000)
    world.release()
    done("checkpoint", world.store)
    world.demand_whole(60000)


def case_recovery(world):
    world.mount(24 * MIB)
    world.fill(12 * MIB)
    process = lum.start("load", world.store, world.csv, "--commit-every", "20000", "--on-full", "wait")
    while b"no room" not in process.stderr.readline():
        demand(process.poll() is None, "the load ended instead of waiting")
    process.kill()
    process.communicate()
    rows = lum.json_of(done("info", world.store, "--json"))["lums"]
    demand(rows > 0, "nothing was committed")
    world.fill(0)
    for _ in range(5):  # more often than max_recovery_attempts
        world.fails_for_space("recover", world.store)
        state = lum.json_of(done("recover", world.store, "--dry-run", "--json"))
        demand(state["attempts"] == 0, f"{state['attempts']} attempts were counted")
    world.release()
    state = lum.json_of(done("recover", world.store, "--json"))
    demand(state["state"] == "recovered", f"{state}")
    world.demand_whole(rows)


def case_backup(world):
    world.mount(24 * MIB)
    source = os.path.join(world.folder, "source")
    done("load", source, world.csv)
    world.fill(9 * MIB)
    world.fails_for_space("backup", source, world.store)
    demand(lum.run("info", world.store).returncode == 8, "half a copy opens")
    world.release()
    done("backup", source, world.store)
    world.demand_whole(NOISY_ROWS)


def case_a_limit_of_the_process(world):
    """ulimit -f: SIGXFSZ does not kill. Needs no root."""
    world.store = os.path.join(world.folder, "store")

    def limit(mib):
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (mib * MIB, mib * MIB))

    for option in ("abort", "wait"):  # waiting would not help
        for mib in (1, 6):
            result = lum.run("load", world.store, world.csv, "--on-full", option, "--json", preexec_fn=limit(mib))
            demand(result.returncode == SPACE, f"{mib} MiB, {option}: exit {result.returncode}: {lum.tail(result.stderr)}")
            error = lum.json_of(result)["error"]
            demand("ulimit -f" in error["remedy"] and error["file"], f"{error}")
    world.demand_whole(0)
    done("load", world.store, world.csv)
    world.demand_whole(NOISY_ROWS)
    result = lum.run("scan", world.store, "-o", os.path.join(world.folder, "out.csv"), preexec_fn=limit(1))
    demand(result.returncode == SPACE and b"ulimit -f" in result.stderr, f"scan -o: exit {result.returncode}: {lum.tail(result.stderr)}")


def write_noise(path):
    source = random.Random(1)
    with open(path, "w", encoding="ascii") as file:
        file.write("id,timestamp,memory_address,position_x,position_y\n")
        for _ in range(NOISY_ROWS):
            bits = source.getrandbits(240)
            file.write(f"{bits & lum.U64 >> 1},{bits >> 64 & lum.U64 >> 4},{bits >> 128 & lum.U64},{bits >> 192 & 0x3fffffff},{bits >> 216 & 0xffffff}\n")
    return path


def run_case(name, function, csv):
    """True if it passed, None if it was left out."""
    with contextlib.ExitStack() as undo:
        folder = undo.enter_context(tempfile.TemporaryDirectory(prefix="lum-full-", ignore_cleanup_errors=True))
        try:
            function(World(folder, undo, csv))
        except Skipped as reason:
            print(f"left out  {name}: {reason}")
            return None
        except (AssertionError, KeyError, ValueError, subprocess.SubprocessError) as problem:
            print(f"FAILED    {name}: {type(problem).__name__}: {problem}")
            return False
    print(f"ok        {name}", flush=True)
    return True


def main():
    cases = {name[5:]: function for name, function in inspect.getmembers(sys.modules[__name__], inspect.isfunction) if name.startswith("case_")}
    with tempfile.TemporaryDirectory(prefix="lum-full-") as folder:
        csv = write_noise(os.path.join(folder, "noise.csv"))
        results = [run_case(name, cases[name], csv) for name in (sys.argv[1:] or cases)]
    print(f"{results.count(True)} passed, {results.count(False)} failed, {results.count(None)} left out")
    sys.exit(1 if False in results else 0 if True in results else lum.SKIPPED)


if __name__ == "__main__":
    main()
