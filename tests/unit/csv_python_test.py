#!/usr/bin/env python3
"""Compares lum's CSV reader and number parser with Python's csv, decimal and datetime modules on generated input.

usage: csv_python_test.py CSV_TOOL [FILES [NUMBERS]]     LUM_SEED replays a run, LUM_ROUNDS is another number of files
"""
import csv
import datetime
import decimal
import io
import os
import random
import subprocess
import sys

TOOL = sys.argv[1]
FILES = int(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("LUM_ROUNDS", "2000"))
NUMBERS = int(sys.argv[3]) if len(sys.argv) > 3 else 100000
SEED = int(os.environ.get("LUM_SEED", str(random.SystemRandom().randrange(1 << 32))))
RANDOM = random.Random(SEED)
OK, EMPTY, SYNTAX, RANGE, LEFTOVER = 0, 1, 2, 3, 4


def fail(text):
    print(f"FAILED with LUM_SEED={SEED}: {text}")
    sys.exit(1)


# ------------------------------------------------------------------------------------------------ structure of CSV

# Bytes as characters (latin-1): Python's csv reads text, lum bytes. Among them are UTF-8 and what is none.
PIECES = ['', 'a', 'bc', '12.5', ' ', '"', '""', ',', ';', '\n', '\r\n', '\r', '\xc3\xa9', '\xe6\xbc\xa2\xe5', '\0', 'x' * 70,
          "'", '\t', 'end', '\xff', '\xc3(', '\x80', '\x1a', '\x7f']
if sys.version_info < (3, 11):
    PIECES.remove('\0')  # Python's own reader could not read it yet


BOM = '\xef\xbb\xbf'


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
    if RANDOM.random() < 0.05:
        text = BOM + text
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
                rows.append([field.encode('latin-1') for field in row])
    except csv.Error:
        return rows, True
    return rows, False


def run_tool(texts, *arguments):
    """The answers of csv_tool to (text, delimiter) pairs: a list of lines each."""
    parts = []
    for text, delimiter in texts:
        data = text.encode('latin-1')
        parts += [delimiter.encode(), len(data).to_bytes(8, 'little'), data]
    run = subprocess.run([TOOL, *arguments], input=b''.join(parts), capture_output=True)
    if run.returncode != 0:
        fail(f"csv_tool {' '.join(arguments)}: {run.stderr.decode()}")
    answers, lines = [], []
    for line in run.stdout.decode('latin-1').split('\n')[:-1]:
        if line == 'end':
            answers.append(lines)
            lines = []
        else:
            lines.append(line)
    if len(answers) != len(texts):
        fail(f"csv_tool {' '.join(arguments)}: {len(answers)} answers for {len(texts)} texts")
    return answers


def parse_fields(lines):
    broken = bool(lines) and lines[-1].startswith('error')
    if broken:
        lines = lines[:-1]
    return [[bytes.fromhex(field) for field in line.split(',')] for line in lines], broken


def generate_texts():
    texts = []
    for number in range(FILES):
        if number % 3 == 2:
            texts.append((torture(), ','))
        else:
            delimiter = RANDOM.choice([',', ',', ',', ';', '\t', '|'])
            texts.append((well_formed(delimiter), delimiter))
    for _ in range(2): # fields of 10 MB: plain, and quoted with everything in it
        plain, hard = 'y' * 10_000_000, 'say ""x"", or\r\nnot\n' * 500_000
        texts.append((f'1,{plain}\n2,"{hard}"\n3,"{hard}"', ','))
    return texts


def compare_fields(texts, python):
    broken_count = 0
    for number, ((text, _), (want, want_broken), lines) in enumerate(zip(texts, python, run_tool(texts, 'fields'))):
        got, got_broken = parse_fields(lines)
        broken_count += want_broken
        if want_broken != got_broken:
            fail(f"file {number}: Python says {'broken' if want_broken else 'fine'}, lum the opposite: {text[:2000]!r}")
        if not want_broken and want != got:
            fail(f"file {number}: {text[:2000]!r}\n Python {want}\n lum    {got}")
        if want_broken and got[:len(want)] != want:
            fail(f"file {number}: rows before the fault differ: {text[:2000]!r}\n Python {want}\n lum    {got}")
    print(f"{len(texts)} files, {broken_count} of them broken: same rows as Python's csv module")


def is_binary(row):
    """Whether lum refuses the file for a control byte in its first row."""
    return any(byte < 32 and byte not in b'\t\r\n' for field in row for byte in field)


def compare_loads(texts, python, workers, rows_max, read_max):
    """Rows of the right number of fields are rows, the others are refused, however many parsers there are."""
    answers = run_tool(texts, 'load', str(workers), str(rows_max), str(read_max), 'id=@row')
    refused_count = opened = 0
    for number, ((text, delimiter), (want, want_broken), lines) in enumerate(zip(texts, python, answers)):
        if text.startswith(BOM):
            continue # the next ones are compared without it
        if lines and lines[0].startswith('error'):
            if not (is_binary(want[0]) if want else want_broken):
                fail(f"file {number}: {lines[0]}: {text[:2000]!r}")
            continue
        opened += 1
        good = {f"row {i + 1} 0 0 0 0" for i, row in enumerate(want) if len(row) == len(want[0])}
        bad = {f"bad {i + 1} fields" for i, row in enumerate(want) if len(row) != len(want[0])}
        refused_count += len(bad)
        got_good = {line for line in lines if line.startswith('row')}
        got_bad = {' '.join(line.split()[:3]) for line in lines if line.startswith('bad')}
        if want_broken: # Python stops there
            got_good = {line for line in got_good if int(line.split()[1]) <= len(want)}
            got_bad = {line for line in got_bad if int(line.split()[1]) <= len(want)}
        if good != got_good or bad != got_bad:
            fail(f"file {number}, {workers} workers: {text[:2000]!r}\n Python {sorted(good | bad)}\n lum    {lines}")
    print(f"{opened} of them loaded by {workers} parsers, {refused_count} rows refused: as Python counts their fields")


def compare_files():
    csv.field_size_limit(1 << 30)
    texts = generate_texts()
    python = [python_rows(text, delimiter) for text, delimiter in texts]
    compare_fields(texts, python)
    without_bom = [(text[3:] if text.startswith(BOM) else text, delimiter) for text, delimiter in texts]
    python = [python_rows(text, delimiter) for text, delimiter in without_bom]
    for workers, rows_max, read_max in [(1, 1 << 20, 1 << 20), (2, 3, 50), (8, 1, 7)]:
        step = 1 if workers < 8 else 3
        some = slice(0, FILES, step)
        compare_loads(without_bom[some], python[some], workers, rows_max, read_max)
    with_bom = [(BOM + text, delimiter) for text, delimiter in without_bom[:FILES:20]]
    plain = [answer for answer in run_tool(without_bom[:FILES:20], 'load', '1', '100', '1', 'id=@row')]
    marked = [answer for answer in run_tool(with_bom, 'load', '1', '100', '1', 'id=@row')]
    for (text, _), want, got in zip(with_bom, plain, marked):
        if [line.split()[:3] for line in want] != [line.split()[:3] for line in got]:
            fail(f"a byte order mark changes {text!r}\n {want}\n {got}")


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


def compare_columns(cases):
    """The same numbers as columns of files: the fast way of the loader."""
    groups = {}
    for case in cases:
        if case[0] in ('u64', 'i32') and not any(c in case[3] for c in ','):
            groups.setdefault(case[:3], []).append(case)
    count = 0
    for (kind, scale, rounding), group in groups.items():
        field = 'position_x' if kind == 'i32' else 'memory_address'
        text = ''.join(f"{case[3]}\n" for case in group)
        lines = run_tool([(text, ',')], 'load', '2', '5000', '1000000', f"id=@row,{field}=#1*{scale}",
                         *(['--round'] if rounding else []))[0]
        numbers = {'range': RANGE, 'leftover': LEFTOVER, 'syntax': SYNTAX}
        got = {}
        for line in lines:
            part = line.split()
            if part[0] == 'bad':
                got[int(part[1])] = f"error {numbers[part[2]]}"
            else:
                got[int(part[1])] = f"ok {part[2] if kind == 'i32' else part[5]}"
        for row, case in enumerate(group):
            count += 1
            if got.get(row + 1) not in expected(*case):
                fail(f"{case} in a file: lum says {got.get(row + 1)!r}, Python {expected(*case)}")
    print(f"{count} of them as columns of files: the same")


def compare_numbers():
    decimal.getcontext().prec = 200
    cases = [random_case() for _ in range(NUMBERS)]
    refused = 0
    for case, answer in zip(cases, ask(cases)):
        want = expected(*case)
        refused += answer.startswith('error')
        if answer not in want:
            fail(f"{case}: lum says {answer!r}, Python {want}")
    compare_columns(cases)
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
    compare_files()
    compare_numbers()
    compare_times()


main()
