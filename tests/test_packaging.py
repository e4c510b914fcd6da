"""What the wheel and the pinned environment promise, without building or fetching anything."""

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import affectstore

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = {
    canonicalize_name(name): version
    for name, _, version in (
        line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    if not name.startswith("#")
}
REQUIREMENTS = sorted(
    {
        *PROJECT["dependencies"],
        *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
    }
)


@pytest.mark.parametrize("line", [line for line in REQUIREMENTS if not line.startswith("affectstore")])
def test_every_requirement_is_pinned_to_a_version_that_it_allows(line: str) -> None:
    requirement = Requirement(line)
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_all_is_every_extra_but_the_ones_with_strings_attached() -> None:
    extras = PROJECT["optional-dependencies"]
    everything = set().union(*(Requirement(line).extras for line in extras["all"]))
    # media comes with the extras that decode; ultralytics is AGPL, mamba-ssm wants a GPU's compiler.
    left_out = {"all", "dev", "media", "cuda", "face-yolo", "face-yolo-cpu"}
    assert everything == set(extras) - left_out


def test_the_extra_that_an_error_names_installs_the_package() -> None:
    extras = PROJECT["optional-dependencies"]
    providers = packages_distributions()
    for package, extra in affectstore._EXTRAS.items():
        asked = {canonicalize_name(Requirement(line).name) for line in extras[extra]}
        assert asked & {canonicalize_name(name) for name in providers[package]}, package


def test_no_torchvision_can_be_installed_by_mistake() -> None:
    assert PINS["torchvision"].endswith("+never")


def test_the_stub_wheels_are_the_pinned_ones_and_carry_no_code(tmp_path: Path) -> None:
    for folder in ("once", "twice"):
        subprocess.run(
            [sys.executable, ROOT / "infra" / "stub_wheels.py", tmp_path / folder],
            check=True,
            capture_output=True,
        )
    wheels = sorted((tmp_path / "once").glob("*.whl"))
    pinned = {(name, version) for name, version in PINS.items() if version.endswith(".stub")}
    found = set()
    for wheel in wheels:
        name, version = wheel.name.split("-")[:2]
        found.add((canonicalize_name(name), version))
        assert wheel.read_bytes() == (tmp_path / "twice" / wheel.name).read_bytes()
        with zipfile.ZipFile(wheel) as archive:
            assert archive.testzip() is None
            assert all(".dist-info/" in member for member in archive.namelist())
    assert found == pinned


def test_the_wheel_includes_the_files_of_experiments_and_suites() -> None:
    included = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    files = [*ROOT.glob("trainers/experiments/*.yaml"), *ROOT.glob("trainers/suites/*.yaml")]
    assert len(files) > 20
    for target in ("wheel", "sdist"):
        folders = included[target]["only-include"]
        assert all(path.relative_to(ROOT).parts[0] in folders for path in files)
    # What git ignores is in no distribution.
    if (ROOT / ".git").exists():
        ignored = subprocess.run(["git", "check-ignore", *files], cwd=ROOT, capture_output=True, text=True)
        assert ignored.stdout == ""
