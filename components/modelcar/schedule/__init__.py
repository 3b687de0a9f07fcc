"""Schedules as people write them: five fields in a time zone.

A server that starts runs knows one time zone only. Where that one and a schedule's differ by one hour in winter and by
another in summer, the server starts runs at both, and the run that comes at the wrong one ends itself. What is here
says when a schedule fires (`occurrences`), what a server is told (`translate`), and which run is which
(`find_wrong_hour`).
"""

from __future__ import annotations

from modelcar.schedule.cron import Cron, parse_cron
from modelcar.schedule.fires import fires_at, never_fires, occurrences
from modelcar.schedule.scheduled import Scheduled, find_wrong_hour, is_due, parse_scheduled
from modelcar.schedule.server import ServerCron, translate
from modelcar.schedule.zone import read_zone

__all__ = [
    "Cron",
    "Scheduled",
    "ServerCron",
    "find_wrong_hour",
    "fires_at",
    "is_due",
    "never_fires",
    "occurrences",
    "parse_cron",
    "parse_scheduled",
    "read_zone",
    "translate",
]
