"""Bodies made from an OpenAPI schema."""

import json
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel

from flock_ws.app import create_app
from simulators.contract.causes import PLACE
from simulators.contract.samples import causes_of, likely_causes


class Author(BaseModel):
    name: str


class Note(BaseModel):
    kind: Literal["note"]
    author: Author
    text: str
    stars: int
    score: float | None
    tags: list[str]
    draft: bool
    comment: str = "none"


def app_with_routes() -> FastAPI:
    app = FastAPI()

    @app.post("/notify")
    def notify(note: Note) -> None: ...

    @app.post("/broadcast")
    def broadcast(text: str) -> None: ...

    @app.post("/users")
    def users(note: Note) -> None: ...

    @app.post("/messages/{room}")
    def messages(room: str, note: Note) -> None: ...

    @app.get("/events")
    def events() -> None: ...

    return app


def test_a_body_has_all_that_is_required_and_the_place_in_every_text() -> None:
    cause = next(one for one in causes_of(app_with_routes().openapi()) if one.path == "/notify")
    made: dict[str, Any] = json.loads(cause.template)
    Note.model_validate(made)
    assert (made["text"], made["author"], made["tags"]) == (PLACE, {"name": PLACE}, [PLACE])
    assert "comment" not in made


def test_only_routes_that_sound_like_it_and_need_nothing_else_are_asked() -> None:
    found = [str(one) for one in causes_of(app_with_routes().openapi())]
    assert [one.split()[2] for one in found] == ["/notify", f"/broadcast?text={PLACE}"]


def test_the_reference_application_is_understood() -> None:
    (cause,) = causes_of(create_app().openapi())
    assert (cause.method, cause.path) == ("POST", "/api/events")
    assert json.loads(cause.template)["kind"] == "AgentActivatedEvent"


def test_a_schema_that_is_no_schema_gives_nothing() -> None:
    assert causes_of({}) == []
    odd: dict[str, Any] = {"$ref": "#/components/schemas/Missing"}
    body = {"content": {"application/json": {"schema": odd}}}
    paths = {"/send": {"post": {"requestBody": body}}}
    assert [one.path for one in causes_of({"paths": paths})] == ["/send"]


def test_a_client_says_text_before_it_says_json() -> None:
    text, structured = likely_causes()
    assert text.fill("hello") == "hello"
    assert json.loads(structured.fill("hello"))["text"] == "hello"
