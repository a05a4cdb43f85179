"""Service tokens: on a real file, with a clock that the test moves."""

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from dashboards.access.scopes import Scope
from dashboards.access.tokens import PREFIX, ExpiredTokenError, RevokedTokenError, UnknownTokenError
from dashboards.users import UserStore
from tests.accounts import CHEAP, MovableClock, clock
from tests.console_fakes import NOW

__all__ = ["clock"]  # a fixture, used by its name

YEAR = timedelta(days=365)


@pytest.fixture
def users(tmp_path: Path, clock: MovableClock) -> Iterator[UserStore]:
    store = UserStore(tmp_path / "users.sqlite", clock=clock, hasher=CHEAP)
    yield store
    store.close()


def test_a_token_stands_for_its_name_and_scopes_until_its_end(users: UserStore, clock: MovableClock) -> None:
    token = users.tokens.create("  Booking   system ", [Scope.QC_READ, Scope.GATES_READ], timedelta(days=2))
    found = users.tokens.find(token)
    assert found.name == "Booking system"
    assert found.scopes == {Scope.GATES_READ, Scope.QC_READ}
    assert found.expires_at == NOW + timedelta(days=2)
    clock.now += timedelta(days=2) - timedelta(seconds=1)
    assert users.tokens.find(token).name == "Booking system"
    clock.now += timedelta(seconds=1)
    with pytest.raises(ExpiredTokenError):
        users.tokens.find(token)


def test_a_token_has_256_random_bits_behind_its_prefix_and_only_its_hash_is_kept(
    users: UserStore, tmp_path: Path
) -> None:
    tokens = {users.tokens.create(f"Program {n}", [Scope.GATES_READ], YEAR) for n in range(20)}
    assert len(tokens) == 20
    assert {(token[: len(PREFIX)], len(token)) for token in tokens} == {("bwt_", 4 + 43)}  # 43 * 6 bits > 256
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for token in tokens:
        assert token.encode() not in kept
        assert sha256(token.encode()).digest() in kept


def test_a_token_that_nobody_made_is_not_known(users: UserStore) -> None:
    users.tokens.create("Booking", [Scope.GATES_READ], YEAR)
    with pytest.raises(UnknownTokenError):
        users.tokens.find(PREFIX + "x" * 43)


def test_a_token_revoked_by_another_process_counts_no_more(
    users: UserStore, tmp_path: Path, clock: MovableClock
) -> None:
    token = users.tokens.create("Booking", [Scope.GATES_READ], YEAR)
    elsewhere = UserStore(tmp_path / "users.sqlite", clock=clock, hasher=CHEAP)
    elsewhere.tokens.revoke("booking")
    elsewhere.close()
    with pytest.raises(RevokedTokenError):
        users.tokens.find(token)
    assert [one.state(NOW) for one in users.tokens.tokens()] == ["revoked"]


def test_revoking_twice_keeps_the_first_time(users: UserStore, clock: MovableClock) -> None:
    users.tokens.create("Booking", [Scope.GATES_READ], YEAR)
    users.tokens.revoke("Booking")
    clock.now += timedelta(days=1)
    users.tokens.revoke("Booking")
    assert [one.revoked_at for one in users.tokens.tokens()] == [NOW]


def test_the_last_use_is_kept_to_the_minute(users: UserStore, clock: MovableClock) -> None:
    token = users.tokens.create("Booking", [Scope.GATES_READ], YEAR)
    seen = [users.tokens.tokens()[0].last_used_at]
    for seconds in (0, 59, 1):
        clock.now += timedelta(seconds=seconds)
        users.tokens.find(token)
        seen.append(users.tokens.tokens()[0].last_used_at)
    assert seen == [None, NOW, NOW, NOW + timedelta(seconds=60)]


@pytest.mark.parametrize(
    ("name", "scopes", "lasts", "words"),
    [
        (" ", [Scope.GATES_READ], YEAR, "1 to 80"),
        ("x" * 81, [Scope.GATES_READ], YEAR, "1 to 80"),
        ("bell\a", [Scope.GATES_READ], YEAR, "printable"),
        ("Booking", [], YEAR, "at least one scope"),
        ("Booking", [Scope.GATES_READ], timedelta(0), "1 to 3660 days"),
        ("Booking", [Scope.GATES_READ], timedelta(days=3661), "1 to 3660 days"),
        ("TAKEN", [Scope.GATES_READ], YEAR, "already"),
    ],
)
def test_a_token_that_would_mislead_is_refused(
    users: UserStore, name: str, scopes: list[Scope], lasts: timedelta, words: str
) -> None:
    users.tokens.create("taken", [Scope.GATES_READ], YEAR)
    with pytest.raises(ValueError, match=words):
        users.tokens.create(name, scopes, lasts)
    assert [token.name for token in users.tokens.tokens()] == ["taken"]


def test_a_name_that_no_token_has_cannot_be_revoked(users: UserStore) -> None:
    with pytest.raises(KeyError):
        users.tokens.revoke("Nobody")
