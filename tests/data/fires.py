#!/usr/bin/env python3
"""Writes fires.csv: next fires around clock changes, by an algorithm that shares nothing with posthorn's.

It walks through real time minute by minute, asks Python's zoneinfo what the wall clock shows, and takes the first minute that the
expression names (R-DIGEST): a minute of the first pass where the clock is put back, and the minute after the jump where the clock was
put forward over a minute that the expression names.

    python3 tests/data/fires.py > tests/data/fires.csv
"""

import csv
import random
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
NAMES = {name: str(n) for n, name in enumerate("SUN MON TUE WED THU FRI SAT".split())} | {
    name: str(n) for n, name in enumerate("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)
}

# Zone and the days in it around which the fires are taken: both changes of 2026, or the odd ones of history.
CHANGES = [
    ("Europe/Berlin", ["2026-03-29", "2026-10-25"]),
    ("Europe/Dublin", ["2026-03-29", "2026-10-25"]),  # winter is the exception there
    ("America/New_York", ["2026-03-08", "2026-11-01"]),
    ("America/St_Johns", ["2026-03-08", "2026-11-01", "2010-11-07"]),  # half an hour off; in 2010 at 00:01
    ("America/Havana", ["2026-03-08", "2026-11-01"]),  # at midnight, and back to midnight
    ("America/Sao_Paulo", ["2018-02-18", "2018-11-04"]),  # midnight skipped
    ("America/Santiago", ["2026-04-05", "2026-09-06"]),  # midnight skipped, 23:00 repeated
    ("America/Nuuk", ["2026-03-28", "2026-10-24"]),
    ("Africa/Cairo", ["2026-04-24", "2026-10-30"]),
    ("Africa/Casablanca", ["2026-02-15", "2026-03-22"]),  # Ramadan
    ("Asia/Kolkata", ["2026-03-29", "2028-02-29"]),  # no change; a leap day
    ("Asia/Tehran", ["2022-03-22", "2022-09-22"]),
    ("Australia/Lord_Howe", ["2026-04-05", "2026-10-04"]),  # half an hour
    ("Pacific/Apia", ["2011-12-30", "2021-04-04"]),  # a day skipped
    ("Pacific/Chatham", ["2026-04-05", "2026-09-27"]),
    ("UTC", ["2026-12-31", "2028-02-29"]),
]
CRONS = [
    "0 17 * * *",
    "30 2 * * *",
    "*/20 * * * *",
    "15 0-3 * * *",
    "0 0 * * *",
    "30 23 * * *",
    "5 0 * * 0,3,6",
    "45 1-2 * * FRI-SUN",
    "30 2 1-7,14,21,28 * SUN",
    "0 9 * * mon-fri",
    "10 */3 29 JAN-DEC 1,4",
    "59 1,23 1-31/2 * 2",
]


def values(field, low, high):
    found = set()
    for item in field.upper().split(","):
        for name, number in NAMES.items():
            item = item.replace(name, number)
        span, _, step = item.partition("/")
        if span == "*":
            span = f"{low}-{high}"
        first, _, last = span.partition("-")
        first, last = int(first), int(last or first)
        if first > last:  # weekdays over the weekend
            last += 7
        found.update(range(first, last + 1, int(step or 1)))
    return found


class Cron:
    def __init__(self, text):
        minute, hour, day, month, weekday = text.split()
        self.minutes, self.hours, self.months = values(minute, 0, 59), values(hour, 0, 23), values(month, 1, 12)
        self.days, self.weekdays = values(day, 1, 31), {n % 7 for n in values(weekday, 0, 6)}
        self.either = day[0] != "*" and weekday[0] != "*"

    def names(self, local):
        day, weekday = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        named_day = (day or weekday) if self.either else (day and weekday)
        return local.minute in self.minutes and local.hour in self.hours and local.month in self.months and named_day


def next_fire(cron, zone, after):
    before = after.replace(second=0, microsecond=0)
    shown_before = before.astimezone(zone).replace(tzinfo=None)
    while True:
        now = before + MINUTE
        local = now.astimezone(zone)
        shown = local.replace(tzinfo=None, fold=0)
        skipped = shown_before + MINUTE
        while skipped < shown:
            if cron.names(skipped):
                return now
            skipped += MINUTE
        if local.fold == 0 and cron.names(shown):
            return now
        before, shown_before = now, shown


def change_near(day, zone):
    """Returns the instant of the offset change on a local day, else the day's beginning."""
    noon = datetime.fromisoformat(day).replace(hour=12, tzinfo=timezone.utc)
    for n in range(-36 * 60, 36 * 60):
        at = noon + n * MINUTE
        if at.astimezone(zone).utcoffset() != (at - MINUTE).astimezone(zone).utcoffset():
            return at
    return datetime.fromisoformat(day).replace(tzinfo=zone).astimezone(timezone.utc)


def shown(at):
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def main():
    dice = random.Random(2026)
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["zone", "cron", "after", "next"])
    for name, days in CHANGES:
        zone = ZoneInfo(name)
        for day in days:
            change = change_near(day, zone)
            for text in CRONS:
                within, before, beyond = dice.randint(1, 65), dice.randint(1, 1500), dice.randint(66, 1500)
                steps = [timedelta(milliseconds=-1), timedelta(0)] + [n * MINUTE for n in (within, -before, beyond)]
                for step in dice.sample(steps, 1 if text in CRONS[-3:] else 2):
                    after = change + step
                    out.writerow([name, text, shown(after), shown(next_fire(Cron(text), zone, after))])


if __name__ == "__main__":
    main()
