"""What makes an application broadcast, as it is typed."""

import asyncio
import json

import pytest

from simulators.contract.causes import Cause, PublishFailed, refuse, request
from simulators.errors import OptionError


def test_a_request_is_read_with_its_method_path_and_body() -> None:
    cause = Cause.publish('put  /api/events?x=1 {"text": "{message}"}')
    assert (cause.method, cause.path) == ("PUT", "/api/events?x=1")
    assert json.loads(cause.fill("hello")) == {"text": "hello"}
    assert cause.content_type == "application/json"


def test_a_text_is_escaped_where_the_whole_is_json() -> None:
    said = 'quote " and \\ and \n and 東京'
    assert json.loads(Cause.say('{"a": "{message}"}').fill(said)) == {"a": said}
    assert Cause.say("hey: {message}").fill(said) == f"hey: {said}"


def test_a_text_in_the_query_is_quoted() -> None:
    cause = Cause.publish("POST /notify?text={message}")
    assert cause.target_of("flock#1# &") == "/notify?text=flock%231%23%20%26"
    assert cause.fill("flock#1#") == ""


@pytest.mark.parametrize(
    ("publish", "complaint"),
    [
        ("/api/events {message}", "is no request"),
        ("POST api {message}", "is no request"),
        ("POST /api/events {}", "put {message} where the text goes"),
    ],
)
def test_what_is_no_request_is_refused_with_an_example(publish: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint) as refusal:
        Cause.publish(publish)
    assert "--publish 'POST /api/events" in str(refusal.value)


def test_a_message_without_a_place_for_the_text_is_refused() -> None:
    with pytest.raises(OptionError, match=r"put \{message\} where the text goes"):
        Cause.say("hello")


def test_it_is_shown_as_it_is_typed() -> None:
    assert str(Cause.say("{message}")) == "--say '{message}'"
    assert str(Cause.publish("POST /x {message}")) == "--publish 'POST /x {message}'"


def test_an_answer_that_is_no_success_says_what_it_was() -> None:
    refuse("POST /x", 202, "")
    with pytest.raises(PublishFailed, match="POST /x was answered with 422: no such kind"):
        refuse("POST /x", 422, "no such\n kind")
    with pytest.raises(PublishFailed, match="307"):
        refuse("POST /x", 307, "")


@pytest.mark.sockets
def test_a_request_that_nobody_takes_says_so() -> None:
    with pytest.raises(PublishFailed, match="POST /x failed"):
        asyncio.run(request("http://127.0.0.1:9", Cause.publish("POST /x {message}"), "a"))
