"""FER2013: faces of 48 x 48 pixels from an image search, as folders or as the challenge's csv (CORPORA: faces)."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from extractors.corpora.corpus_files import files_below
from extractors.corpora.delimited import require_columns
from extractors.corpora.reader import no_files, option
from extractors.corpora.registry import register_reader
from extractors.corpora.stills import Still, still_rows
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.label_rules import RULES

if TYPE_CHECKING:
    import numpy as np

SIDE = 48
FILES = ("fer2013.csv", "icml_face_data.csv")
FOLDERS = {"train": "train", "validation": "dev", "valid": "dev", "val": "dev", "dev": "dev", "test": "test"}
# The challenge ranked on the public part while it ran, and on the private part at its end.
USAGES = {"Training": "train", "PublicTest": "dev", "PrivateTest": "test"}


@dataclass(frozen=True)
class Fer2013Options:
    """What the FER2013 reader can be told."""

    images: str = option(
        "", "csv: the folder where its pictures are written as PNG; by default <csv's name>_images beside it"
    )
    splits: Literal["folder", "usage"] = option(
        "folder", "folders: a picture's split is its folder's; usage: that of its name (PublicTest_* is dev)"
    )


@register_reader(
    "fer2013",
    layout="{train,test}/{angry,disgust,fear,happy,neutral,sad,surprise}/*.jpg, or fer2013.csv",
    licence="Kaggle challenge, images from web search, research use",
    options=Fer2013Options,
)
def read_fer2013(folder: Path, corpus: str, options: Fer2013Options) -> pl.DataFrame:
    """One row per picture: 28,709 Training, 3,589 PublicTest, 3,589 PrivateTest in the csv.

    The csv's pictures are written to files once; a file that is there already with the same pixels is not touched.

    Raises:
        BadInputError: neither folders nor csv, a row or name that can't be used, or pictures that can't be written.
        UnknownNameError: a label, usage or column that FER2013 does not have.
    """
    files = [folder] if folder.is_file() else [folder / name for name in FILES]
    path = next((file for file in files if file.is_file()), None)
    if path is not None:
        images = Path(options.images).expanduser().absolute() if options.images else None
        stills = list(_from_csv(path, images or path.with_name(f"{path.stem}_images")))
    else:
        stills = list(_from_folders(folder, options))
        if not stills:
            raise no_files("FER2013", [folder / "train" / "angry", *files])
    return still_rows(corpus, "fer2013", stills)


def _from_folders(folder: Path, options: Fer2013Options) -> Iterator[Still]:
    seen: dict[str, Path] = {}
    for split in sorted(place.name for place in folder.iterdir() if place.name in FOLDERS):
        for place in sorted(place for place in (folder / split).iterdir() if place.is_dir()):
            if place.name[0] == ".":
                continue
            if place.name not in RULES["fer2013"].labels:
                raise UnknownNameError(
                    f"label folder of {folder / split}", place.name, RULES["fer2013"].labels
                )
            for path in files_below(place, ".jpg", ".jpeg", ".png"):
                first = seen.setdefault(path.stem, path)
                if first != path:
                    raise BadInputError(f"{first} and {path}: two pictures of one name")
                named = FOLDERS[split] if options.splits == "folder" else _usage(path)
                yield Still(path.stem, path, place.name, split=named)


def _usage(path: Path) -> str:
    usage = path.stem.partition("_")[0]
    if usage not in USAGES:
        raise BadInputError(f"{path}: splits=usage needs names that start with {', '.join(USAGES)}")
    return USAGES[usage]


def _from_csv(path: Path, images: Path) -> Iterator[Still]:
    codes = RULES["fer2013"].codes
    for number, (where, row) in enumerate(_csv_rows(path)):
        if row["emotion"] not in codes:
            raise UnknownNameError(f"emotion in {where}", row["emotion"], codes)
        if row["Usage"] not in USAGES:
            raise UnknownNameError(f"Usage in {where}", row["Usage"], USAGES)
        name = f"{row['Usage']}_{number:05d}"
        image = images / f"{name}.png"
        _write(image, _pixels(where, row["pixels"]))
        yield Still(name, image, codes[row["emotion"]], split=USAGES[row["Usage"]])


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The csv's rows and their places, one at a time: the file is 300 MB of digits."""
    # A byte that is no UTF-8 becomes a character that no field may hold, and is named as such.
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            header = [name.strip() for name in next(rows, [])]  # one copy has blanks before the names
            require_columns(path, header, ("emotion", "pixels", "Usage"))
            for fields in rows:
                where = f"{path}: line {rows.line_num}"
                if fields and len(fields) != len(header):
                    raise BadInputError(
                        f"{where}: {len(fields)} fields where the columns are {', '.join(header)}"
                    )
                if fields:
                    yield where, dict(zip(header, (field.strip() for field in fields), strict=True))
        except csv.Error as error:
            raise BadInputError(f"{path}: line {rows.line_num}: {error}") from error


def _pixels(where: str, text: str) -> "np.ndarray":
    import numpy as np

    values = text.split()
    try:
        found = np.array(values, dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise BadInputError(f"{where}: a pixel is not a whole number ({error})") from error
    if found.size != SIDE * SIDE or found.min() < 0 or found.max() > 255:
        raise BadInputError(
            f"{where}: {found.size} pixels; expected {SIDE * SIDE} whole numbers from 0 to 255"
        )
    return found.astype(np.uint8).reshape(SIDE, SIDE)


def _write(image: Path, pixels: "np.ndarray") -> None:
    import cv2  # heavy, and only the csv needs it

    data = cv2.imencode(".png", pixels)[1].tobytes()
    try:
        image.parent.mkdir(parents=True, exist_ok=True)
        if not image.is_file() or image.read_bytes() != data:
            image.write_bytes(data)
    except OSError as error:
        raise BadInputError(
            f"{image}: the csv's pictures can't be written here ({error.strerror});"
            " name a folder: --option images=FOLDER"
        ) from error
