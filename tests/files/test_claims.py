"""Exactly one process owns a claim, until it stops to give signs of life by the clock of the file system."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mtkd_cli.errors import UsageError
from mtkd_cli.files import claims
from mtkd_cli.files.claims import Claimant
from mtkd_cli.files.lost_after import lost_after

PATH = Path("3.claim")


@pytest.fixture
def owner() -> Iterator[Claimant]:
    with Claimant(60) as claimant:
        yield claimant


@pytest.fixture
def other() -> Iterator[Claimant]:
    with Claimant(60) as claimant:
        yield claimant


def age(file: Path, seconds: float = 61) -> None:
    """Make a file older, as if its owner gave no sign of life."""
    changed = file.stat().st_mtime - seconds
    os.utime(file, (changed, changed))


def take_at_once(claims: int) -> list[int]:
    """Let eight claimants take each claim at the same instant; return what was taken, sorted."""
    barrier = threading.Barrier(8)

    def take(_: int) -> list[int]:
        claimant, taken = Claimant(60), []
        for number in range(claims):
            barrier.wait()
            if claimant.take(Path(f"{number}.claim")):
                taken.append(number)
        return taken

    with ThreadPoolExecutor(8) as pool:
        return sorted(number for taken in pool.map(take, range(8)) for number in taken)


def test_one_of_many_owns_what_all_claim_at_the_same_instant() -> None:
    assert take_at_once(30) == list(range(30))


def test_one_of_many_takes_over_from_a_lost_owner() -> None:
    for number in range(30):
        assert Claimant(60).take(Path(f"{number}.claim"))
        age(Path(f"{number}.claim.0"))
    assert take_at_once(30) == list(range(30))


def test_released_claim_is_free_and_a_kept_one_is_not(owner: Claimant, other: Claimant) -> None:
    claim = owner.take(PATH)
    assert claim is not None
    assert claim.is_held()
    assert other.take(PATH) is None
    owner.release(claim)
    assert not claim.is_held()
    assert list(Path().iterdir()) == []
    again = other.take(PATH)
    assert again is not None
    other.leave(again)
    assert owner.take(PATH) is None


def test_paused_owner_notices_its_loss_and_harms_nobody(owner: Claimant, other: Claimant) -> None:
    paused = owner.take(PATH)
    age(Path("3.claim.0"), 59)
    assert other.take(PATH) is None
    age(Path("3.claim.0"), 2)
    new = other.take(PATH)
    assert new is not None
    assert new.is_held()
    assert paused is not None
    assert not paused.is_held()
    owner.release(paused)
    assert new.is_held()
    assert owner.take(PATH) is None
    other.release(new)
    assert list(Path().iterdir()) == []


def test_owners_can_be_lost_one_after_the_other() -> None:
    for number in range(3):
        assert Claimant(60).take(PATH)
        age(Path(f"3.claim.{number}"))
    with Claimant(60) as last:
        claim = last.take(PATH)
        assert claim is not None
        assert claim.number == 3
    assert list(Path().iterdir()) == []


def test_claim_of_a_process_that_died_while_creating_it_is_taken_over(owner: Claimant) -> None:
    for content in (b"", b'{"lost_after": 1e999}', b"[]", b"\xff", b'{"lost_after": "soon"}'):
        file = Path("3.claim.0")
        file.write_bytes(content)
        assert owner.take(PATH) is None
        age(file, 10**6)
        claim = owner.take(PATH)
        assert claim is not None
        owner.release(claim)


def test_age_is_by_the_clock_of_the_file_system(
    owner: Claimant, other: Claimant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clocks of two machines differ by a day; the file system has one clock."""
    assert owner.take(PATH)
    for skew in (86400, -86400):
        now = time.time() + skew
        monkeypatch.setattr(time, "time", lambda now=now: now)
        assert other.take(PATH) is None


def test_owner_states_how_long_it_may_be_silent() -> None:
    assert Claimant(1000).take(PATH)
    age(Path("3.claim.0"), 500)
    assert Claimant(1).take(PATH) is None
    age(Path("3.claim.0"), 600)
    assert Claimant(1).take(PATH)


def test_living_owner_gives_signs_of_life() -> None:
    with Claimant(0.3) as claimant:
        assert claimant.take(PATH)
        file = Path("3.claim.0")
        age(file, 1000)
        before, deadline = file.stat().st_mtime, time.monotonic() + 30
        while file.stat().st_mtime == before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert file.stat().st_mtime > before
        assert claims.has_living_owner(Path())
    assert not claims.has_living_owner(Path())


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "1e9"])
def test_rejects_times_that_no_owner_can_keep(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_LOST_AFTER", text)
    with pytest.raises(UsageError, match="MTKD_LOST_AFTER"):
        lost_after(60)
