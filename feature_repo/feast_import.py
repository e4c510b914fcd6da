"""Importing Feast in a second instead of seven."""

import importlib
import os
import sys
import types


def import_feast() -> types.ModuleType:
    """The ``feast`` package, imported without what makes its import slow; call it before any ``from feast import``.

    Two things cost five of seven seconds (Feast 0.67, measured on two cores). Its classes are decorated with
    ``typeguard.typechecked``, which parses and compiles every method again: here it does nothing while Feast is being
    imported. And ``feast.torch_wrapper`` imports torch for ``to_tensor`` alone: here it imports torch when asked.
    """
    if "feast" not in sys.modules:
        # Older releases report usage to Feast's makers; a store of people's voices tells nobody anything.
        os.environ.setdefault("FEAST_USAGE", "False")
        wrapper = types.ModuleType("feast.torch_wrapper")
        wrapper.__dict__["get_torch"] = lambda: importlib.import_module("torch")
        sys.modules.setdefault(wrapper.__name__, wrapper)
        _import_unchecked()
    return sys.modules["feast"]


def _import_unchecked() -> None:
    import typeguard

    checked = typeguard.typechecked
    typeguard.__dict__["typechecked"] = _leave_alone
    try:
        importlib.import_module("feast")
    finally:
        typeguard.__dict__["typechecked"] = checked


def _leave_alone(target: object = None, **options: object) -> object:
    # Used bare, or with options as ``@typechecked(...)``.
    return _leave_alone if target is None else target
