#!/usr/bin/env python3
"""Compares lum's CSV reader and number parser with Python's csv, decimal and datetime modules on generated input.

usage: csv_python_test.py CSV_TOOL [FILES [NUMBERS]]     LUM_SEED replays a run
"""
import csv
import datetime
import decimal
import io
import os
import random
import subprocess
import sys
import tempfile

TOOL = sys.argv[1]
FILES = int(sys.argv[2]) if len(sys.argv) > 2 else 300
NUMBERS = int(sys.argv[3]) if len(sys.argv) > 3 else 100000
SEED = int(os.environ.get("LUM_SEED", str(random.SystemRandom().randrange(1 << 32))))
RANDOM = random.Random(SEED)
OK, EMPTY, SYNTAX, RANGE, LEFTOVER = 0, 1, 2, 3, 4


def fail(text):
    print(f"FAILED with LUM_SEED={SEED}: {text}")
    sys.exit(1)


# ------------------------------------------------------------------------------------------------ structure of CSV

PIECES = ['', 'a', 'bc', '12.5', ' ', '"', '""', ',', ';', '\n', '\r\n', '\r', 'é', '漢字', '\0', 'x' * 70, "'", '\t',
          'end']
if sys.version_info < (3, 11):
    PIECES.remove('\0')  # Python's own reader could not read it yet


def well_formed(delimiter):
    """A text by the rules: fields quoted where they must be, or at a whim; any line ends; empty lines."""
    out = []
    end = RANDOM.choice(['\n', '\r\n', '\r', None])
    for _ in range(RANDOM.randrange(0, 12)):
        fields = []
        for _ in range(RANDOM.randrange(1, 7)):
            text = ''.join(RANDOM.choice(PIECES) for _ in range(RANDOM.randrange(0, 5)))
            plain = not any(c in text for c in delimiter + '\n\r') and not text.startswith('"')
            if plain and RANDOM.random() < 0.6:
                fields.append(text)
            else:
                fields.append('"' + text.replace('"', '""') + '"')
        if fields == ['']:
            fields = ['""']
        out.append(delimiter.join(fields))
        for _ in range(RANDOM.choice([1, 1, 1, 1, 2, 3])):
            out.append(end or RANDOM.choice(['\n', '\r\n', '\r']))
    text = ''.join(out)
    return text.rstrip('\r\n') if RANDOM.random() < 0.3 else text


def torture():
    """Any sequence of bytes that mean something: often no CSV at all, and both must say so."""
    return ''.join(RANDOM.choice(['"', '"', ',', '\n', '\r', 'a', 'b', '""', ',"', '",', '"\n', 'z' * 61]) for _ in
                   range(RANDOM.randrange(0, 40)))


def python_rows(text, delimiter):
    """Rows, and whether the text breaks the rules. newline='' and strict: what lum promises to agree with."""
    rows = []
    try:
        for row in csv.reader(io.StringIO(text, newline=''), delimiter=delimiter, strict=True):
            if row:
                rows.append([field.encode() for field in row])
    except csv.Error:
        return rows, True
    return rows, False


def lum_rows(path, delimiter):
    run = subprocess.run([TOOL, 'fields', path, delimiter], capture_output=True, text=True)
    if run.returncode != 0:
        fail(f"csv_tool fields: {run.stderr}")
    lines = run.stdout.split('\n')[:-1]
    broken = bool(lines) and lines[-1].startswith('error')
    if broken:
        lines.pop()
    return [[bytes.fromhex(field) for field in line.split(',')] for line in lines], broken


def compare_files(folder):
    path = os.path.join(folder, 'generated.csv')
    broken_count = 0
    csv.field_size_limit(1 << 30)
    for number in range(FILES):
        delimiter = RANDOM.choice([',', ',', ',', ';', '\t', '|'])
        if number % 3 == 2:
            delimiter, text = ',', torture()
        else:
            text = well_formed(delimiter)
        with open(path, 'wb') as file:
            file.write(text.encode())
        want, want_broken = python_rows(text, delimiter)
        got, got_broken = lum_rows(path, delimiter)
        broken_count += want_broken
        if want_broken != got_broken:
            fail(f"file {number}: Python says {'broken' if want_broken else 'fine'}, lum the opposite: {text!r}")
        if not want_broken and want != got:
            fail(f"file {number}: {text!r}\n Python {want}\n lum    {got}")
        if want_broken and got[:len(want)] != want:
            fail(f"file {number}: rows before the fault differ: {text!r}\n Python {want}\n lum    {got}")
    print(f"{FILES} files, {broken_count} of them broken: same rows as Python's csv module")


# ------------------------------------------------------------------------------------------------------- numbers

LIMITS = {'u64': (0, 2**64 - 1), 'i64': (-2**63, 2**63 - 1), 'i32': (-2**31, 2**31 - 1), 'int': (0, 2**64 - 1),
          'sint': (-2**63, 2**63 - 1), 'sint32': (-2**31, 2**31 - 1)}
SCALES = ['1', '1', '1e7', '1e6', '1000', '0.001', '2.5', '1e-9', '3', '1e9', '0.125', '1234567890123456789']


def random_decimal():
    digits = lambda most: ''.join(RANDOM.choice('0123456789') for _ in range(RANDOM.randrange(0, most)))
    whole, fraction = digits(RANDOM.choice([2, 4, 11, 21])), digits(RANDOM.choice([1, 3, 8, 10, 40]))
    if RANDOM.random() < 0.3:
        fraction = RANDOM.choice(['5', '50', '25', '500000', '75', '0', '00'])
    if not whole and not fraction:
        whole = RANDOM.choice('0123456789')
    text = RANDOM.choice(['', '', '', '-', '-', '+']) + whole
    if fraction or RANDOM.random() < 0.05:
        text += '.' + fraction
    if RANDOM.random() < 0.15:
        text += RANDOM.choice('eE') + RANDOM.choice(['', '+', '-']) + str(RANDOM.randrange(0, 30))
    return text


def random_case():
    kind = RANDOM.choice(['u64', 'i64', 'i32', 'i32', 'i32', 'int', 'sint', 'sint32'])
    if kind in ('int', 'sint', 'sint32'):
        low, high = LIMITS[kind]
        text = str(RANDOM.choice([low, high, low - 1, high + 1, RANDOM.randrange(low, high + 1),
                                  RANDOM.randrange(-9, 99999), RANDOM.getrandbits(RANDOM.randrange(1, 70))]))
        if RANDOM.random() < 0.1:
            text = RANDOM.choice(['+', '0', '000', ' ', '']) + text + RANDOM.choice(['', ' '])
            if text.startswith('+-') or (text[0] == '0' and text.lstrip('0').startswith('-')):
                text = '0'
        return kind, '1', 0, text
    text = random_decimal()
    if RANDOM.random() < 0.1: # at the very edge of the range
        low, high = LIMITS[kind]
        text = str(RANDOM.choice([low, high])) + RANDOM.choice(['', '.4', '.5', '.50001', '.0', '.49999999999999999999'])
        return kind, '1', RANDOM.randrange(2), text
    return kind, RANDOM.choice(SCALES), RANDOM.randrange(2), text


def expected(kind, scale, rounding, text):
    value = decimal.Decimal(text.strip()) * decimal.Decimal(scale)
    whole = value.to_integral_value(rounding=decimal.ROUND_HALF_EVEN)
    low, high = LIMITS[kind]
    if whole != value and not rounding:
        # A value that is out of range and has digits left over may be refused for either.
        return {f"error {LEFTOVER}"} | ({f"error {RANGE}"} if not low <= value <= high else set())
    if not low <= whole <= high:
        return {f"error {RANGE}"}
    return {f"ok {int(whole)}"}


def ask(cases):
    lines = ''.join(f"{kind} {scale} {rounding} {text}\n" for kind, scale, rounding, text in cases)
    run = subprocess.run([TOOL, 'numbers'], input=lines, capture_output=True, text=True)
    answers = run.stdout.split('\n')[:-1]
    if run.returncode != 0 or len(answers) != len(cases):
        fail(f"csv_tool numbers: {run.stderr} ({len(answers)} answers for {len(cases)} cases)")
    return answers


def compare_numbers():
    decimal.getcontext().prec = 200
    cases = [random_case() for _ in range(NUMBERS)]
    refused = 0
    for case, answer in zip(cases, ask(cases)):
        want = expected(*case)
        refused += answer.startswith('error')
        if answer not in want:
            fail(f"{case}: lum says {answer!r}, Python {want}")
    print(f"{NUMBERS} decimals times scales, {refused} refused: exactly as Python's decimal module")


def compare_times():
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    cases, want = [], []
    for _ in range(NUMBERS // 10):
        minutes = RANDOM.choice([None, 0, RANDOM.randrange(-23 * 60 - 59, 24 * 60)])
        zone = datetime.timezone(datetime.timedelta(minutes=minutes or 0))
        moment = datetime.datetime(RANDOM.randrange(1968, 2557), RANDOM.randrange(1, 13), RANDOM.randrange(1, 29),
                                   RANDOM.randrange(24), RANDOM.randrange(60), RANDOM.randrange(60), tzinfo=zone)
        moment += datetime.timedelta(days=RANDOM.randrange(0, 4)) # month ends and leap days
        digits = RANDOM.randrange(0, 10)
        fraction = ''.join(RANDOM.choice('0123456789') for _ in range(digits))
        text = moment.strftime('%Y-%m-%dT%H:%M:%S').replace('T', RANDOM.choice('Tt '))
        if fraction:
            text += '.' + fraction
        if minutes is not None:
            sign, size = '-' if minutes < 0 else '+', abs(minutes)
            text += RANDOM.choice([f"{sign}{size // 60:02}:{size % 60:02}", f"{sign}{size // 60:02}{size % 60:02}"] +
                                  (['Z', 'z'] if minutes == 0 else []))
        if RANDOM.random() < 0.1:
            moment = moment.replace(hour=0, minute=0, second=0, tzinfo=datetime.timezone.utc)
            text, fraction = moment.strftime('%Y-%m-%d'), ''
        seconds = (moment - epoch) // datetime.timedelta(seconds=1)
        ns = seconds * 10**9 + int((fraction + '0' * 9)[:9])
        cases.append(('time', '1', 0, text))
        want.append(f"ok {ns}" if 0 <= ns < 2**64 else "error 7")
    for case, answer, right in zip(cases, ask(cases), want):
        if answer != right:
            fail(f"{case}: lum says {answer!r}, Python {right!r}")
    print(f"{len(cases)} dates and times: exactly as Python's datetime module")


def main():
    with tempfile.TemporaryDirectory() as folder:
        compare_files(folder)
    compare_numbers()
    compare_times()


main()
