"""Files of kinds that need a program to write, made by hand, for tests."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime

_WORDS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
_LINKS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>'
)


def _zip(members: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return packed.getvalue()


def word(text: str) -> bytes:
    """A Word document of one paragraph."""
    body = f'<w:document xmlns:w="{_WORDS}"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>'
    return _zip({"[Content_Types].xml": _TYPES, "_rels/.rels": _LINKS, "word/document.xml": body})


def slides() -> bytes:
    """A presentation of two slides, with what text may stand in."""
    import pptx
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE

    deck = pptx.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text, first.placeholders[1].text = "Tides at Voe", "High water\nLow water"
    first.notes_slide.notes_text_frame.text = "Say it slowly"
    second = deck.slides.add_slide(deck.slide_layouts[6]).shapes
    table = second.add_table(2, 2, 0, 0, 9000, 9000).table
    for row, cells in enumerate((("place", "range"), ("Voe", "2.9"))):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    figures = CategoryChartData()
    figures.categories = ["2020", "2021"]
    figures.add_series("Catch", (3, 4.5))
    second.add_chart(XL_CHART_TYPE.LINE, 0, 0, 9000, 9000, figures)
    second.add_group_shape().shapes.add_textbox(0, 0, 9000, 9000).text_frame.text = "in a group"
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def sheets() -> bytes:
    """A workbook: a table with values of all kinds, a sheet whose last cell alone has something, and a chart's."""
    import openpyxl
    from openpyxl.chart import BarChart, Reference

    made = openpyxl.Workbook()
    table = made.active
    table.title = "Catch"
    table.append(["place", "tons", "when", "sum"])
    table.append(["Voe", 3.0, datetime(2020, 1, 2), "=B2*2"])
    table.append(["Sandwick", None, datetime(2020, 1, 3, 4, 5), True])
    made.create_sheet("Far")["XFD1048576"] = "in the last cell"
    chart = BarChart()
    chart.add_data(Reference(table, min_col=2, min_row=1, max_row=3))
    made.create_chartsheet("Chart").add_chart(chart)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def book() -> bytes:
    """An e-book of one page."""
    page = "<html><head><title>One</title></head><body><p>The first page of the mill's book says when it was built.</p>"
    return _zip({"mimetype": "application/epub+zip", "one.xhtml": f"{page}</body></html>"})


def pdf(text: str) -> bytes:
    """A PDF of one page."""
    drawn = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode("latin-1")
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(parts) + 1, len(out))
    return out + b"xref\n0 %d\n0000000000 65535 f \n" % (len(parts) + 1) + table + end
