"""Accounts, sessions, lockout: on a real file, with a clock that the test moves."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from dashboards.users import FAILURES_ALLOWED, LOCKED_FOR, LockedOutError, UserStore, WrongCredentialsError
from streams.roles import Role
from tests.console_fakes import NOW

PASSWORD = "correct horse battery"  # noqa: S105 - of an invented user
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


class MovableClock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def store(tmp_path: Path, clock: MovableClock) -> Iterator[UserStore]:
    store = UserStore(tmp_path / "users.sqlite", clock=clock, hasher=CHEAP)
    store.add_user("Pat Nurse", Role.OPERATOR, PASSWORD)
    yield store
    store.close()


def test_the_right_password_is_verified_whatever_the_letter_case_of_the_name(store: UserStore) -> None:
    assert store.verify("pat  NURSE", PASSWORD).role is Role.OPERATOR


@pytest.mark.parametrize(("name", "password"), [("Pat Nurse", "wrong horse battery"), ("Nobody", PASSWORD), ("", "")])
def test_wrong_credentials_are_refused_alike(store: UserStore, name: str, password: str) -> None:
    with pytest.raises(WrongCredentialsError):
        store.verify(name, password)


def test_the_file_holds_an_argon2_hash_and_never_the_password(tmp_path: Path) -> None:
    path = tmp_path / "own.sqlite"
    store = UserStore(path)
    store.add_user("Pat Nurse", Role.OPERATOR, PASSWORD)
    token = store.sign_in("Pat Nurse", PASSWORD, timedelta(hours=1))
    store.close()
    content = b"".join(file.read_bytes() for file in tmp_path.glob("own.sqlite*"))
    assert b"$argon2id$" in content
    assert PASSWORD.encode() not in content
    assert token.encode() not in content
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "tab\x00"])
def test_a_name_that_cannot_be_shown_is_refused(store: UserStore, name: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        store.add_user(name, Role.OPERATOR, PASSWORD)


def test_a_taken_name_is_refused(store: UserStore) -> None:
    with pytest.raises(ValueError, match="already"):
        store.add_user("PAT NURSE", Role.PHYSICIST, PASSWORD)


def test_a_short_password_is_refused(store: UserStore) -> None:
    with pytest.raises(ValueError, match="12 characters"):
        store.add_user("Sam Lee", Role.OPERATOR, "short")


def test_repeated_failures_lock_the_name_out_even_for_the_right_password(store: UserStore, clock: MovableClock) -> None:
    fail(store, "Pat Nurse", FAILURES_ALLOWED)
    with pytest.raises(LockedOutError) as locked:
        store.verify("Pat Nurse", PASSWORD)
    assert locked.value.until == NOW + LOCKED_FOR
    clock.now += LOCKED_FOR
    assert store.verify("Pat Nurse", PASSWORD).name == "Pat Nurse"


def test_a_name_that_does_not_exist_is_locked_out_alike(store: UserStore) -> None:
    fail(store, "Nobody", FAILURES_ALLOWED)
    with pytest.raises(LockedOutError):
        store.verify("Nobody", PASSWORD)


def test_a_success_forgets_earlier_failures(store: UserStore) -> None:
    fail(store, "Pat Nurse", FAILURES_ALLOWED - 1)
    store.verify("Pat Nurse", PASSWORD)
    fail(store, "Pat Nurse", FAILURES_ALLOWED - 1)
    assert store.verify("Pat Nurse", PASSWORD).name == "Pat Nurse"


def test_a_session_lives_until_its_end_and_no_longer(store: UserStore, clock: MovableClock) -> None:
    token = store.sign_in("Pat Nurse", PASSWORD, timedelta(hours=10))
    session = store.sessions.find(token)
    assert session is not None
    assert (session.name, session.role, session.demo) == ("Pat Nurse", Role.OPERATOR, False)
    clock.now += timedelta(hours=10)
    assert store.sessions.find(token) is None


def test_sign_out_ends_one_session_only(store: UserStore) -> None:
    first, second = (store.sign_in("Pat Nurse", PASSWORD, timedelta(hours=1)) for _ in range(2))
    store.sessions.end(first)
    assert store.sessions.find(first) is None
    assert store.sessions.find(second) is not None


def test_disabling_an_account_ends_its_sessions_and_sign_in(store: UserStore) -> None:
    token = store.sign_in("Pat Nurse", PASSWORD, timedelta(hours=1))
    store.disable("Pat Nurse")
    assert store.sessions.find(token) is None
    with pytest.raises(WrongCredentialsError):
        store.verify("Pat Nurse", PASSWORD)
    assert [user.enabled for user in store.users()] == [False]


def test_a_new_password_reopens_the_account_and_ends_its_sessions(store: UserStore) -> None:
    token = store.sign_in("Pat Nurse", PASSWORD, timedelta(hours=1))
    store.disable("Pat Nurse")
    store.set_password("Pat Nurse", "another horse battery")
    assert store.sessions.find(token) is None
    assert store.verify("Pat Nurse", "another horse battery").enabled


def test_an_unknown_account_cannot_be_disabled(store: UserStore) -> None:
    with pytest.raises(KeyError):
        store.disable("Nobody")


def test_secrets_survive_a_restart(tmp_path: Path) -> None:
    values = []
    for _ in range(2):
        store = UserStore(tmp_path / "kept.sqlite", hasher=CHEAP)
        values.append(store.secret("csrf"))
        store.close()
    assert values[0] == values[1]
    assert len(values[0]) == 64


def test_a_hash_of_weaker_parameters_is_renewed_at_sign_in(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    old = UserStore(path, hasher=CHEAP)
    old.add_user("Pat Nurse", Role.OPERATOR, PASSWORD)
    old.close()
    stronger = UserStore(path, hasher=PasswordHasher(time_cost=2, memory_cost=128, parallelism=1))
    stronger.verify("Pat Nurse", PASSWORD)
    stronger.close()
    assert b"m=128,t=2" in b"".join(file.read_bytes() for file in tmp_path.glob("old.sqlite*"))


def fail(store: UserStore, name: str, times: int) -> None:
    for _ in range(times):
        with pytest.raises(WrongCredentialsError):
            store.verify(name, "wrong horse battery")
