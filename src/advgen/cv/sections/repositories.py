"""Open-source repositories with their GitHub stars."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from advgen.cv.fields import Entry, Plain, Text, Url, Year
from advgen.cv.labels import fill
from advgen.cv.sections.base import Body, Row, Section, SectionType, number_rows


class Repository(Entry):
    """A public repository; metrics.yaml has its stars under the same name."""

    name: Annotated[Plain, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    description: Text
    year: Year
    url: Url | None = None


def build(section: Section) -> Body:
    """Return rows "owner/name — ★stars — description" and the total of the stars."""
    context = section.context
    rows, counts = [], []
    for texts in section.entries():
        repository: Repository = texts.entry
        values: dict[str, Any] = {"url": repository.url or f"https://github.com/{repository.name}"}
        stars = ""
        if context.metrics is not None:
            count = context.metrics.repositories.get(repository.name)
            if count is None:
                what = f"{repository.name} has no stars; add it to repositories in {context.metrics_path}"
                context.fail(texts.location, what)
                continue
            values["stars"] = count
            counts.append(format_count(count))
            stars = f"★{counts[-1]} — "
        text = [{"link": [repository.name], "url": values["url"]}, f" — {stars}", *texts.text("description")]
        rows.append(texts.finish(Row(text, dates=str(repository.year), values=values)))
    summary = [fill(context.labels, "stars", count=add_counts(counts))] if counts else []
    return {**number_rows(section, rows, numbered=True), "summary": summary}


def format_count(number: int | str) -> str:
    """Return a number as it is, or from 1000 on in thousands with one decimal; a text stays as it is."""
    if isinstance(number, str):
        return number
    return str(number) if number < 1000 else f"{number / 1000:.1f}k"


def add_counts(counts: Sequence[str]) -> str:
    """Return the sum of formatted counts, rounded down to a tenth of a thousand: "28.3k+"."""
    total = sum(_parse_count(text) for text in counts)
    return str(total) if total < 1000 else f"{total // 1000}.{total // 100 % 10}k+"


def _parse_count(count: str) -> int:
    text = count.rstrip("+")
    return round(float(text[:-1]) * 1000) if text.endswith("k") else int(float(text))


def _to_resume(item: dict[str, Any], dates: dict[str, Any]) -> dict[str, Any]:
    named = {"name": item["name"], "description": item["description"], "url": item["url"]}
    keywords = [f"★{item['stars']}"] if "stars" in item else []
    return {**named, "keywords": keywords, "startDate": dates["startDate"], "type": "application"}


REPOSITORIES = SectionType(
    "repositories", Repository, build=build, nouns=("repository", "repositories"), resume=("projects", _to_resume)
)
