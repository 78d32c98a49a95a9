#!/usr/bin/env python3
"""Proves that help, version and refusals of wrong words work for every command, and that each example in the help is a command line that
the program itself accepts."""
import json
import re
import shlex
import subprocess

from program import LUM, check, lum, run_tests

COMMANDS = re.findall(r"^  ([a-z-]+) +\S", lum("--help").out.decode(), re.M)


def test_overview_lists_every_command():
    out = lum("--help").out.decode()
    for command in ("stress", "load", "scan", "get", "info", "verify", "recover", "checkpoint", "wal", "completion"):
        check(command in COMMANDS, "no", command, "in", out)
    check("stress-read" not in out and "manual" not in out, "a hidden command shows")
    check(lum("help").out.decode() == out, "`lum help` differs from `lum --help`")
    lum_without_words = subprocess.run([LUM], capture_output=True, check=False)
    check(lum_without_words.returncode == 2 and lum_without_words.stdout == b"", "lum without a command")


def test_version_is_that_of_the_header():
    check(re.fullmatch(r"lum \d+\.\d+\.\d+\n", lum("--version").out.decode()), "version")


def test_help_of_every_command_has_usage_options_examples():
    for command in COMMANDS:
        out = lum(command, "--help").out.decode()
        check(out.startswith(f"usage: lum {command} "), command, "usage")
        for word in ("--json", "--quiet", "--verbose", "--progress", "\nexamples:\n  lum "):
            check(word in out or word == "\nexamples:\n  lum " and "\nexamples:\n" in out, command, "lacks", word)
        check(all(len(line) <= 120 and line == line.rstrip() for line in out.splitlines()), command, "has long or ragged lines")
        check(lum("help", command).out.decode() == out, command, "`lum help COMMAND` differs")
        check(lum(command, "-h").out.decode() == out, command, "-h")


def test_every_example_parses():
    for command in COMMANDS:
        text = lum(command, "--help").out.decode().split("\nexamples:\n")[1].replace("\\\n", " ")
        found = 0
        for line in text.splitlines():
            for part in re.split(r" [|>] ", line):
                words = shlex.split(part)
                if words and words[0] == "lum":
                    found += 1
                    lum(*words[1:], "--help")  # parsed to the end, then the help
        check(found > 0, command, "has no example")


def test_unknown_words_are_named_with_the_closest_match():
    check("did you mean load?" in lum("laod", expect=2).err, "command")
    check("did you mean --commit-every?" in lum("load", "a", "b", "--commit-evry", "5", expect=2).err, "option")
    check('"64Q" has an unknown suffix' in lum("stress", "--memory", "64Q", expect=2).err, "suffix")
    check("did you mean tracks?" in lum("stress", "--workload", "track", expect=2).err, "choice")
    check("did you mean position_x?" in lum("scan", "a", "--columns", "id,postion_x", expect=2).err, "column")
    for command in COMMANDS:
        result = lum(command, "--no-such-option", "--json", expect=2)
        said = result.out or result.err.splitlines()[-1]  # where data takes stdout, the object goes to stderr
        error = json.loads(said)["error"]
        check(json.loads(said)["exit_code"] == 2 and "--no-such-option" in error["message"], command, said)
        check(set(error) == {"name", "message", "file", "line", "offset", "errno", "remedy"}, "error members", error)


run_tests(globals())
