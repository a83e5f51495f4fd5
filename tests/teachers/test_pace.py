from dataset_builder.language_models.pace import Pace


def test_the_time_left_is_told_from_this_runs_own_calls():
    now = [100.0]
    pace = Pace(lambda: now[0])
    for _ in range(40):  # known from an earlier run
        pace.ask()
        pace.ask()
        pace.finish(2)
    assert pace.seconds_left(100) is None
    pace.begin()
    for _ in range(30):  # first windows of 30 pools: none has ended
        pace.buy()
        pace.ask()
    now[0] = 130.0
    assert pace.seconds_left(100) == 90.0
    assert pace.describe(100) == "1.5 min left, "
    now[0] = 30_100.0
    assert pace.describe(100) == "25 h 00 min left, "
