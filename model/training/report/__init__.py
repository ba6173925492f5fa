"""The report of a finished run: gathered from what was measured, drawn, and written as JSON and as one page of HTML."""
