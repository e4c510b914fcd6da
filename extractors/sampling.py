"""Which frames of an utterance are looked at (papers/000 III-D)."""

from typing import Literal

Sampling = Literal["seconds", "offsets"]

FIRST_S = 0.5  # "one frame per second, starting from 0.5 seconds into the utterance" (III-D1b)
EVERY_S = 1.0
OFFSETS_S = (-0.4, -0.3, -0.2, -0.1, 0.1, 0.2, 0.3, 0.4)  # the offset search around a frame (DESIGN 8.4)


def frame_times(duration_s: float, sampling: Sampling) -> list[float]:
    """Seconds from the utterance's start, ascending.

    Args:
        duration_s: seconds that the utterance lasts.
        sampling: ``seconds`` is one frame a second from 0.5 s, and the middle of what is shorter (406 spans of MELD
            are); ``offsets`` are the frames around each of those, within the utterance, those themselves left out.
    """
    duration_s = round(duration_s, 3)  # 7.6 - 5.1 is a little less than 2.5, and 12.6 - 10.1 is not
    count = int((duration_s - FIRST_S) / EVERY_S) + 1 if duration_s > FIRST_S else 0
    base = [FIRST_S + place * EVERY_S for place in range(count)] or [max(duration_s, 0.0) / 2]
    base = [time for time in base if time < duration_s] or base[:1]
    if sampling == "seconds":
        return base
    near = {round(time + offset, 3) for time in base for offset in OFFSETS_S}
    return sorted(time for time in near if 0 <= time < duration_s and time not in base)
