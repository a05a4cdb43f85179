"""Runs a module's own unit tests against each of its mutants: one that no test notices has survived.

Every mutant has a process of its own, forked from one that has loaded all that the tests need but nothing
of `qa_models`. There the mutant takes the module's place as it is imported; no file is changed. The tests run
in a copy beside which no published data lies and without R, so that the result is that of any machine.
"""

import contextlib
import gc
import importlib
import json
import multiprocessing
import os
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Final, cast

import hypothesis
import pytest

from tests.mutation.mutants import Mutant

ROOT: Final = Path(__file__).resolve().parents[2]
TESTS: Final = {
    "cusum.tabular": ("test_cusum", "test_cusum_replay", "test_borders"),
    "cusum.self_starting": ("test_self_starting",),
    "cusum.variability": ("test_variability", "test_borders"),
    "run_rules": ("test_run_rules", "test_shewhart", "test_on_the_limit", "test_borders"),
    "standardise": ("test_run_rules", "test_borders"),
    "change_point": ("test_change_point", "test_change_point_sets", "test_change_point_charts"),
    "metrology.weighing": ("test_metrology", "test_weighing_borders"),
    "metrology.stadiometer": ("test_stadiometer", "test_weighing_borders"),
    "metrology.exact": ("test_metrology", "test_stadiometer", "test_weighing_borders"),
}
"""Modules of the campaign, and the unit tests that must kill their mutants."""

SURVIVED: Final = frozenset({pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED})
CPU_LIMIT_S: Final = 60
"""A mutant that computes for longer hangs, which is noticed; the tests of a module take a tenth of it."""

hypothesis.settings.register_profile(
    "mutation",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=40,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)


def path_of(module: str) -> Path:
    """Return where a module lies in the repository."""
    return Path("src", "qa_models", *module.split(".")).with_suffix(".py")


class Ground:
    """A copy of models and unit tests in a folder of its own, where mutants are tried.

    Parameters
    ----------
    folder
        An empty folder.
    tests
        Test files that take the place of each module's own.
    """

    def __init__(self, folder: Path, tests: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._tests = [path.resolve() for path in tests]
        skipped = shutil.ignore_patterns("__pycache__")
        for name in ("src/qa_models", "tests"):
            shutil.copytree(ROOT / name, folder / name, ignore=skipped)
        (folder / "pytest.ini").write_text("[pytest]\npythonpath = . src\nfilterwarnings = error\n")

    def notes(self, module: str) -> Path:
        """Return the file with how long each test of the module took, and what it imported."""
        return self._folder / f"{module}.json"

    def enter(self, mutant: Mutant | None, module: str) -> None:
        """Run the module's tests, quickest first, and leave this process with the status of pytest."""
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - as a file descriptor
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
        os.chdir(self._folder)
        os.environ.pop("CI", None)  # there published data and R must be there
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]
        sys.path.insert(0, str(self._folder / "src"))
        if mutant is not None:
            sys.meta_path.insert(0, _InPlace(mutant, self._folder / path_of(mutant.module)))
        files = [str(path) for path in self._tests] or [f"tests/unit/{name}.py" for name in TESTS[module]]
        options = ["-x", "-q", "--tb=no", "--assert=plain", "-p", "no:cacheprovider"]
        options += ["-p", "_hypothesis_pytestplugin", "-p", "no:unraisableexception", "-p", "no:threadexception"]
        options += ["-k", "not strucchange", "--hypothesis-profile=mutation", f"--rootdir={self._folder}"]
        sys.exit(pytest.main([*options, "-c", "pytest.ini", *files], plugins=[_QuickestFirst(self.notes(module))]))


class _InPlace(MetaPathFinder, Loader):
    """Imports a mutant under the name of its module."""

    def __init__(self, mutant: Mutant, path: Path) -> None:
        self._mutant, self._path = mutant, path

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        if fullname != f"qa_models.{self._mutant.module}":
            return None
        return spec_from_file_location(fullname, self._path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._mutant.source, str(self._path), "exec"), module.__dict__)  # noqa: S102


class _QuickestFirst:
    """Plugin of pytest: notes how long each test takes, and what was imported; then runs the tests in that order."""

    def __init__(self, notes: Path) -> None:
        self._path = notes
        self._known: dict[str, float] = json.loads(notes.read_text())["durations"] if notes.exists() else {}
        self._seen: dict[str, float] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self._known.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seen[report.nodeid] = self._seen.get(report.nodeid, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        if not self._known:
            others = [name for name in sys.modules if name.partition(".")[0] not in {"qa_models", "tests", "conftest"}]
            self._path.write_text(json.dumps({"durations": self._seen, "modules": others}))


def _load_what_is_needed(notes: Path) -> None:
    """Import all that the tests need but the models: once here, not in every process forked from this one."""
    for name in json.loads(notes.read_text())["modules"]:
        with contextlib.suppress(Exception):  # some are no modules of their own, and a process can import it itself
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def trial(ground: Ground, found: Sequence[Mutant], *, at_once: int) -> Iterator[tuple[Mutant, bool, float]]:
    """Yield each mutant, whether it survived, and how long that took to see, in the order of the answers.

    Raises
    ------
    RuntimeError
        If the tests do not pass without any fault: then nothing is known of the mutants.
    """
    modules = dict.fromkeys(mutant.module for mutant in found)
    for _, module, status, _ in _run(ground, [(None, module) for module in modules], at_once=at_once):
        if status not in SURVIVED:
            raise RuntimeError(f"the tests of {module} fail without a fault (pytest status {status})")
        _load_what_is_needed(ground.notes(module))
    for mutant, _, status, took_s in _run(ground, [(mutant, mutant.module) for mutant in found], at_once=at_once):
        if status in {pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR}:
            raise RuntimeError(f"pytest could not be run on {mutant} (status {status})")
        if mutant is not None:
            yield mutant, status in SURVIVED, took_s


def _run(
    ground: Ground, jobs: Sequence[tuple[Mutant | None, str]], *, at_once: int
) -> Iterator[tuple[Mutant | None, str, int | None, float]]:
    """Yield each job, its status and how long it took, in the order of their ends."""
    context = multiprocessing.get_context("fork")
    waiting, running = list(reversed(jobs)), dict[int, tuple[BaseProcess, Mutant | None, str, float]]()
    while waiting or running:
        while waiting and len(running) < at_once:
            mutant, module = waiting.pop()
            process: BaseProcess = context.Process(target=ground.enter, args=(mutant, module))
            process.start()
            running[process.sentinel] = (process, mutant, module, time.monotonic())
        for sentinel in wait(list(running)):
            process, mutant, module, started = running.pop(cast("int", sentinel))
            process.join()
            yield mutant, module, process.exitcode, time.monotonic() - started
