"""Malicious files: archives that unpack to gigabytes, cycles, endless nesting, huge announced sizes.

For each the server returns the readable text or a sentence that the file can't be read, within bounded memory.
"""

import struct
import zipfile
import zlib

from documents import document

UNREADABLE = ["it can't be read"]
MIB = 1024 * 1024
# More than the memory limits of the reader process and the server.
HUGE = 1280 * MIB
WORDS = "It begins with these words."
CONTENT_TYPES = "[Content_Types].xml"


def archive(path, parts, method=zipfile.ZIP_DEFLATED):
    """Compresses parts: texts, or numbers of spaces between two texts."""
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as made:
        for name, pieces in parts.items():
            with made.open(name, "w", force_zip64=True) as part:
                for piece in pieces if isinstance(pieces, (list, tuple)) else [pieces]:
                    if isinstance(piece, int):
                        for _ in range(piece // MIB):
                            part.write(b" " * MIB)
                    else:
                        part.write(piece.encode())
    return path


def word(body):
    before, after = "<w:document><w:body><w:p><w:r><w:t>", "</w:t></w:r></w:p></w:body></w:document>"
    return [before, *body, after]


def many_parts(path, count):
    """Archive of a million files with the same bytes."""
    content = "".join(word([WORDS])).encode()
    packed = zlib.compress(content)[2:-4]
    sizes = (zlib.crc32(content), len(packed), len(content))

    def entry(name):
        fixed = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, *sizes, len(name), 0, 0, 0, 0, 0, 0)
        return fixed + name

    first = b"word/document.xml"
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 0, *sizes, len(first), 0) + first + packed
    directory = entry(first) + b"".join(entry(b"%d" % number) for number in range(1, count))
    start, size = len(local), len(directory)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + size, 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, size, start, 0)
    path.write_bytes(local + directory + end64 + locator + end)
    return path


def pdf(path, objects):
    """PDF with these objects, each with fields or with fields and a stream."""
    made, places = bytearray(b"%PDF-1.5\n"), []
    for number, one in enumerate(objects, 1):
        fields, stream = one if isinstance(one, tuple) else (one, None)
        places.append(len(made))
        made += b"%d 0 obj\n<< %s >>" % (number, fields.encode())
        if stream is not None:
            made += b"\nstream\n" + stream + b"\nendstream"
        made += b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    tail = b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    path.write_bytes(made + tail % (size, table, size, len(made)))
    return path


CATALOG = "/Type /Catalog /Pages 2 0 R"
TREE = "/Type /Pages /Kids [3 0 R] /Count 1"
PAGE = "/Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >>"
FONT = "/Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding"
SHOWN = f"BT /F1 12 Tf 72 700 Td ({WORDS}) Tj ET".encode()


def stream(content, more=""):
    return f"/Length {len(content)} {more}", content


def deflated(length, times=1):
    """The given number of spaces, compressed the given number of times."""
    packer = zlib.compressobj(1)
    content = b"".join(packer.compress(b" " * MIB) for _ in range(length // MIB)) + packer.flush()
    for _ in range(times - 1):
        content = zlib.compress(content, 9)
    return stream(content, f"/Filter [{' /FlateDecode' * times}]")


def pages(path, count):
    """PDF with the given number of pages, each an object of its own."""
    page = PAGE.replace("4 0 R", "3 0 R").replace("5 0 R", "4 0 R")
    kids = " ".join(f"{number} 0 R" for number in range(5, count + 5))
    tree = f"/Type /Pages /Count {count} /Kids [{kids}]"
    return pdf(path, [CATALOG, tree, stream(SHOWN), FONT, *[page] * count])


def png(path, side):
    """Square picture of one colour with the given side in pixels."""

    def chunk(kind, content):
        return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))

    packer = zlib.compressobj(1)
    row = bytes(side // 8 + 1)
    content = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">2L5B", side, side, 1, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", content) + chunk(b"IEND", b""))
    return path


def of_archives(folder):
    laughs = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 10))
    laughing = f"<!DOCTYPE d [<!ENTITY e0 'ha'>{laughs}]>"
    tables = "<w:tbl><w:tr><w:tc>" * 200_000 + "</w:tc></w:tr></w:tbl>" * 200_000
    nested = ["</w:t></w:r></w:p>", tables, "<w:p><w:r><w:t>"]
    main = "http://schemas.openxmlformats.org"
    begins = f"<worksheet xmlns='{main}/spreadsheetml/2006/main'><sheetData><row r='1'><c r='A1' t='inlineStr'><is><t>"
    wide = f"{begins}a</t></is></c></row><row r='1048576'><c r='XFD1048576'><v>2</v></c></row></sheetData></worksheet>"
    long = [begins, HUGE, "</t></is></c></row></sheetData></worksheet>"]
    book = {
        CONTENT_TYPES: "<Types/>",
        "_rels/.rels": f"<Relationships xmlns='{main}/package/2006/relationships'><Relationship Id='rId1' "
        f"Type='{main}/officeDocument/2006/relationships/officeDocument' Target='xl/workbook.xml'/></Relationships>",
        "xl/workbook.xml": f"<workbook xmlns='{main}/spreadsheetml/2006/main' "
        f"xmlns:r='{main}/officeDocument/2006/relationships'><sheets><sheet name='S' sheetId='1' r:id='rId1'/></sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f"<Relationships xmlns='{main}/package/2006/relationships'><Relationship Id='rId1' "
        f"Type='{main}/officeDocument/2006/relationships/worksheet' Target='worksheets/sheet1.xml'/></Relationships>",
        "xl/worksheets/sheet1.xml": wide,
    }
    slides = "".join(f"<p:sldId r:id='r{number}'/>" for number in range(200_000))
    return [
        document(archive(folder / "bomb.docx", {CONTENT_TYPES: "<Types/>", "word/document.xml": word([WORDS, 256 * MIB])}), UNREADABLE),
        document(archive(folder / "laughs.docx", {"word/document.xml": [laughing, *word([WORDS, " &e9;"])]}), [WORDS], ["haha"]),
        document(archive(folder / "deep.docx", {"word/document.xml": word([WORDS, *nested])}), [WORDS]),
        document(many_parts(folder / "many.docx", 1_000_000), [WORDS]),
        document(archive(folder / "wide.xlsx", book), UNREADABLE),
        document(archive(folder / "bomb.xlsx", {**book, "xl/worksheets/sheet1.xml": long}), UNREADABLE),
        document(
            archive(
                folder / "slides.pptx",
                {
                    CONTENT_TYPES: "<Types/>",
                    "ppt/presentation.xml": f"<p:presentation>{slides}</p:presentation>",
                    "ppt/_rels/presentation.xml.rels": "<Relationships/>",
                },
            ),
            UNREADABLE,
        ),
    ]


def of_pdfs(folder):
    of_all = "/Type /Font /Subtype /Type0 /BaseFont /F /Encoding /Identity-H /DescendantFonts [7 0 R] /ToUnicode 6 0 R"
    endless = (
        b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00000000> <ffffffff> endcodespacerange "
        b"1 beginbfrange <00000000> <ffffffff> <0041> endbfrange endcmap end"
    )
    form = "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>"
    in_form = stream(SHOWN + b" /X Do")
    with_form = PAGE.replace("/Font", "/XObject << /X 6 0 R >> /Font")
    system = "/CIDSystemInfo << /Registry (A) /Ordering (I) /Supplement 0 >>"
    letters = [CATALOG, TREE, PAGE, stream(b"BT /F1 9 Tf (ab) Tj ET"), of_all, stream(endless)]
    letters.append(f"/Type /Font /Subtype /CIDFontType2 /BaseFont /F {system}")
    script = "/OpenAction << /S /JavaScript /JS (while(true){}) >>"
    return [
        document(pdf(folder / "tree.pdf", [CATALOG, "/Type /Pages /Kids [2 0 R 2 0 R] /Count 2"]), UNREADABLE),
        document(pdf(folder / "itself.pdf", [CATALOG, TREE, with_form, in_form, FONT, stream(b"/X Do", form)]), UNREADABLE),
        document(pdf(folder / "length.pdf", [CATALOG, TREE, PAGE, ("/Length 4 0 R", SHOWN), FONT]), ["pictures without text"]),
        document(pdf(folder / "bomb.pdf", [CATALOG, TREE, PAGE, deflated(HUGE), FONT]), UNREADABLE),
        document(pdf(folder / "packed-twice.pdf", [CATALOG, TREE, PAGE, deflated(HUGE, 2), FONT]), UNREADABLE),
        document(pages(folder / "pages.pdf", 20_000), [WORDS, "[The rest of the file is left out.]"]),
        document(pdf(folder / "letters.pdf", letters), UNREADABLE),
        document(pdf(folder / "script.pdf", [f"{CATALOG} {script}", TREE, PAGE, stream(SHOWN), FONT]), [WORDS], ["while(true)"]),
    ]


def of_others(folder):
    deep = folder / "deep.json"
    deep.write_text("[" * 2_000_000)
    commas = folder / "commas.csv"
    commas.write_text("," * 8_000_000)
    return [
        document(deep, ["[The rest of the file is left out.]"]),
        document(commas, ["[The rest of the file is left out.]"]),
        document(png(folder / "huge.png", 50_000), ["you can't see pictures"]),
    ]


def hostile(folder):
    return [*of_archives(folder), *of_pdfs(folder), *of_others(folder)]
