#!/usr/bin/env python3
"""Proves that what the program says is what was read and approved: every file in tests/golden/cli/ is a small session with lum whose exit codes,
standard output, standard error and JSON must come out again word for word (figure g).

    golden_test.py [--update] [CASE...]     without names: all cases; --update writes what came out into the files

A case is run by a shell in an empty directory of its own, with `lum` in the PATH:

    # what the case shows
    % line      preparation: must end with 0, its output is not looked at
    $ line      recorded; behind it stand, as they came out,
    exit N      the exit code, if it is not 0
    out| ...    standard output
    json| ...   the same where it is one JSON object, a member a line
    err| ...    standard error

To add one, write the `#`, `%` and `$` lines and run with --update; then read what was written as a user would. What differs from run to run
or from machine to machine (times, rates, sizes, ids, log positions) is replaced by a word in <>: see VARYING."""
import concurrent.futures
import contextlib
import difflib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

SOURCE = os.environ.get("LUM_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("LUM_BUILD_DIR") or os.path.join(SOURCE, "build", "release"))
CASES = os.path.join(SOURCE, "tests", "golden", "cli")
WRONG_USES_MIN = 60  # issue's figure g; their names begin with "wrong-"

# What varies in text: pattern, replacement. In order.
VARYING = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
    (r"stress_\d+_[0-9a-f]{8}", "stress_<session>"),
    (r"\bpid \d+", "pid <pid>"),
    (r"\buse --count \d+M", "use --count <n>M"),
    (r"\bwith \d+ threads\b", "with <n> threads"),
    (r"\b(direct|buffered)\+(uring|posix)\b", "<io>"),
    (r"\b(avx512|avx2|baseline) on [\w./?-]+", "<simd> on <file system>"),
    (r"\d[\d.]* ?[kMGTPE]?rows/s", "<rate> rows/s"),
    (r"\d[\d.]* [kMGTPE]?B\b", "<size>"),
    (r"\d+\.\d+ (bytes )?a row", r"<n> \1a row"),
    (r"\d[\d,]* bytes\b", "<n> bytes"),
    (r"\b\d[\d.e-]* s\b", "<time>"),
    (r"\b\d+(\.\d+)? %", "<n> %"),
    (r"\bsequence \d+(,\d{3})*", "sequence <n>"),
    (r"\b\d+ log records?", "<n> log records"),
    (r"last checkpoint +sequence.*", "last checkpoint <n>"),
    (r"log records replayed .*", "log records replayed <n>"),
    (r"\b(\d+) (syncs?)\b", r"<n> \2"),
    (r"20[2-9]\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "<date>"),
    (r"(?m)^(bytes_on_disk|data_bytes) .*", r"\1 <size>"),
    (r"(?m)^(last_sequence|durable_sequence|checkpoint_sequence) .*", r"\1 <n>"),
]
# Members of JSON objects whose values vary: name (as a whole), replacement.
VARYING_MEMBERS = [
    (r".*_timestamp", "<time>"),
    (r"store_id", "<uuid>"),
    (r"test_session_id", "stress_<session>"),
    (r".*bytes.*", "<bytes>"),
    (r".*sequence.*|watermark|offset|sync_count|batch_count|wal_records_.*|files_checked|checkpoint_number", "<n>"),
    (r"threads|.*io_mode|simd_level|fs_type|chunk_lums|.*_path", "<here>"),
]


# --------------------------------------------------------------------------------------------------- what came out

def tame_json(value, name=""):
    """A JSON value with its varying members replaced. null, 0 and "" stay: that something is not there does not
    vary; but a wait may take no time."""
    if isinstance(value, dict):
        return {key: tame_json(member, key) for key, member in value.items()}
    if isinstance(value, list):
        return [tame_json(member) for member in value]
    if isinstance(value, str):
        value = tame_text(value)
    if name.endswith("nanoseconds"):
        return "<time>"
    if name == "allocator_bytes":  # without jemalloc, as under a sanitizer, there is none to tell
        return "<bytes>"
    for pattern, replacement in VARYING_MEMBERS:
        if re.fullmatch(pattern, name) and value not in (None, 0, "", True, False):
            return replacement
    return value


def tame_text(text):
    for pattern, replacement in VARYING:
        text = re.sub(pattern, replacement, text)
    return text


def stream_lines(text, prefix, is_constant):
    """The recorded form of a stream. Its last line without a newline is marked with a backslash."""
    lines = []
    for line in text.splitlines(keepends=True):
        if line.startswith('{"') and line.rstrip("\n").endswith("}"):
            try:
                shown = json.dumps(tame_json(json.loads(line)), indent=1, ensure_ascii=False)
                lines += [f"{'json' if prefix == 'out' else 'json to stderr'}| {member}" for member in shown.splitlines()]
                continue
            except ValueError:
                pass
        body = line.rstrip("\n") if is_constant else tame_text(line.rstrip("\n"))
        lines.append(f"{prefix}| {body}".rstrip() + ("" if line.endswith("\n") else "\\"))
    return lines


def run_shell(line, directory, groups):
    """Runs a line to its end. What it leaves in the background is of a process group that is added to groups."""
    environment = {"PATH": BUILD + os.pathsep + os.environ["PATH"], "HOME": directory, "LC_ALL": "C", "LUM_SOURCE_DIR": SOURCE}
    for name, value in os.environ.items():
        if name.endswith("SAN_OPTIONS"):
            environment[name] = value
    process = subprocess.Popen(["/bin/bash", "-c", line], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    groups.append(process.pid)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(line, process.returncode, out, err)


def end_groups(groups):
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass


def record(line, directory, groups):
    done = run_shell(line, directory, groups)
    is_constant = re.search(r"lum (\S+ )?(--)?(help|version)\b", line)  # what the help says varies with the program alone
    out, err = (stream.decode("utf-8", "backslashreplace").replace(directory, "<directory>") for stream in (done.stdout, done.stderr))
    exit_lines = [f"exit {done.returncode}"] if done.returncode != 0 else []
    return exit_lines + stream_lines(out, "out", is_constant) + stream_lines(err, "err", is_constant)


# ------------------------------------------------------------------------------------------------------------ cases

def replay(path):
    """(text of the file, text that it should be)."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    lines, groups = [], []
    with contextlib.ExitStack() as undo:
        directory = undo.enter_context(tempfile.TemporaryDirectory(prefix="cli-golden-", dir=BUILD))
        undo.callback(end_groups, groups)
        for line in text.splitlines():
            if line.startswith("% "):
                done = run_shell(line[2:], directory, groups)
                if done.returncode != 0:
                    raise RuntimeError(f"preparation failed: {line}\n{done.stderr.decode()}")
            if line.startswith(("# ", "% ", "$ ")) or line == "":
                lines.append(line)
            if line.startswith("$ "):
                lines += record(line[2:], directory, groups)
    return text, "\n".join(lines) + "\n"


def run_case(name, update):
    path = os.path.join(CASES, name + ".txt")
    try:
        expected, seen = replay(path)
    except (RuntimeError, subprocess.TimeoutExpired) as problem:
        return f"FAILED {name}: {problem}"
    if expected == seen:
        return None
    if update:
        with open(path, "w", encoding="utf-8") as file:
            file.write(seen)
        return f"updated {name}"
    difference = difflib.unified_diff(expected.splitlines(), seen.splitlines(), f"tests/golden/cli/{name}.txt", "what came out", lineterm="")
    return "\n".join([f"FAILED {name}", *difference])


def commands_of_the_program():
    overview = subprocess.run([os.path.join(BUILD, "lum"), "--help"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  ([a-z-]+) ", overview, re.M)


def missing_cases(names):
    """Every command needs its cases, and the wrong uses their number."""
    texts = ""
    for name in names:
        with open(os.path.join(CASES, name + ".txt"), encoding="utf-8") as file:
            texts += file.read()
    missing = [f"there is no case with: lum {command}" for command in commands_of_the_program()
               if not re.search(rf"^\$ .*\blum {command}\b", texts, re.M)]
    wrong = sum(name.startswith("wrong-") for name in names)
    if wrong < WRONG_USES_MIN:
        missing.append(f"{wrong} wrong uses, {WRONG_USES_MIN} are demanded")
    return missing


def main():
    update = "--update" in sys.argv[1:]
    names = [word for word in sys.argv[1:] if word != "--update"]
    is_all = not names
    if is_all:
        names = sorted(entry[:-4] for entry in os.listdir(CASES) if entry.endswith(".txt"))
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        answers = [answer for answer in pool.map(lambda name: run_case(name, update), names) if answer]
    for answer in answers:
        print(answer)
    missing = missing_cases(names) if is_all else []
    for line in missing:
        print("FAILED", line)
    failed = sum(answer.startswith("FAILED") for answer in answers) + len(missing)
    print(f"{len(names)} cases, {failed} failed")
    if failed and not update:
        print("if the new words are right: tests/cli/golden_test.py --update, then read the difference as a user would")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
