"""Accounts, sessions, lockout: on a real file, with a clock that the test moves."""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from argon2 import PasswordHasher

from dashboards.access.lockout import FAILURES_ALLOWED, LOCKED_FOR, LockedOutError, SignInError
from dashboards.passwords import AT_ONCE, WAITING, HashingBusyError
from dashboards.user_tables import UserTables
from dashboards.users import UserStore, WrongCredentialsError
from streams.roles import Role
from tests.accounts import CHEAP, PASSWORD, MovableClock, clock
from tests.console_fakes import NOW

__all__ = ["clock"]  # a fixture, used by its name


class SlowHasher(PasswordHasher):
    """Takes its time to check, so that attempts overlap, and knows how many it checked, and how many at once."""

    def __init__(self, takes_s: float) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.takes_s = takes_s
        self.checked = self.now = self.most = 0
        self._lock = threading.Lock()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the library's name
        with self._lock:
            self.checked += 1
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.takes_s)
        with self._lock:
            self.now -= 1
        return super().verify(hash, password)


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


def test_of_two_who_close_each_others_account_at_once_one_stays(store: UserStore) -> None:
    for name in ("Ada", "Bea"):
        store.add_user(name, Role.ADMIN, PASSWORD)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(store.disable, name, keep=Role.ADMIN) for name in ("Ada", "Bea")]
    assert sorted(type(one.exception()).__name__ for one in asked) == ["LastOfRoleError", "NoneType"]
    assert [user.enabled for user in store.users() if user.role is Role.ADMIN].count(True) == 1
    store.disable("Pat Nurse", keep=Role.ADMIN)


@pytest.mark.parametrize("change", ["password", "disable"])
def test_a_password_replaced_while_it_is_checked_begins_no_session(tmp_path: Path, change: str) -> None:
    class Interrupted(SlowHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the library's name
            answer = super().verify(hash, password)
            if change == "password":
                users.set_password("Pat Nurse", "another horse battery")
            else:
                users.disable("Pat Nurse")
            return answer

    users = UserStore(tmp_path / "users.sqlite", hasher=Interrupted(0))
    users.add_user("Pat Nurse", Role.OPERATOR, PASSWORD)
    with pytest.raises(WrongCredentialsError):
        users.sign_in("Pat Nurse", PASSWORD, timedelta(hours=1))
    with closing(sqlite3.connect(tmp_path / "users.sqlite")) as file:
        assert file.execute("SELECT count(*) FROM session").fetchone() == (0,)
    users.close()


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


def test_attempts_at_once_are_checked_two_at_a_time_and_no_more_than_are_allowed(tmp_path: Path) -> None:
    hasher = SlowHasher(takes_s=0.05)
    store = UserStore(tmp_path / "users.sqlite", hasher=hasher)
    store.add_user("Pat Nurse", Role.OPERATOR, PASSWORD)
    refusals = at_once(store, ["Pat Nurse"] * 10, "wrong horse battery")
    with pytest.raises(LockedOutError):
        store.verify("Pat Nurse", PASSWORD)
    store.close()
    assert refusals == {WrongCredentialsError: FAILURES_ALLOWED, LockedOutError: 10 - FAILURES_ALLOWED}
    assert hasher.checked == FAILURES_ALLOWED
    assert hasher.most <= AT_ONCE


def test_a_flood_of_names_is_turned_away_at_once_and_does_not_count(tmp_path: Path) -> None:
    hasher = SlowHasher(takes_s=1.0)
    store = UserStore(tmp_path / "users.sqlite", hasher=hasher, waits_s=0.1)
    store.add_user("Pat Nurse", Role.OPERATOR, PASSWORD)
    refusals = at_once(store, [f"Nobody {i}" for i in range(AT_ONCE + WAITING + 5)], PASSWORD)
    assert refusals[HashingBusyError] == WAITING + 5
    assert hasher.checked == AT_ONCE
    counted = store._tables.rows("SELECT count(*) FROM failed_sign_in")
    assert counted == [(AT_ONCE,)]
    hasher.takes_s = 0.0
    assert store.verify("Pat Nurse", PASSWORD).name == "Pat Nurse"
    store.close()


def test_a_commit_that_fails_leaves_the_file_usable(tmp_path: Path) -> None:
    tables = UserTables(tmp_path / "users.sqlite")
    tables._connection.execute("PRAGMA foreign_keys = ON")
    tables._connection.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    tables._connection.execute("CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sqlite3.IntegrityError), tables.transaction() as connection:
        connection.execute("INSERT INTO child VALUES (1)")  # noticed by COMMIT only
    assert tables.rows("SELECT * FROM child") == []
    assert len(tables.secret("csrf")) == 64
    tables.close()


def at_once(store: UserStore, names: list[str], password: str) -> Counter[type[Exception] | None]:
    """Let every name try to sign in at the same moment; return how each was refused."""
    start = threading.Barrier(len(names))

    def attempt(name: str) -> type[Exception] | None:
        start.wait()
        try:
            store.verify(name, password)
        except (SignInError, HashingBusyError) as error:
            return type(error)
        return None

    with ThreadPoolExecutor(len(names)) as threads:
        return Counter(threads.map(attempt, names))


def fail(store: UserStore, name: str, times: int) -> None:
    for _ in range(times):
        with pytest.raises(WrongCredentialsError):
            store.verify(name, "wrong horse battery")
