#!/usr/bin/env python3
"""Proves that help, man pages and shell completion, all made from the option tables, say the same: every command and option is in each, has a
text, the pages are clean mdoc, and both shells complete commands, options, choices, files and directories."""
import os
import pty
import re
import select
import shutil
import subprocess
import time

from program import LUM, check, lum, run_tests

COMMANDS = re.findall(r"^  ([a-z-]+) +\S", lum("--help").out.decode(), re.M)


def options_of_help(command):
    """name -> text"""
    text = lum(command, "--help").out.decode().split("\noptions:\n")[1].split("\nexamples:\n")[0]
    lines = len(re.findall(r"^  (?:-\w,|   ) --", text, re.M))
    found = {}
    for match in re.finditer(r"^  (?:-\w,|   ) --([a-z-]+)(?: (\S+))?\s+(\S[^\n]*(?:\n {26}\S[^\n]*)*)", text, re.M):
        found[match[1]] = match[3]
    check(lines == len(found), command, "has options that this test cannot read")
    return found


def options_of_page(command):
    with open(f"man/lum-{command}.1", encoding="utf-8") as file:
        page = file.read()
    found = dict(re.findall(r"^\.It (?:Fl \w , )?Fl Fl (\S+)[^\n]*\n([^.\n][^\n]*)", page, re.M))
    return {name.replace("\\-", "-"): text for name, text in found.items()}


def test_every_option_has_a_text_in_help_and_page():
    os.mkdir("man")
    lum("manual", "man")
    check(sorted(os.listdir("man")) == sorted(["lum.1", *(f"lum-{command}.1" for command in COMMANDS)]), os.listdir("man"))
    for command in COMMANDS:
        told, paged = options_of_help(command), options_of_page(command)
        check({"json", "help", "quiet", "verbose", "progress"} <= set(told), command, "lacks a common option:", sorted(told))
        check(set(told) == set(paged), command, "has other options in its page:", set(told) ^ set(paged))
        for name, text in told.items():
            check(len(text.strip()) > 3, command, name, "has no text")
    with open("man/lum.1", encoding="utf-8") as file:
        overview = file.read()
    for command in COMMANDS:
        check(f".It Xr lum-{command} 1\n" in overview, "lum(1) lacks", command)


def test_pages_are_clean():
    if not shutil.which("mandoc"):
        print("  skipped: mandoc is not here")
        return
    for page in sorted(os.listdir("man")):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", f"man/{page}"], capture_output=True, text=True, check=False)
        check(done.returncode == 0 and not done.stdout, page, done.stdout)
        shown = subprocess.run(["mandoc", "-T", "ascii", f"man/{page}"], capture_output=True, text=True, check=True).stdout
        check(not re.search(r"[\\]&|\.Pp|\.Fl", shown), page, "shows macros")


def complete_in_bash(*words):
    script = "source completion; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _lum; printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True)
    check(done.stderr == "", "bash said", done.stderr)
    return [line for line in done.stdout.split("\n") if line]


def test_bash_completes():
    with open("completion", "wb") as file:
        file.write(lum("completion", "bash").out)
    os.makedirs("here/store.lum")
    for name in ("here/rows.csv", "here/a b.csv"):
        with open(name, "w", encoding="utf-8"):
            pass
    check(complete_in_bash("lum", "lo") == ["load"], complete_in_bash("lum", "lo"))
    check(set(COMMANDS) <= set(complete_in_bash("lum", "")), "commands")
    check(complete_in_bash("lum", "help", "ve") == ["verify"], "help")
    for command in COMMANDS:
        offered = complete_in_bash("lum", command, "--")
        check(sorted(offered) == sorted("--" + name for name in options_of_help(command)), command, offered)
    check(complete_in_bash("lum", "stress", "--workload", "t") == ["tracks"], "a choice behind a space")
    check(complete_in_bash("lum", "stress", "--workload", "=", "t") == ["tracks"], "a choice behind =")
    check(complete_in_bash("lum", "stress", "--workload", "=") == ["seed", "random", "tracks", "seed+noise"], "choices right behind =")
    check("csv" in complete_in_bash("lum", "scan", "s.lum", "--format", ""), "choices of scan")
    check(complete_in_bash("lum", "load", "here/") == ["here/store.lum"], "a store is a directory")
    check(sorted(complete_in_bash("lum", "load", "s.lum", "here/")) == ["here/a b.csv", "here/rows.csv", "here/store.lum"], "an input is a file")
    check(sorted(complete_in_bash("lum", "load", "--threads", "2", "s.lum", "x", "here/r")) == ["here/rows.csv"], "values are no positions")
    check(sorted(complete_in_bash("lum", "load", "--threads", "=", "2", "--json", "here/s")) == ["here/store.lum"], "nor behind =")
    check(complete_in_bash("lum", "scan", "s.lum", "-o", "here/r") == ["here/rows.csv"], "the value of a letter")
    check(complete_in_bash("lum", "load", "s.lum", "x", "--on-error", "r") == ["reject="], "a word that goes on")
    check(complete_in_bash("lum", "stress", "--count", "") == [], "numbers are not completed")
    check(complete_in_bash("lum", "nothing", "") == [], "an unknown command")


class Shell:
    """A zsh on a terminal of its own."""

    def __init__(self):
        environment = dict(os.environ, PS1="ready> ", TERM="dumb", HOME=os.getcwd(), ZDOTDIR=os.getcwd())
        pid, self.fd = pty.fork()
        if pid == 0:
            os.execvpe("zsh", ["zsh", "-f", "-i"], environment)

    def type(self, keys, until, seconds=20):
        """Types keys, waits for `until` to be shown; what was shown."""
        os.write(self.fd, keys.encode())
        shown, deadline = "", time.monotonic() + seconds
        while not re.search(until, shown) and time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.1)[0]:
                shown += os.read(self.fd, 65536).decode(errors="replace").replace("\x07", "")
        check(re.search(until, shown), "zsh did not show", until, "but", repr(shown))
        return shown


def test_zsh_completes():
    if not shutil.which("zsh"):
        print("  skipped: zsh is not here")
        return
    os.mkdir("functions")
    with open("functions/_lum", "wb") as file:
        file.write(lum("completion", "zsh").out)
    check(subprocess.run(["zsh", "-n", "functions/_lum"], check=False).returncode == 0, "zsh -n")
    shell = Shell()
    shell.type("", "ready> ")
    shell.type("fpath=($PWD/functions $fpath); autoload -U compinit; compinit -u -D; print set'up'\n", "setup")
    for typed, expected in (("lum lo", "load "), ("lum ver", "verify "), ("lum stress --workl", "--workload="),
                            ("lum stress --workload tr", "--workload tracks "), ("lum load --help s.lum here/ro", "here/rows.csv "),
                            ("lum info here/st", "here/store.lum/"), ("lum scan -o here/ro", "here/rows.csv ")):
        shell.type(typed + "\t", re.escape(expected))
        shell.type("\x15", "")  # the line is dropped
    os.close(shell.fd)


def test_completion_of_no_shell():
    check("did you mean zsh?" in lum("completion", "zhs", expect=2).err, "a misspelt shell")
    check(lum("completion", "bash", "--json").json["script"] == lum("completion", "bash").out.decode(), "--json")


check(os.access(LUM, os.X_OK), "no program")
run_tests(globals())
