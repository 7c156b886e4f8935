"""Reports of a load test on paper, screen and in machines: pure functions of a run.

`documents` (JSON), `junit`, `markdown` and `page` (HTML) each turn a `documents.Run` into text and
do no I/O; `comparison` puts two of them side by side. What is shown is computed in `series`,
`heat`, `fates` and `ledger`, from the record and nothing else.
"""

__all__: list[str] = []
