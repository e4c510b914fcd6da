"""The catalogue: which view a profile means by a slot, so that readers need no weights and no fingerprint."""

import contextlib
import json
import re
from collections.abc import Mapping

from feature_repo.errors import AmbiguousViewError, BadInputError, UnknownNameError
from feature_repo.files import FileLayer

CATALOG = "catalog"
DEFAULT_PROFILE = "default"
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Catalog:
    """One small file per profile, ``catalog/<profile>.json``, replaced whole."""

    def __init__(self, files: FileLayer) -> None:
        self.files = files

    def profiles(self) -> list[str]:
        """Names of the profiles, sorted."""
        return [
            name.removesuffix(".json") for name in self.files.list_files(CATALOG) if name.endswith(".json")
        ]

    def slots(self, profile: str) -> dict[str, str]:
        """Slot to view of one profile.

        Raises:
            UnknownNameError: there is no such profile.
            BadInputError: its file is unreadable.
        """
        path = f"{CATALOG}/{profile}.json"
        try:
            data = json.loads(self.files.read(path))
            return {str(slot): str(view) for slot, view in data["slots"].items()}
        except FileNotFoundError:
            raise UnknownNameError("profile", profile, self.profiles()) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInputError(
                f"{self.files.url(path)} is unreadable ({error}); remove it and name its views again with "
                "`affectstore use VIEW`"
            ) from error

    def set(self, profile: str, slots: Mapping[str, str]) -> None:
        """Point the profile's slots at views; its other slots stay as they are.

        Raises:
            BadInputError: a profile name that no file can have.
        """
        if not _PROFILE.fullmatch(profile):
            raise BadInputError(
                f"profile name {profile!r}: letters, digits, '_', '-' and '.', a letter or digit first"
            )
        with self.files.lock("catalog"):
            known = self.slots(profile) if profile in self.profiles() else {}
            if {**known, **slots} != known:
                self._write(profile, {**known, **slots})

    def drop_view(self, view: str) -> None:
        """Take the view out of every profile; a profile without slots goes."""
        with self.files.lock("catalog"):
            for profile in self.profiles():
                slots = self.slots(profile)
                kept = {slot: name for slot, name in slots.items() if name != view}
                if kept and kept != slots:
                    self._write(profile, kept)
                elif not kept:
                    self.files.remove(f"{CATALOG}/{profile}.json")

    def resolve(self, slot: str, profile: str | None = None) -> str:
        """The view that the slot means: in the named profile, else in ``default``, else in whichever profiles have it.

        Raises:
            UnknownNameError: no profile, or no such slot in it.
            AmbiguousViewError: several profiles mean different views by it.
        """
        if profile is not None:
            slots = self.slots(profile)
            if slot not in slots:
                raise UnknownNameError(f"slot of profile {profile!r}", slot, slots)
            return slots[slot]
        by_profile = {name: self.slots(name) for name in self.profiles()}
        candidates = {name: slots[slot] for name, slots in by_profile.items() if slot in slots}
        if DEFAULT_PROFILE in candidates:
            return candidates[DEFAULT_PROFILE]
        if not candidates:
            raise UnknownNameError("slot", slot, {known for slots in by_profile.values() for known in slots})
        if len(set(candidates.values())) > 1:
            listed = ", ".join(f"{view} (profile {name})" for name, view in sorted(candidates.items()))
            raise AmbiguousViewError(
                f"{slot!r} could be {listed}; name a profile or view, or settle it with `affectstore use VIEW`"
            )
        return next(iter(candidates.values()))

    def settled(self) -> dict[str, str]:
        """Slot to view of every slot that means one view without a profile; see :meth:`resolve`."""
        known = {slot for profile in self.profiles() for slot in self.slots(profile)}
        found = {}
        for slot in sorted(known):
            with contextlib.suppress(AmbiguousViewError):
                found[slot] = self.resolve(slot)
        return found

    def _write(self, profile: str, slots: Mapping[str, str]) -> None:
        data = json.dumps({"slots": dict(sorted(slots.items()))}, indent=2) + "\n"
        self.files.write(f"{CATALOG}/{profile}.json", data.encode())
