"""Cross-calibration as a versioned thing: derived from kept data by the site, superseded, withdrawn, derived again."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dashboards.users import UserStore
from qa_models.cross_calibration.equation import derive
from streams.messages import CrossCalibrationAccepted, CrossCalibrationWithdrawn, Person, StudyKind
from streams.roles import Role
from streams.studies import DeviceReplaced, Pairs, StudyData, StudyError, pairs_from, versions
from tests.running import SiteProcess, configuration, seed

PASSWORD = "correct horse battery"  # noqa: S105 - of invented users
X = [0.70, 0.80, 0.90, 1.00, 1.10, 1.20, 1.30, 1.40, 1.50, 1.60]
ERRORS = [0.004, -0.004, -0.004, 0.004, 0.004, -0.004, -0.004, 0.004, 0.004, -0.004]
Y = [round(0.02 + 0.98 * x + e, 6) for x, e in zip(X, ERRORS, strict=True)]
CSV = "from_g_cm2,to_g_cm2\n" + "".join(f"{x},{y}\n" for x, y in zip(X, Y, strict=True))
NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


def hand_slope_and_intercept() -> tuple[float, float]:
    """Ordinary least squares by the textbook's sums, written out here."""
    n = len(X)
    mean_x, mean_y = sum(X) / n, sum(Y) / n
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(X, Y, strict=True)) / sum((a - mean_x) ** 2 for a in X)
    return slope, mean_y - slope * mean_x


# --- the equation and its data -------------------------------------------------------------------------------


def test_the_equation_is_that_of_the_textbook_with_its_standard_error_and_range() -> None:
    slope, intercept = hand_slope_and_intercept()
    line = derive("ordinary", X, Y)
    assert (line.slope, line.intercept) == pytest.approx((slope, intercept), rel=1e-12)
    residuals = [b - intercept - slope * a for a, b in zip(X, Y, strict=True)]
    assert line.standard_error == pytest.approx((sum(r * r for r in residuals) / 8) ** 0.5, rel=1e-12)
    assert (line.lower, line.upper, line.n) == (0.7, 1.6, 10)


def test_a_method_that_nobody_knows_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="ordinary, deming, weighted_deming, passing_bablok"):
        derive("guess", X, Y)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the columns are from_g_cm2, to_g_cm2 and no others"),
        ("from_g_cm2,to_g_cm2,name\n1,1,x\n", "no others"),
        ("from_g_cm2,to_g_cm2\n1.0\n", "line 2: 1 values where two belong"),
        ("from_g_cm2,to_g_cm2\n1,0,1,1\n", "decimals have a point"),
        ("from_g_cm2,to_g_cm2\n1.0,1.1\n1.0,nan\n", "line 3: not a BMD"),
        ("from_g_cm2,to_g_cm2\n1.0,-1.1\n", "line 2: not a BMD"),
        ("from_g_cm2,to_g_cm2\n\n\n", "no pair"),
        ("from_g_cm2,to_g_cm2\n" + "1.0,1.1\n" * 2001, "more than 2000 pairs"),
        ("from_g_cm2,to_g_cm2\r1.0,1.1\r", "line 1: it cannot be read as CSV: .* a line feed after it"),
        ("from_g_cm2,to_g_cm2\n1.0,1.1\r1.2,1.3\r", "line 2: it cannot be read as CSV"),
        ("from_g_cm2,to_g_cm2\n1.0,1.1\n1." + "0" * 131_072 + ",1.1\n", "line 3: it cannot be read as CSV"),
    ],
)
def test_a_file_that_is_no_study_says_where_it_is_wrong(text: str, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        pairs_from(text)


def test_columns_in_another_order_and_blank_lines_are_the_same_study() -> None:
    swapped = "to_g_cm2,from_g_cm2\n\n" + "".join(f"{y},{x}\n" for x, y in zip(X, Y, strict=True))
    assert pairs_from("\ufeff" + swapped).digest == pairs_from(CSV).digest


def test_kept_data_is_found_again_and_a_change_on_the_disk_is_noticed(tmp_path: Path) -> None:
    data, pairs = StudyData(tmp_path), pairs_from(CSV)
    digest = data.keep(pairs)
    assert data.keep(pairs) == digest
    assert data.read(digest) == pairs == Pairs(tuple(X), tuple(Y))
    path = tmp_path / "studies" / f"{digest}.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("0.7,", "0.8,"), encoding="utf-8")
    with pytest.raises(StudyError, match="was changed on the disk"):
        data.read(digest)
    path.unlink()
    with pytest.raises(StudyError, match="restore it from the archive"):
        data.read(digest)


# --- which version is in force -------------------------------------------------------------------------------


def accepted(version: int, *, since: datetime, until: datetime | None = None) -> CrossCalibrationAccepted:
    return CrossCalibrationAccepted(
        study_id="old-to-new",
        version=version,
        kind=StudyKind.PHANTOM,
        other_device="site/dxa-0",
        region="L1-L4",
        method="ordinary",
        slope=1.0,
        intercept_g_cm2=0.0,
        standard_error_g_cm2=0.0,
        lower_g_cm2=0.7,
        upper_g_cm2=1.6,
        n=10,
        data_digest="0" * 64,
        valid_from=since,
        accepted_by=Person("Pat Physicist", "physicist"),
        reason="test",
        valid_until=until,
    )


def test_a_version_is_in_force_from_its_acceptance_until_the_next_or_its_end_or_its_withdrawal() -> None:
    day = timedelta(days=1)
    withdrawn = CrossCalibrationWithdrawn("old-to-new", "wrong file", Person("Pat Physicist", "physicist"))
    first, second = versions(
        [
            (NOON, accepted(1, since=NOON - 100 * day)),
            (NOON + 10 * day, accepted(2, since=NOON + 12 * day, until=NOON + 40 * day)),
            (NOON + 30 * day, withdrawn),
        ]
    )
    assert [first.is_in_force(NOON + n * day) for n in (-1, 0, 10, 11, 12)] == [False, True, True, True, False]
    assert [second.is_in_force(NOON + n * day) for n in (11, 12, 29, 30, 41)] == [False, True, True, False, False]
    (alone,) = versions([(NOON, accepted(1, since=NOON, until=NOON + day))])
    assert [alone.is_in_force(NOON + n * day) for n in (0, 1)] == [True, False]


def test_a_version_stands_until_the_next_one_is_valid_and_none_outlives_its_device() -> None:
    day = timedelta(days=1)
    first, second = versions([(NOON, accepted(1, since=NOON)), (NOON + day, accepted(2, since=NOON + 60 * day))])
    assert [first.is_in_force(NOON + n * day) for n in (30, 59, 60)] == [True, True, False]
    assert [second.is_in_force(NOON + n * day) for n in (30, 59, 60)] == [False, False, True]
    withdrawn = CrossCalibrationWithdrawn("old-to-new", "wrong file", Person("Pat Physicist", "physicist"))
    both = versions(
        [(NOON, accepted(1, since=NOON)), (NOON + day, accepted(2, since=NOON + 60 * day)), (NOON + 2 * day, withdrawn)]
    )
    assert [one.is_in_force(NOON + n * day) for one in both for n in (1, 2, 61)] == [True, *[False] * 5]
    (gone,) = versions([(NOON, accepted(1, since=NOON)), (NOON + day, DeviceReplaced())])
    assert [gone.is_in_force(NOON + n * day) for n in (0, 1)] == [True, False]


# --- a running site ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteProcess]:
    folder = tmp_path_factory.mktemp("site")
    seed(folder, configuration(scanners=1))
    (folder / "study.csv").write_text(CSV, encoding="utf-8")
    users = UserStore(folder / "var" / "users.sqlite")
    users.add_user("Pat Physicist", Role.PHYSICIST, PASSWORD)
    users.add_user("Oz Operator", Role.OPERATOR, PASSWORD)
    users.close()
    with SiteProcess(folder) as process:
        yield process


def run(site: SiteProcess, *words: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "bonewatch", "cross-calibration", *words]
    done = subprocess.run(
        command, input=f"{PASSWORD}\n", capture_output=True, text=True, timeout=60, check=False, cwd=site.folder
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, " ".join((done.stdout + done.stderr).split())


GIVEN = {
    "study": "old-to-new",
    "other": "test-site/dxa-0",
    "region": "L1-L4",
    "method": "ordinary",
    "valid-from": "2026-01-01",
    "reason": "the old scanner leaves",
}


def accept(
    site: SiteProcess, *, person: str = "Pat Physicist", file: str = "study.csv", **more: str
) -> tuple[int, str]:
    given = GIVEN | {name.replace("_", "-"): value for name, value in more.items()}
    options = [word for name, value in given.items() for word in (f"--{name}", value)]
    return run(site, "accept", "dxa-1", file, "--as", person, "--url", site.url, *options)


def test_a_study_is_accepted_superseded_withdrawn_and_comes_out_again(site: SiteProcess) -> None:
    status, said = accept(site)
    assert (status, "accepted as version 1 of old-to-new" in said) == (0, True), said
    assert "accepted as version 2" in accept(site, method="passing_bablok")[1]
    assert run(site, "verify", "-c", "site.toml")[0] == 0
    status, said = run(
        site, "withdraw", "dxa-1", "old-to-new", "--reason", "wrong", "--as", "Pat Physicist", "--url", site.url
    )
    assert (status, said) == (0, "withdrawn: old-to-new")
    assert "accepted as version 3" in accept(site)[1]
    digest = pairs_from(CSV).digest
    kept = site.folder / "var" / "studies" / f"{digest}.csv"
    assert kept.read_text(encoding="utf-8") == pairs_from(CSV).content.decode()
    kept.write_text(CSV.replace("0.7,", "0.71,"), encoding="utf-8")
    status, said = run(site, "verify", "-c", "site.toml")
    assert status == 1
    assert said.count("was changed on the disk") == 3


@pytest.mark.parametrize(
    ("more", "person", "words"),
    [
        ({"kind": "in-vivo"}, "Pat Physicist", "needs the reference of its approval"),
        ({"valid_from": "soon"}, "Pat Physicist", "soon is no day"),
        ({"valid_from": "0001-01-01"}, "Pat Physicist", "0001-01-01 does not lie between 1990 and 2200"),
        ({"valid_until": "2201-01-01"}, "Pat Physicist", "2201-01-01 does not lie between 1990 and 2200"),
        ({"other": "test-site/dxa-1"}, "Pat Physicist", "not cross-calibrated with itself"),
        ({}, "Oz Operator", "may not do this"),
    ],
)
def test_what_cannot_be_accepted_is_refused_and_nothing_is_recorded(
    site: SiteProcess, more: dict[str, str], person: str, words: str
) -> None:
    status, said = accept(site, person=person, **{"study": "refused", **more})
    assert status == 1
    assert words in said


def test_a_file_with_names_in_it_never_leaves_this_machine(site: SiteProcess) -> None:
    (site.folder / "named.csv").write_text("from_g_cm2,to_g_cm2,who\n1.0,1.0,INVENTED^PATIENT\n", encoding="utf-8")
    status, said = accept(site, file="named.csv")
    assert status == 1
    assert "no others" in said
    assert "INVENTED" not in said
