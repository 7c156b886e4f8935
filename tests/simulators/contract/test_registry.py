"""Every way in which managers are known to fail is looked for by a check, or it is said why not."""

import re

import pytest

from simulators.contract import CHECKS, ON_SOCKETS, UNCOVERED, Check, covering, select_checks
from simulators.contract.profile import Profile
from simulators.errors import OptionError

# The classes of docs/contract.md that fakes under virtual time can show.
ON_FAKES = (
    *range(1, 10),
    *(11, 12, 13, 14, 16, 17, 18, 19, 20, 22, 23, 24, 25, 26, 27, 28, 29, 32, 33),
    *range(34, 40),
    *range(41, 56),
    *(58, 62),
)


@pytest.mark.parametrize("defect", ON_FAKES, ids=lambda defect: f"D{defect}")
def test_each_class_that_fakes_can_show_has_a_check(defect: int) -> None:
    assert covering(defect)


def test_every_class_is_looked_for_or_has_a_reason() -> None:
    known = {*ON_FAKES, *ON_SOCKETS, *UNCOVERED}
    assert known == set(range(1, 65))
    assert not [defect for defect in UNCOVERED if covering(defect)]


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.id)
def test_each_check_says_why_and_how_to_mend_it(check: Check) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", check.id)
    for sentence in (check.why, check.mend):
        assert sentence.endswith((".", ")."))
        assert (
            sentence[0].isupper() or sentence[0] in "'\"" or sentence.startswith(("gather", "time"))
        )
    assert check.title[0].islower()
    assert all(fewest <= default for default, fewest in check.sizes.values())
    assert check.promise is None or hasattr(Profile(), check.promise)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("delivery.order", {"delivery.order"}),
        ("history.c*", {"history.cap_is_exact", "history.copy_not_container"}),
        ("D33, D34", {"pool.endpoint_may_broadcast", "heartbeat.survives_the_last_client"}),
    ],
)
def test_checks_are_selected_by_id_pattern_and_class(pattern: str, expected: set[str]) -> None:
    assert {check.id for check in select_checks(pattern)} == expected


def test_checks_on_sockets_are_meant_only_where_they_are_asked_for() -> None:
    assert {check.tier for check in select_checks("D26,MUST")} == {"virtual"}
    assert {check.tier for check in select_checks("D57", sockets=True)} == {"virtual", "sockets"}
    assert {check.tier for check in select_checks("sockets")} == {"sockets"}
    named = select_checks("sockets.shutdown_code")
    assert [check.id for check in named] == ["sockets.shutdown_code"]


@pytest.mark.parametrize("defect", ON_SOCKETS, ids=lambda defect: f"D{defect}")
def test_each_class_that_takes_a_socket_has_a_check_there(defect: int) -> None:
    assert [
        check for check in CHECKS.values() if check.tier == "sockets" and defect in check.defects
    ]


def test_an_area_and_a_level_select() -> None:
    assert {check.area for check in select_checks("heartbeat")} == {"heartbeat"}
    assert {check.level for check in select_checks("SHOULD")} == {"SHOULD"}
    assert len(select_checks(None, sockets=True)) == len(CHECKS)


def test_a_selection_of_nothing_is_an_error() -> None:
    with pytest.raises(OptionError, match=r"no check is meant by 'evict\.socket'"):
        select_checks("evict.socket")
