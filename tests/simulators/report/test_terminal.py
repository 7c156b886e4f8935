import dataclasses
import re

from simulators.contract.results import Report
from simulators.report import terminal

COMMAND = re.compile(r"^ *again:?  ?")


def test_the_first_line_is_the_verdict(tutorial: Report) -> None:
    assert terminal.render([tutorial]).startswith(
        "FAIL  myapp.ws:ConnectionManager breaks 4 of 5 MUSTs and 1 SHOULD"
    )


def test_the_first_screen_says_what_to_mend(tutorial: Report) -> None:
    screen = "\n".join(terminal.render([tutorial]).splitlines()[:24])
    assert "Give each send a deadline" in screen
    assert "Use a set and discard()." in screen


def test_a_broken_promise_shows_message_evidence_reason_and_cure(tutorial: Report) -> None:
    only = dataclasses.replace(tutorial, results=tutorial.results[1:2])
    assert terminal.render([only]) == (
        "FAIL  myapp.ws:ConnectionManager breaks 1 of 1 MUST\n"
        "\n"
        "MUST    delivery.a_stalled_client_delays_nobody                            D4 D5\n"
        "      alice got event 3 after 1.00 s because bob did not read; expected at most\n"
        "      0.55 s (send timeout 0.5 s).\n"
        "\n"
        "      alice and 1 alike  reads everything as it…   -----------------------------\n"
        "      bob                stops reading after 2 m…  ----############ZZZZZZZZZZZZZ\n"
        "      dave               resets the connection a…  -------~~~~~~~~~~~~~~++++++++\n"
        "      erin               stops reading at once     --############xxxxxxxxxxxxxxx\n"
        "      6 broadcasts                                   | |  | |  |           |\n"
        "                                                   0 s         0.5 s       1.2 s\n"
        "      - healthy  ~ lagging  # stalled  + dead  x evicted  Z zombie\n"
        "\n"
        "      | broadcast #3 waits at myapp/ws.py:41 in broadcast\n"
        "      |   await ws.send_text(text)\n"
        "      why    One telephone that goes out of range stops the dashboard of\n"
        "             everybody else.\n"
        "      mend   Give each send a deadline, asyncio.wait_for(ws.send_text(text),\n"
        "             0.5), and send to all clients at once with asyncio.gather(…,\n"
        "             return_exceptions=True).\n"
        "      again  flock-ws check myapp.ws:ConnectionManager"
        " --select delivery.a_stalled_client_delays_nobody --seed 7\n"
        "\n"
        "1 check in 4.2 s, seed 7: 1 MUST broken.\n"
    )


def test_musts_come_before_shoulds(tutorial: Report) -> None:
    heads = re.findall(r"^(MUST|PASSED|SHOULD) ", terminal.render([tutorial]), re.MULTILINE)
    assert heads == ["MUST"] * 4 + ["PASSED", "SHOULD"]


def test_nothing_but_commands_is_wider_than_eighty_columns(
    tutorial: Report, good: Report, undecided: Report
) -> None:
    for verbose in (False, True):
        text = terminal.render([tutorial, good, undecided], verbose=verbose)
        assert not [
            line for line in text.splitlines() if len(line) > 80 and not COMMAND.match(line)
        ]


def test_a_narrow_terminal_is_kept_to(tutorial: Report) -> None:
    long = [
        line
        for line in terminal.render([tutorial], width=60).splitlines()
        if len(line) > 60 and not COMMAND.match(line)
    ]
    assert not long


def test_plain_text_has_no_escapes(tutorial: Report) -> None:
    assert "\x1b" not in terminal.render([tutorial])


def test_colour_adds_nothing_but_colour(tutorial: Report, good: Report) -> None:
    painted = terminal.render([tutorial, good], colour=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == terminal.render([tutorial, good])
    assert painted != terminal.render([tutorial, good])


def test_a_message_cannot_write_escapes_of_its_own(tutorial: Report) -> None:
    evil = dataclasses.replace(tutorial.results[1], message="\x1b[2J", seed=1)
    assert "\\x1b[2J" in terminal.render([dataclasses.replace(tutorial, results=(evil,))])


def test_an_unknown_check_says_why(tutorial: Report) -> None:
    assert "heartbeat.jitter: The heartbeat was never late" in terminal.render([tutorial])


def test_what_was_kept_is_folded_to_counts_by_area(good: Report) -> None:
    text = terminal.render([good])
    assert "Kept, by area: delivery 3, evict 2, heartbeat 3, history 1, shutdown 1." in text
    assert "delivery.order" not in text


def test_what_an_installation_would_offer_is_said_once_with_its_command(good: Report) -> None:
    command = "real sockets need uvicorn: pip install 'flock-ws[server]'"
    result = dataclasses.replace(good.results[0], verdict="not_offered", message=command)
    results = [dataclasses.replace(result, check_id=f"sockets.{name}") for name in "abc"]
    text = terminal.render([dataclasses.replace(good, results=(*good.results, *results))])
    assert f"Not offered, by area: sockets 3.\n  {command}\n" in text
    assert text.count("pip install") == 1


def test_verbose_unfolds_what_was_kept(good: Report) -> None:
    assert "MUST    delivery.order: Shown." in terminal.render([good], verbose=True)


def test_verbose_says_what_was_taken_for_what(tutorial: Report) -> None:
    text = terminal.render([tutorial], verbose=True)
    assert "  leave: disconnect(websocket)\n" in text
    assert "send_timeout=0.5" in text


def test_an_expected_failure_that_passed_says_what_to_do(tutorial: Report) -> None:
    text = " ".join(terminal.render([tutorial]).split())
    assert "expected to fail (our pings are text), and passed: take it from the" in text


def test_several_managers_end_with_a_matrix(tutorial: Report, good: Report) -> None:
    matrix = terminal.render([tutorial, good]).partition("  1  FAIL")[2].splitlines()
    assert "delivery.order                           MUST     F   ." in matrix
    assert "heartbeat.jitter                         SHOULD   ?   ." in matrix
    assert matrix[-1] == "FAIL  1 of 2 managers broke the contract"


def test_a_row_that_all_keep_is_folded(tutorial: Report, good: Report) -> None:
    text = terminal.render([tutorial, good])
    assert "1 check kept by all: not shown." in text
    assert "delivery.everyone_gets_it" not in text


def test_a_crowd_of_managers_gets_one_line_for_each_broken_check(tutorial: Report) -> None:
    text = terminal.render([tutorial] * 20)
    assert text.count("\n  MUST    delivery.order  client-3 got events") == 20
    assert "why " not in text
    assert max(map(len, text.splitlines())) <= 80


def test_no_report_is_said_to_be_unknown() -> None:
    assert "UNKNOWN" in terminal.render([])
