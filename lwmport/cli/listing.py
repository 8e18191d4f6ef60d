"""``lwmport list``."""

from typing import TYPE_CHECKING, Any

import click

from lwmport.cli.output import print_json

if TYPE_CHECKING:
    from lwmport.entry_points import OpenRegistry
    from lwmport.runtime.spec import RunnerSpec

GROUPED = ("configurations", "conversions")
"""What is the same for several components, and is said once for them."""

PHASES = ("prefill", "decode")


@click.command(
    "list", short_help="List components and what each can become, targets, chips, runners, what is installed."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def list_(as_json: bool) -> None:  # noqa: FBT001 - flags are options
    """List the names that options take, what each component can become, and what is installed.

    Case does not matter in names, and other words for some of them are listed too.
    """
    found = catalogue()
    if as_json:
        print_json(found)
        return
    for title, items in found.items():
        click.echo(click.style(title, bold=True))
        if title in GROUPED:
            _print_grouped(items)
            continue
        width = max(len(name) for name in items)
        for name, text in items.items():
            click.echo(f"  {name:<{width}}  {_line(text)}")


def _print_grouped(items: dict[str, Any]) -> None:
    """Print names of which the same is said together, and what is said below them."""
    groups: dict[str, list[str]] = {}
    for name, value in items.items():
        groups.setdefault(_line(value, name), []).append(name)
    for line, names in groups.items():
        click.echo(f"  {', '.join(names)}")
        click.echo(f"    {line}")


def _line(value: Any, name: str = "") -> str:
    """Return what the terminal says of an item: a text as it is, a list in one line, a conversion by its formats."""
    if isinstance(value, dict):
        return "; ".join(f"{form}: {_dialects(dialects, name)}" for form, dialects in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)


def _dialects(dialects: dict[str, list[str]], name: str) -> str:
    """Return the dialects that a component is written in, those in which it is written in phases apart."""
    groups: dict[str, list[str]] = {}
    for dialect, parts in dialects.items():
        phases = [part.removeprefix(f"{name}-") for part in parts if part.startswith(f"{name}-")]
        whole = len(phases) < len(parts) or len(parts) == 1 or not all(phase in PHASES for phase in phases)
        groups.setdefault("" if whole else f" (as {' + '.join(phases)})", []).append(dialect)
    return ", ".join(f"{', '.join(names)}{how}" for how, names in groups.items())


def catalogue() -> dict[str, dict[str, Any]]:
    """Return title -> name -> text, list or table of all that ``lwmport list`` shows."""
    from lwmport import extras
    from lwmport.checkpoints.opening import FOLDERS, FORMATS
    from lwmport.converters import CONVERTERS
    from lwmport.converters.dialects import DEFAULTS, DIALECTS
    from lwmport.models.families import GROUPS, MODELS, SUMMARIES
    from lwmport.models.specs import FAMILIES
    from lwmport.runtime.registry import RUNNERS
    from lwmport.targets.dialects import ALL_DIALECTS
    from lwmport.targets.registry import TARGETS

    groups = {name: " and ".join(parts) for name, parts in GROUPS.items()}
    versions = extras.versions()
    missing = {
        module: f"not installed: pip install 'lwmport[{extra}]'"
        for module, extra in extras.EXTRAS.items()
        if not extras.installed(module)
    }
    return {
        "components": {**groups, **SUMMARIES},
        "whole models": {name: model.summary for name, model in MODELS.items()},
        "configurations": configurations(),
        "conversions": conversions(),
        "families": {**{name: _package(FAMILIES, name) for name in FAMILIES}, **_left_out(FAMILIES)},
        "formats": {name: f"default dialect {DEFAULTS[name]}" for name in CONVERTERS},
        "dialects": {
            dialect.name: f"{dialect.format}: {dialect.summary}"
            for dialect in (*DIALECTS.values(), *ALL_DIALECTS.values())
        },
        "targets": {**{name: target.summary for name, target in TARGETS.items()}, **_left_out(TARGETS)},
        "chips": chips(),
        "runners": {**{name: _runner(spec) for name, spec in RUNNERS.items()}, **_left_out(RUNNERS)},
        "checkpoints": dict.fromkeys((*FORMATS, *FOLDERS), "read"),
        "other words": other_words(),
        "installed": {**versions, **missing},
    }


def configurations() -> dict[str, list[str]]:
    """Return family, and component where its components differ -> the configurations that it has."""
    from lwmport.errors import PortError
    from lwmport.models.families import config_names
    from lwmport.models.specs import FAMILIES

    found: dict[str, list[str]] = {}
    for spec in FAMILIES.values():
        for part in (*spec.groups, *(part.name for part in spec.components)):
            try:
                found[part] = list(config_names(part))
            except PortError as error:  # another package's table may lead to nothing
                found[part] = [str(error)]
    return found


def conversions() -> dict[str, dict[str, dict[str, list[str]]]]:
    """Return component -> format -> dialect -> the models that are written of it.

    A dialect of static sizes makes a language model two models of fixed length.
    """
    from lwmport.converters import CONVERTERS
    from lwmport.converters.dialects import DIALECTS
    from lwmport.models.families import COMPONENTS, NAMES, parts_of
    from lwmport.models.options import Options
    from lwmport.models.specs import FAMILIES
    from lwmport.targets.dialects import ALL_DIALECTS

    dialects = (*DIALECTS.values(), *ALL_DIALECTS.values())
    found: dict[str, dict[str, dict[str, list[str]]]] = {}
    for name in NAMES:
        family = FAMILIES[COMPONENTS[NAMES[name][0]]]
        whole = family.huggingface.components if family.huggingface else ()
        found[name] = {}
        for form in CONVERTERS:
            own = [one for one in dialects if one.format == form and (one.lowered or name in whole)]
            asked = {one.name: Options().completed(one) for one in own}
            if asked:
                found[name][form] = {dialect: list(parts_of(name, options)) for dialect, options in asked.items()}
    return found


def chips() -> dict[str, list[str]]:
    """Return target -> what ``--soc`` names: its chips, or the runtimes of a target that has such."""
    from lwmport.targets.registry import TARGETS

    found = {}
    for name, target in TARGETS.items():
        engines = [engine for form in target.formats for engine in target.engine_names(form)]
        found[name] = list(dict.fromkeys(engines or target.chips))
    return {name: names for name, names in found.items() if names}


def other_words() -> dict[str, list[str]]:
    """Return option -> other words that it takes, each with the names that it means."""
    from lwmport.models.specs import FAMILIES
    from lwmport.pipeline.names import CHECKPOINTS, words_of

    found = {}
    for field, option in (
        ("target", "--target"),
        ("format", "--to"),
        ("precision", "--precision"),
        ("runner", "--runner"),
    ):
        words = words_of(field, {})
        found[option] = [f"{word} ({' or '.join(names)})" for word, names in (words.aliases if words else {}).items()]
    configs = {word: name for spec in FAMILIES.values() for word, name in spec.other_names.items()}
    found["--config"] = [f"{word} ({name})" for word, name in configs.items() if "/" not in word]
    found["checkpoint convert --to"] = [f"{word} ({' or '.join(names)})" for word, names in CHECKPOINTS.items()]
    return found


def _left_out(registry: "OpenRegistry[Any]") -> dict[str, str]:
    """Return what is wrong with records of other packages, under names that are none of a record that works."""
    return {f"{name} (left out)": fault for name, fault in registry.faults.items()}


def _package(registry: "OpenRegistry[Any]", name: str) -> str:
    """Return the name of the package that brings a record."""
    package = registry.provider(name)
    return package.name if package else "lwmport"


def _runner(spec: "RunnerSpec") -> str:
    """Return what a runner runs, and whether it can start here, or why not."""
    reason = spec.why_not()
    state = f"cannot start here: {reason}" if reason else "can start here"
    return f"{spec.title} ({', '.join(spec.suffixes)}): {state}"
