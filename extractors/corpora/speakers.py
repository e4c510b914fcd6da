"""Who a speaker label means: one person, a role that different people play, or several people (papers/000 III-D1a).

Where a corpus labels speakers by name, three kinds of label occur. ``Ross`` is the same man wherever he speaks.
``Woman`` is another woman in every dialogue, and her reference face would be a mean of strangers. ``Joey and
Chandler`` are two people, and no reference face can be right.

On MELD's 304 labels: 18 are composite, 101 are roles, 185 are persons, which makes 357 people. The paper counts 352 and
does not state its rule; 352 results if labels of a dialogue that differ by an article or a number alone ("Nurse #1" and
"Nurse #2") are one person and "Phoebe Sr" and "Phoebe Sr." are two, which we don't follow.
"""

import re
from typing import Literal

Kind = Literal["person", "role", "composite"]

# Labels that mean several people at once, an article before them left out. "Friends" is not among them: the one label
# of MELD with it ("Her-Friends") is no part of the known figure of 18 composite labels.
_COLLECTIVES = "all audience both boys crowd everybody everyone gang girls group guys people together"
COLLECTIVES = frozenset(_COLLECTIVES.split())

# What people are called whose name nobody says: by sex and age, by work, by what they happen to do; and machines that
# speak. The last word decides ("Flight Attendant"), so that adjectives need no list, and "Fake Monica" stays a name.
_ROLES = """
baby bastard bitch boy child dude female friend gentleman girl guy kid lady male man neighbor neighbour person
somebody someone stranger teenager voice woman

actor actress agent anchor announcer assistant attendant author bailiff baker banker barber bartender boss bouncer
bridesmaid builder butler caller cameraman captain cashier chef clerk coach commentator conductor cook cop counselor
crewman critic croupier customer dancer dealer dentist designer detective director doctor doorman driver editor employee
employer engineer expert fan farmer firefighter fireman gambler grip guard guest guide hairdresser hitchhiker host
hostess housekeeper instructor intern interviewer janitor jester journalist judge juror landlady landlord lawyer leader
lecturer librarian lifeguard lurker maid mailman manager mechanic minister model moderator mover musician nanny narrator
nun nurse officer official operator orderly owner paleontologist paramedic participant passenger passerby patient
photographer pilot plumber policeman policewoman porter presenter president priest producer professor psychiatrist rabbi
realtor receptionist reporter roommate salesman salesperson saleswoman scientist seamstress secretary sergeant server
singer soldier stewardess stripper student supervisor surgeon tailor teacher technician therapist tourist trainer usher
vendor volunteer waiter waitress worker

commercial intercom machine message radio recording tape television tv
"""
ROLES = frozenset(_ROLES.split()) | {"maitre d"}
_TITLES = (
    *("aunt", "doctor", "dr", "guru", "lady", "lord", "miss", "mr", "mrs"),
    *("ms", "professor", "sir", "uncle"),
)
_ARTICLES = ("a", "an", "another", "one", "other", "some", "the")
_TAIL = re.compile(r"(?<=\w)\s+(?:at|behind|from|in|of|on|with)\s.*")  # "Woman On Train", "Boy in the Cape"
# "Guy #1", "Fireman No. 2", "1st Customer", "Soldier 3"
_NUMBER = re.compile(r"#\s*\d+|\bno\.?\s*\d+|\b\d+(?:st|nd|rd|th)\b|\s\d+$")
_SEVERAL = re.compile(r"/|&|\+|,|\band\b")
_OWNED = re.compile(r"\w['’]s?\s+\w")  # "Joey's Hand Twin", "Mr. Jones' Wife"


def speaker_kind(name: str) -> Kind:
    """What a speaker label means, by its words alone.

    - composite: names joined by ``and``, ``&``, ``+``, ``/`` or a comma, or a word for a group (:data:`COLLECTIVES`);
    - role: starts with an article or a word like ``Another`` ("The Lurker"), bears a number ("Guy #1", "1st
      Customer"), or its last word before a preposition is one of :data:`ROLES` ("Flight Attendant", "Boy in the
      Cape");
    - person: everything else, among it titles with a name ("Dr. Green", "Aunt Lillian"), names with an adjective
      ("Young Ethan") and whoever is named by their relation to one person ("Mona's Date"): there is one of them.
    """
    text = name.casefold().strip()
    words = _words(text)
    without_article = words[1:] if words[:1] == ["the"] else words
    if _SEVERAL.search(text) or (len(without_article) == 1 and without_article[0] in COLLECTIVES):
        return "composite"
    if _OWNED.search(text) or (len(words) > 1 and words[0] in _TITLES):
        return "person"
    if (words and words[0] in _ARTICLES) or _NUMBER.search(text):
        return "role"
    head = _words(_TAIL.sub("", text))
    return "role" if head and (head[-1] in ROLES or " ".join(head[-2:]) in ROLES) else "person"


def speaker_id(
    corpus: str, dialogue_id: str, name: str | None, speakers: Literal["people", "names"] = "people"
) -> str | None:
    """Who speaks, as an id of the manifest.

    A role carries its dialogue in every case, not only where several dialogues have it, so that a speaker's id does
    not depend on which splits are read.

    Args:
        corpus: what the ids start with.
        dialogue_id: the dialogue's id, which starts with the corpus too.
        name: the label in the corpus's files; None or empty: nobody is named.
        speakers: ``people`` as above; ``names``: one id per label, whoever it means.

    Returns:
        ``<corpus>/<slug>``; for a role ``<dialogue_id>/<slug>``; None for several people and for nobody.
    """
    if not name or not speaker_slug(name):
        return None
    kind = "person" if speakers == "names" else speaker_kind(name)
    if kind == "composite":
        return None
    return f"{dialogue_id if kind == 'role' else corpus}/{speaker_slug(name)}"


def speaker_slug(name: str) -> str:
    """A speaker's name as part of an id: lower case, no apostrophes, ``_`` for what is not a letter or a digit."""
    return re.sub(r"[\W_]+", "_", re.sub("['’‘`]", "", name.casefold())).strip("_")


def _words(text: str) -> list[str]:
    """Words of a label; apostrophes, numbers and their signs are no part of them."""
    return re.findall(r"[^\W\d_]+", re.sub("['’‘`]", "", _NUMBER.sub(" ", text)))
