"""Contrast, as WCAG 2 counts it: what of a page's cards is too faint to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.lab import Page

# Each text of a card: its colour, and the first ground below it that is opaque.
COLOURS = """what => {
    const found = [];
    for (const card of document.querySelectorAll(what)) for (const element of card.querySelectorAll('*')) {
        const text = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join(' ').trim();
        if (!text || !element.getClientRects().length) continue;
        const style = getComputedStyle(element);
        let ground = element, colour = 'rgba(0, 0, 0, 0)';
        while (ground && / 0\\)$/.test(colour)) {
            colour = getComputedStyle(ground).backgroundColor;
            ground = ground.parentElement;
        }
        found.push([text, element instanceof SVGElement ? style.fill : style.color, colour, parseFloat(style.opacity)]);
    }
    return found;
}"""
LEAST = 4.5  # to one, for text of the size of text (WCAG 2.2, 1.4.3)


def faint(page: Page, what: str = ".bp-card") -> list[str]:
    """The texts of cards whose contrast is below AA. AssertionError where there are none to look at."""
    texts = page.tab.evaluate(COLOURS, what)
    assert texts, "no card has text"
    found = []
    for text, colour, ground, opacity in texts:
        below = parts(ground)[:3]
        *ink, alpha = parts(colour)
        seen = [alpha * opacity * one + (1 - alpha * opacity) * other for one, other in zip(ink, below, strict=True)]
        if (ratio := contrast(seen, list(below))) < LEAST:
            found.append(f"{text!r}: {ratio:.2f} ({colour} on {ground})")
    return found


def parts(colour: str) -> tuple[float, float, float, float]:
    """Red, green and blue from 0 to 255, and opacity, of a computed style.

    >>> parts("rgb(255, 0, 0)"), parts("rgba(0, 0, 0, 0.5)")
    ((255.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 0.5))
    """
    numbers = [float(one) for one in colour.partition("(")[2].rstrip(")").replace("/", ",").split(",")]
    red, green, blue, alpha = [*numbers, 1.0][:4]
    return red, green, blue, alpha


def contrast(one: list[float], other: list[float]) -> float:
    """Of two colours: from 1 to 21.

    >>> round(contrast([0, 0, 0], [255, 255, 255]))
    21
    """
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: list[float]) -> float:
    """The relative luminance of a colour in sRGB."""
    linear = [part / 255 / 12.92 if part <= 10.31475 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
