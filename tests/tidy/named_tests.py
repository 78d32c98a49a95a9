#!/usr/bin/env python3
"""Proves that the documents which say what a test proves name tests that exist: each row of the tables of docs/specification.md names at least one, each
row of the pitfall table of docs/architecture.md too (but where it says "not kept" or "not tried"), and all that are named are known to CTest.

    named_tests.py TREE BUILD
    named_tests.py --self-test"""
import os
import re
import subprocess
import sys

LABELS = "unit|golden|crash|fault|fuzz|stress|cli|api|tidy|mutation"
NAMED = re.compile(r"`((?:" + LABELS + r")\.[a-z0-9_*]+)`")
RULE = re.compile(r"\|[-| ]+\|$")


def known_tests(tree, build):
    """What CTest has in this build, and what it has in others (a sanitizer leaves some out)."""
    listing = subprocess.run(["ctest", "-N", "-C", "mutation"], cwd=build, stdout=subprocess.PIPE, text=True, check=True).stdout
    names = set(re.findall(r"Test +#\d+: (\S+)", listing))
    with open(os.path.join(tree, "tests", "CMakeLists.txt"), encoding="utf-8") as file:
        text = re.sub(r"#.*", "", file.read())
    names.update(f"{label}.{name}" for name, label in re.findall(r"lum_add_(?:test|script)\(NAME (\w+) LABEL (\w+)", text))
    names.update(re.findall(r"add_test\(NAME ([a-z_]+\.[a-z_]+) ", text))
    return names


def exists(name, known):
    pattern = re.compile(re.escape(name).replace(r"\*", ".*"))
    return any(pattern.fullmatch(test) for test in known)


def table_rows(text):
    """(line number, line) of the rows of all tables, without their heads."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        is_head = number + 1 < len(lines) and RULE.match(lines[number + 1])
        if line.startswith("|") and not RULE.match(line) and not is_head:
            yield number + 1, line


def check(document, text, known, exempt):
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        problems += [f"{document}:{number}: there is no test {name}" for name in NAMED.findall(line) if not exists(name, known)]
    for number, line in table_rows(text):
        if not NAMED.search(line) and not exempt.search(line):
            problems.append(f"{document}:{number}: names no test: {line[:60]}")
        if re.search(r"\blater\b", line) and document.endswith("specification.md"):
            problems.append(f"{document}:{number}: something is put off: {line[:60]}")
    return problems


def pitfall_table(text):
    begin = text.index("## The durability pitfalls")
    end = text.find("\n## ", begin + 1)
    return "\n" * text.count("\n", 0, begin) + text[begin:end]


def check_tree(tree, known):
    def read(name):
        with open(os.path.join(tree, name), encoding="utf-8") as file:
            return file.read()
    never = re.compile(r"(?!)")
    problems = check("docs/specification.md", read("docs/specification.md"), known, never)
    return problems + check("docs/architecture.md", pitfall_table(read("docs/architecture.md")), known, re.compile("Not kept|not tried|golden files"))


def self_test():
    head, known, never = "| a | b |\n|---|---|\n", {"unit.ring", "crash.txn_power"}, re.compile(r"(?!)")
    cases = [
        (head + "| x | `unit.ring` |\n", 0), (head + "| x | `crash.*` |\n", 0), (head + "| `lum.h` | `unit.ring`, `file.c` |\n", 0),
        (head + "| x | `unit.rings` |\n", 1), (head + "| x | `fuzz.*` |\n", 1), (head + "| x | nothing |\n", 1),
        ("text with `unit.gone`\n", 1), (head + "| x | later, `unit.ring` |\n", 1), (head + "| x | `unit.ring`, `unit.no` |\n", 1),
    ]
    failures = [text for text, expected in cases if len(check("docs/specification.md", text, known, never)) != expected]
    for text in failures:
        print(f"judged wrongly: {text!r}")
    return len(failures)


def main():
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(1 if self_test() else 0)
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    known = known_tests(sys.argv[1], sys.argv[2])
    problems = check_tree(sys.argv[1], known) if not self_test() else ["the check itself is broken"]
    print("\n".join(problems + [f"{len(known)} tests known, {len(problems)} problems"]))
    sys.exit(1 if problems or len(known) < 50 else 0)


if __name__ == "__main__":
    main()
