"""Reports on paper, screen and in machines: pure functions of a `Report`, none of which does I/O.

`terminal.render`, `documents.render` (JSON), `junit.render` and `page.render` (HTML) each take the
reports of one or several managers and return text.
"""

from simulators.report import documents, junit, page, terminal

__all__ = ["documents", "junit", "page", "terminal"]
