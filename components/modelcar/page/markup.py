"""HTML that is well-formed whatever the values are: text is escaped where an element is made of it, and only there.

Characters that show nothing, or that turn the text around them, could let a diff or a name look like another one; they
are shown as escapes.

Source: https://trojansource.codes (bidirectional controls), https://html.spec.whatwg.org/multipage/syntax.html.
"""

from __future__ import annotations

import html
import re

_HIDDEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]")
_EMPTY = frozenset(("meta", "br", "rect", "path"))


class Html(str):
    """Markup; an ordinary text is none."""

    __slots__ = ()


def element(name: str, /, *children: str | None, **attributes: str | float | None) -> Html:
    """An element.

    Args:
        name: Of the tag.
        children: Texts, which are escaped, and markup, which is not; None is nothing.
        attributes: `_` stands for `-`, and one at the end for nothing (`class_`); None leaves the attribute out.
    """
    named = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    start = "".join([name, *(f' {key}="{html.escape(show(str(value)))}"' for key, value in named)])
    return Html(f"<{start}/>" if name in _EMPTY else f"<{start}>{join(*children)}</{name}>")


def join(*children: str | None) -> Html:
    """Texts and markup, one after the other."""
    return Html("".join(map(_escape, children)))


def show(text: str) -> str:
    r"""The text with what cannot be seen in it as `\u202e` and the like; tabs and line ends stay."""
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escape(child: str | None) -> str:
    if child is None or isinstance(child, Html):
        return child or ""
    return html.escape(show(child), quote=False)
