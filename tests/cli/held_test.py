#!/usr/bin/env python3
"""`lum info` tells how many readers are there and what they hold back; the first checkpoint without them gives it back."""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import lum_program as lum  # noqa: E402

ROWS = lum.Rows(20000)


def done(*arguments):
    result = lum.run(*arguments)
    assert result.returncode == 0, f"lum {arguments[0]}: exit {result.returncode}: {lum.tail(result.stderr)}"
    return result


def info(store):
    return lum.json_of(done("info", store, "--json"))


def main():
    with tempfile.TemporaryDirectory(prefix="lum-held-", ignore_cleanup_errors=True) as folder:
        store, csv = os.path.join(folder, "store"), os.path.join(folder, "rows.csv")
        ROWS.write_csv(csv, 0, 20000)
        done("load", store, csv)
        done("checkpoint", store)
        now = info(store)
        assert now["readers"] == 0 and now["held_bytes"] == 0 and now["held_since_checkpoint"] == 0, now
        reader = lum.start("scan", store, "--format", "raw", stdout=subprocess.PIPE)  # stops when the pipe is full
        try:
            assert reader.stdout.read(40), lum.tail(reader.stderr.read())
            oldest = now["checkpoint_sequence"]
            done("checkpoint", store)
            done("checkpoint", store)
            now = info(store)
            assert now["readers"] == 1, now
            assert now["held_bytes"] >= 4096 and now["held_since_checkpoint"] > 0 and now["checkpoint_sequence"] > oldest, now
            assert abs(time.time() - now["held_since_timestamp"] / 1e9) < 600, now
            text = done("info", store).stdout.decode()
            assert f"since checkpoint {now['held_since_checkpoint']}" in text and "for 1 reader" in text, text
        finally:
            reader.kill()
            reader.communicate()
        text = done("info", store).stdout.decode()
        assert "no reader is left" in text, text
        done("checkpoint", store)
        now = info(store)
        assert now["readers"] == 0 and now["held_bytes"] == 0, now
        assert "held_back" not in done("info", store).stdout.decode()
        done("verify", store)


if __name__ == "__main__":
    main()
