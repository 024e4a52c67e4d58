"""Somebody's text inside Markdown: a renderer shows it as it was, whatever it holds."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from perfkit.report import escaping
from perfkit.report.columns import plain

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MARKUP = st.text("ab1_*`|\\[](){}<>!#~$&;:@^+-= \n\t/.\"'é×", max_size=20)
HOSTILE = (
    "a|b", "a`b", "a``b`", "a\\|b", "a\\", "<script>alert(1)</script>", "[x](http://example.org)",
    "![x](y)", "**a** __b__ ~~c~~", "a\nb\r\nc", "&lt;b&gt;", "&#124;", "\x1b[31mred\x1b[0m", "$x$",
    "`` ` ``", "- a", "# a", "1. a", "> a", "[^1]", "[a]: http://example.org", "@team", "\u202eabc",
)  # fmt: skip


def shown(html: str) -> str:
    """What a reader sees of HTML on one line."""
    return plain(unescape(re.sub("<!--.*?-->|<[^>]*>", "", html)))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_shown_as_it_is(hostile: str) -> None:
    """Pipes, backticks, tags, links, line breaks and entities reach the reader as signs."""
    for escaped in (escaping.text(hostile), escaping.code(hostile)):
        html = RENDERER.render(f"**name** {escaped}")
        assert shown(html) == plain(f"name {hostile}")
        assert not re.search(r"<(script|a|img|em|s|ul|ol|h1|blockquote)\b", html)


@given(st.one_of(MARKUP, st.text(max_size=20)))
@example("_a_ b_c")
@example("[1.29–1.40](x)")
@example("[1.29–1.40]: x")
@example("0\x1b")
def test_any_text_is_shown_as_it_is(said: str) -> None:
    """Escaped and rendered, any text is the text it was, on one line, and no markup of ours is lost."""
    for escaped in (escaping.text(said), escaping.code(said)):
        assert len(escaped.splitlines()) <= 1
        html = RENDERER.render(f"**name** {escaped} end")
        # a terminal code that is not whole would take a letter of ours with it
        assert shown(html) == plain(f"name {plain(said)} end")
        assert html.startswith("<p><strong>name</strong>")


@given(st.lists(st.one_of(MARKUP, st.text(max_size=20)), min_size=3, max_size=3))
def test_a_cell_holds_no_delimiter(cells: list[str]) -> None:
    """Whatever is escaped, a line of a table has the delimiters that we wrote, and no others."""
    for escape in (escaping.text, escaping.code):
        line = "| " + " | ".join(map(escape, cells)) + " |"
        assert line.count("|") == 4
        html = RENDERER.render(f"| a | b | c |\n| - | - | - |\n{line}\n")
        body = html.partition("<tbody>")[2]
        assert [shown(cell) for cell in re.findall("<td>(.*?)</td>", body)] == [
            plain(cell) for cell in cells
        ]


def test_what_needs_no_escape_stays_readable() -> None:
    """Names and intervals as we write them are not littered with backslashes."""
    assert escaping.text("1.34× as fast [1.29–1.40] with num_workers=2") == (
        "1.34× as fast [1.29–1.40] with num_workers=2"
    )
    assert escaping.code("convnext/amp+num_workers=2") == "`convnext/amp+num_workers=2`"


def test_nobody_is_called() -> None:
    """A decorator in an error message is no mention of a person."""
    assert "@torch" not in escaping.text("not under @torch.compile")
    assert escaping.text("CPU @ 2.5 GHz") == "CPU @ 2.5 GHz"


@given(st.text())
@example("a\n```\nb")
@example("````")
def test_a_block_cannot_be_left(command: str) -> None:
    """A command with fences of its own, or with line breaks, stays one block of code."""
    html = RENDERER.render(escaping.block(command, "sh") + "\n\nafter\n")
    assert html.startswith('<pre><code class="language-sh">')
    assert html.count("<pre>") == 1
    assert html.endswith("<p>after</p>\n")


def test_a_command_keeps_its_line_breaks_and_spaces() -> None:
    """What a user pastes into a shell is what was run."""
    assert escaping.block("perfkit bench 'a  b\nc'", "sh") == "```sh\nperfkit bench 'a  b\nc'\n```"


def test_a_link_leads_to_any_file_name() -> None:
    """Spaces, brackets and non-ASCII letters of a file name do not end a link."""
    html = RENDERER.render(f"![plot]({escaping.link('a (b) é#1.png')})")
    assert 'src="a%20%28b%29%20%C3%A9%231.png"' in html
