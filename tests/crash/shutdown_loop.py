#!/usr/bin/env python3
"""The power cut of a real file system: a store on a loop-mounted xfs or ext4 loses it in the middle of work. `xfs_io -x -c shutdown` stops the
file system at once, without writing its log: what was not synced, data in the page cache, names, sizes and extents alike, is not there when
it is mounted again. (What a disk's own cache may lose is not tried here: the disk in memory does that.) By hand, as root; no part of CTest.

    shutdown_loop.py [xfs] [ext4]      LUM_KILLS=20 shutdowns of loads and LUM_SMALL=20 of small commits on each, LUM_SEED=...

Loads are those of kill_loop.py (same checks), small commits those of txn_kill_test.c; recoveries are shut down too."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
os.environ.setdefault("LUM_KILLS", "20")
import kill_loop  # noqa: E402
import lum_program as lum  # noqa: E402

SMALL = os.environ.get("LUM_SMALL", "20")
MAKE = {"xfs": ["mkfs.xfs", "-q", "-f"], "ext4": ["mkfs.ext4", "-q", "-F"]}


class Mount:
    """A file system in a file. `remount` is also a command of this script, for txn_kill_test."""

    def __init__(self, kind, folder):
        self.kind, self.image, self.path = kind, os.path.join(folder, kind + ".image"), os.path.join(folder, kind)

    def make(self):
        os.mkdir(self.path)
        with open(self.image, "wb") as image:
            image.truncate(700 << 20)
        subprocess.run(MAKE[self.kind] + [self.image], check=True)
        self.mount()

    def mount(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.path], check=True)

    def cut(self):
        subprocess.run(["xfs_io", "-x", "-c", "shutdown", self.path], check=True, stdout=subprocess.DEVNULL)

    def remount(self):
        subprocess.run(["umount", self.path], check=True)
        self.mount()

    def remove(self):
        subprocess.run(["umount", "-l", self.path], check=False)
        os.unlink(self.image)


class Stopped:
    """A process whose file system is shut down instead of being killed; it ends by itself."""

    def __init__(self, process, mount):
        self.process, self.mount, self.was_cut = process, mount, False

    def kill(self):
        self.mount.cut()
        self.was_cut = True

    def communicate(self, timeout):
        out, err = self.process.communicate(timeout=timeout)
        self.returncode = self.process.returncode
        if self.was_cut:
            kill_loop.demand(self.returncode in (0, 1, 8), f"exit {self.returncode} after the file system went away: {lum.tail(err)}")
            self.returncode = -9 if self.returncode else 0
            self.mount.remount()
        return out, err

    def poll(self):
        return self.process.poll()


def start_on(mount):
    real = lum.start

    def start(*arguments, **options):
        if arguments[0] in ("load", "recover"):
            options.setdefault("stderr", subprocess.PIPE)
            return Stopped(real(*arguments, **options), mount)
        return real(*arguments, **options)
    return start


class Round(kill_loop.Round):
    def __init__(self, choose, folder, base):
        super().__init__(choose, folder, base)
        self.arguments[self.arguments.index(self.sync)] = "commit"  # the others may lose what they acknowledged
        self.sync = "commit"


def loads(mount, rows):
    real_start, real_round = lum.start, kill_loop.Round
    lum.start, kill_loop.Round = start_on(mount), Round
    loop = kill_loop.Loop(rows)
    loop.store = os.path.join(mount.path, "store")
    rounds = 0
    try:
        while loop.kills < kill_loop.KILLS:
            rounds += 1
            loop.run_round()
    finally:
        lum.start, kill_loop.Round = real_start, real_round
        shutil.rmtree(loop.folder, ignore_errors=True)
    hits = ", ".join(f"{what} {count}" for what, count in sorted(loop.hits.items()))
    print(f"{mount.kind}: {loop.kills} shutdowns of loads in {rounds} rounds ({hits}): nothing lost, nothing extra")


def small_commits(mount, folder):
    program = os.path.join(os.environ["LUM_BUILD_DIR"], "tests", "crash_txn_kill_test")
    this = f"{sys.executable} {os.path.abspath(__file__)}"
    environment = dict(os.environ, LUM_STORE=os.path.join(mount.path, "small"), LUM_CUT=f"xfs_io -x -c shutdown {mount.path}",
                       LUM_MEND=f"{this} remount {mount.kind} {folder}", LUM_KILLS=SMALL, LUM_SEED=str(kill_loop.SEED))
    result = subprocess.run([program], env=environment, stdout=subprocess.PIPE, check=False)
    print(f"{mount.kind}: small commits: {result.stdout.decode().strip()}")
    if result.returncode != 0:
        sys.exit(1)


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "remount":
        Mount(sys.argv[2], sys.argv[3]).remount()
        return
    if os.geteuid() != 0 or shutil.which("xfs_io") is None:
        print("needs root and xfs_io")
        sys.exit(lum.SKIPPED)
    rows = lum.Rows(kill_loop.ROWS)
    print(f"seed {kill_loop.SEED}")
    for kind in sys.argv[1:] or list(MAKE):
        folder = tempfile.mkdtemp(prefix="lum-shutdown-")
        mount = Mount(kind, folder)
        mount.make()
        try:
            loads(mount, rows)
            small_commits(mount, folder)
        finally:
            mount.remove()
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
