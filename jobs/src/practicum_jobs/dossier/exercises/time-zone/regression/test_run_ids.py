"""Run ids sort by time, also across the hour that exists twice."""

from __future__ import annotations

import datetime as dt
import unittest

from practicum_core.layout import build_run_id


class RunIdTest(unittest.TestCase):
    def test_a_later_run_sorts_later_when_the_clocks_go_back(self):
        before = dt.datetime.fromisoformat("2026-10-25T02:50:00+02:00")
        after = dt.datetime.fromisoformat("2026-10-25T02:10:00+01:00")
        self.assertLess(build_run_id(before, bytes(3)), build_run_id(after, bytes(3)))

    def test_one_moment_has_one_run_id_in_every_zone(self):
        moment = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)
        elsewhere = moment.astimezone(dt.timezone(dt.timedelta(hours=8)))
        self.assertEqual(build_run_id(moment, bytes(3)), build_run_id(elsewhere, bytes(3)))
