"""Where the decoding settings of two files of answers differ: sampling on one side alone compares no devices."""

import json
from typing import Any, Final

from lwmport.pipeline.evaluate.captions.answers import BESIDE, SETTINGS, Answers
from lwmport.reports.captions.record import Setting

UNTOLD: Final = "not told"


def differences(a: Answers, b: Answers) -> tuple[Setting, ...]:
    """Return the settings that differ; none where a file tells none."""
    one, other = a.settings, b.settings
    if one is None or other is None:
        return ()
    names = dict.fromkeys((*one, *other))
    pairs = ((name, _word(one, name), _word(other, name)) for name in names)
    return tuple(Setting(name=name, a=left, b=right) for name, left, right in pairs if left != right)


def words(a: Answers, b: Answers) -> str:
    """Return in words what the files tell of how the answers were decoded."""
    silent = [answers.path.name for answers in (a, b) if answers.settings is None]
    if silent:
        return (
            f"how the answers were decoded is not told by {' and '.join(silent)} (an object {SETTINGS!r} in it, or "
            f"FILE{BESIDE} beside it, tells)"
        )
    found = differences(a, b)
    if not found:
        return "the files tell the same decoding settings"
    told = ", ".join(f"{setting.name} ({setting.a} in A, {setting.b} in B)" for setting in found)
    return f"the decoding settings differ, so that not only the devices do: {told}"


def _word(settings: Any, name: str) -> str:
    return json.dumps(settings[name], sort_keys=True, ensure_ascii=False) if name in settings else UNTOLD
