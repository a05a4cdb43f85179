"""What a printed report is refused for; a message holds our own words and names of fields, nothing of the page."""

from typing import ClassVar

from collectors.errors import CollectorError


class PrintedReportError(CollectorError):
    """Base of what is wrong with a printed report."""


class UnreadablePdfError(PrintedReportError):
    """The file is truncated, damaged or no PDF; print it again."""

    code = "unreadable"

    def __str__(self) -> str:
        return "the file cannot be read as a PDF"


class PasswordError(UnreadablePdfError):
    """The file is protected by a password; print it without."""

    code = "password"

    def __str__(self) -> str:
        return "the PDF is protected by a password"


class OverLimitError(PrintedReportError):
    """The file has more pages or text than a report, or takes too long or too much memory to read."""

    code = "over_limit"

    def __str__(self) -> str:
        return "the PDF exceeds a limit of pages, text, time or memory"


class UnknownLayoutError(PrintedReportError):
    """No page is a report that we know, with a table of regions and a text layer."""

    code = "unknown_layout"

    def __str__(self) -> str:
        return "no page has the results table of a known layout"


class UnknownPrinterError(PrintedReportError):
    """No scanner of this layout, model and serial number is configured; configure it."""

    code = "unknown_device"

    def __str__(self) -> str:
        return "no scanner of this model and serial number is configured"


class MixedReportError(PrintedReportError):
    """One file holds pages of several scanners or people; print one report a file."""

    code = "mixed"

    def __str__(self) -> str:
        return "the file holds reports of several scanners or people"


class MissingError(PrintedReportError):
    """Something that every report states is not there or cannot be read; look at the report's template."""

    code: ClassVar[str] = "missing"

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"the page has no readable {self.what}"


class DateError(PrintedReportError):
    """A date cannot be read in the configured order; set `date_order` as the scanner's computer prints dates."""

    code = "date"

    def __str__(self) -> str:
        return "a date cannot be read in the configured order"


class DoesNotAddUpError(PrintedReportError):
    """BMD is not BMC / area, a total is not the sum of its rows, or a row is missing: misread, or changed."""

    code = "does_not_add_up"

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"the table does not add up: {self.why}"


class ConflictingPageError(PrintedReportError):
    """The same analysis of the same scan was taken before with other content; a person must look at both."""

    code = "conflict"

    def __str__(self) -> str:
        return "this analysis was taken before with other content"
