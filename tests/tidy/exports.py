#!/usr/bin/env python3
"""Proves that liblum.so exports exactly the functions that the public headers declare: lum_x, never lum__x, nothing forgotten.

    exports.py liblum.so header..."""
import re
import subprocess
import sys


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", "--format=posix", library], check=True, stdout=subprocess.PIPE,
                           text=True).stdout.splitlines()
    # "name@@VERSION type value"; the version's own name (type A) is not a function
    return {line.split()[0].split("@")[0] for line in lines if line.split()[1] != "A"}


def declared(headers):
    names = set()
    for header in headers:
        with open(header, encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.DOTALL)
        text = re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", "", text, flags=re.MULTILINE)
        for declaration in re.findall(r"\bLUM_PUBLIC\b([^;]*);", text):
            names.add(re.search(r"\b(lum_\w+)\s*\(", declaration.replace("LUM_MUST_USE", "")).group(1))
    return names


def main():
    library, headers = sys.argv[1], sys.argv[2:]
    in_library, in_headers = exported(library), declared(headers)
    problems = [f"{name} is exported but no public header declares it" for name in sorted(in_library - in_headers)]
    problems += [f"{name} is declared but not exported" for name in sorted(in_headers - in_library)]
    problems += [f"{name} is an inner name" for name in sorted(in_library) if not re.fullmatch(r"lum_[a-z][a-z0-9_]*", name)
                 or name.startswith("lum__")]
    for problem in problems:
        print(problem)
    print(f"{len(in_library)} exported, {len(in_headers)} declared, {len(problems)} problems")
    sys.exit(1 if problems or len(in_headers) < 10 else 0)


if __name__ == "__main__":
    main()
