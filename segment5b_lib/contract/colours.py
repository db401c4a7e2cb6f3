"""Colours of verdicts and statuses, on pages and in charts: Okabe and Ito's, safe for colour-blind readers.

The word is always printed as well (https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

from typing import Final

from segment5b_lib.contract.words import ItemStatus, Verdict

BLUE: Final = "#0072B2"
SKY: Final = "#56B4E9"
GREEN: Final = "#009E73"
ORANGE: Final = "#E69F00"
VERMILLION: Final = "#D55E00"
PINK: Final = "#CC79A7"
GREY: Final = "#8C8C8C"
LIGHT_GREY: Final = "#C9C9C9"

VERDICT_COLOURS: Final = {
    Verdict.PASS_BPLUS: BLUE,
    Verdict.PASS_B: SKY,
    Verdict.FAIL: VERMILLION,
    Verdict.INSUFFICIENT_POWER: ORANGE,
    Verdict.NOT_APPLICABLE: LIGHT_GREY,
    Verdict.NOT_MEASURED: GREY,
}

STATUS_COLOURS: Final = {
    ItemStatus.GREEN: GREEN.lower(),
    ItemStatus.RED: VERMILLION.lower(),
    ItemStatus.WAIVED: PINK.lower(),
    ItemStatus.NOT_APPLICABLE: GREY.lower(),
}
"""In lower case, as pages have always had them."""
