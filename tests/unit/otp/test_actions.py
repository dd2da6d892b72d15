"""The vocabulary is closed, and its words are plain records."""

from __future__ import annotations

from typing import get_args

from beampy.otp import actions
from beampy.otp.actions import Action, GiveUp, Refuse, Report


def test_every_record_is_an_action_and_says_what_to_do():
    records = {each for each in vars(actions).values() if hasattr(each, "_fields")}
    assert set(get_args(Action)) == records
    assert all(record.__doc__ for record in records)


def test_actions_are_compared_and_matched_by_value():
    assert GiveUp("shutdown") == GiveUp("shutdown")
    match Refuse("who asked", "not_found"):
        case Refuse(to, why, detail):
            assert (to, why, detail) == ("who asked", "not_found", None)


def test_a_report_names_the_kinds_that_otp_logs():
    assert set(get_args(actions.ReportKind)) == {
        "progress",
        "start_error",
        "child_terminated",
        "shutdown_error",
        "shutdown",
    }
    assert Report._field_defaults == {"reason": None}
