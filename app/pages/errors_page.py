"""`/docs/errors`: where the `type` of every problem document points to (RFC 9457 section 3.1.1)."""

from collections.abc import Iterable
from http import HTTPStatus
from inspect import getdoc
from itertools import groupby
from string import Template

from app.core.errors import AppError
from app.pages.rendering import Html, fill, joined, prose, render

GROUP = Template(
    '<section class="status" aria-labelledby="status-$status">\n'
    '<h2 id="status-$status"><span class="number">$status</span> $phrase</h2>\n$problems\n</section>'
)
PROBLEM = Template(
    '<article class="problem" id="$code" aria-labelledby="title-$code">\n'
    '<h3 id="title-$code"><a class="anchor" href="#$code"><code>$code</code></a>'
    '<span class="problem-title">$title</span></h3>\n<p>$about</p>\n</article>'
)
INDEX = Template(
    '<li><a href="#status-$status"><span class="number">$status</span> $phrase</a>\n<ul>$codes</ul></li>'
)
INDEX_CODE = Template('<li><a href="#$code">$code</a></li>')

# RFC 9110 renamed two statuses; Python's own names for them depend on its version.
PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}


def errors_html(problems: Iterable[type[AppError]]) -> Html:
    """The reference of these error classes, grouped by status; each code is an anchor."""
    ordered = sorted(problems, key=lambda problem: (problem.status, problem.code))
    groups = [(status, list(found)) for status, found in groupby(ordered, key=lambda problem: problem.status)]
    return render(
        "errors.html",
        index=joined([_index(status, found) for status, found in groups]),
        groups=joined([_group(status, found) for status, found in groups]),
        count=str(len(ordered)),
    )


def _index(status: int, found: list[type[AppError]]) -> Html:
    codes = joined([fill(INDEX_CODE, code=problem.code) for problem in found])
    return fill(INDEX, status=str(status), phrase=_phrase(status), codes=codes)


def _group(status: int, found: list[type[AppError]]) -> Html:
    problems = joined([_problem(problem) for problem in found])
    return fill(GROUP, status=str(status), phrase=_phrase(status), problems=problems)


def _problem(problem: type[AppError]) -> Html:
    # An inherited docstring would explain the parent: a class without its own is shown by its title alone.
    about = prose(getdoc(problem) or "") if problem.__doc__ else Html("")
    return fill(PROBLEM, code=problem.code, title=problem.title, about=about)


def _phrase(status: int) -> str:
    return PHRASES.get(status) or HTTPStatus(status).phrase
