"""Domains of corpora: acted or conversational speech (papers/003 section 1.4), text or faces alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from feature_repo.errors import UnknownNameError

ACTED, CONVERSATIONAL, TEXT, FACE, OTHER = "acted", "conversational", "text", "face", "other"
DOMAINS = (ACTED, CONVERSATIONAL, TEXT, FACE, OTHER)
# IEMOCAP's actors improvise dialogues; papers/003 section 1.4 counts it as acted.
_KNOWN = {
    **dict.fromkeys(("cremad", "emovdb", "esd", "iemocap", "mead", "ravdess", "savee", "tess"), ACTED),
    "meld": CONVERSATIONAL,
    **dict.fromkeys(("carer", "crowdflower", "goemotions", "isear", "semeval"), TEXT),
    **dict.fromkeys(("ckplus", "fer2013", "jaffe", "rafdb"), FACE),
}


def known_corpus(corpus: str) -> str:
    """The corpus that a name stands for: ``cremad`` for ``cremad`` and ``cremad-standin``, else the name itself."""
    base = corpus.partition("-")[0]
    return base if base in _KNOWN else corpus


def domain_of(corpus: str, changed: Mapping[str, str] | None = None) -> str:
    """The domain of a corpus.

    Args:
        corpus: its name; one that begins with a known corpus and a hyphen is of that corpus's domain.
        changed: corpus to domain, where the user knows better.
    """
    return (changed or {}).get(corpus) or _KNOWN.get(known_corpus(corpus), OTHER)


def domains_of(corpora: Iterable[str], changed: Mapping[str, str] | None = None) -> dict[str, str]:
    """Corpus to domain.

    Args:
        corpora: names.
        changed: corpus to domain, where the user knows better.

    Raises:
        UnknownNameError: a changed corpus that is not among them, or a domain that there is not.
    """
    names = sorted(set(corpora))
    for corpus, domain in (changed or {}).items():
        if corpus not in names:
            raise UnknownNameError("corpus", corpus, names)
        if domain not in DOMAINS:
            raise UnknownNameError(f"domain of {corpus}", domain, DOMAINS)
    return {corpus: domain_of(corpus, changed) for corpus in names}
