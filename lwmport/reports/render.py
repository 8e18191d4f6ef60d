"""One self-contained page: no network, no script, no font to fetch; and the same as Markdown."""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lwmport import choices
from lwmport.reports import answer, cases, chart, glossary, numbers, view
from lwmport.reports.record import Picture, Report
from lwmport.wording import printable

ACTIVE = re.compile(r"([\\`*_{}\[\]<>#|!~&])")
"""Characters that mean something in Markdown, or in the HTML that it lets through."""


POLICY = "default-src 'none'; img-src data:; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'"
"""The page's Content-Security-Policy: its own style sheet and the pictures inside it, nothing else."""

SHOWN = 16
"""Pictures whose PSNR and SSIM are listed one by one."""

FEW_TENSORS = 12
"""Inputs and outputs of a signature that are shown unfolded."""

FEW_COMPONENTS = 6
"""Components whose sections are unfolded; of more, those that passed are folded."""

SHOWN_NOTES = 8
"""Remarks on a component that are shown unfolded."""

SHOWN_FINDINGS = 50
"""Findings of a preflight that are listed; a model that another tool exported may have one for every node."""


class Verbatim(str):
    """Markdown that is meant: `escape_markdown` leaves it alone."""

    __slots__ = ()


def html(report: Report, pictures: Mapping[str, bytes]) -> str:
    """Return the page; ``pictures`` are the PNG files by path, and go into it as data URIs."""
    uris = {path: f"data:image/png;base64,{base64.b64encode(content).decode()}" for path, content in pictures.items()}
    return page("report.html.j2", report=report, source=lambda picture: uris[picture.path])


def markdown(report: Report) -> str:
    """Return the report as Markdown; pictures are links to the files beside it."""
    return text("report.md.j2", report=report, image=_image)


def page(template: str, *more: str, rules: str = "", **values: Any) -> str:
    """Return a page of a template, with the style sheet, ``more`` of them, ``rules``, and a policy for these alone."""
    style = "".join(map(_resource, ("report.css", *more))) + rules
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        _html()
        .get_template(template)
        .render(
            style=Markup(style),  # noqa: S704 - our own file and rules, hashed into the policy
            policy=POLICY.format(digest),
            **values,
        )
    )


def text(template: str, **values: Any) -> str:
    """Return Markdown of a template, in which every value is plain text."""
    return _markdown().get_template(template).render(**values)


def escape_markdown(value: Any) -> str:
    """Return text in which nothing is markup and no line ends, safe in a table's cell."""
    if isinstance(value, Verbatim):
        return value
    return ACTIVE.sub(r"\\\1", printable(str(value))).replace("\n", " ")


def fence(text: str) -> Verbatim:
    """Return a code block that its own content cannot close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return Verbatim(f"{ticks}\n{text}\n{ticks}")


def sentence(text: str) -> str:
    """Return the text with a capital first letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def css(status: str) -> str:
    """Return a verdict as the name of a class."""
    return status.replace(" ", "-")


def _image(picture: Picture) -> Verbatim:
    return Verbatim(f"![{escape_markdown(picture.alt)}]({picture.path})")


def _without_controls(value: Any) -> Any:
    """Return text with what no reader sees as escapes: a name of a file that is not ours could turn a line around."""
    return printable(value) if type(value) is str else value


@cache
def _html() -> Environment:
    environment = Environment(
        loader=PackageLoader("lwmport.reports"),
        autoescape=True,
        finalize=_without_controls,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return _equipped(environment)


@cache
def _markdown() -> Environment:
    environment = Environment(
        loader=PackageLoader("lwmport.reports"),
        autoescape=False,  # noqa: S701 - finalize escapes every expression, as Markdown
        finalize=escape_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return _equipped(environment)


def _equipped(environment: Environment) -> Environment:
    names = ("number", "count", "percent", "share", "decibels", "near_one", "size", "seconds", "position")
    environment.filters.update({name: getattr(numbers, name) for name in names})
    environment.filters["fence"] = fence
    environment.filters["sentence"] = sentence
    environment.filters["css"] = css
    environment.globals.update(
        rows=view.rows,
        headline=view.headline,
        choice_lines=choices.lines,
        histogram=view.histogram,
        likenesses=view.likenesses,
        allowed=view.allowed,
        filled=view.filled,
        most_decibels=view.MOST_DECIBELS,
        chart=chart,
        proven=answer.proven,
        undone=answer.undone,
        every_case=cases.every_case,
        shown_cases=cases.shown_cases,
        apart=cases.apart,
        short=cases.short,
        limits=cases.limits,
        rows_at_once=cases.ROWS,
        few_tensors=FEW_TENSORS,
        few_components=FEW_COMPONENTS,
        shown_notes=SHOWN_NOTES,
        rule=glossary.RULE,
        terms=glossary.TERMS,
        shown=SHOWN,
        shown_findings=SHOWN_FINDINGS,
    )
    return environment


def _resource(name: str) -> str:
    return (resources.files("lwmport.reports") / "templates" / name).read_text(encoding="utf-8")
