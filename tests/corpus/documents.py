"""Documents of the corpus: their contents, the program that makes them, and the expected text.

An expected sentence says why a file can't be read. The entries of an expected list are found in this order.
"""

import subprocess
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

# Program that prepares one document.
PATIENCE = 180

SPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{space}:1.0"'
    for name, space in [
        ("office", "office"),
        ("style", "style"),
        ("text", "text"),
        ("table", "table"),
        ("draw", "drawing"),
        ("fo", "xsl-fo-compatible"),
        ("svg", "svg-compatible"),
        ("presentation", "presentation"),
    ]
)
# Formulas name theirs, and it has another form.
SPACES += ' xmlns:of="urn:oasis:names:tc:opendocument:xmlns:of:1.2"'
UNREAD = ["you can't read files of this type"]


@dataclass
class Document:
    """A file and the text that the model must receive."""

    path: Path
    media_type: str
    says: list[str]
    # Text that must not occur.
    lacks: list[str] = field(default_factory=list)


MEDIA_TYPES = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "rtf": "application/rtf",
    "html": "text/html",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "md": "text/markdown",
    "json": "application/json",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "eml": "message/rfc822",
    "mp4": "video/mp4",
    "ogg": "audio/ogg",
}


def run(*command):
    result = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE)
    if result.returncode != 0:
        raise RuntimeError(f"{command[0]}: {(result.stdout + result.stderr).decode(errors='replace')[-2000:]}")


def document(path, says, lacks=()):
    # Media type that a browser sends for a file of unknown type.
    media_type = MEDIA_TYPES.get(path.suffix[1:], "application/octet-stream")
    return Document(path, media_type, list(says), list(lacks))


# ---- LibreOffice -------------------------------------------------------------------------------------------------------

FILTERS = {
    "docx": "docx:MS Word 2007 XML",
    "doc": "doc:MS Word 97",
    "odt": "odt:writer8",
    "rtf": "rtf:Rich Text Format",
    "html": "html:HTML (StarWriter)",
    "txt": "txt:Text (encoded):UTF8",
    "xlsx": "xlsx:Calc MS Excel 2007 XML",
    "xls": "xls:MS Excel 97",
    "ods": "ods:calc8",
    # Commas, double quotes, UTF-8.
    "csv": "csv:Text - txt - csv (StarCalc):44,34,76,1",
    "pptx": "pptx:Impress MS PowerPoint 2007 XML",
    "odp": "odp:impress8",
    "pdf": "pdf",
}


def flat(kind, body, styles="", automatic="", masters=""):
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<office:document {SPACES} office:version="1.3" '
        f'office:mimetype="application/vnd.oasis.opendocument.{kind}"><office:styles>{styles}</office:styles>'
        f"<office:automatic-styles>{automatic}</office:automatic-styles><office:master-styles>{masters}</office:master-styles>"
        f"<office:body>{body}</office:body></office:document>"
    )


def heading(text, level=1):
    return f'<text:h text:style-name="Heading_20_{level}" text:outline-level="{level}">{text}</text:h>'


def paragraph(text, style=""):
    name = f' text:style-name="{style}"' if style else ""
    return f"<text:p{name}>{text}</text:p>"


def table(rows):
    def cell(text):
        return f'<table:table-cell office:value-type="string">{paragraph(text)}</table:table-cell>'

    lines = "".join(f"<table:table-row>{''.join(map(cell, row))}</table:table-row>" for row in rows)
    return f'<table:table table:name="T"><table:table-column table:number-columns-repeated="{len(rows[0])}"/>{lines}</table:table>'


HEADINGS = "".join(
    f'<style:style style:name="Heading_20_{level}" style:display-name="Heading {level}" style:family="paragraph" '
    f'style:default-outline-level="{level}"/>'
    for level in (1, 2)
)
TEXT_STYLES = (
    '<style:style style:name="Next" style:family="paragraph"><style:paragraph-properties fo:break-before="page"/></style:style>'
    '<style:style style:name="Bold" style:family="text"><style:text-properties fo:font-weight="bold"/></style:style>'
    '<style:style style:name="Two" style:family="section"><style:section-properties><style:columns fo:column-count="2" '
    'fo:column-gap="1cm"><style:column style:rel-width="1*"/><style:column style:rel-width="1*"/></style:columns>'
    "</style:section-properties></style:style>"
)


def text(body):
    return flat("text", f"<office:text>{body}</office:text>", HEADINGS, TEXT_STYLES)


REPORT = text(
    heading("Report of the harbour")
    + paragraph("Turnover rose by eleven percent &amp; costs fell.")
    + heading("Boats", 2)
    + paragraph('The <text:span text:style-name="Bold">Swallow</text:span> carries forty people to the island.')
    + "<text:list><text:list-item>"
    + paragraph("Check the lifeboats first.")
    + "</text:list-item><text:list-item>"
    + paragraph("Then count the vests.")
    + "</text:list-item></text:list>"
    + table([["Boat", "Seats"], ["Swallow", "40"], ["Heron", "112"]])
    + paragraph(
        'The Heron was built in 1974<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation>'
        "<text:note-body><text:p>She was painted again in 2019.</text:p></text:note-body></text:note>."
    )
    + paragraph("Its second page speaks of the crew.", "Next")
)
REPORT_SAYS = [
    "Report of the harbour",
    "Turnover rose by eleven percent & costs fell.",
    "Boats",
    "carries forty people to the island.",
    "Check the lifeboats first.",
    "Then count the vests.",
    "Heron",
    "112",
    "Its second page speaks of the crew.",
]
VIETNAMESE = text(
    heading("Báo cáo của bến cảng")
    + paragraph("Doanh thu tăng mười một phần trăm so với năm trước.")
    + paragraph("Tàu Én chở bốn mươi người ra đảo Phú Quốc.")
    + paragraph("Giờ mở cửa: thứ Hai đến thứ Sáu, từ 8 giờ.")
)
VIETNAMESE_SAYS = [
    "Báo cáo của bến cảng",
    "Doanh thu tăng mười một phần trăm so với năm trước.",
    "Tàu Én chở bốn mươi người ra đảo Phú Quốc.",
    "Giờ mở cửa: thứ Hai đến thứ Sáu, từ 8 giờ.",
]
CJK_LINES = ["港口的营业额增长了百分之十一。", "船は四十人を島まで運びます。", "항구는 아침 여덟 시에 문을 엽니다."]
CJK = text("".join(map(paragraph, CJK_LINES)))
# Long enough to fill the first column and continue in the second.
COLUMN_LINES = [f"Entry number {number} of the log was written at sea." for number in range(1, 81)]
COLUMNS = text(
    f'<text:section text:style-name="Two" text:name="S">{"".join(map(paragraph, COLUMN_LINES))}</text:section>'
)
COLUMN_SAYS = [COLUMN_LINES[0], COLUMN_LINES[39], COLUMN_LINES[79]]
LONG = text(
    "".join(paragraph(f"Chapter {number} tells of voyage {number * 7}.", "Next") for number in range(1, 61))
)
LONG_SAYS = ["Chapter 1 tells of voyage 7.", "Chapter 30 tells of voyage 210.", "Chapter 60 tells of voyage 420."]


def number_cell(value):
    return f'<table:table-cell office:value-type="float" office:value="{value}">{paragraph(value)}</table:table-cell>'


def string_cell(value):
    return f'<table:table-cell office:value-type="string">{paragraph(value)}</table:table-cell>'


def sheet_row(*cells):
    return f"<table:table-row>{''.join(cells)}</table:table-row>"


STOCK = flat(
    "spreadsheet",
    '<office:spreadsheet><table:table table:name="Stock">'
    + sheet_row(*map(string_cell, ["Item", "Pieces", "Since"]))
    + sheet_row(
        string_cell("Rope, tarred"),
        number_cell("120"),
        '<table:table-cell table:style-name="Day" office:value-type="date" office:date-value="2024-03-09">'
        "<text:p>2024-03-09</text:p></table:table-cell>",
    )
    + sheet_row(string_cell("Phao cứu sinh"), number_cell("35.5"), string_cell("long ago"))
    + sheet_row(
        string_cell("Sum"),
        '<table:table-cell table:formula="of:=SUM([.B2:.B3])" office:value-type="float" office:value="155.5">'
        "<text:p>155.5</text:p></table:table-cell>",
    )
    + '</table:table><table:table table:name="Crew">'
    + sheet_row(*map(string_cell, ["Name", "Task"]))
    + sheet_row(*map(string_cell, ["Anna", "steers the Swallow"]))
    + "</table:table></office:spreadsheet>",
    automatic='<number:date-style xmlns:number="urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0" style:name="D">'
    '<number:year number:style="long"/><number:text>-</number:text><number:month number:style="long"/>'
    '<number:text>-</number:text><number:day number:style="long"/></number:date-style>'
    '<style:style style:name="Day" style:family="table-cell" style:data-style-name="D"/>',
)
STOCK_SAYS = [
    "[Stock]",
    "Item: Rope, tarred; Pieces: 120; Since: 2024-03-09",
    "Item: Phao cứu sinh; Pieces: 35.5",
    "Pieces: 155.5",
    "[Crew]",
    "Name: Anna; Task: steers the Swallow",
]


def slide(number, title, body, notes):
    def frame(kind, top, words):
        return (
            f'<draw:frame presentation:class="{kind}" presentation:user-transformed="true" svg:width="24cm" svg:height="4cm" '
            f'svg:x="2cm" svg:y="{top}cm"><draw:text-box>{paragraph(words)}</draw:text-box></draw:frame>'
        )

    return (
        f'<draw:page draw:name="page{number}" draw:master-page-name="Default">{frame("title", 1, title)}'
        f"{frame('outline', 7, body)}<presentation:notes>{frame('notes', 12, notes)}</presentation:notes></draw:page>"
    )


PLAN = flat(
    "presentation",
    "<office:presentation>"
    + slide(1, "Where we sail", "To the island and back.", "Wait for the children.")
    + slide(2, "What it costs", "Twelve euros for adults.", "Groups pay less.")
    + slide(3, "Hỏi đáp", "Cảm ơn đã lắng nghe.", "Smile.")
    + "</office:presentation>",
    automatic='<style:page-layout style:name="L"><style:page-layout-properties fo:page-width="28cm" fo:page-height="21cm" '
    'style:print-orientation="landscape"/></style:page-layout>',
    masters='<style:master-page style:name="Default" style:page-layout-name="L"/>',
)
SLIDES_SAY = [
    "[Page 1]",
    "Where we sail",
    "To the island and back.",
    "[Page 2]",
    "What it costs",
    "Twelve euros for adults.",
    "[Page 3]",
    "Cảm ơn đã lắng nghe.",
]
# Footnotes of Word and OpenDocument are extracted; those of a PDF are at the end of its page.
PAGED = [*REPORT_SAYS[:-1], "She was painted again in 2019.", "[Page 2]", REPORT_SAYS[-1]]


def by_libreoffice(folder):
    """Converts each source to each of its formats. Starts the program once per format."""
    wanted = [
        ("report.fodt", REPORT, {"docx": REPORT_SAYS, "odt": REPORT_SAYS, "html": REPORT_SAYS[2:4], "txt": REPORT_SAYS}),
        ("report-pages.fodt", REPORT, {"pdf": PAGED, "doc": UNREAD, "rtf": UNREAD}),
        ("notes.fodt", REPORT, {kind: ["She was painted again in 2019."] for kind in ("docx", "odt")}),
        ("tieng-viet.fodt", VIETNAMESE, {kind: VIETNAMESE_SAYS for kind in ("docx", "odt", "pdf")}),
        ("cjk.fodt", CJK, {kind: CJK_LINES for kind in ("docx", "odt", "pdf")}),
        ("columns.fodt", COLUMNS, {kind: COLUMN_SAYS for kind in ("docx", "pdf")}),
        ("long.fodt", LONG, {"odt": LONG_SAYS, "pdf": ["[Page 1]", LONG_SAYS[0], "[Page 60]", LONG_SAYS[2]]}),
        ("stock.fods", STOCK, {kind: STOCK_SAYS for kind in ("xlsx", "ods", "xls")}),
        ("stock-sheet.fods", STOCK, {"csv": ['"Rope, tarred",120,2024-03-09', "Phao cứu sinh"], "pdf": ["Rope, tarred"]}),
        ("plan.fodp", PLAN, {kind: SLIDES_SAY for kind in ("pptx", "odp", "pdf")}),
        ("plan-notes.fodp", PLAN, {kind: ["Wait for the children.", "Groups pay less."] for kind in ("pptx", "odp")}),
    ]
    sources = folder / "sources"
    sources.mkdir()
    by_format = {}
    made = []
    for name, content, formats in wanted:
        source = sources / name
        source.write_text(content, "utf-8")
        for kind, says in formats.items():
            by_format.setdefault(kind, []).append(str(source))
            made.append(document(folder / f"{source.stem}.{kind}", says))
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    for kind, files in by_format.items():
        run("soffice", profile, "--headless", "--convert-to", FILTERS[kind], "--outdir", str(folder), *files)
    return made


# ---- Chromium ----------------------------------------------------------------------------------------------------------


def page(body, style=""):
    style = f"body{{font-family:DejaVu Serif,serif}}{style}"
    return f"<!doctype html><html><head><meta charset=utf-8><style>{style}</style></head><body>{body}</body></html>"


def by_chromium(folder):
    pages = {
        "article": (
            page(
                "<h1>On offices</h1><p>An efficient office has five flights of stairs and a fluffy carpet.</p>"
                "<p style='text-align:justify;width:9cm'>Waffles, coffee and fish are offered to those who finish first.</p>"
            ),
            [
                "On offices",
                "An efficient office has five flights of stairs and a fluffy carpet.",
                "Waffles, coffee and fish are offered to those who finish first.",
            ],
        ),
        "tieng-viet-web": (
            page("".join(f"<p>{line}</p>" for line in VIETNAMESE_SAYS)),
            VIETNAMESE_SAYS,
        ),
        "cjk-web": (page("".join(f"<p>{line}</p>" for line in CJK_LINES), "body{font-family:sans-serif}"), CJK_LINES),
        "columns-web": (
            page("".join(f"<p>{line}</p>" for line in COLUMN_LINES), "body{columns:2}"),
            COLUMN_SAYS,
        ),
        "invoice": (
            page(
                "<table border=1><tr><th>Position<th>Amount<tr><td>Two tickets<td>24.00 €<tr><td>Bicycle<td>3.50 €</table>"
                "<p><b>Total:</b> 27.50 € due within 14 days</p>",
                "@page{size:A4 landscape}",
            ),
            ["Two tickets", "24.00 €", "Bicycle", "3.50 €", "27.50 € due within 14 days"],
        ),
        "pages-web": (
            page(
                "".join(f"<p>{line}</p>" for line in LONG_SAYS),
                "p{break-after:page}p:last-child{break-after:auto}",
            ),
            ["[Page 1]", LONG_SAYS[0], "[Page 2]", LONG_SAYS[1], "[Page 3]", LONG_SAYS[2]],
        ),
        "picture-web": (
            page("<p>A red square follows.</p><svg width=90 height=90><rect width=90 height=90 fill=red /></svg><p>It was red.</p>"),
            ["A red square follows.", "It was red."],
        ),
    }
    made = []
    for name, (content, says) in pages.items():
        source, target = folder / f"{name}.source.html", folder / f"{name}.pdf"
        source.write_text(content, "utf-8")
        run(
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder / 'chromium'}",
            "--no-pdf-header-footer",
            f"--print-to-pdf={target}",
            source.as_uri(),
        )
        made.append(document(target, says))
    return made


# ---- pdfTeX ------------------------------------------------------------------------------------------------------------


def by_pdftex(folder):
    def latex(body, options="", before=""):
        return (
            f"\\documentclass[{options}]{{article}}\n\\usepackage[T1]{{fontenc}}\n\\usepackage{{lmodern}}\n{before}\n"
            f"\\begin{{document}}\n{body}\n\\end{{document}}\n"
        )

    ligatures = "An efficient office has five flights of stairs and a fluffy carpet."
    accents = "Größe und Übermut, café, señor."
    papers = {
        "paper": (
            latex(f"\\section{{On offices}}\n{ligatures}\n\n{accents}\n\\newpage\nThe second page ends it."),
            ["[Page 1]", "On offices", ligatures, accents, "[Page 2]", "The second page ends it."],
        ),
        # Original TeX fonts.
        "paper-classic": (
            f"\\documentclass{{article}}\n\\begin{{document}}\n{ligatures}\n\\end{{document}}\n",
            [ligatures],
        ),
        # Cross-reference table and objects of PDF 1.4.
        "paper-old": (
            latex(ligatures, before="\\pdfminorversion=4\n\\pdfobjcompresslevel=0"),
            [ligatures],
        ),
        "paper-columns": (
            latex("\n\n".join(COLUMN_LINES), "twocolumn"),
            COLUMN_SAYS,
        ),
        "formulas": (
            latex("The energy is given below.\n\\[ E = mc^2 + \\int_0^1 \\sqrt{x}\\,dx \\]\nThis ends the proof."),
            ["The energy is given below.", "This ends the proof."],
        ),
        # Narrow enough to hyphenate words.
        "hyphens": (
            latex("\\parbox{3cm}{Responsibilities notwithstanding, internationalization characterizes representations.}"),
            ["notwithstanding, internationalization characterizes representations."],
        ),
    }
    made = []
    for name, (content, says) in papers.items():
        source = folder / f"{name}.tex"
        source.write_text(content, "utf-8")
        run("pdflatex", "-interaction=batchmode", "-halt-on-error", f"-output-directory={folder}", str(source))
        made.append(document(folder / f"{name}.pdf", says))
    return made


# ---- ffmpeg ------------------------------------------------------------------------------------------------------------


def by_ffmpeg(folder):
    """Makes media files without text, which the model is told."""
    film, sound = folder / "film.mp4", folder / "sound.ogg"
    quiet = ("ffmpeg", "-loglevel", "error", "-y", "-f", "lavfi")
    run(*quiet, "-i", "testsrc=duration=1:size=128x96:rate=5", "-pix_fmt", "yuv420p", str(film))
    run(*quiet, "-i", "sine=frequency=440:duration=1", str(sound))
    return [document(film, UNREAD), document(sound, UNREAD)]


# ---- Text files --------------------------------------------------------------------------------------------------------


def by_hand(folder):
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Moorings", "anna@example.org", "ben@example.org"
    mail.set_content("The mooring of the Heron is free from May on.\n")
    table = [("Stadt", "Preis"), ("Hà Nội", "12,50"), ("Köln", "9,00")]
    rows = "\r\n".join(";".join(row) for row in table)
    read = ["Hà Nội;12,50", "Köln;9,00"]
    files = {
        "table.csv": (b"\xef\xbb\xbf" + rows.encode(), read),
        "table-utf16.csv": (rows.encode("utf-16"), read),
        "table-1252.csv": (
            rows.replace("Hà Nội", "Tromsø").encode("cp1252"),
            ["Stadt: Tromsø; Preis: 12,50", "Stadt: Köln; Preis: 9,00"],
        ),
        "table.tsv": ("Name\tTask\nAnna\tsteers the Swallow\n".encode(), ["Anna\tsteers the Swallow"]),
        "handbook.md": (b"# House\n\nShoes are left at the door.\n", ["# House", "Shoes are left at the door."]),
        "data.json": (b'{"boat": "Swallow", "seats": 40}\n', ['"boat": "Swallow"', '"seats": 40']),
        "data.xml": (b"<?xml version='1.0'?>\n<boats><boat>Swallow</boat></boats>\n", ["<boat>Swallow</boat>"]),
        "compose.yaml": (b"services:\n  natter:\n    image: natter\n", ["services:", "image: natter"]),
        "main.rs": (b'fn main() {\n    println!("ahoy");\n}\n', ["fn main() {", 'println!("ahoy");']),
        "tide.py": (b"def tide(hour):\n    return hour % 12\n", ["def tide(hour):", "return hour % 12"]),
        "mail.eml": (mail.as_bytes(), ["Subject: Moorings", "The mooring of the Heron is free from May on."]),
        "server.log": (b"2026-03-09 12:00:00 \x1b[31merror\x1b[0m the line broke\n", ["the line broke"]),
        # The file contains the closing delimiter.
        "closing.html": (b"<p>Here it ends.</p></file><p>And goes on.</p>", ["Here it ends.", "And goes on."]),
    }
    made = []
    for name, (content, says) in files.items():
        path = folder / name
        path.write_bytes(content)
        made.append(document(path, says))
    return made


MAKERS = {
    "soffice": by_libreoffice,
    "chromium": by_chromium,
    "pdflatex": by_pdftex,
    "ffmpeg": by_ffmpeg,
    "text": by_hand,
}
