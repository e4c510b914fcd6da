"""Write the metadata-only wheels that let pip resolve packages which ask for what must not be installed.

Three requirements of otherwise good packages cannot be met as they are written: each gets a wheel that has a
name, a version and a requirement, and no code. Usage: ``python infra/stub_wheels.py FOLDER``, then
``pip install --find-links FOLDER ...``. Standard library only, no network, the same bytes every time.
"""

import base64
import hashlib
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

EPOCH = (2020, 1, 1, 0, 0, 0)  # a fixed time stamp: the same bytes every time


@dataclass(frozen=True)
class StubWheel:
    """A wheel without code.

    Attributes:
        name: distribution that is asked for.
        version: local version, which no registry carries, so that constraints can insist on the stand-in.
        requires: what does the work instead.
        why: told in the wheel's summary.
    """

    name: str
    version: str
    requires: tuple[str, ...]
    why: str


STUBS = (
    StubWheel(
        "opencv-python",
        "5.0.0.93+headless.stub",
        ("opencv-contrib-python-headless==5.0.0.93",),
        "both distributions own the folder cv2/, and the one with a screen needs libGL",
    ),
    StubWheel(
        "webrtcvad",
        "2.0.10+wheels.stub",
        ("webrtcvad-wheels",),
        "resemblyzer asks for the source package, which wants a compiler and pkg_resources",
    ),
    StubWheel(
        "typing",
        "3.7.4.3+stdlib.stub",
        (),
        "resemblyzer asks for the Python 2 backport, which would shadow the standard library's",
    ),
)


def write_wheel(stub: StubWheel, folder: Path) -> Path:
    """Write one stub wheel into ``folder`` and return its path."""
    stem = f"{stub.name.replace('-', '_')}-{stub.version}"
    requires = "".join(f"Requires-Dist: {requirement}\n" for requirement in stub.requires)
    files = {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {stub.name}\nVersion: {stub.version}\n"
        f"Summary: metadata-only stand-in: {stub.why}\n{requires}",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: affectstore\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    records = []
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            data = text.encode()
            checksum = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            records.append(f"{name},sha256={checksum},{len(data)}\n")
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data)
        record = f"{stem}.dist-info/RECORD"
        archive.writestr(zipfile.ZipInfo(record, EPOCH), "".join(records) + f"{record},,\n")
    return path


def main() -> None:
    """Write every stub wheel into the folder that the command line names."""
    if len(sys.argv) != 2:
        sys.exit("usage: stub_wheels.py FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for stub in STUBS:
        print(write_wheel(stub, folder))


if __name__ == "__main__":
    main()
