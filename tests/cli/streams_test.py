#!/usr/bin/env python3
"""Proves that the program may be started with any of its standard streams closed, full, or gone, and that no store file ever gets their numbers
(pitfall 20); and what it does on a terminal: a progress line that goes away, colours that may be refused."""
import itertools
import os
import pty
import re
import select
import signal
import subprocess
import time

from program import LUM, check, lum, run_tests

COMMANDS = (["load", "c.lum", "rows.csv"], ["load", "c.lum", "rows.csv", "--json"], ["info", "c.lum"], ["scan", "c.lum"], ["verify", "c.lum"],
            ["checkpoint", "c.lum", "-v"], ["recover", "c.lum", "--json"], ["wal", "c.lum"], ["stress", "s.lum", "--count", "10K"], ["--help"],
            ["load"], ["nothing"], ["backup", "c.lum", "copy.lum"])


def run_without(closed, arguments):
    """Started by a shell, as Python itself would open what is closed."""
    streams = " ".join(f"{fd}{'<' if fd == 0 else '>'}&-" for fd in closed)
    return subprocess.run(["sh", "-c", f'exec "$@" {streams}', "sh", LUM, *arguments], capture_output=True, check=False, timeout=60)


def test_closed_streams_are_no_store_files():
    with open("rows.csv", "w", encoding="utf-8") as file:
        file.write("id,position_x\n" + "".join(f"{i},{i}\n" for i in range(1000)))
    loads = 0
    for count in (1, 2, 3):
        for closed in itertools.combinations((0, 1, 2), count):
            for arguments in COMMANDS:
                expected = lum_code_of(arguments, closed)
                os.system("rm -rf copy.lum")
                done = run_without(closed, arguments)
                check(done.returncode in expected, "without", closed, arguments, "ended with", done.returncode, done.stderr)
                loads += arguments[0] == "load" and len(arguments) > 2
            check(lum("verify", "c.lum", "--json").json["ok"] is True, "without", closed, ": the store is damaged")
    check(lum("info", "c.lum", "--json").json["lums"] == 1000 * loads, "rows are lost")


def lum_code_of(arguments, closed):
    """What may come out: usage stays usage, and what cannot be printed is an I/O error."""
    prints = arguments[0] in ("info", "scan", "verify", "recover", "wal", "--help") or "--json" in arguments
    if len(arguments) == 1 and arguments[0] != "--help":
        return (2,)
    if arguments[0] == "backup":
        return (0, 1)
    return (1,) if prints and 1 in closed else (0,)


def test_no_file_below_three_is_opened():
    """While it waits for input, with all three closed: they are the null device."""
    read_end, write_end = os.pipe()
    load = subprocess.Popen(["sh", "-c", f'exec "$0" load fd.lum /dev/fd/{read_end} <&- >&- 2>&-', LUM], pass_fds=[read_end])
    os.close(read_end)
    os.write(write_end, b"id,position_x\n7,7\n")
    deadline = time.monotonic() + 20
    while not (os.path.exists("fd.lum/data") and os.listdir("fd.lum/data")) and time.monotonic() < deadline:
        time.sleep(0.02)
    opened = {fd: os.readlink(f"/proc/{load.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{load.pid}/fd")}
    os.close(write_end)
    check(load.wait(20) == 0, "ended with", load.returncode)
    check([opened[str(fd)] for fd in range(3)] == ["/dev/null"] * 3, opened)
    check(any("fd.lum" in path for path in opened.values()), "this test looked too early", opened)


def test_full_streams():
    with open("/dev/full", "wb") as full:
        for arguments in (["info", "c.lum"], ["info", "c.lum", "--json"], ["scan", "c.lum"], ["wal", "c.lum"], ["wal", "c.lum", "--json"],
                          ["get", "c.lum", "5"], ["verify", "c.lum"], ["recover", "c.lum"], ["--help"], ["load", "--help"], ["--version"],
                          ["completion", "bash"], ["load", "c.lum", "rows.csv", "--events", "-"]):
            done = subprocess.run([LUM, *arguments], stdout=full, stderr=subprocess.PIPE, check=False)
            said = [line for line in done.stderr.splitlines() if line.startswith(b"lum: ")]
            check(done.returncode == 7 and len(said) == 1, arguments, "ended with", done.returncode, done.stderr)
        done = subprocess.run([LUM, "load", "c.lum", "rows.csv"], stderr=full, check=False)
        check(done.returncode == 0, "messages that nobody can read stop a load")


def test_closed_pipes_end_quietly():
    for arguments in (["scan", "c.lum"], ["wal", "c.lum"], ["completion", "bash"], ["load", "--help"]):
        for _ in range(3):
            done = subprocess.run(["bash", "-c", '"$@" | true; exit ${PIPESTATUS[0]}', "bash", LUM, *arguments, "-q"], capture_output=True, check=False)
            check(done.returncode in (0, 141) and done.stderr == b"", arguments, done)


class Terminal:
    """A run of lum whose three streams are one terminal."""

    def __init__(self, *arguments, environment=None):
        pid, self.fd = pty.fork()
        if pid == 0:
            os.execve(LUM, [LUM, *arguments], {"TERM": "xterm", "PATH": "/usr/bin:/bin", **(environment or {})})
        self.pid = pid

    def wait(self):
        """(exit code, everything that was shown)"""
        shown = b""
        while True:
            try:
                if not select.select([self.fd], [], [], 60)[0]:
                    break
                data = os.read(self.fd, 65536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            shown += data
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return code, shown.decode(errors="replace")


def what_stays(shown):
    """The lines of a terminal after carriage returns and erasures."""
    lines = []
    for line in shown.replace("\r\n", "\n").split("\n"):
        lines.append(line.split("\r\033[K")[-1] if "\r\033[K" in line else line)
    return lines


def test_progress_on_a_terminal():
    run = ("stress", "p.lum", "--count", "30M", "--workload", "tracks", "--threads", "1")
    code, shown = Terminal(*run).wait()
    check(code == 0, code, shown)
    check(len(re.findall(r"\r\033\[Kwriting: [\d,]+ rows, \d+ %, [\d.]+ [kMG]?rows/s, [\d.]+ s left", shown)) >= 2, "no progress line in", shown)
    check("\r\033[Kreading back: " in shown, "no progress of the second phase in", shown)
    stays = what_stays(shown)
    check(not any(line.startswith(("writing:", "reading back:")) for line in stays), "a progress line stays:", stays)
    check("30,000,000 rows" in stays[-2] and stays[-1] == "", "the last line is not the result:", stays)
    for more in (["--progress", "never"], ["-q"], ["--quiet", "--progress", "auto"]):
        code, shown = Terminal(*run[:3], "3M", *more).wait()
        check(code == 0 and "\r\033[K" not in shown, more, "shows", shown)
    # elsewhere it is a line a second: the run is held for that long
    piped = subprocess.Popen([LUM, *run, "--progress", "always"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not os.path.exists("p.lum/data/1.seg") and piped.poll() is None:
        time.sleep(0.005)
    piped.send_signal(signal.SIGSTOP)
    time.sleep(1.2)
    piped.send_signal(signal.SIGCONT)
    piped = piped.communicate()[1].decode()
    check(re.search(r"^(writing|reading back): [\d,]+ rows, ", piped, re.M) and "\033" not in piped, "--progress always in a pipe:", piped)


def test_colours_on_a_terminal():
    code, shown = Terminal("info", "nowhere.lum").wait()
    check(code == 8 and "\033[1;31mlum:\033[0m " in shown, code, repr(shown))
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        code, shown = Terminal("info", "nowhere.lum", environment=environment).wait()
        check(code == 8 and "\033" not in shown and "lum: " in shown, environment, repr(shown))
    code, shown = Terminal("info", "nowhere.lum", environment={"NO_COLOR": ""}).wait()
    check("\033[1;31m" in shown, "an empty NO_COLOR means nothing", repr(shown))
    check("\033" not in lum("info", "nowhere.lum", expect=8).err, "colours in a pipe")


run_tests(globals())
