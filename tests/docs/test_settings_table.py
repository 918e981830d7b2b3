"""The table of settings is what the code says."""

from __future__ import annotations

from infra.settings_table import NO_MEANING, PAGE, rewritten


def test_the_table_is_current_and_every_setting_has_a_meaning() -> None:
    page = PAGE.read_text()

    assert page == rewritten(page)
    assert NO_MEANING not in page


def test_a_wrong_default_is_put_right_and_the_meaning_stays() -> None:
    page = PAGE.read_text()
    right = "| `port` | `SOMA_PORT` | `8420` |"
    assert right in page

    assert page == rewritten(page.replace(right, "| `port` | `SOMA_PORT` | `1` |"))


def test_a_setting_without_a_row_gets_one_that_asks_for_its_meaning() -> None:
    page = PAGE.read_text()
    [row] = [line for line in page.splitlines() if line.startswith("| `port` ")]

    written = rewritten(page.replace(f"{row}\n", ""))

    assert f"| `port` | `SOMA_PORT` | `8420` | {NO_MEANING} |" in written
