"""Plain SVG charts."""

import math

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 62, 24, 34, 44
COLOURS = ("#3465a4", "#cc0000", "#4e9a06", "#75507b", "#c17d11", "#555753")
STYLE = ("text{font:11px sans-serif;fill:#333}.title{font-weight:bold}.grid{stroke:#ddd}"
         "polyline{fill:none;stroke-width:1.5}")


def nice_step(span, parts=5):
    step = span / parts
    power = 10 ** math.floor(math.log10(step))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= step)


def count(value):
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


class Chart:
    def __init__(self, title, x_label, y_label, x_range, y_range, labels_left=False):
        self.x_range, self.y_range = x_range, y_range
        self.parts = [f"<text x='{LEFT}' y='20' class='title'>{title}</text>",
                      f"<text x='{WIDTH - RIGHT}' y='{HEIGHT - 8}' text-anchor='end'>{x_label}</text>",
                      f"<text x='{WIDTH - RIGHT}' y='20' text-anchor='end'>{y_label}</text>"]
        self.labels, self.labels_x = [], LEFT + 12 if labels_left else WIDTH - 230
        step = nice_step(y_range[1] - y_range[0])
        for i in range(math.ceil(y_range[0] / step - 1e-9), math.floor(y_range[1] / step + 1e-9) + 1):
            y = self.y(i * step)
            self.parts.append(f"<line class='grid' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y:.1f}' y2='{y:.1f}'/>"
                              f"<text x='{LEFT - 6}' y='{y + 4:.1f}' text-anchor='end'>{round(i * step, 9):g}</text>")

    def x(self, value):
        low, high = self.x_range
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)

    def y(self, value):
        low, high = self.y_range
        inside = min(max((value - low) / (high - low), 0), 1)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * inside

    def x_ticks(self, values, names=None):
        for i, value in enumerate(values):
            lines = (names[i] if names else count(value)).split("\n")
            for number, line in enumerate(lines):
                self.parts.append(f"<text x='{self.x(value):.1f}' y='{HEIGHT - BOTTOM + 16 + 13 * number}' "
                                  f"text-anchor='middle'>{line}</text>")

    def line(self, xs, ys, colour, dashed=False, faint=False):
        points = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in zip(xs, ys))
        style = f"stroke='{COLOURS[colour]}'" + (" stroke-dasharray='5 3'" if dashed else "")
        self.parts.append(f"<polyline {style}{' opacity=' + repr('0.45') if faint else ''} points='{points}'/>")

    def dot(self, x, y, colour, hollow=False):
        fill = "#fff" if hollow else COLOURS[colour]
        self.parts.append(f"<circle cx='{self.x(x):.1f}' cy='{self.y(y):.1f}' r='4' fill='{fill}' "
                          f"stroke='{COLOURS[colour]}'/>")

    def text(self, x, y, text):
        """Left of a point."""
        self.parts.append(f"<text x='{self.x(x) - 8:.1f}' y='{self.y(y) + 12:.1f}' text-anchor='end'>{text}</text>")

    def bar(self, x, low, high, colour):
        """An interval."""
        x, low, high = self.x(x), self.y(low), self.y(high)
        self.parts.append(f"<path d='M{x - 5:.1f} {low:.1f}h10m-5 0V{high:.1f}m-5 0h10' fill='none' "
                          f"stroke='{COLOURS[colour]}' stroke-width='1.5'/>")

    def band(self, low, high):
        self.parts.append(f"<rect x='{LEFT}' width='{WIDTH - LEFT - RIGHT}' y='{self.y(high):.1f}' "
                          f"height='{self.y(low) - self.y(high):.1f}' fill='#eef3e6'/>")

    def label(self, name, colour):
        y = TOP + 14 + 17 * len(self.labels)
        self.labels.append(f"<rect x='{self.labels_x}' y='{y - 9}' width='14' height='4' fill='{COLOURS[colour]}'/>"
                           f"<text x='{self.labels_x + 20}' y='{y - 2}'>{name}</text>")

    def save(self, path):
        body = "\n".join(self.parts + self.labels)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' "
                        f"height='{HEIGHT}'>\n<style>{STYLE}</style>\n<rect width='100%' height='100%' fill='#fff'/>\n"
                        f"{body}\n</svg>\n")
