"""Which frames are looked at, against times worked out by hand."""

import csv
from datetime import datetime

import pytest

from extractors.sampling import frame_times


@pytest.mark.parametrize(
    ("duration", "times"),
    [
        (3.4, [0.5, 1.5, 2.5]),
        (3.5, [0.5, 1.5, 2.5]),
        (3.51, [0.5, 1.5, 2.5, 3.5]),
        (0.51, [0.5]),
        (0.5, [0.25]),
        (0.3, [0.15]),
        (0.0, [0.0]),
        (7.6 - 5.1, [0.5, 1.5]),  # 2.5 as floats have it, from below and from above
        (12.6 - 10.1, [0.5, 1.5]),
    ],
)
def test_one_a_second_from_half_a_second_and_the_middle_of_what_is_shorter(duration, times):
    assert frame_times(duration, "seconds") == pytest.approx(times)


def test_305_seconds():
    assert len(frame_times(305.0, "seconds")) == 305


@pytest.mark.parametrize(
    ("duration", "times"),
    [
        (1.0, [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]),
        (0.75, [0.1, 0.2, 0.3, 0.4, 0.6, 0.7]),
        (0.3, [0.05, 0.25]),
        (0.05, []),
        (2.0, [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.4, 1.6, 1.7, 1.8, 1.9]),
    ],
)
def test_offsets_lie_around_each_frame_and_within_the_utterance(duration, times):
    assert frame_times(duration, "offsets") == pytest.approx(times)


def test_the_406_spans_of_meld_that_are_too_short_give_their_middle(samples):
    spans = []
    for path in sorted((samples / "data" / "meld").glob("*_sent_emo.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            spans += [(row["StartTime"], row["EndTime"]) for row in csv.DictReader(file)]
    assert len(spans) == 13_708
    short = 0
    for span in spans:
        start, end = (datetime.strptime(time, "%H:%M:%S,%f") for time in span)
        seconds = (end - start).total_seconds()
        times = frame_times(seconds, "seconds")
        if seconds < 0.5:
            short += 1
            assert times == pytest.approx([max(seconds, 0) / 2]), span
        else:
            assert times[0] == (0.5 if seconds > 0.5 else 0.25), span
            assert seconds - 1 <= times[-1] < seconds
    assert short == 406
