#!/usr/bin/env python3
"""Proves what holds for every command that `lum --help` lists, whoever adds it: success and failure as one JSON object with the same members on
the right stream, -q and -v, words in any order, `--`, nothing made or changed by a command line that is refused."""
import hashlib
import json
import os
import re
import shutil
import subprocess

from program import LUM, check, lum, run_tests

COMMANDS = re.findall(r"^  ([a-z-]+) +\S", lum("--help").out.decode(), re.M)
# Words that a command needs behind its name to succeed on the store s.lum; {n} is a number that no run before had.
WORDS = {"stress": ["t.lum", "--count", "10K"], "load": ["s.lum", "rows.csv"], "get": ["s.lum", "5"], "where": ["s.lum", "5"],
         "diff": ["s.lum", "s.lum"], "backup": ["s.lum", "copy{n}.lum"], "salvage": ["s.lum", "saved{n}.lum"], "completion": ["bash"]}
ERROR_MEMBERS = {"name", "message", "file", "line", "offset", "errno", "remedy"}
run_number = 0


def words_of(command):
    global run_number
    run_number += 1
    return [word.format(n=run_number) for word in WORDS.get(command, ["s.lum"])]


def run(*arguments):
    return subprocess.run([LUM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)


def object_of(done, command):
    """The JSON object: on stdout, or the last line of stderr where data has stdout."""
    stream = done.stderr.splitlines()[-1] if command == "scan" else done.stdout
    try:
        return json.loads(stream)
    except ValueError:
        check(False, command, "printed no JSON object:", done)


def make_store():
    shutil.rmtree("s.lum", ignore_errors=True)
    with open("rows.csv", "w", encoding="utf-8") as file:
        file.write("id,position_x\n" + "".join(f"{i},{i}\n" for i in range(100)))
    lum("load", "s.lum", "rows.csv", "-q")


def contents():
    found = {}
    for folder, _, names in os.walk("."):
        found[folder] = None
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                found[os.path.join(folder, name)] = hashlib.sha256(file.read()).hexdigest()
    return found


def test_success_is_one_object():
    make_store()
    for command in COMMANDS:
        done = run(command, *words_of(command), "--json")
        check(done.returncode == 0, command, done)
        told = object_of(done, command)
        check(told["schema_version"] == 1 and told["exit_code"] == 0 and "error" not in told, command, told)
        check(command == "scan" or done.stdout.count(b"\n") in (1, told.get("record_count", 0) + 1), command, "printed more than the object")


def test_failure_is_one_object():
    for command in COMMANDS:
        if command in ("stress", "completion"):
            continue
        words = [word.replace("s.lum", "nowhere.lum") for word in words_of(command)]
        if command == "load":
            words = ["s.lum", "nowhere.csv"]
        for more in ([], ["-q"]):
            done = run(command, *words, "--json", *more)
            told = object_of(done, command)
            check(done.returncode == 8 == told["exit_code"] and told["schema_version"] == 1, command, done)
            check(set(told["error"]) == ERROR_MEMBERS and told["error"]["name"] == "ERR_NOT_FOUND", command, told)
            check("nowhere" in (told["error"]["file"] or "") + told["error"]["message"], command, "does not name what is missing:", told)
            said = [line for line in done.stderr.decode().splitlines() if line.startswith("lum: ")]
            check(len(said) == 1, command, "says", done.stderr)
            check(told["error"]["message"] in said[0], command, "tells different things:", told, said)
        check(not any(name.startswith("nowhere") for name in os.listdir(".")), command, "made something")


def test_quiet_says_nothing_else():
    make_store()
    for command in COMMANDS:
        done = run(command, *words_of(command), "-q")
        check(done.returncode == 0 and done.stderr == b"", command, "-q says", done.stderr)
        done = run(command, *words_of(command), "-q", "-v")
        check(done.returncode == 0 and done.stderr == b"", command, "-q and -v say", done.stderr)


def test_the_last_line_is_one_sentence():
    """Of commands that do something: what was done, in what time; nothing on stdout, which is for data."""
    make_store()
    for command in ("stress", "load", "checkpoint", "backup", "salvage"):
        if command in COMMANDS:
            done = run(command, *words_of(command))
            last = done.stderr.decode().splitlines()[-1]
            check(done.returncode == 0 and done.stdout == b"", command, "printed on stdout", done.stdout)
            check(re.search(r"\brows?\b", last) and re.search(r" in [\d.e-]+ s\b", last), command, "ends with", last)


def test_options_may_stand_anywhere():
    make_store()
    for command in COMMANDS:
        words = words_of(command)
        first = [word for word in words if not word.startswith("-") and word != "10K"]
        options = words[len(first):]
        for line in (["--progress=never", *options, "--", *first], [first[0], "--progress", "never", *options, *first[1:], "-v"]):
            done = run(command, *line)
            check(done.returncode == 0, command, line, done)
            make_store()
            for name in os.listdir("."):
                if name.startswith(("copy", "saved")):
                    shutil.rmtree(name)


def test_refused_command_lines_change_nothing():
    make_store()
    before = contents()
    for command in COMMANDS:
        words = words_of(command)
        for more in (["--no-such-option"], ["-Z"], ["--progress", "sometimes"], ["--json=yes"], ["one", "word", "too", "many"], [""]):
            done = run(command, *words, *more, "--json")
            if command == "load" and more[0] == "one":
                check(done.returncode == 8, command, more, done)
                continue
            check(done.returncode == 2, command, more, done)
            told = object_of(done, command)
            check(told["exit_code"] == 2 and set(told["error"]) == ERROR_MEMBERS and told["error"]["name"] == "ERR_USAGE", command, told)
        check(contents() == before, command, "changed something")


run_tests(globals())
