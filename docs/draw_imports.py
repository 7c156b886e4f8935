"""Draw who imports whom, from the source: one band for each package, from the ground up.

A module stands below everything that it imports from its own package. A line that follows from
others is left out.

    python docs/draw_imports.py > docs/images/imports.svg
"""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

PACKAGES = ("flock_ws", "simulators", "loadtests")

WIDTH, HEAD, PAD = 900, 34, 14
CHIP, LINE, LEVEL = 18, 24, 38
"""Heights: of a module, from one line of modules to the next, and from level to level."""
LEAST_GAP, WIDEST_GAP = 10, 40
LETTER = 6.8

STYLE = """
  text { font: 11px system-ui, sans-serif; fill: #24292f } .band { fill: #f6f8fa; stroke: #d0d7de }
  .package { font-size: 14px; font-weight: 600 } .chip { fill: #fff; stroke: #afb8c1 }
  .folder { fill: #ddf4ff; stroke: #54aeff } .edge { fill: none; stroke: #8c959f; opacity: .45 }
  .soft { fill: #57606a } .name { text-anchor: middle }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .band { fill: #161b22; stroke: #30363d } .soft { fill: #9198a1 }
    .chip { fill: #0d1117; stroke: #484f58 } .folder { fill: #0c2d6b; stroke: #388bfd }
    .edge { stroke: #6e7681 }
  }
"""

Graph = dict[str, set[str]]


def place(package: str) -> Path:
    """Return where a package is, in this tree or installed, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit(f"{package} is not installed: pip install --editable .")
    return Path(spec.submodule_search_locations[0])


def units(package: str) -> dict[str, list[Path]]:
    """Return the modules and folders of a package, each with its files."""
    found: dict[str, list[Path]] = {}
    for path in sorted(place(package).rglob("*.py")):
        inner = path.relative_to(place(package))
        name = inner.parts[0] if len(inner.parts) > 1 else inner.stem
        if name not in ("__init__", "__main__"):
            found.setdefault(name, []).append(path)
    return found


def imported(path: Path) -> Iterator[str]:
    """Return the dotted names that a file imports when it is loaded or later."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def graph(package: str) -> Graph:
    """Return what each unit imports of its own package."""
    found = units(package)
    edges: Graph = {}
    for name, paths in found.items():
        uses = {
            parts[1]
            for path in paths
            if len(paths) == 1 or path.stem != "command"  # a folder's door to all the rest
            for parts in (word.split(".") for word in imported(path))
            if len(parts) > 1 and parts[0] == package
        }
        edges[name] = (uses & found.keys()) - {name}
    return edges


def depths(edges: Graph) -> dict[str, int]:
    """Return the length of the longest way from each unit down to one that imports nothing."""
    known: dict[str, int] = {}

    def depth(name: str, above: tuple[str, ...] = ()) -> int:
        if name not in known:
            below = [depth(one, (*above, name)) for one in edges[name] if one not in above]
            known[name] = 1 + max(below, default=-1)
        return known[name]

    for name in edges:
        depth(name)
    return known


def reduced(edges: Graph) -> Graph:
    """Leave out the lines that follow from others."""
    below: Graph = {}

    def reach(name: str, above: tuple[str, ...] = ()) -> set[str]:
        if name not in below:
            found = set()
            for one in edges[name]:
                if one not in above:
                    found |= {one} | reach(one, (*above, name))
            below[name] = found
        return below[name]

    return {
        name: {one for one in uses if not any(one in reach(other) for other in uses - {one})}
        for name, uses in edges.items()
    }


def band(package: str, top: int) -> tuple[list[str], int]:
    """Draw one package, and return its height too."""
    drawn = reduced(graph(package))
    levels: dict[int, list[str]] = {}
    for name, depth in sorted(depths(graph(package)).items()):
        levels.setdefault(depth, []).append(name)
    places: dict[str, tuple[float, int, float]] = {}
    y = top + HEAD
    for _, names in sorted(levels.items()):
        # Near to what it imports, so that lines are short.
        names.sort(key=lambda name: _middle([places[one] for one in drawn[name]]))
        for line in lines(package, names):
            spare = WIDTH - 2 * PAD - sum(wide for _, wide in line)
            gap = min(WIDEST_GAP, spare / (len(line) + 1))
            x = PAD + (spare - gap * (len(line) - 1)) / 2
            for name, wide in line:
                places[name] = (x, y, wide)
                x += wide + gap
            y += LINE
        y += LEVEL - LINE
    height = y - LEVEL + CHIP + PAD - top
    parts = [
        f'<rect class="band" x="1" y="{top}" width="{WIDTH - 2}" height="{height}" rx="8"/>',
        f'<text class="package" x="{PAD}" y="{top + 21}">{package}</text>',
    ]
    for name, uses in sorted(drawn.items()):
        parts += [edge(places[other], places[name]) for other in sorted(uses)]
    for name, (x, y, wide) in sorted(places.items()):
        kind, slash = ("folder", "/") if _is_folder(package, name) else ("chip", "")
        at = f'x="{x:.0f}" y="{y}" width="{wide:.0f}" height="{CHIP}" rx="4"'
        parts.append(f'<rect class="{kind}" {at}/>')
        label = f'<text class="name" x="{x + wide / 2:.0f}" y="{y + 13}">{name}{slash}</text>'
        parts.append(label)
    return parts, height


def lines(package: str, names: list[str]) -> list[list[tuple[str, float]]]:
    """Break a level into lines that fit: names with their widths."""
    found: list[list[tuple[str, float]]] = [[]]
    for name in names:
        wide = 10 + LETTER * (len(name) + _is_folder(package, name))
        if sum(one + LEAST_GAP for _, one in found[-1]) + wide > WIDTH - 2 * PAD:
            found.append([])
        found[-1].append((name, wide))
    return found


def edge(above: tuple[float, int, float], below: tuple[float, int, float]) -> str:
    """Draw one line from what is imported down to what imports it."""
    x, y = _middle([above]), above[1] + CHIP
    to, end = _middle([below]), below[1]
    bend = (end - y) / 2
    curve = f"M{x:.0f} {y}C{x:.0f} {y + bend:.0f} {to:.0f} {end - bend:.0f} {to:.0f} {end}"
    return f'<path class="edge" d="{curve}"/>'


def _middle(places: list[tuple[float, int, float]]) -> float:
    return sum(x + wide / 2 for x, _, wide in places) / len(places) if places else 0.0


def _is_folder(package: str, name: str) -> bool:
    return (place(package) / name).is_dir()


def picture() -> str:
    """Return all packages as SVG."""
    parts: list[str] = []
    top = 1
    bounds = []
    for package in PACKAGES:
        drawn, height = band(package, top)
        parts += drawn
        bounds.append((top, top + height))
        top += height + 30
    for (_, bottom), (_, _) in pairwise(bounds):
        parts.append(f'<text class="soft" x="{PAD}" y="{bottom + 20}">↑ is imported by ↓</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top - 28}" role="img">'
        f"<title>Who imports whom in flock-ws</title><style>{STYLE}</style>\n"
        + "\n".join(parts)
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    sys.stdout.write(picture())
