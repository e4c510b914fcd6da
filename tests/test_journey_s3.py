"""The same walk through the commands on a local disk and on S3, media included: every answer is the same."""

import csv
import json
import wave

import numpy as np
import pytest
from typer.testing import CliRunner

from affectstore import command_line, open_store
from feature_repo import console

EMOTIONS = ("anger", "joy", "sadness", "neutral")
COUNT = 24


def write_corpus(folder, media: str) -> None:
    """Sentences, tones, and a table whose media lie below the given folder or URL."""
    with (folder / "calls.csv").open("w", newline="") as target:
        table = csv.writer(target)
        table.writerow(["utterance_id", "text", "emotion", "split", "speaker_id", "media_uri"])
        for number in range(COUNT):
            samples = np.sin(np.arange(4_000) * (200 + 20 * number) * 2 * np.pi / 16_000) * 12_000
            with wave.open(str(folder / f"{number}.wav"), "wb") as clip:
                clip.setnchannels(1)
                clip.setsampwidth(2)
                clip.setframerate(16_000)
                clip.writeframes(samples.astype("<i2").tobytes())
            split = "train" if number < 16 else "dev" if number < 20 else "test"
            emotion = EMOTIONS[number % 4]
            said = f"sentence {number} of {emotion}"
            table.writerow([f"u{number}", said, emotion, split, f"s{number % 3}", f"{media}/{number}.wav"])


class Walk:
    """Commands on one store."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.app = command_line()

    def __call__(self, *arguments: object) -> str:
        words = [str(word) for word in arguments]
        result = CliRunner().invoke(self.app, [*words, "--root", self.root], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    def pulled(self, folder) -> dict[str, np.ndarray]:
        path = folder / "pulled.npz"
        self("pull", "text", "speech", "-o", path)
        with np.load(path) as found:
            return dict(found)


def go(root: str, folder) -> list[object]:
    """Everything that a walk answers."""
    walk = Walk(root)
    walk("init")
    walk("ingest", "table", folder / "calls.csv", "--name", "calls")
    for extractor in ("hashing", "mfcc"):
        walk("extract", "-e", extractor, "--as", "classic")
    answers: list[object] = [walk.pulled(folder)]
    assert "24 " in walk("extract", "-e", "mfcc", "--as", "classic")  # up to date
    walk("train", "--slots", "text,speech", "--corpus", "calls", "--seeds", "0", "--set", "max_epochs=2")
    store = open_store(root)
    for run in store.files.list_folders("runs"):
        answers.append((run, sorted(store.files.list_files(f"runs/{run}"))))
    walk("forget", "calls/u3", "--yes")
    walk("compact")
    walk("gc", "--grace", "0")
    answers.append(walk.pulled(folder))
    status = json.loads(walk("status", "--json"))
    answers.append((status["coverage"], status["profiles"]))
    assert "no open faults" in walk("faults")
    speech = open_store(root).resolve("speech")
    walk("drop", speech, "--yes")
    assert speech not in open_store(root).views()
    return answers


@pytest.mark.long
@pytest.mark.parametrize("server", ["moto", "swift"])
def test_every_answer_is_the_same_on_a_disk_and_on_s3(server, request, tmp_path, monkeypatch):
    bucket = request.getfixturevalue(server)
    monkeypatch.setattr(console.console, "_width", 200)
    answers = []
    for name, root in (("disk", str(tmp_path / "store")), ("s3", bucket.root)):
        folder = tmp_path / name
        folder.mkdir()
        write_corpus(folder, str(folder) if name == "disk" else f"s3://{bucket.name}/clips")
        if name == "s3":
            for clip in folder.glob("*.wav"):
                bucket.server.client().put_object(
                    Bucket=bucket.name, Key=f"clips/{clip.name}", Body=clip.read_bytes()
                )
        answers.append(go(root, folder))
    disk, remote = answers
    for ours, theirs in zip(disk, remote, strict=True):
        if isinstance(ours, dict):
            assert ours.keys() == theirs.keys()
            for key in ours:
                np.testing.assert_array_equal(ours[key], theirs[key])
        else:
            assert ours == theirs
    assert len(disk[0]["utterance_ids" if "utterance_ids" in disk[0] else "ids"]) == COUNT
    secret = bucket.server.secret.encode()
    assert not [key for key, data in bucket.objects().items() if secret in data]
