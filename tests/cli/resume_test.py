#!/usr/bin/env python3
"""Proves that a label is loaded exactly once, and that `load --resume` after a kill, an interrupt or a refused row ends with the store and the reject
files of a load that nobody interrupted: for each format, compressed, from a pipe, over several files, after checkpoints and second interruptions. Input
that is not the same is refused.

LUM_RESUME_ROWS (200,000), LUM_RESUME_KILLS (5): for a run by hand, such as 20000000 and 20. LUM_SEED: of the moments of the kills."""
import gzip
import json
import os
import random
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import time

from program import LUM, check, lum, run_tests

ROWS = int(os.environ.get("LUM_RESUME_ROWS", "200000"))
KILLS = int(os.environ.get("LUM_RESUME_KILLS", "5"))
SEED = int(os.environ.get("LUM_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
print("LUM_SEED", SEED, flush=True)
RANDOM = random.Random(SEED)
COMMIT_EVERY = max(ROWS // 40, 1000)


def content(store):
    info = lum("info", store, "--json").json
    return info["lums"], info["labels"]


def same(left, right):
    with open(left, "rb") as a, open(right, "rb") as b:
        while True:
            one, other = a.read(1 << 20), b.read(1 << 20)
            if one != other:
                return False
            if not one:
                return True


def remove(*names):
    for name in names:
        if os.path.isdir(name):
            shutil.rmtree(name)
        elif os.path.exists(name):
            os.unlink(name)


# -------------------------------------------------------------------------------------------------------------- kills

def write_big(name):
    """One row in 97 is bad; quotes, line ends of both kinds, empty lines."""
    with open(name, "w", encoding="utf-8", newline="") as file:
        file.write("id,timestamp,position_x,note\n")
        for block in range(0, ROWS, 100000):
            lines = []
            for i in range(block, min(block + 100000, ROWS)):
                x = "seven" if i % 97 == 7 else i * 7919 % 100003
                note = '"a ""b""\nc"' if i % 1013 == 0 else ""
                lines.append(f"{i},{1700000000000000000 + i * 1000},{x},{note}" + ("\r\n" if i % 11 == 0 else "\n\n" if i % 503 == 0 else "\n"))
            file.write("".join(lines))


def load_words(store, reject, *more):
    return ["load", store, "big.csv", "--label", "big load", "--on-error", f"reject={reject}", "--commit-every", str(COMMIT_EVERY), *more]


def reference():
    if os.path.exists("whole.lum"):
        return
    write_big("big.csv")
    begun = time.monotonic()
    result = lum(*load_words("whole.lum", "whole.bad", "--json")).json
    reference.seconds = time.monotonic() - begun
    check(result["rows_read"] == ROWS and result["rows_rejected"] == (ROWS - 8) // 97 + 1 and result["rows_skipped"] == 0, result)


def kill_once(words, after):
    process = subprocess.Popen([LUM, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _, err = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.kill()
        _, err = process.communicate()
    check(process.returncode in (0, -signal.SIGKILL), process.returncode, err)
    return process.returncode != 0


def test_killed_loads_go_on_to_the_same_end():
    reference()
    killed = committed_before = kill = 0
    while kill < KILLS or (kill < 10 * KILLS and committed_before == 0):  # few moments may all be in front of the first commit
        kill += 1
        store, reject = f"k{kill}.lum", f"k{kill}.bad"
        shape = ["--threads", str(RANDOM.choice([1, 2, 4])), "--chunk-lums", RANDOM.choice(["4Ki", "16Ki", "256Ki"])]
        killed += kill_once(load_words(store, reject, *shape), RANDOM.uniform(0.02, reference.seconds))
        for again in range(RANDOM.randrange(3)):
            if os.path.exists(os.path.join(store, "STATE")) and RANDOM.random() < 0.5:
                lum("checkpoint", store)
            shape = ["--threads", str(RANDOM.choice([1, 2, 4]))]
            kill_once(load_words(store, reject, "--resume", *shape), RANDOM.uniform(0.02, reference.seconds))
        result = lum(*load_words(store, reject, "--resume", "--json")).json
        committed_before += result["rows_skipped"] > 0
        check(result["rows_read"] == ROWS, result)
        lum("diff", store, "whole.lum")
        check(content(store) == content("whole.lum"), content(store))
        check(same(reject, "whole.bad"), reject, "is not that of a load that was not interrupted; LUM_SEED", SEED)
        check(same(reject + ".errors.csv", "whole.bad.errors.csv"), reject, "errors; LUM_SEED", SEED)
        check(lum("verify", store, "--json").json["ok"], "verify")
        again = lum(*load_words(store, "none.bad", "--threads", "3", "--chunk-lums", "8Ki", "--json")).json
        check(again["rows_loaded"] == 0 and again["rows_skipped"] == ROWS and not os.path.exists("none.bad"), again)
        check(content(store) == content("whole.lum"), "a label that was loaded twice added rows")
        remove(store, reject, reject + ".errors.csv")
    check(killed > 0 and committed_before > 0, "no load was killed behind a commit: proves nothing. killed", killed)
    print("  ", killed, "killed, of which", committed_before, "were behind a commit", flush=True)


def test_the_same_label_again():
    reference()
    result = lum(*load_words("whole.lum", "other.bad"))
    check(f"already committed, {ROWS - (ROWS - 8) // 97 - 1:,} rows" in result.err, result.err)
    before = content("whole.lum")
    with open("big.csv", "rb") as file:
        text = file.read()
    for name, changed, why in (("changed", text.replace(b",34,", b",35,", 1) if b",34,\n" in text else None, None),
                               ("late", text[:-5] + b"4" + text[-4:], "was changed at or before row"),
                               ("short", text[:len(text) // 2], "was shortened"),
                               ("long", text + b"1,1,1,\n", "is not the input that was loaded")):
        if changed is None or changed == text:
            continue
        with open(f"{name}.csv", "wb") as file:
            file.write(changed)
        words = load_words("whole.lum", "other.bad", "--json")
        words[2] = f"{name}.csv"
        refused = lum(*words, expect=6)
        check(refused.json["error"]["name"] == "ERR_LABEL" and (why is None or why in refused.json["error"]["message"]), refused.err)
        check(content("whole.lum") == before and not os.path.exists("other.bad"), name)
    refused = lum(*load_words("whole.lum", "other.bad", "--round"), expect=6)
    check("--round" in refused.err, refused.err)
    check("has 1 input files, not 2" in lum("load", "whole.lum", "big.csv", "short.csv", "--label", "big load", expect=6).err, "files")
    remove("late.csv", "short.csv", "long.csv", "changed.csv")


# ------------------------------------------------------------------------------------------- formats, files and streams

COUNT, BAD_ROW, EVERY = 5000, 4500, 250
ONE = ["--threads", "1"]  # few buffers: most of the transactions before the bad row are committed before it is met


def csv_text(first, bad, delimiter=b",", header=True):
    lines = [delimiter.join([b"id", b"position_x"])] if header else []
    for i in range(first, first + COUNT):
        lines.append(b"%d%s%s" % (i, delimiter, b"x" if i - first == bad else b"%d" % (i % 77)))
    return b"\n".join(lines) + b"\n"


def ndjson_text(first, bad):
    return b"".join(b'{"id":%d,"position_x":%s}\n' % (i, b'"x"' if i - first == bad else b"%d" % (i % 77)) for i in range(first, first + COUNT))


def raw_text(first, bad):
    return b"".join(record(i, 2 if i - first == bad else 1) for i in range(first, first + COUNT))


def record(number, presence):
    from_lum = struct.pack("<QQQii", number, 0, 0, number % 77, 0)
    flags = struct.pack("<BBBB", presence, 0, 0, 0)
    return from_lum + struct.pack("<I", crc32c(from_lum + b"\0\0\0\0" + flags)) + flags


def crc32c(data):
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def npy_text(first, bad):
    header = b"{'descr': [('id', '<u8'), ('presence', '|u1')], 'fortran_order': False, 'shape': (%d,), }" % COUNT
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    rows = b"".join(struct.pack("<QB", i, 9 if i - first == bad else 1) for i in range(first, first + COUNT))
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + rows


FORMATS = {"csv": csv_text, "tsv": lambda first, bad: csv_text(first, bad, b"\t"), "ndjson": ndjson_text, "npy": npy_text, "raw": raw_text}


def write(name, data):
    with open(name, "wb") as file:
        file.write(gzip.compress(data, 1, mtime=0) if name.endswith(".gz") else data)


def abort_then_resume(words, broken, good, files):
    """files: name -> its text; broken and good: what stands under "-" or in the files."""
    for name, data in broken.items():
        if name != "-":
            write(name, data)
    aborted = lum(*words, "--json", *ONE, expect=6, stdin=broken.get("-"))
    result = json.loads(aborted.out)
    check(result["rows_loaded"] % EVERY == 0 and result["rows_loaded"] > 0, words, result)
    check("go on with: lum load --resume" in aborted.err and result["resume_command"].startswith("lum load --resume "), aborted.err)
    for name, data in good.items():
        if name != "-":
            write(name, data)
    lum("checkpoint", words[1])
    check("was not finished" in lum(*words, expect=6, stdin=good.get("-")).err, "without --resume")
    resumed = lum(*words, "--resume", "--json", "--threads", "3", "--chunk-lums", "4Ki", stdin=good.get("-")).json
    total = COUNT * files
    check(resumed["rows_skipped"] == result["rows_loaded"] and resumed["rows_read"] == total, words, resumed)
    check(resumed["rows_loaded"] == total - result["rows_loaded"], words, resumed)
    ids = lum("scan", words[1], "--columns", "id").out.split()[1:]
    check(ids == [b"%d" % i for i in range(total)], words, "rows or their order")
    again = lum(*words, "--json", "--threads", "1", stdin=good.get("-")).json
    check(again["rows_skipped"] == total and again["rows_loaded"] == 0, words, again)


def test_every_format_plain_compressed_and_from_a_pipe():
    for kind, text in FORMATS.items():
        for form in ("f.", "f.gz.", "-"):
            name = "-" if form == "-" else f"f.{kind}" + (".gz" if form == "f.gz." else "")
            store = f"{kind}{form}.lum"
            words = ["load", store, name, "--format", kind, "--label", "l", "--commit-every", str(EVERY)]
            abort_then_resume(words, {name: text(0, BAD_ROW)}, {name: text(0, -1)}, 1)
            remove(store)


def test_several_files():
    texts = [csv_text, ndjson_text, npy_text]
    for broken_file in range(3):
        for every in (EVERY, 350, 125):
            names = ["a.csv", "b.ndjson.gz", "c.npy"]
            good = {name: text(i * COUNT, -1) for i, (name, text) in enumerate(zip(names, texts))}
            broken = dict(good)
            broken[names[broken_file]] = texts[broken_file](broken_file * COUNT, BAD_ROW)
            words = ["load", "m.lum", *names, "--label", "l", "--commit-every", str(every)]
            for name, data in broken.items():
                write(name, data)
            first = lum(*words, "--json", *ONE, expect=6).json
            check(first["rows_loaded"] > 0 and first["rows_loaded"] % every == 0, first)
            write(names[broken_file], good[names[broken_file]])
            if first["rows_loaded"] > 20:  # what is loaded already must be the same
                write(names[0], good[names[0]].replace(b"\n17,17\n", b"\n17,18\n"))
                refused = lum(*words, "--resume", expect=6)
                check("was changed at or before row" in refused.err, refused.err)
                write(names[0], good[names[0]])
            result = lum(*words, "--resume", "--json").json
            check(result["rows_skipped"] == first["rows_loaded"] and result["rows_read"] == 3 * COUNT, first, result)
            ids = lum("scan", "m.lum", "--columns", "id").out.split()[1:]
            check(ids == [b"%d" % i for i in range(3 * COUNT)], words, "rows or their order")
            check("already committed, 15,000 rows" in lum(*words).err, "again")
            remove("m.lum")


def test_rows_are_numbered_on_in_later_files():
    names = ["a.csv", "b.csv.gz", "c.csv"]
    for broken_file in range(3):
        for every in (EVERY, COUNT, 350):  # COUNT: a commit ends with the file
            words = ["load", "n.lum", *names, "--map", "id=@row", "--map", "position_x=position_x", "--label", "l", "--commit-every", str(every)]
            for i, name in enumerate(names):
                write(name, csv_text(0, BAD_ROW if i == broken_file else -1))
            first = lum(*words, "--json", *ONE, expect=6).json
            write(names[broken_file], csv_text(0, -1))
            check(lum(*words, "--resume", "--json").json["rows_skipped"] == first["rows_loaded"], first)
            ids = lum("scan", "n.lum", "--columns", "id").out.split()[1:]
            check(ids == [b"%d" % i for i in range(1, 3 * COUNT + 1)], words, broken_file, "numbers of rows")
            remove("n.lum")


# -------------------------------------------------------------------------------------------------- what is not the same

def interrupted(store, reject=None, **more):
    """A store with most of the first 4,500 rows under the label. Returns the words of the load, and how many rows of its input are committed."""
    remove(store, "p.csv", *([reject, reject + ".errors.csv"] if reject else []))
    rows = csv_text(0, BAD_ROW).replace(b"\n100,23\n", b"\n100,y\n")
    write("p.csv", rows)
    words = ["load", store, "p.csv", "--label", "l", "--commit-every", str(EVERY)]
    if reject:
        words += ["--on-error", f"reject={reject}"]
        result = lum(*words, "--max-errors", "1", *ONE, "--json", expect=6).json
    else:
        write("p.csv", rows.replace(b"\n100,y\n", b"\n100,23\n"))
        result = lum(*words, *ONE, "--json", expect=6).json
    done = result["rows_loaded"] + (reject is not None)
    check(done > 250 and done % EVERY == 0 and content(store)[0] == result["rows_loaded"], result)
    return words, done


def refused(words, *texts, expect=6):
    before = content(words[1])
    result = lum(*words, "--resume", expect=expect)
    for text in texts:
        check(text in result.err, text, "is not in", result.err)
    check(content(words[1]) == before, "a refused load changed the store")


def test_changed_input_and_options_are_refused():
    words, done = interrupted("p.lum")
    good = csv_text(0, -1)
    for name, text, why in (("a digit", good.replace(b"\n%d," % (done - 1), b"\n%d," % (done + 4)), f"was changed at or before row {done}"),
                            ("the header", good.replace(b"position_x", b"position_y", 1), f"was changed at or before row {done}"),
                            ("one byte less", good[:good.index(b"\n%d," % done)], "was shortened"),
                            ("nothing but a header", b"id,position_x\n", "was shortened")):
        write("p.csv", text)
        refused(words, why)
        check(name, "named")
    write("p.csv", good)
    refused([*words, "--map", "position_x=position_x*10"], "was made with", "*1e1", "give the same options")
    refused([*words, "--null", "0"], "was made with", "--null")
    refused([*words[:3], *words[2:]], "has 1 input files, not 2")
    check("--resume goes on with a load that has a label" in lum("load", "p.lum", "p.csv", "--resume", expect=2).err, "no label")
    write("p.csv", good + b"5000,5\n")  # what is behind the point may be anything
    check(lum(*words, "--resume", "--json").json["rows_loaded"] == COUNT + 1 - done, "longer")
    write("p.csv", good + b"5000,5\n5001,6\n")  # but once it is complete, it is complete
    refused(words, "is not the input that was loaded")
    remove("p.lum")


def test_a_label_that_keeps_no_point_or_is_new():
    write("p.csv", csv_text(0, -1))
    result = lum("load", "n.lum", "p.csv", "--label", "new", "--resume", "--json").json
    check(result["rows_loaded"] == COUNT and result["rows_skipped"] == 0, "nothing is committed: from the beginning", result)
    lum("salvage", "n.lum", "s.lum")
    check("says nothing of its input" in lum("load", "s.lum", "p.csv", "--label", "new", expect=6).err, "salvage keeps no point")
    check(content("s.lum")[0] == COUNT, "s.lum")
    remove("n.lum", "s.lum")


def test_reject_files():
    words, _ = interrupted("r.lum", "r.bad")
    good = csv_text(0, -1).replace(b"\n100,23\n", b"\n100,y\n")
    write("p.csv", good)
    with open("r.bad", "rb") as file:
        rows = file.read()
    with open("r.bad.errors.csv", "rb") as file:
        errors = file.read()
    check(rows == b"id,position_x\n100,y\n", rows)
    write("r.bad", rows[:-1])
    refused(words, "r.bad is shorter than")
    write("r.bad", rows.replace(b"y\n", b"z\n"))
    refused(words, "r.bad is not as the interrupted load left it")
    write("r.bad", rows.replace(b"position_x", b"position_y"))
    refused(words, "r.bad: the reject file's header is not as the interrupted load left it")
    os.rename("r.bad", "kept.bad")
    os.mkdir("r.bad")
    refused(words, "r.bad is not a regular file")
    os.rmdir("r.bad")
    remove("kept.bad")
    write("r.bad", rows)
    write("r.bad.errors.csv", errors.replace(b"101", b"102"))
    refused(words, "r.bad.errors.csv is not as the interrupted load left it")
    remove("r.bad.errors.csv")
    refused(words, "r.bad.errors.csv is not there")
    write("r.bad.errors.csv", errors + b"rows of nothing")
    write("r.bad", rows + b"rows of nothing")
    refused([*words[:-2], "--on-error", "skip"], "was begun with --on-error reject=r.bad")
    refused(words[:-2], "was begun with --on-error reject=r.bad")
    result = lum(*words, "--resume", "--json").json
    check(result["rows_rejected"] == 0 and result["reject_file_rows"] == 1, result)
    with open("r.bad", "rb") as file:
        check(file.read() == rows, "r.bad has the rows of the load, and no others")
    remove("r.lum", "r.bad", "r.bad.errors.csv")


def test_two_loads_do_not_share_a_reject_file():
    """The second one would write over the rows of the first, or give its file another name."""
    text = csv_text(0, 100) + csv_text(COUNT, 100, header=False) * 20
    write("p.csv", csv_text(0, 100))
    first = subprocess.Popen([LUM, "load", "1.lum", "-", "--label", "l", "--commit-every", str(EVERY), "--on-error", "reject=both.bad", "-q"],
                             stdin=subprocess.PIPE)
    second = ["load", "2.lum", "p.csv", "--label", "l", "--on-error", "reject=both.bad"]
    deadline = time.monotonic() + 30
    while not os.path.exists("both.bad.errors.csv") and time.monotonic() < deadline:
        time.sleep(0.005)
    for more in ([], ["--resume"]):
        check("another load has the reject file both.bad open" in lum(*second, *more, expect=4).err, more, "while it is empty")
    first.stdin.write(text)
    first.stdin.flush()
    while os.path.getsize("both.bad.errors.csv") == 0 and time.monotonic() < deadline:
        time.sleep(0.005)
    check(os.path.getsize("both.bad.errors.csv") > 0, "no refused row is written")
    lum(*second, expect=2)  # it is there already
    check("another load has the reject file both.bad open" in lum(*second, "--resume", expect=4).err, "while it has rows")
    check("open for writing" in lum("recover", "1.lum", "--dry-run", expect=4).err, "a store in use was said to be closed cleanly")
    first.stdin.close()
    check(first.wait() == 0, "the first load")
    check(b"closed cleanly" in lum("recover", "1.lum", "--dry-run").out, "and now it is")
    with open("both.bad", "rb") as file:
        check(file.read().count(b",x\n") == 21, "the rows of the first load")
    check(sorted(name for name in os.listdir(".") if "both.bad" in name) == ["both.bad", "both.bad.errors.csv"], os.listdir("."))
    remove("1.lum", "2.lum", "both.bad", "both.bad.errors.csv")


def test_rows_of_no_commit_are_set_aside():
    write("p.csv", csv_text(0, -1).replace(b"\n4100,", b"\nz,"))
    write("q.bad", b"left by a load that was killed before its first commit\n")
    lum("load", "q.lum", "p.csv", "--label", "l", "--on-error", "reject=q.bad", expect=2)
    result = lum("load", "q.lum", "p.csv", "--label", "l", "--on-error", "reject=q.bad", "--resume", "--json").json
    check(result["reject_file_rows"] == 1, result)
    with open("q.bad.uncommitted-1", "rb") as file:
        check(file.read() == b"left by a load that was killed before its first commit\n", "set aside")
    remove("q.lum", "q.bad", "q.bad.errors.csv", "q.bad.uncommitted-1")


def test_skipped_rows_stay_skipped():
    remove("k.lum")
    text = csv_text(0, -1).replace(b"\n100,23\n", b"\n100,y\n").replace(b"\n4760,", b"\nu,").replace(b"\n4770,", b"\nv,")
    write("p.csv", text)
    words = ["load", "k.lum", "p.csv", "--label", "l", "--commit-every", str(EVERY), "--on-error", "skip"]
    done = lum(*words, "--max-errors", "2", *ONE, "--json", expect=6).json["rows_loaded"] + 1
    check(done > 250 and done % EVERY == 0, done)
    refused([*words[:-1], "reject=k.bad"], "was begun with --on-error skip")
    lum(*words, "--max-errors", "2", "--resume", *ONE, expect=6)  # the one before the point counts too
    result = lum(*words, "--max-errors", "3", "--resume", "--json").json
    check(result["rows_rejected"] == 2 and result["rows_skipped"] >= done, result)
    check(result["rows_loaded"] == COUNT - result["rows_skipped"] - 2, result)
    check(content("k.lum")[0] == 4997, "rows")


# ------------------------------------------------------------------------------------------------------------ interrupts

def test_an_interrupt_prints_a_command_that_goes_on():
    name = "it's a file.csv"
    with open(name, "w", encoding="utf-8") as file:
        file.write("id,position_x\n")
        file.writelines(f"{i},{i % 1000}\n" for i in range(3000000))
    process = subprocess.Popen([LUM, "load", "i.lum", name, "--label", "it's $1", "--commit-every", "20K", "--events", "i.events", "--json", "-q"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while (not os.path.exists("i.events") or os.path.getsize("i.events") < 200) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    result = json.loads(out)
    check(process.returncode == 130 and 0 < result["rows_loaded"] < 3000000, process.returncode, out, err)
    line = next(line for line in err.decode().splitlines() if line.startswith("go on with: "))
    command = line.removeprefix("go on with: ")
    check(command == result["resume_command"] and shlex.split(command)[:4] == ["lum", "load", "--resume", "i.lum"], command)
    environment = {**os.environ, "PATH": os.path.dirname(LUM) + ":" + os.environ["PATH"]}
    done = subprocess.run(command, shell=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    check(done.returncode == 0 and json.loads(done.stdout)["rows_skipped"] == result["rows_loaded"], done)
    with open("i.events", encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    told = [event["rows_committed"] for event in events]
    check(told == sorted(told) and told[-1] == 3000000 and events[-1]["file"] == name, "events go on in the same file", told[-3:])
    check(content("i.lum")[0] == 3000000, "rows")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        wanted = set(sys.argv[1:])
        run_tests({name: function for name, function in globals().items() if name in wanted})
    else:
        run_tests(globals())
