"""What commands write is shown as it is, whatever it holds."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bridge_cli.cli_error import CliError
from bridge_cli.output import plain, remark, say, show, table

ORDERS = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of characters that are no text: controls, formats, halves, separators of lines."""


@given(st.text())
def test_no_text_commands_the_terminal(text: str) -> None:
    for lines in (False, True):
        shown = plain(text, lines=lines).plain
        assert [character for character in shown if unicodedata.category(character) in ORDERS] == [
            character for character in text if lines and character in "\t\n"
        ]
        assert len(shown) == len(text)
        shown.encode()


@pytest.mark.parametrize(
    "order",
    [
        "\x1b[31m",
        "\x9b31m",
        "\x1b]0;title\x07",
        "\u202e",
        "\u2066",
        "\u200b",
        "\ufeff",
        "\r",
        "\nForged: yes",
        "\u2028x",
    ],
)
def test_an_order_is_neither_said_nor_remarked(order: str, capsys: pytest.CaptureFixture[str]) -> None:
    remark(f"user {order}")
    say(f"user {order}")
    CliError(f"user {order}").show()
    written = capsys.readouterr()
    for text in (written.out, written.err):
        assert not [each for each in text.replace("\n", "") if unicodedata.category(each) in ORDERS]
    assert len(written.err.splitlines()) == 2


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
