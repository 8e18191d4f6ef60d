"""A page in the browser, at a width."""

from pathlib import Path
from typing import Any


def open_at(browser: Any, page: Path, width: int) -> Any:
    """Return the browser with a page at a phone's width or a desk's."""
    metrics = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())
    return browser
