"""Cuts against planted speech, and the real detector on a real voice."""

import itertools

import numpy as np
import pytest

from extractors.asr.windows import MARGIN, PADDING, cut, speech_spans, trimmed

RATE = 16_000


def seconds(*spans: tuple[float, float]) -> list[tuple[int, int]]:
    return [(round(start * RATE), round(end * RATE)) for start, end in spans]


def cut_s(length: float, *speech: tuple[float, float]) -> list[tuple[float, float]]:
    windows = cut(round(length * RATE), seconds(*speech), 30 * RATE)
    return [(start / RATE, end / RATE) for start, end in windows]


def test_what_fits_is_not_cut():
    assert cut_s(30.0, (1, 2), (20, 29)) == [(0, 30)]


def test_the_cut_lies_in_the_middle_of_a_short_pause():
    assert cut_s(40.0, (0, 24.9), (25.1, 40)) == [(0, 25), (25, 40)]


def test_the_longest_pause_of_the_second_half_is_chosen():
    # Pauses: 14.0 to 14.9 (first half), 18 to 18.6, 20 to 20.2, 28 to 28.1.
    speech = ((0, 14), (14.9, 18), (18.6, 20), (20.2, 28), (28.1, 40))
    assert cut_s(40.0, *speech) == [(0, 18.4), (18.4, 40)]  # 0.2 s before speech goes on


def test_a_pause_of_the_first_half_is_better_than_a_word_cut_through():
    assert cut_s(40.0, (0, 5), (5.2, 40)) == [(0, 5.1), (5.1, 35.1), (35.1, 40)]


def test_speech_without_a_pause_is_cut_where_the_window_is_full():
    assert cut_s(70.0, (0, 70)) == [(0, 30), (30, 60), (60, 70)]


def test_nothing_but_silence_is_cut_where_the_window_is_full():
    assert cut_s(70.0) == [(0, 30), (30, 60), (60, 70)]


def test_speech_after_a_long_silence_keeps_its_beginning():
    assert cut_s(70.0, (0, 5), (30.1, 70)) == [(0, 29.9), (29.9, 59.9), (59.9, 70)]


def test_windows_cover_any_sound_without_a_gap():
    rng = np.random.default_rng(5)
    for _ in range(200):
        length = int(rng.integers(1, 200 * RATE))
        edges = np.unique(rng.integers(0, length + 1, 2 * int(rng.integers(0, 30))))
        speech = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=False)]
        windows = cut(length, speech, 30 * RATE)
        assert windows[0][0] == 0
        assert windows[-1][1] == length
        assert all(one[1] == other[0] for one, other in itertools.pairwise(windows))
        assert all(0 < end - start <= 30 * RATE for start, end in windows)


def test_trimming_keeps_the_speech_and_leaves_out_what_has_none():
    speech = seconds((2, 3), (5, 6))
    assert trimmed(seconds((0, 30), (30, 60)), speech) == [(2 * RATE - PADDING, 6 * RATE + PADDING)]
    assert trimmed(seconds((0, 2.1), (2.1, 30)), speech) == [
        (2 * RATE - PADDING, round(2.1 * RATE)),
        (round(2.1 * RATE), 6 * RATE + PADDING),
    ]


@pytest.fixture(scope="module")
def spoken(samples) -> np.ndarray:
    from extractors.clip import decode_audio

    clip = samples / "data" / "ravdess" / "Actor_17" / "03-01-01-01-02-02-17.wav"
    return decode_audio(str(clip)).samples


def test_a_real_voice_is_found_where_it_was_put(spoken):
    # A sentence of two words a second and a half into digital silence.
    silence = np.zeros(3 * RATE, np.float32)
    alone = speech_spans(spoken)
    found = speech_spans(np.concatenate([silence, spoken, silence]))
    assert alone
    assert found[0][0] == pytest.approx(alone[0][0] + 3 * RATE, abs=MARGIN)
    assert found[-1][1] == pytest.approx(alone[-1][1] + 3 * RATE, abs=MARGIN)


def test_a_long_sound_is_looked_at_in_blocks(spoken):
    # Eleven minutes with one clip at the start and one after the first block of ten minutes.
    sound = np.zeros(660 * RATE, np.float32)
    sound[RATE : RATE + len(spoken)] = spoken
    sound[630 * RATE : 630 * RATE + len(spoken)] = spoken
    starts = [start / RATE for start, _ in speech_spans(sound)]
    assert min(starts) == pytest.approx(1 + speech_spans(spoken)[0][0] / RATE, abs=0.2)
    assert any(start == pytest.approx(630 + speech_spans(spoken)[0][0] / RATE, abs=0.2) for start in starts)


def test_silence_and_nothing_have_no_speech():
    assert speech_spans(np.zeros(5 * RATE, np.float32)) == []
    assert speech_spans(np.zeros(0, np.float32)) == []
