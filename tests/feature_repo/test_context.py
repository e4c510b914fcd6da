"""Context texts against a loop over each dialogue, and what their keys notice."""

import itertools
import random

import polars as pl
import pytest

from feature_repo.content import content_key, wanted_keys, with_content_keys
from feature_repo.context import SEPARATOR, context_texts
from feature_repo.errors import BadInputError
from feature_repo.manifest import conform
from feature_repo.recipe import Recipe
from feature_repo.store import Store
from tests.feature_repo.planted import new_store

DIALOGUE = [("Ann", "Hi."), ("Bob", "Hello you."), ("Ann", "How are you?"), ("Cat", "Fine.")]


def talk(dialogue="d1", said=DIALOGUE, corpus="c", **columns):
    """Manifest rows of one dialogue, utterance ids in another order than the turns."""
    return pl.DataFrame(
        {
            "utterance_id": [f"{corpus}/{dialogue}_{(7 * turn) % 100:02}" for turn in range(len(said))],
            "dialogue_id": f"{corpus}/{dialogue}",
            "turn": list(range(len(said))),
            "speaker_raw": [who for who, _ in said],
            "text": [text for _, text in said],
            **columns,
        }
    )


def manifest(*frames, corpus="c"):
    return with_content_keys(conform(pl.concat(frames, how="diagonal_relaxed"), corpus))


def recipe(context, **settings):
    return Recipe("text", "letters", 1, "text", "pooled", 4, settings={"context": context, **settings})


def read(rows, turns, **options):
    return dict(zip(rows["utterance_id"], context_texts(rows, turns, **options), strict=True))


def test_the_turns_before_stand_in_front_the_oldest_first():
    read_now = read(manifest(talk()), 2, separator=" | ")
    assert read_now == {
        "c/d1_00": "speaker=Ann Hi.",
        "c/d1_07": "speaker=Ann Hi. | speaker=Bob Hello you.",
        "c/d1_14": "speaker=Ann Hi. | speaker=Bob Hello you. | speaker=Ann How are you?",
        "c/d1_21": "speaker=Bob Hello you. | speaker=Ann How are you? | speaker=Cat Fine.",
    }


def test_the_separator_is_that_of_roberta():
    assert (
        read(manifest(talk()), 1, prefix=False)["c/d1_07"]
        == f"Hi.{SEPARATOR}Hello you."
        == "Hi. </s> Hello you."
    )


def test_without_turns_there_is_the_prefix_alone():
    rows = manifest(talk())
    assert read(rows, 0)["c/d1_21"] == "speaker=Cat Fine."
    assert context_texts(rows, 0, prefix=False).to_list() == rows["text"].to_list()


def test_a_speaker_goes_by_the_corpus_s_name_then_by_the_id():
    said = [("Joey and  Chandler", "Hey!"), (None, "What?"), (" ", "No."), (None, "Yes.")]
    rows = manifest(talk(said=said, speaker_id=["c/x", "c/d1/waiter", None, None]))
    assert [text.split()[0] for text in rows.sort("turn").pipe(context_texts, 0)] == [
        "speaker=Joey_and_Chandler",
        "speaker=waiter",
        "speaker=unknown",
        "speaker=unknown",
    ]


def test_a_turn_without_words_has_its_place_and_is_not_written():
    said = [("Ann", "One."), ("Bob", None), ("Ann", "Two."), ("Bob", "  "), ("Ann", "Three.")]
    read_now = read(manifest(talk(said=said)), 2, prefix=False, separator=" ")
    # A text that nobody wrote down is no turn, a blank one is.
    assert list(read_now.values()) == ["One.", None, "One. Two.", "  ", "Two. Three."]


def test_a_dialogue_without_turns_goes_by_its_starts():
    rows = talk(start_s=[3.0, 2.0, 1.0, 0.0]).with_columns(turn=pl.lit(None, pl.Int32))
    assert read(manifest(rows), 1, prefix=False, separator="|")["c/d1_00"] == "Hello you.|Hi."


def test_an_utterance_without_a_dialogue_stands_alone():
    rows = talk().with_columns(dialogue_id=pl.lit(None, pl.String))
    assert sorted(read(manifest(rows), 9, prefix=False).values()) == sorted(text for _, text in DIALOGUE)


def test_a_dialogue_of_unknown_order_is_told_and_pictures_are_none():
    rows = talk().with_columns(turn=pl.lit(None, pl.Int32))
    with pytest.raises(
        BadInputError, match=r"dialogue 'c/d1' has several utterances.*neither a turn nor a start"
    ):
        context_texts(manifest(rows), 1)
    pictures = manifest(rows.with_columns(text=pl.lit(None, pl.String)))
    assert context_texts(pictures, 1).to_list() == [None] * 4
    with pytest.raises(BadInputError, match="context=-1"):
        context_texts(pictures, -1)


def test_it_equals_a_loop_over_each_dialogue():
    rng = random.Random(4)
    frames = []
    for number in range(30):
        said = [
            (rng.choice("AB"), rng.choice(["", None, "x y", f"t{turn}"]))
            for turn in range(rng.randint(1, 12))
        ]
        frames.append(talk(f"d{number}", said).sample(fraction=1.0, shuffle=True, seed=number))
    rows = manifest(*frames)
    for turns, prefix in itertools.product((0, 1, 3, 9), (False, True)):
        wanted = {}
        for _, dialogue in rows.group_by("dialogue_id"):
            heard = []
            for name, who, text in (
                dialogue.sort("turn").select("utterance_id", "speaker_raw", "text").iter_rows()
            ):
                if text is None:
                    wanted[name] = None
                    continue
                own = f"speaker={who} {text}" if prefix and text else text
                window = [each for each in heard[-turns:] if each] if turns else []
                wanted[name] = SEPARATOR.join([*window, own]) if text else text
                heard.append(own)
        assert read(rows, turns, prefix=prefix) == wanted


@pytest.mark.parametrize("turns", [1, 3])
@pytest.mark.parametrize("changed", range(6))
def test_a_changed_turn_changes_the_keys_of_its_successors_alone(changed, turns):
    said = [("Ann", f"Words {turn}.") for turn in range(6)]
    other = [*said]
    other[changed] = ("Ann", "Else.")
    before, after = (
        dict(wanted_keys(recipe(turns), manifest(talk(said=each), talk("d2")), None).iter_rows())
        for each in (said, other)
    )
    moved = {name for name in before if before[name] != after[name]}
    successors = range(changed, min(changed + turns, 5) + 1)
    assert moved == {f"c/d1_{(7 * turn) % 100:02}" for turn in successors}


def test_no_later_turn_ever_enters():
    rng = random.Random(1)
    said = [(rng.choice("AB"), f"words {turn}") for turn in range(12)]
    keys = {}
    for turn in range(12):
        later = [
            (who + "x", text + " other") if at > turn else (who, text) for at, (who, text) in enumerate(said)
        ]
        for cut in (said, said[: turn + 1], later):
            found = dict(wanted_keys(recipe(9, prefix=True), manifest(talk(said=cut)), None).iter_rows())
            keys.setdefault(turn, set()).add(found[f"c/d1_{(7 * turn) % 100:02}"])
    assert all(len(found) == 1 for found in keys.values())


def test_the_key_is_that_of_the_text_which_is_read():
    rows = manifest(talk())
    found = dict(wanted_keys(recipe(1, prefix=True, separator="|"), rows, None).iter_rows())
    assert found["c/d1_07"] == content_key("text", "speaker=Ann Hi.|speaker=Bob Hello you.")
    plain = Recipe("text", "letters", 1, "text", "pooled", 4)
    assert wanted_keys(plain, rows, None).rows() == rows.select("utterance_id", "text_key").rows()
    assert wanted_keys(recipe(1), rows, None).rows()[0] == rows.select("utterance_id", "text_key").rows()[0]


def test_a_speaker_s_name_counts_only_where_it_is_read():
    rows, renamed = manifest(talk()), manifest(talk(said=[("Zoe", text) for _, text in DIALOGUE]))
    assert wanted_keys(recipe(3), rows, None).equals(wanted_keys(recipe(3), renamed, None))
    with_names = [wanted_keys(recipe(3, prefix=True), each, None) for each in (rows, renamed)]
    assert not set(with_names[0]["content_key"]) & set(with_names[1]["content_key"])


def test_a_language_that_the_model_does_not_know_is_context_all_the_same():
    english = Recipe("text", "letters", 1, "text", "pooled", 4, languages=("en",), settings={"context": 1})
    rows = manifest(talk(language=["de", "en", "en", "de"]))
    found = dict(wanted_keys(english, rows, None).iter_rows())
    assert set(found) == {"c/d1_07", "c/d1_14"}
    assert found["c/d1_07"] == content_key("text", "Hi. </s> Hello you.")


def test_a_part_of_a_dialogue_is_asked_for_with_the_rest_in_mind(tmp_path):
    store: Store = new_store(tmp_path)
    store.write_manifest("c", talk())
    store.write_manifest("e", talk(corpus="e"))
    whole = dict(store.wanted(recipe(3)).iter_rows())
    assert len(whole) == 8
    some = store.manifest().filter(pl.col("utterance_id").is_in(["c/d1_21", "e/d1_07"]))
    assert dict(store.wanted_in(recipe(3), some).iter_rows()) == {
        name: whole[name] for name in some["utterance_id"]
    }
