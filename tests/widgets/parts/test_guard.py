"""Errors of callbacks on the page."""

from __future__ import annotations

import pytest

from workbench.widgets.parts.guard import RAISE, Guard

pytestmark = pytest.mark.usefixtures("raise_errors")


def test_without_tests_the_page_lives_on(monkeypatch):
    monkeypatch.delenv(RAISE)
    guard = Guard()
    guard(lambda: {}["key"])()
    assert "KeyError" in guard.panel.value
