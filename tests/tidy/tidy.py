#!/usr/bin/env python3
"""Proves the few rules of CONTRIBUTING.md that must never slip. With --self-test it first breaks each rule in a scratch tree and
demands that the break is seen.

    tidy.py TREE
    tidy.py --self-test"""
import json
import os
import re
import stat
import sys
import tempfile

# A folder may include itself and the folders named here.
MAY_INCLUDE = {
    "base": {"base"},
    "storage": {"storage", "base"},
    "formats": {"formats", "base"},
    "wal": {"wal", "storage", "base"},
    "recovery": {"recovery", "wal", "storage", "base"},
    "pipeline": {"pipeline", "recovery", "wal", "storage", "base"},
    "api": {"api", "pipeline", "recovery", "wal", "storage", "base"},
    "cli": {"cli", "formats"},
}
SKIPPED = re.compile(r"^(\.git|build|build-.*|\.cache|__pycache__)$")
FILE_LINES_MAX = 500
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")) + r")\b")
# a struct's bytes handed to a write: &struct with sizeof, whatever the function
RAW_WRITE = re.compile(r"\b(?:fwrite|write|pwrite|lum__file_write\w*|lum__file_append\w*)\s*\([^;]*\bsizeof\s*\(?\s*(?:struct\b|\*|\w+_t\b)")


def tree_files(tree):
    for folder, folders, names in os.walk(tree):
        folders[:] = sorted(name for name in folders if not SKIPPED.match(name))
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name != ".git" and not os.path.islink(path):
                yield os.path.relpath(path, tree), path


def read_text(path):
    with open(path, "rb") as file:
        data = file.read()
    if b"\0" in data[:4096]:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def without_comments(text):
    keep_lines = lambda match: "\n" * match.group(0).count("\n")
    text = re.sub(r"/\*.*?\*/", keep_lines, text, flags=re.DOTALL)
    return re.sub(r"//[^\n]*", "", text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def check_includes(name, code, problems):
    folder = name.split("/")[0]
    if folder not in MAY_INCLUDE:
        return
    inside_prove = name.startswith("cli/prove/")
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">]', code, flags=re.MULTILINE):
        target = match.group(1).split("/")[0]
        if target in MAY_INCLUDE and target not in MAY_INCLUDE[folder] and not inside_prove:
            problems.append(f"{name}:{line_of(code, match.start())}: {folder}/ may not include {match.group(1)}")
        if match.group(1).startswith(".."):
            problems.append(f"{name}:{line_of(code, match.start())}: includes start at the top folder, not with ..")


def check_code(name, text, problems):
    code = without_comments(text)
    check_includes(name, code, problems)
    is_product = name.split("/")[0] in MAY_INCLUDE
    for match in re.finditer(r"#[ \t]*pragma[ \t]+omp\b|_Pragma[ \t]*\(\s*\"omp\b", code):
        if name != "base/parallel.c" and is_product:
            problems.append(f"{name}:{line_of(code, match.start())}: OpenMP pragmas stand in base/parallel.c only")
    if is_product:
        for match in RAW_WRITE.finditer(code):
            problems.append(f"{name}:{line_of(code, match.start())}: a struct is written as it lies; use base/bytes.h")
    if name.endswith(".h") and is_product and not re.search(r"^#ifndef LUM_\w+_H$", code, flags=re.MULTILINE):
        problems.append(f"{name}: no include guard LUM_..._H")


def check_mode(name, path, text, problems):
    is_executable = bool(os.stat(path).st_mode & stat.S_IXUSR)
    is_script = text is not None and text.startswith("#!")
    if is_script and not is_executable:
        problems.append(f"{name}: a script that is not executable")
    if is_executable and not is_script:
        problems.append(f"{name}: executable, but no script")


def check_named(tree, names, problems):
    """Every source file is named in the build: a file that is not is a file that nobody compiles or runs."""
    lists = "".join(read_text(os.path.join(tree, name)) or "" for name in names if os.path.basename(name) == "CMakeLists.txt")
    for name in names:
        folder = name.split("/")[0]
        if not name.endswith((".c", ".cc", ".cpp")) or folder not in set(MAY_INCLUDE) | {"tests", "bench"}:
            continue
        short = name if folder in MAY_INCLUDE else name.split("/", 1)[1]
        included = os.path.basename(name)  # a .c that a script compiles, such as the consumer of the install test
        scripts = (read_text(os.path.join(tree, other)) or "" for other in names if other.endswith((".sh", ".py")))
        if short not in lists and not any(included in script for script in scripts):
            problems.append(f"{name}: not named in any CMakeLists.txt")


def check(tree):
    problems, warnings, names = [], [], []
    for name, path in tree_files(tree):
        names.append(name)
        text = read_text(path)
        check_mode(name, path, text, problems)
        if text is None:
            continue
        for match in UNFINISHED.finditer(text):
            problems.append(f"{name}:{line_of(text, match.start())}: unfinished work: {match.group(1)}")
        if text and not text.endswith("\n"):
            problems.append(f"{name}: no newline at the end")
        if name.endswith((".c", ".h", ".inc")):
            check_code(name, text, problems)
            if text.count("\n") > FILE_LINES_MAX and not name.startswith("include/"):
                warnings.append(f"{name}: {text.count(chr(10))} lines; more than {FILE_LINES_MAX} want a reason")
        if name.endswith((".c", ".h", ".inc", ".py", ".sh", "CMakeLists.txt")):
            for number, line in enumerate(text.splitlines(), 1):
                if "\t" in line:
                    problems.append(f"{name}:{number}: a tab")
                if line != line.rstrip():
                    problems.append(f"{name}:{number}: blanks at the end of the line")
        if name.endswith(".json"):
            try:
                json.loads(text)
            except ValueError as error:
                problems.append(f"{name}: not JSON: {error}")
    check_named(tree, names, problems)
    return problems, warnings, len(names)


BREAKS = [
    # file, contents, what the problem must say
    ("wal/a.c", '#include "pipeline/ring.h"\n', "wal/ may not include pipeline/ring.h"),
    ("formats/a.c", '#include "storage/page.h"\n', "formats/ may not include"),
    ("cli/a.c", '#include "base/status.h"\n', "cli/ may not include base/status.h"),
    ("base/a.c", '#  include "../wal/x.h"\n', "not with .."),
    ("storage/a.c", "void f(void)\n{\n#pragma omp parallel\n}\n", "OpenMP pragmas"),
    ("api/a.c", "fwrite(&header, sizeof(struct header), 1, file);\n", "as it lies"),
    ("api/b.c", "n = pwrite(fd, &rows[0],\n    sizeof(lum_t), 0);\n", "as it lies"),
    ("base/b.h", "int x;\n", "no include guard"),
    ("base/c.c", "/* " + "TO" + "DO: later */\n", "unfinished work"),
    ("docs/a.md", "text without an end", "no newline"),
    ("base/d.c", "\tint x;\n", "a tab"),
    ("base/e.c", "int x; \n", "blanks at the end"),
    ("a.json", "{,}\n", "not JSON"),
    ("tests/unit/a_test.c", "int x;\n", "not named"),
    ("run.sh", "#!/bin/sh\n", "not executable"),
]
FINE = [
    ("wal/fine.c", '/* #include "pipeline/ring.h" */\n#include "storage/file.h"\n#include <stdio.h>\n#include "lum/lum.h"\n'),
    ("base/parallel.c", "#pragma omp parallel\n"),
    ("tests/unit/fine_test.c", 'char path[] = "/tmp/a_XXXX' + 'XX";\n'),
    ("CMakeLists.txt", "wal/fine.c base/parallel.c unit/fine_test.c\n"),
]


def write(tree, name, text):
    path = os.path.join(tree, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def self_test():
    failures = 0
    for name, text, expected in BREAKS:
        with tempfile.TemporaryDirectory() as tree:
            write(tree, name, text)
            problems, _, _ = check(tree)
            if not any(expected in problem for problem in problems):
                print(f"not seen: {expected!r} in {name}: {problems}")
                failures += 1
    with tempfile.TemporaryDirectory() as tree:
        for name, text in FINE:
            write(tree, name, text)
        os.chmod(os.path.join(tree, "CMakeLists.txt"), 0o755)
        problems, _, _ = check(tree)
        if problems != ["CMakeLists.txt: executable, but no script"]:
            print(f"expected only the executable bit of CMakeLists.txt: {problems}")
            failures += 1
    print(f"{len(BREAKS) + 1} planted breaks, {failures} not seen")
    return failures


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--self-test":
        sys.exit(1 if self_test() else 0)
    problems, warnings, count = check(sys.argv[1])
    for warning in warnings:
        print(f"warning: {warning}")
    for problem in problems:
        print(problem)
    print(f"{count} files, {len(problems)} problems, {len(warnings)} warnings")
    sys.exit(1 if problems or count < 10 else 0)


if __name__ == "__main__":
    main()
