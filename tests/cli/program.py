"""What the tests of the program share: run lum in a directory of its own, expect an exit code, read its JSON."""
import json
import os
import subprocess
import sys
import tempfile

SOURCE = os.environ["LUM_SOURCE_DIR"]
LUM = os.path.join(os.environ["LUM_BUILD_DIR"], "lum")
CITIES = os.path.join(SOURCE, "tests", "data", "cities500.csv.zst")
CITIES_MAP = "id=geonameid,position_x=longitude*1e7,position_y=latitude*1e7,timestamp=modified,memory_address=population"


class Result:
    def __init__(self, arguments, done):
        self.arguments, self.code = arguments, done.returncode
        self.out, self.err = done.stdout, done.stderr.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.out)


def check(condition, *what):
    """An assertion that tells what it saw."""
    if not condition:
        print("FAILED:", *what, file=sys.stderr)
        raise SystemExit(1)


def lum(*arguments, expect=0, stdin=None, user=None):
    """Runs lum; its exit code must be `expect`, and failures say so in a line of their own that begins with `lum: `."""
    command = [LUM, *[str(a) for a in arguments]]
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, user=user, check=False)
    result = Result(arguments, done)
    check(result.code == expect, " ".join(command), "ended with", result.code, "instead of", expect, "\n", result.err,
          result.out[:2000].decode("utf-8", "replace"))
    if expect != 0:
        check(any(line.startswith("lum: ") for line in result.err.splitlines()), command, "failed without a line: ", result.err)
    return result


def enter_temporary_directory():
    """Where the build is, not /tmp: that may be a file system without O_DIRECT."""
    directory = tempfile.TemporaryDirectory(prefix="cli-test-", dir=os.environ["LUM_BUILD_DIR"])
    os.chdir(directory.name)
    return directory


def run_tests(namespace):
    """All functions whose name begins with test_, each said."""
    directory = enter_temporary_directory()
    for name, function in list(namespace.items()):
        if name.startswith("test_") and callable(function):
            print(name.replace("_", " "), flush=True)
            function()
    os.chdir("/")
    directory.cleanup()
