import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys, typeguard
checked = typeguard.typechecked
from feature_repo.feast_import import import_feast
feast = import_feast()
import_feast()
print(feast.FeatureView.__module__, "torch" in sys.modules, typeguard.typechecked is checked)
import os
print(os.environ["FEAST_USAGE"])
from feast.torch_wrapper import get_torch
print(get_torch().__name__)
"""


def test_importing_feast_imports_no_torch_leaves_typeguard_as_it_was_and_torch_in_reach():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, cwd=ROOT, timeout=120
    )
    assert done.stdout.split() == ["feast.feature_view", "False", "True", "False", "torch"]
