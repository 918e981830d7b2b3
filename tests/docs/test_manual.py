"""The manual is built strictly, from this folder alone, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT

_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
#: What a page makes a reader's browser fetch: scripts, styles, images.
_FETCHED = re.compile(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?(https?://[^\"'\s>]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manual as it is read."""
    folder = tmp_path_factory.mktemp("manual") / "site"
    # Not --quiet: what is not logged is not counted, and would pass.
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir"]
    # A proxy that nobody listens on: what asks the network while building fails.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [*build, str(folder)],
        cwd=ROOT,
        env={"PATH": "", **nowhere},
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_in_the_built_manual(site: Path) -> None:
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / page.with_suffix(".html").name).exists(), page.name


def test_a_built_page_makes_nobody_call_a_foreign_server(site: Path) -> None:
    fetched = {
        address for page in site.glob("*.html") for address in _FETCHED.findall(page.read_text())
    }

    assert fetched == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    targets = [link for link in _LINK.findall(page.read_text()) if "://" not in link]

    missing = [link for link in targets if not (page.parent / link).exists()]

    assert missing == []
