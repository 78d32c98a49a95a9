#!/usr/bin/env python3
"""Proves what signals do: SIGINT ends cleanly with 130 and keeps what was committed, a second one ends at once, SIGUSR1 tells the status, SIGKILL
loses nothing that --events told."""
import gzip
import json
import os
import random
import re
import shutil
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


def links_of(pid):
    """What the descriptors of a process are."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:  # closed in between
            pass
    return found


def wait_until_it_catches(process):
    """A command that looks at interrupts has an eventfd for them."""
    wait_for(lambda: "anon_inode:[eventfd]" in links_of(process.pid))


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


def test_an_interrupt_ends_waiting_for_input():
    """Plain and compressed; before the first byte and behind a few rows. What was read is rolled back, and the store closed cleanly."""
    few_rows = b"id,position_x\n" + b"".join(b"%d,1\n" % i for i in range(2000))
    for number, begun in enumerate((b"", few_rows, gzip.compress(few_rows)[:-20])):
        store = f"w{number}.lum"
        load = start("load", store, "-", "--json", stdin=subprocess.PIPE)
        load.stdin.write(begun)
        load.stdin.flush()
        wait_until_it_catches(load)
        time.sleep(0.3)
        load.send_signal(signal.SIGINT)
        check(load.wait(10) == 130, store, "ended with", load.returncode)
        result, err = json.loads(load.stdout.read()), load.stderr.read().decode()
        check(result["exit_code"] == 130 and result["error"]["name"] == "ERR_CANCELLED", result)
        check(result["rows_loaded"] == 0 and "lum: interrupted" in err, result, err)
        load.stdin.close()
        if os.path.exists(store):
            info = lum("info", store, "--json").json
            check(info["lums"] == 0 and info["state"] == "normal" and not info["needs_recovery"], info)


def test_an_input_that_ends_with_the_interrupt_is_not_whole():
    """Ctrl-C in `cat large.csv | lum load`: cat dies of it too, and the input seems to be over."""
    load = start("load", "c.lum", "-", "--json", stdin=subprocess.PIPE)
    load.stdin.write(b"id,position_x\n" + b"1,2\n" * 100)
    load.stdin.flush()
    wait_until_it_catches(load)
    time.sleep(0.3)
    load.send_signal(signal.SIGINT)
    load.stdin.close()
    check(load.wait(10) == 130, "ended with", load.returncode)
    check(json.loads(load.stdout.read())["rows_loaded"] == 0, "half an input was committed")


def test_the_second_interrupt_ends_at_once():
    stress = start("stress", "ii.lum", "--count", "100M", "--workload", "tracks", "--threads", "1")
    wait_for(lambda: os.path.exists("ii.lum/data/1.seg"))
    os.kill(stress.pid, signal.SIGSTOP)  # so that both are there before it can do anything about the first
    stress.send_signal(signal.SIGINT)
    stress.send_signal(signal.SIGTERM)
    os.kill(stress.pid, signal.SIGCONT)
    err = stress.communicate()[1].decode()
    check(stress.returncode == 130, "the second interrupt", stress.returncode, err)
    check(os.path.exists("ii.lum"), "there was time to clean up")
    check(lum("recover", "ii.lum", "--json").json["crash_detected"] is True, "it was closed cleanly")


def test_commands_without_anything_to_undo_end_at_once():
    lum("stress", "big.lum", "--count", "30M", "--workload", "random", "--keep", "-q")
    verify = start("verify", "big.lum", "--threads", "1")
    wait_for(lambda: any("big.lum/data" in link for link in links_of(verify.pid)))
    verify.send_signal(signal.SIGUSR1)
    time.sleep(0.02)
    verify.send_signal(signal.SIGINT)
    err = verify.communicate()[1].decode()
    check(verify.returncode == 130 and err.endswith("lum: interrupted\n"), verify.returncode, err)
    check(re.search(r"^lum verify: running for \d+ s$", err, re.M), "no answer to SIGUSR1 in", err)
    # a scan can tell how far it is, and what it wrote ends at a whole row
    scan = start("scan", "big.lum", "--columns", "id", "--threads", "1") if "--threads" in lum("scan", "--help").out.decode() \
        else start("scan", "big.lum", "--columns", "id")
    read = os.read(scan.stdout.fileno(), 1 << 20)
    scan.send_signal(signal.SIGUSR1)
    scan.send_signal(signal.SIGINT)
    out, err = scan.communicate()
    rows = (read + out).decode().split("\n")
    check(scan.returncode == 130 and "interrupted after" in err.decode(), scan.returncode, err)
    check(rows[0] == "id" and rows[-1] == "" and rows[1:-1] == [str(i) for i in range(len(rows) - 2)], "torn rows")
    check("scanning: " in err.decode(), "no status line in", err)
    shutil.rmtree("big.lum")


def test_an_interrupted_scan_to_a_file_leaves_what_was_there():
    """SIGINT and SIGTERM: 130, the old file as it was or no file, and nothing beside it. A second one and SIGKILL may leave the temporary file, never a
    file of the name that is not whole."""
    lum("stress", "so.lum", "--count", "20M", "--workload", "random", "--keep", "-q")
    os.mkdir("out")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        for form in ("csv", "npy"):
            for old in (None, b"of yesterday\n"):
                if old is not None:
                    with open("out/rows", "wb") as file:
                        file.write(old)
                scan = start("scan", "so.lum", "--columns", "all", "--format", form, "-o", "out/rows", "--json")
                wait_for(lambda: any(name.startswith("rows.part-") and os.path.getsize(f"out/{name}") > 0 for name in os.listdir("out")))
                scan.send_signal(number)
                out, err = scan.communicate()
                if number == signal.SIGKILL:
                    check(scan.returncode == -number, "SIGKILL", scan.returncode)
                    for name in os.listdir("out"):
                        if name.startswith("rows.part-"):
                            os.unlink(f"out/{name}")
                else:
                    check(scan.returncode == 130, number, "ended with", scan.returncode, err)
                    result = json.loads(out)
                    check(result["error"]["name"] == "ERR_CANCELLED" and result["rows"] < 20000000, result)
                    check(b"interrupted after" in err, err)
                check(os.listdir("out") == ([] if old is None else ["rows"]), number, form, "left", os.listdir("out"))
                if old is not None:
                    with open("out/rows", "rb") as file:
                        check(file.read() == old, number, "the old file was written to")
                    os.unlink("out/rows")
    shutil.rmtree("so.lum")


def test_a_background_job_is_not_interrupted():
    """A shell starts `lum load ... &` with SIGINT ignored."""
    load = subprocess.Popen([LUM, "load", "b.lum", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    load.stdin.write(b"id,position_x\n1,2\n")
    load.stdin.flush()
    time.sleep(0.3)
    load.send_signal(signal.SIGINT)
    time.sleep(0.1)
    load.communicate(b"2,3\n")
    check(load.returncode == 0 and lum("info", "b.lum", "--json").json["lums"] == 2, "ended with", load.returncode)


def test_status_on_request():
    stress = start("stress", "u.lum", "--count", "100M", "--workload", "tracks", "--threads", "1", "--progress", "never")
    wait_for(lambda: os.path.exists("u.lum/data/1.seg"))
    for _ in range(5):  # the first ones may come before the rows do
        stress.send_signal(signal.SIGUSR1)
        time.sleep(0.1)
    stress.send_signal(signal.SIGINT)
    err = stress.communicate()[1].decode()
    check(re.search(r"^writing: [\d,]+ rows, \d+ %, [\d.]+ [kMG]?rows/s, .* left", err, re.M), "no status line in", err)


def test_status_does_not_disturb():
    load = start_load("su.lum", "su.events", "--threads", "1", *["numbers.csv"] * 7)  # for longer than the requests take
    wait_for(lambda: len(events_of("su.events")) >= 1)
    for _ in range(20):
        load.send_signal(signal.SIGUSR1)
        time.sleep(0.01)
    err = load.communicate()[1].decode()
    check(load.returncode == 0 and lum("info", "su.lum", "--json").json["lums"] == 32000000, load.returncode, err)
    check(re.search(r"^loading: .*rows/s, .*durable at sequence \d+$", err, re.M), "no status line in", err)


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
