"""Pages in a real browser: no request, no word on the console, nothing cut off or overlapping."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.report.audit_page import audit_page
from mtkd_cli.report.comparison_page import comparison_page
from mtkd_cli.report.gallery import Gallery, GalleryAnswer, GalleryGroup, GallerySample
from mtkd_cli.report.run_page import run_page

from .conftest import EVIL, audit_result, comparison_result, run_result

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")]
FLAGS = (
    "--headless --hide-scrollbars --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-sync --disable-component-update"
)

PROBE = """
<script>
addEventListener("load", () => {
  const wide = [...document.querySelectorAll("main *")].filter(e => {
    const r = e.getBoundingClientRect();
    return r.right > innerWidth + 1 && !e.closest(".wide") && !e.closest("svg") && r.width > 0;
  });
  const key = [...document.querySelectorAll("tbody tr > :nth-child(-n+3)")];
  parent.document.title = JSON.stringify({
    scroll: document.documentElement.scrollWidth - innerWidth,
    cut: wide.map(e => e.tagName),
    hidden: key.filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.textContent),
    asked: performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:")).length,
    texts: overlaps(),
  });
});
function overlaps() {
  let count = 0;
  for (const svg of document.querySelectorAll("svg")) {
    const boxes = [...svg.querySelectorAll("text:not([transform])")].map(t => t.getBoundingClientRect());
    for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
      const w = Math.min(boxes[i].right, boxes[j].right) - Math.max(boxes[i].left, boxes[j].left);
      const h = Math.min(boxes[i].bottom, boxes[j].bottom) - Math.max(boxes[i].top, boxes[j].top);
      if (w > 2 && h > 4) count++;
    }
  }
  return count;
}
</script>
"""

FITS: dict[str, Any] = {"scroll": 0, "cut": [], "hidden": [], "asked": 0, "texts": 0}
"""Nothing beyond the window but in a table's own room, and there not its first three columns."""


def rendered(page: str, width: int, folder: Path) -> tuple[dict[str, Any], str]:
    """Return what the probe saw in the page at a width, and what Chromium logged."""
    import html
    import json
    import re

    policy = "default-src 'none'; style-src"
    assert policy in page
    probed = page.replace(policy, "default-src 'none'; script-src 'unsafe-inline'; style-src")
    framed = html.escape(probed.replace("</body>", PROBE + "</body>"))
    file = folder / "page.html"
    style = f'style="border:0;width:{width}px;height:900px"'  # the narrowest window is 500
    file.write_text(f'<!doctype html><meta charset="utf-8"><iframe {style} srcdoc="{framed}"></iframe>')
    command = [str(CHROMIUM), *FLAGS.split(), f"--user-data-dir={folder / str(width)}"]
    command += [
        f"--window-size={width + 50},950",
        "--enable-logging=stderr",
        "--v=0",
        "--dump-dom",
        file.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return json.loads(html.unescape(title.group(1))), console


@pytest.mark.parametrize("width", [1200, 500, 375])
@pytest.mark.parametrize("name", ["audit", "comparison"])
def test_pages_of_audits_and_comparisons_ask_nothing_and_fit(name: str, width: int, tmp_path: Path) -> None:
    page = audit_page(audit_result(), "a") if name == "audit" else comparison_page(comparison_result(), "c")
    seen, console = rendered(page, width, tmp_path)
    assert console == ""
    assert seen == FITS


@pytest.mark.parametrize("width", [1200, 500, 375])
def test_a_report_asks_nothing_and_fits(width: int, facts: dict[str, Any], tmp_path: Path) -> None:
    facts["details"]["student"]["points"] = {"price": [[1.0, 1.5], [2.0, 1.9]]}
    answers = {who: GalleryAnswer(f"{EVIL} 0.9", 0.9, None, right=False) for who in ("student", "a" * 40)}
    sample = GallerySample("folder/" + "x" * 60, EVIL, answers, {"age": 3.0})
    gallery = Gallery(9, (GalleryGroup("all-wrong", 2, (sample, sample)),), (), {"b": "#ff0000"})
    result = replace(run_result(facts), gallery=gallery)
    page = run_page(result, "task: classification\n" * 3, None)
    seen, console = rendered(page, width, tmp_path)
    assert console == ""
    assert seen == FITS
