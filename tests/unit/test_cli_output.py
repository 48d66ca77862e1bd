"""What commands write is shown as it is, whatever it holds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bridge_cli.output import plain, show, table


@given(st.text())
def test_no_text_commands_the_terminal(text: str) -> None:
    shown = plain(text).plain
    assert all(character in "\t\n" or character.isprintable() or ord(character) > 0x9F for character in shown)
    assert len(shown) == len(text)
    shown.encode()


def test_markup_is_text() -> None:
    to = Console(width=80)
    listed = table("what")
    listed.add_row(plain("[red]not red[/red] :smile:"))
    with to.capture() as captured:
        to.print(listed)
        to.print(plain("[/] [bold]"))
    assert "[red]not red[/red] :smile:" in captured.get()
    assert "[/] [bold]" in captured.get()


def test_unknown_values_are_blank_and_booleans_words() -> None:
    assert [plain(value).plain for value in (None, True, False, 0)] == ["", "yes", "no", "0"]


def test_a_script_gets_one_document_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"detail": "\ud800 \x1b[2J é", "ids": ["e-1"]}
    show(document, lambda _: pytest.fail("this is for people"), as_json=True)
    assert json.loads(capsys.readouterr().out) == document
