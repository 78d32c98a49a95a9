#!/usr/bin/env python3
"""Proves what signals do: SIGINT ends cleanly with 130 and keeps what was committed, a second one ends at once, SIGUSR1 tells the status, SIGKILL
loses nothing that --events told."""
import json
import os
import random
import signal
import subprocess
import time

from program import LUM, check, lum, run_tests


def start(*arguments, **more):
    return subprocess.Popen([LUM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    check(condition(), "it did not come to that in", seconds, "s")


def events_of(path):
    """Whole lines only: the last one may be in the making."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def start_load(store, events, *more):
    if not os.path.exists("numbers.csv"):
        with open("numbers.csv", "w", encoding="utf-8") as file:
            file.write("id,position_x\n")
            file.writelines(f"{i},{i % 1000}\n" for i in range(4000000))
    if os.path.exists(events):
        os.unlink(events)
    return start("load", store, "numbers.csv", "--commit-every", "20K", "--events", events, *more)


def test_one_interrupt_keeps_what_is_committed():
    load = start_load("i.lum", "i.events", "--json")
    wait_for(lambda: len(events_of("i.events")) >= 2)
    load.send_signal(signal.SIGINT)
    out, err = load.communicate()
    result, told = json.loads(out), events_of("i.events")
    check(load.returncode == 130 and result["exit_code"] == 130 and result["error"]["name"] == "ERR_CANCELLED", load.returncode, out, err)
    check(result["rows_loaded"] == told[-1]["rows_committed"] < 4000000, result, told[-1])
    check(result["rows_read"] == result["rows_loaded"] + result["rows_rolled_back"], result)
    info = lum("info", "i.lum", "--json").json
    check(info["lums"] == result["rows_loaded"] and info["state"] == "normal" and not info["needs_recovery"], info)
    check(lum("verify", "i.lum", "--json").json["ok"] is True, "verify")


def test_interrupted_stress_cleans_up():
    stress = start("stress", "is.lum", "--count", "100M", "--workload", "tracks", "--threads", "1")
    wait_for(lambda: os.path.exists("is.lum/STATE"))
    time.sleep(0.05)
    stress.send_signal(signal.SIGINT)
    stress.communicate()
    check(stress.returncode == 130 and not os.path.exists("is.lum"), stress.returncode, "or the store is left")


def test_the_second_interrupt_ends_at_once():
    load = start("load", "ii.lum", "-", stdin=subprocess.PIPE)  # waits for input that never comes
    load.stdin.write(b"id\n1\n")
    load.stdin.flush()
    time.sleep(0.5)
    load.send_signal(signal.SIGINT)
    time.sleep(0.2)
    load.send_signal(signal.SIGINT)
    check(load.wait(10) == 130, "the second interrupt", load.returncode)
    load.stdin.close()


def test_status_on_request():
    stress = start("stress", "u.lum", "--count", "100M", "--workload", "tracks", "--threads", "1", "--progress",
                   "never")
    wait_for(lambda: os.path.exists("u.lum/STATE"))
    stress.send_signal(signal.SIGUSR1)
    time.sleep(0.3)
    stress.send_signal(signal.SIGINT)
    err = stress.communicate()[1].decode()
    check("writing: " in err and "rows/s" in err, "no status line in", err)


def test_no_progress_unless_on_a_terminal():
    check("\r" not in lum("stress", "t.lum", "--count", "2M").err, "a progress line in a pipe")


def test_a_kill_loses_nothing_that_was_told():
    seed = int(os.environ.get("LUM_SEED", "7"))
    rng = random.Random(seed)
    kills = 0
    for round_number in range(6):
        os.system("rm -rf k.lum")
        load = start_load("k.lum", "k.events", "--threads", str(rng.randint(1, 4)))
        wait_for(lambda: len(events_of("k.events")) >= 1)
        time.sleep(rng.random() * 0.05)
        load.kill()
        load.communicate()
        is_killed = load.returncode == -signal.SIGKILL  # else it was through before
        kills += is_killed
        told = events_of("k.events")[-1]["rows_committed"]
        rows = lum("scan", "k.lum", "--columns", "id,position_x", "-q").out.decode().splitlines()[1:]
        check(len(rows) >= told and len(rows) % 20000 == 0, "round", round_number, "LUM_SEED", seed, ":", len(rows), "rows,", told, "told")
        check(rows == [f"{i},{i % 1000}" for i in range(len(rows))], "round", round_number, "rows are not those of the file")
        detected = lum("recover", "k.lum", "--json").json["crash_detected"]
        check(detected or not is_killed, "round", round_number, "LUM_SEED", seed, ": killed, but no crash was detected")
        check(lum("info", "k.lum", "--json").json["lums"] == len(rows), "rows after recovery")
        check(lum("verify", "k.lum", "--json").json["ok"] is True, "verify")
    check(kills > 0, "every load was through before it was killed")


run_tests(globals())
