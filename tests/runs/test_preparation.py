from hypercode.domain.budget import Budget
from hypercode.domain.check import Check, CheckReport
from hypercode.runs.preparation import _within, unusable_notices  # pyright: ignore[reportPrivateUsage]


def test_a_check_that_hangs_takes_no_longer_than_the_whole_task() -> None:
    check = Check(argv=["sleep", "inf"], timeout_s=900)
    assert _within([check], Budget(max_wall_s=60))[0].timeout_s == 60
    assert _within([check], Budget(max_wall_s=None))[0].timeout_s == 900


def test_a_check_that_decides_nothing_is_told_before_the_agent_starts() -> None:
    check = Check(argv=["make", "check it"], timeout_s=60)
    reports = [
        CheckReport(check=check, exit_code=0),
        CheckReport(check=check, exit_code=1),
        CheckReport(check=check, exit_code=None, timed_out=True),
        CheckReport(check=check, exit_code=127),
    ]
    hangs, missing = unusable_notices(reports)
    assert (hangs.code, missing.code) == ("CHECK_TIMED_OUT", "CHECK_NOT_STARTED")
    assert "did not end within its 60 s: make 'check it'" in hangs.message
    assert "--check" in hangs.hint
    assert "--check" in missing.hint
