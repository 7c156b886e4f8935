"""Reports on paper, screen and in machines: pure functions of a `Report`, none of which does I/O.

`terminal.render`, `documents.render` (JSON), `junit.render` and `page.render` (HTML) each take the
reports of one or several managers and return text.

Each is imported by its own name: what only prints text needs no contract.
"""

__all__: list[str] = []
