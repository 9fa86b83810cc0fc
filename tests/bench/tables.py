"""Tables of text: the first column to the left, the others to the right."""


def aligned(lines: list[tuple[str, ...]]) -> list[str]:
    """A line of one cell alone is a title over those that follow."""
    columns = max(map(len, lines))
    widths = [max(len(line[i]) for line in lines if 1 < len(line) > i) for i in range(columns)]
    text = []
    for line in lines:
        if len(line) == 1:
            text.append("\n" + line[0])
        else:
            cells = [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]
            text.append("  ".join(cells).rstrip())
    return text


def verdict(met: bool) -> str:
    return "met" if met else "missed"
