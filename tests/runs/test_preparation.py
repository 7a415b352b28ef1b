from hypercode.domain.budget import Budget
from hypercode.domain.check import Check
from hypercode.runs.preparation import _within  # pyright: ignore[reportPrivateUsage]


def test_a_check_that_hangs_takes_no_longer_than_the_whole_task() -> None:
    check = Check(argv=["sleep", "inf"], timeout_s=900)
    assert _within([check], Budget(max_wall_s=60))[0].timeout_s == 60
    assert _within([check], Budget(max_wall_s=None))[0].timeout_s == 900
