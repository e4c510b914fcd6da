"""Which clips stand for a speaker, and what a speaker's content key must notice and what it must ignore."""

import polars as pl
import pytest

from feature_repo.content import subjects, wanted_keys
from feature_repo.errors import UnknownNameError
from feature_repo.manifest import conform
from feature_repo.recipe import Recipe
from feature_repo.reference_clips import reference_clips
from feature_repo.reviews import REVIEWS_SCHEMA

FACES = Recipe("faces", "x", 1, "media", "steps", 2)
FIELDS = {"inputs": (FACES.fingerprint,), "entity": "speaker", "manifest_columns": ("picture",)}
PERSON = Recipe("reference", "x", 1, "speaker", "pooled", 2, **FIELDS)
OF_THREE = Recipe("reference", "x", 1, "speaker", "pooled", 2, settings={"clips": 3}, **FIELDS)
NAMES = [f"c/{number:02d}" for number in range(40)]
# Ann says what has an odd number. In the order that `printf c/01 | b2sum -l 64` gives, another program's same hash.
ORDER = [
    f"c/{number:02d}"
    for number in (15, 17, 21, 23, 19, 35, 33, 9, 25, 39, 7, 31, 37, 11, 27, 29, 1, 13, 3, 5)
]


def manifest(**columns: list[object]) -> pl.DataFrame:
    made = {"utterance_id": NAMES, "speaker_id": ["ann" if number % 2 else "bob" for number in range(40)]}
    return conform(pl.DataFrame({**made, **columns}), "c")


def live(without: tuple[str, ...] = (), **changed: str) -> pl.DataFrame:
    """Every utterance has a row; those of ``changed`` (``c_01="key"``) have another key."""
    found = {name: f"key {name}" for name in NAMES if name not in without}
    found |= {name.replace("_", "/"): key for name, key in changed.items()}
    return pl.DataFrame({"utterance_id": list(found), "content_key": list(found.values())})


def reviews(*found: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame([(*row, None) for row in found], REVIEWS_SCHEMA, orient="row")


def of_ann(recipe: Recipe = OF_THREE, **given: pl.DataFrame) -> list[str]:
    chosen = reference_clips(
        recipe, given.get("manifest", manifest()), given.get("live", live()), given.get("reviews")
    )
    return chosen.filter(pl.col("speaker_id") == "ann")["utterance_id"].to_list()


def key_of_ann(recipe: Recipe = OF_THREE, **given: pl.DataFrame) -> str | None:
    def live_keys(fingerprint: str) -> pl.DataFrame:
        assert fingerprint == FACES.fingerprint
        return given.get("live", live())

    found = wanted_keys(recipe, given.get("manifest", manifest()), live_keys, (), given.get("reviews"))
    return dict(found.iter_rows()).get("ann")


def test_fifteen_of_a_speaker_s_clips_in_the_order_of_a_hash():
    assert of_ann(PERSON) == ORDER[:15]
    assert of_ann(OF_THREE) == ORDER[:3]


def test_a_clip_without_a_row_and_one_that_somebody_objected_to_give_way_to_the_next():
    first, second, third, fourth, fifth = ORDER[:5]
    assert of_ann(live=live(without=(first,))) == [second, third, fourth]
    objected = reviews((second, None, None, "offscreen"), (third, None, None, "misaligned"))
    assert of_ann(reviews=objected) == [first, fourth, fifth]
    # What was said of a face, or taken back, is no objection to the clip.
    fine = reviews((first, None, None, "keep"), (second, FACES.view, 0, "reject"))
    assert of_ann(reviews=fine) == ORDER[:3]


def test_each_clip_comes_with_its_row_s_key_and_with_what_the_manifest_says():
    chosen = reference_clips(OF_THREE, manifest(picture=["left"] * 40), live())
    assert chosen["content_key"].to_list() == [f"key {name}" for name in chosen["utterance_id"]]
    assert chosen["picture"].to_list() == ["left"] * 6
    assert chosen["speaker_id"].to_list() == ["ann"] * 3 + ["bob"] * 3


def test_utterances_of_nobody_stand_for_nobody():
    nobody = manifest(speaker_id=["ann" if number % 2 else None for number in range(40)])
    assert reference_clips(OF_THREE, nobody, live())["speaker_id"].unique().to_list() == ["ann"]


def test_the_key_notices_the_chosen_clips_and_no_others():
    plain = key_of_ann()
    assert plain is not None
    first, fourth = ORDER[0], ORDER[3]
    assert key_of_ann(live=live(**{first.replace("/", "_"): "another"})) != plain
    assert key_of_ann(live=live(**{fourth.replace("/", "_"): "another"})) == plain
    assert key_of_ann(live=live(without=(fourth,))) == plain
    assert key_of_ann(live=live(without=(first,))) != plain
    assert key_of_ann(manifest=manifest(text=["said"] * 40)) == plain, "the recipe reads no text"
    assert key_of_ann(manifest=manifest(picture=["left"] * 40)) != plain
    pictures = [None if f"c/{number:02d}" != fourth else "left" for number in range(40)]
    assert key_of_ann(manifest=manifest(picture=pictures)) == plain


def test_the_key_notices_what_people_decided_on_the_chosen_faces():
    plain = key_of_ann(reviews=reviews())
    assert plain == key_of_ann(), "no review is an empty one"
    first, fourth = ORDER[0], ORDER[3]
    rejected = key_of_ann(reviews=reviews((first, FACES.view, 0, "reject")))
    other_face = key_of_ann(reviews=reviews((first, FACES.view, 1, "reject")))
    kept = key_of_ann(reviews=reviews((first, FACES.view, 0, "keep")))
    assert len({plain, rejected, other_face, kept}) == 4
    assert key_of_ann(reviews=reviews((first, "faces_other_00000000", 0, "reject"))) == plain
    assert key_of_ann(reviews=reviews((fourth, FACES.view, 0, "reject"))) == plain
    assert key_of_ann(reviews=reviews((first, None, None, "keep"))) == plain
    assert key_of_ann(reviews=reviews((first, None, None, "offscreen"))) != plain


def test_a_speaker_of_whom_nothing_is_chosen_is_not_asked_for():
    of_bob = live(without=tuple(NAMES[1::2]))
    assert key_of_ann(live=of_bob) is None


def test_subjects_are_utterances_or_those_who_say_them():
    rows = manifest(speaker_id=["ann", None, "bob", *["ann"] * 37])
    assert subjects(FACES, rows)["utterance_id"].to_list() == NAMES
    assert list(subjects(PERSON, rows).iter_rows()) == [("ann", "c"), ("bob", "c")]


DERIVED = Recipe(
    "match",
    "x",
    1,
    "rows",
    "record",
    0,
    inputs=("faces", "person", "offsets"),
    columns={"a": "int"},
    settings={"optional_inputs": ["offsets"]},
    manifest_columns=("picture",),
)


def derived(rows: pl.DataFrame, **inputs: dict[str, str]) -> dict[str, str]:
    def live_keys(fingerprint: str) -> pl.DataFrame:
        found = inputs.get(fingerprint, {})
        columns = {"utterance_id": list(found), "content_key": list(found.values())}
        return pl.DataFrame(columns, {"utterance_id": pl.String, "content_key": pl.String})

    return dict(wanted_keys(DERIVED, rows, live_keys, ["person"]).iter_rows())


def test_what_is_derived_needs_its_utterance_s_row_and_may_lack_the_speaker_s():
    rows = manifest()
    faces = {"c/01": "f1", "c/02": "f2", "c/03": "f3"}
    plain = derived(rows, faces=faces)
    assert set(plain) == set(faces)
    with_ann = derived(rows, faces=faces, person={"ann": "p"})
    assert {name for name in plain if with_ann[name] != plain[name]} == {"c/01", "c/03"}
    assert derived(rows, faces=faces, person={"ann": "q"})["c/01"] != with_ann["c/01"]
    assert derived(rows, faces=faces, person={"c/01": "p", "carl": "p"}) == plain
    with_offsets = derived(rows, faces=faces, offsets={"c/02": "o"})
    assert {name for name in plain if with_offsets[name] != plain[name]} == {"c/02"}
    assert derived(rows, person={"ann": "p"}, offsets={"c/02": "o"}) == {}
    nobody = manifest(speaker_id=[None] * 40)
    assert derived(nobody, faces=faces, person={"ann": "p"}) == plain


def test_what_is_derived_notices_the_manifest_s_columns_that_it_reads():
    faces = {"c/01": "f1"}
    plain = derived(manifest(), faces=faces)
    assert derived(manifest(picture=["left"] * 40), faces=faces) != plain
    assert derived(manifest(text=["said"] * 40), faces=faces) == plain


@pytest.mark.parametrize("reads", ["text", "media"])
def test_so_does_what_reads_text_or_media(reads):
    from feature_repo.content import with_content_keys

    recipe = Recipe("x", "x", 1, reads, "pooled", 2, manifest_columns=("picture",))
    given = {"text": ["said"] * 40, "media_uri": ["/a.mp4"] * 40}

    def keys(**columns: list[object]) -> dict[str, str]:
        return dict(wanted_keys(recipe, with_content_keys(manifest(**given, **columns)), None).iter_rows())

    plain = keys()
    assert len(plain) == 40
    assert keys(picture=["left"] * 40).items().isdisjoint(plain.items())
    assert keys(sentiment=["positive"] * 40) == plain


def test_a_column_that_no_manifest_has_is_named():
    recipe = Recipe("x", "x", 1, "text", "pooled", 2, manifest_columns=("pictures",))
    with pytest.raises(UnknownNameError, match="manifest column 'pictures'; allowed: .*picture"):
        wanted_keys(recipe, manifest(), None)
