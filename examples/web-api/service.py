"""A web API in small: it answers requests from a database, and ends with an error where it cannot."""

import asyncio

import httptools
import httpx
import orjson
import uvloop
from fastapi import FastAPI
from fastapi.responses import Response
from pydantic import BaseModel
from redis.connection import HIREDIS_AVAILABLE
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, insert, select
from sqlalchemy.pool import NullPool

app = FastAPI()
books = Table("books", MetaData(), Column("id", Integer, primary_key=True), Column("title", String))
engine = create_engine("sqlite://", poolclass=NullPool)  # a database for each request


class Book(BaseModel):
    """A book as it is sent."""

    number: int
    title: str


def check_shelf() -> bytes:
    """Check a shelf of books and encode it, without a database: what `wheelfarm measure` calls in several threads."""
    shelf = [Book.model_validate({"number": number, "title": "Signals"}) for number in range(100)]
    return orjson.dumps([book.model_dump() for book in shelf])


@app.get("/books/{number}")
def read_book(number: int) -> Response:
    """Answer with the title of a book."""
    with engine.begin() as connection:
        books.metadata.create_all(connection)
        connection.execute(insert(books).values(id=number, title="Signals"))
        title = connection.execute(select(books.c.title).where(books.c.id == number)).scalar_one()
    return Response(orjson.dumps({"title": title}), media_type="application/json")


async def ask() -> dict[str, str]:
    """Return what the API answers, without a network."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.invalid") as client:
        return (await client.get("/books/7")).json()


if __name__ == "__main__":
    assert uvloop.run(ask()) == {"title": "Signals"}
    assert asyncio.run(ask()) == {"title": "Signals"}
    assert httptools.parse_url(b"http://shop.invalid/books").path == b"/books"
    assert HIREDIS_AVAILABLE
    print("the API answers")
