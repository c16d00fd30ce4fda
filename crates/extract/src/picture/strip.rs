//! Takes out of pictures what was written beside the picture: where it was taken, by whom, with what. Nothing is decoded, and however long the
//! file, only a little of it is in memory.
//!
//! What stays is named; everything else goes. A JPEG and a PNG keep their orientation, without which they would be shown on their side.

use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};

use flate2::read::ZlibDecoder;

/// The chunks of a PNG that are the picture, and how its colours are meant.
const PNG_KEPT: [&[u8; 4]; 19] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"bKGD", b"hIST",
    b"pHYs", b"sPLT", b"acTL", b"fcTL", b"fdAT", b"cICP", b"mDCV",
];
/// The chunks of a WebP that are the picture, and how its colours are meant.
const WEBP_KEPT: [&[u8; 4]; 7] = [b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"ICCP"];
/// What stands before Exif's own content in a segment of a JPEG.
const JPEG_HEAD: usize = 10;
/// The longest block that is not copied piece by piece, and the longest chunk of a PNG beside its pixels and its profile.
const MAX_BLOCK: u32 = 64 * 1024;
/// Maximum size of a colour profile, in bytes, uncompressed. Larger profiles are dropped: every viewer of the picture inflates them.
const MAX_PROFILE: u32 = 2 * 1024 * 1024;
/// Maximum number of JPEG segments that hold a profile. A segment has up to 64 KiB.
const MAX_PROFILE_SEGMENTS: u8 = 32;
/// Prefix of a JPEG segment with a part of a profile. The number of the part and the count of parts follow it.
const JPEG_PROFILE: &[u8] = b"ICC_PROFILE\0";
/// Maximum length of the name before a PNG's profile, in bytes, without its terminator.
const MAX_PROFILE_NAME: usize = 79;

/// Copies a picture without what is not the picture. `false`: it is of a kind that isn't known here.
pub(super) fn strip(media_type: &str, from: &mut impl BufRead, to: &mut (impl Write + Seek)) -> io::Result<bool> {
    match media_type {
        "image/jpeg" => jpeg(from, to)?,
        "image/png" => png(from, to)?,
        "image/webp" => webp(from, to)?,
        "image/gif" => gif(from, to)?,
        _ => return Ok(false),
    }
    Ok(true)
}

pub(super) fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the picture is malformed")
}

pub(super) fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn copy(from: &mut impl BufRead, to: &mut impl Write, length: u64) -> io::Result<()> {
    if io::copy(&mut from.take(length), to)? == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn skip(from: &mut impl BufRead, length: u64) -> io::Result<()> {
    copy(from, &mut io::sink(), length)
}

fn jpeg(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    if array::<2>(from)? != [0xff, 0xd8] {
        return Err(malformed());
    }
    to.write_all(&[0xff, 0xd8])?;
    let mut marker = next_marker(from)?;
    let mut profile_segments = 0;
    loop {
        match marker {
            0xd9 => return to.write_all(&[0xff, 0xd9]),
            0x01 | 0xd0..=0xd7 => {
                to.write_all(&[0xff, marker])?;
                marker = next_marker(from)?;
            }
            _ => {
                let segment = jpeg_segment(from)?;
                if let Some(orientation) = (marker == 0xe1).then(|| orientation(&segment)).flatten() {
                    to.write_all(&exif(orientation))?;
                } else if marker == 0xe2 && segment.starts_with(JPEG_PROFILE) {
                    let count = segment.get(JPEG_PROFILE.len() + 1).copied().unwrap_or_default();
                    if count.max(profile_segments + 1) <= MAX_PROFILE_SEGMENTS {
                        profile_segments += 1;
                        write_segment(to, marker, &segment)?;
                    }
                } else if is_kept(marker, &segment) {
                    write_segment(to, marker, &segment)?;
                }
                marker = if marker == 0xda { scan(from, to)? } else { next_marker(from)? };
            }
        }
    }
}

/// What a JPEG says of its picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// It comes in several passes, each over all of the picture.
    pub is_progressive: bool,
    pub width: u16,
    pub height: u16,
    pub components: u8,
}

/// Reads a JPEG up to its frame.
pub(super) fn frame(from: &mut impl BufRead) -> io::Result<Frame> {
    skip(from, 2)?;
    loop {
        let marker = next_marker(from)?;
        match marker {
            // Tables and extensions are no frames.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let segment = jpeg_segment(from)?;
                let [_, height, lower_height, width, lower_width, components] =
                    *segment.first_chunk::<6>().ok_or_else(malformed)?;
                return Ok(Frame {
                    is_progressive: !matches!(marker, 0xc0 | 0xc1),
                    width: u16::from_be_bytes([width, lower_width]),
                    height: u16::from_be_bytes([height, lower_height]),
                    components,
                });
            }
            0xd9 | 0xda => return Err(malformed()),
            0x01 | 0xd0..=0xd7 => {}
            _ => drop(jpeg_segment(from)?),
        }
    }
}

/// How many scans a JPEG has. No more than one beyond `most` are counted.
pub(super) fn scans(from: &mut impl BufRead, most: u8) -> io::Result<u8> {
    skip(from, 2)?;
    let (mut marker, mut scans) = (next_marker(from)?, 0);
    while marker != 0xd9 && scans <= most {
        if !matches!(marker, 0x01 | 0xd0..=0xd7) {
            drop(jpeg_segment(from)?);
        }
        marker = if marker == 0xda {
            scans += 1;
            scan(from, &mut io::sink())?
        } else {
            next_marker(from)?
        };
    }
    Ok(scans)
}

fn jpeg_segment(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let length = u16::from_be_bytes(array(from)?);
    let mut segment = vec![0; usize::from(length.checked_sub(2).ok_or_else(malformed)?)];
    from.read_exact(&mut segment)?;
    Ok(segment)
}

fn write_segment(to: &mut impl Write, marker: u8, segment: &[u8]) -> io::Result<()> {
    let length = u16::try_from(segment.len() + 2).map_err(|_| malformed())?;
    to.write_all(&[0xff, marker])?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(segment)
}

/// Of what programs add: the version, and how Adobe has transformed the colours.
fn is_kept(marker: u8, segment: &[u8]) -> bool {
    match marker {
        0xe0 => segment.starts_with(b"JFIF\0"),
        0xee => segment.starts_with(b"Adobe"),
        0xe1..=0xef | 0xfe => false,
        _ => true,
    }
}

fn next_marker(from: &mut impl BufRead) -> io::Result<u8> {
    if array::<1>(from)? != [0xff] {
        return Err(malformed());
    }
    loop {
        match array::<1>(from)? {
            [0xff] => {}
            [0] => return Err(malformed()),
            [marker] => return Ok(marker),
        }
    }
}

/// Copies the picture's data up to the next marker. Data that was cut off ends the picture.
fn scan(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<u8> {
    loop {
        let buffer = from.fill_buf()?;
        if buffer.is_empty() {
            return Ok(0xd9);
        }
        let Some(place) = buffer.iter().position(|byte| *byte == 0xff) else {
            let length = buffer.len();
            to.write_all(buffer)?;
            from.consume(length);
            continue;
        };
        to.write_all(&buffer[..place])?;
        from.consume(place + 1);
        let mut next = [0xff];
        while next == [0xff] {
            if from.read(&mut next)? == 0 {
                return Ok(0xd9);
            }
        }
        match next {
            [0x00 | 0xd0..=0xd7] => to.write_all(&[0xff, next[0]])?,
            [marker] => return Ok(marker),
        }
    }
}

/// How a JPEG is to be turned, as its Exif says it; none where it is upright.
fn orientation(segment: &[u8]) -> Option<u8> {
    turned(segment.strip_prefix(b"Exif\0\0")?)
}

/// How a picture is to be turned, by the content of Exif, as a PNG has it.
fn turned(tiff: &[u8]) -> Option<u8> {
    const TAG: u16 = 0x0112;
    let is_little = match tiff.get(..4)? {
        [b'I', b'I', 42, 0] => true,
        [b'M', b'M', 0, 42] => false,
        _ => return None,
    };
    let two = |at: usize| {
        let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let four = |at: usize| {
        let bytes = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }).ok()
    };
    let directory = four(4)?;
    let entries = usize::from(two(directory)?);
    let entry = (0..entries).map(|index| directory.saturating_add(2 + 12 * index)).find(|at| two(*at) == Some(TAG))?;
    u8::try_from(two(entry + 8)?).ok().filter(|orientation| (2..=8).contains(orientation))
}

/// Exif that says nothing else, as a segment of a JPEG.
fn exif(orientation: u8) -> [u8; 36] {
    let mut segment = *b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    segment[29] = orientation;
    segment
}

fn png(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    let signature: [u8; 8] = array(from)?;
    if signature != *b"\x89PNG\r\n\x1a\n" {
        return Err(malformed());
    }
    to.write_all(&signature)?;
    let mut has_profile = false;
    loop {
        let length: [u8; 4] = array(from)?;
        let kind: [u8; 4] = array(from)?;
        let size = u32::from_be_bytes(length);
        // Its checksum follows it.
        let rest = u64::from(size) + 4;
        let is_data = matches!(&kind, b"IDAT" | b"fdAT");
        if kind == *b"eXIf" {
            if let Some(orientation) = png_orientation(from, size)? {
                write_chunk(to, kind, &exif(orientation)[JPEG_HEAD..])?;
            }
        } else if kind == *b"iCCP" {
            if let Some(profile) = png_profile(from, size)?
                && !has_profile
            {
                has_profile = true;
                write_chunk(to, kind, &profile)?;
            }
        } else if matches!(&kind, b"IHDR" | b"PLTE" | b"IEND") && size > MAX_BLOCK {
            return Err(malformed());
        } else if PNG_KEPT.contains(&&kind) && !is_data && size > MAX_BLOCK {
            skip(from, rest)?;
        } else if PNG_KEPT.contains(&&kind) {
            to.write_all(&length)?;
            to.write_all(&kind)?;
            copy(from, to, rest)?;
        } else {
            skip(from, rest)?;
        }
        if kind == *b"IEND" {
            return Ok(());
        }
    }
}

/// Reads a chunk with a colour profile to its end. Returns its content, or `None` if the profile is broken or larger than [`MAX_PROFILE`].
fn png_profile(from: &mut impl BufRead, length: u32) -> io::Result<Option<Vec<u8>>> {
    if length > MAX_PROFILE {
        skip(from, u64::from(length) + 4)?;
        return Ok(None);
    }
    let mut content = vec![0; usize::try_from(length).map_err(|_| malformed())?];
    from.read_exact(&mut content)?;
    // Its checksum follows it.
    skip(from, 4)?;
    let name = content.iter().take(MAX_PROFILE_NAME + 1).position(|byte| *byte == 0);
    let Some([0, compressed @ ..]) = name.and_then(|end| content.get(end + 1..)) else { return Ok(None) };
    let mut inflated = ZlibDecoder::new(compressed).take(u64::from(MAX_PROFILE) + 1);
    let is_small = io::copy(&mut inflated, &mut io::sink()).is_ok_and(|size| size <= u64::from(MAX_PROFILE));
    Ok(is_small.then_some(content))
}

/// Reads a chunk with Exif to its end.
fn png_orientation(from: &mut impl BufRead, length: u32) -> io::Result<Option<u8>> {
    let looked_at = length.min(MAX_BLOCK);
    let mut tiff = vec![0; usize::try_from(looked_at).map_err(|_| malformed())?];
    from.read_exact(&mut tiff)?;
    // Its checksum follows it.
    skip(from, u64::from(length - looked_at) + 4)?;
    Ok(turned(&tiff))
}

fn write_chunk(to: &mut impl Write, kind: [u8; 4], content: &[u8]) -> io::Result<()> {
    let length = u32::try_from(content.len()).map_err(|_| malformed())?;
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&kind);
    checksum.update(content);
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&kind)?;
    to.write_all(content)?;
    to.write_all(&checksum.finalize().to_be_bytes())
}

fn webp(from: &mut impl BufRead, to: &mut (impl Write + Seek)) -> io::Result<()> {
    /// Of the flags in VP8X: that there is Exif, and that there is XMP.
    const METADATA: u8 = 0x08 | 0x04;
    /// The flag in VP8X that there is a colour profile.
    const PROFILE: u8 = 0x20;
    let head: [u8; 12] = array(from)?;
    if !head.starts_with(b"RIFF") || !head.ends_with(b"WEBP") {
        return Err(malformed());
    }
    to.write_all(&head)?;
    let mut left = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]])).saturating_sub(4);
    let mut kept = 4_u64;
    // The position of the flags in the output, and the flags.
    let mut flags_at: Option<(u64, u8)> = None;
    let mut has_profile = false;
    while left >= 8 {
        let (kind, length) = (array::<4>(from)?, array::<4>(from)?);
        let size = u32::from_le_bytes(length);
        let padded = u64::from(size) + u64::from(size % 2);
        left = left.saturating_sub(8 + padded);
        let is_refused_profile = kind == *b"ICCP" && (has_profile || size > MAX_PROFILE);
        if !WEBP_KEPT.contains(&&kind) || is_refused_profile {
            skip(from, padded)?;
            continue;
        }
        has_profile |= kind == *b"ICCP";
        to.write_all(&kind)?;
        to.write_all(&length)?;
        if kind == *b"VP8X" && size > 0 && size < MAX_BLOCK {
            let [flags] = array(from)?;
            flags_at = Some((8 + kept + 8, flags & !METADATA));
            to.write_all(&[flags & !METADATA])?;
            copy(from, to, padded - 1)?;
        } else {
            copy(from, to, padded)?;
        }
        kept += 8 + padded;
    }
    if let Some((at, flags)) = flags_at.filter(|_| !has_profile) {
        to.seek(SeekFrom::Start(at))?;
        to.write_all(&[flags & !PROFILE])?;
    }
    to.seek(SeekFrom::Start(4))?;
    to.write_all(&u32::try_from(kept).map_err(|_| malformed())?.to_le_bytes())?;
    to.seek(SeekFrom::End(0)).map(drop)
}

fn gif(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    let head: [u8; 13] = array(from)?;
    if !head.starts_with(b"GIF8") {
        return Err(malformed());
    }
    to.write_all(&head)?;
    copy(from, to, palette(head[10]))?;
    loop {
        match array::<1>(from)? {
            [0x3b] => return to.write_all(&[0x3b]),
            [0x2c] => {
                let image: [u8; 9] = array(from)?;
                to.write_all(&[0x2c])?;
                to.write_all(&image)?;
                // The palette, and how the data are coded.
                copy(from, to, palette(image[8]) + 1)?;
                blocks(from, to)?;
            }
            [0x21] => {
                let [label] = array(from)?;
                let first = block(from)?;
                let is_loop = first.starts_with(b"NETSCAPE2.0") || first.starts_with(b"ANIMEXTS1.0");
                if label == 0xf9 || label == 0x01 || label == 0xff && is_loop {
                    to.write_all(&[0x21, label])?;
                    write_block(to, &first)?;
                    if !first.is_empty() {
                        blocks(from, to)?;
                    }
                } else if !first.is_empty() {
                    blocks(from, &mut io::sink())?;
                }
            }
            [_] => return Err(malformed()),
        }
    }
}

/// Bytes of the palette that these flags announce.
fn palette(flags: u8) -> u64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

fn block(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let [length] = array(from)?;
    let mut block = vec![0; usize::from(length)];
    from.read_exact(&mut block)?;
    Ok(block)
}

fn write_block(to: &mut impl Write, block: &[u8]) -> io::Result<()> {
    to.write_all(&[u8::try_from(block.len()).map_err(|_| malformed())?])?;
    to.write_all(block)
}

/// Copies blocks up to and including the empty one that ends them.
fn blocks(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    loop {
        let block = block(from)?;
        write_block(to, &block)?;
        if block.is_empty() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use flate2::{Compression, write::ZlibEncoder};
    use image::{
        DynamicImage, ExtendedColorType, ImageDecoder as _, ImageEncoder as _,
        codecs::png::{PngDecoder, PngEncoder},
        metadata::Orientation,
    };

    use super::*;

    fn stripped(media_type: &str, picture: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Cursor::new(Vec::new());
        assert!(strip(media_type, &mut Cursor::new(picture), &mut out)?);
        Ok(out.into_inner())
    }

    fn holds(bytes: &[u8], text: &str) -> bool {
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }

    fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        write_segment(&mut out, marker, content).unwrap();
        out
    }

    #[test]
    fn a_jpeg_keeps_its_orientation_and_its_colours_alone() {
        let exif_of = |little: bool| {
            let mut exif = b"Exif\0\0".to_vec();
            let (head, tag): (&[u8], &[u8]) = if little {
                (b"II\x2a\0\x08\0\0\0\x01\0", b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0")
            } else {
                (b"MM\0\x2a\0\0\0\x08\0\x01", b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0")
            };
            exif.extend_from_slice(head);
            exif.extend_from_slice(tag);
            exif.extend_from_slice(b"\0\0\0\0GPS 10.7769 106.7009");
            exif
        };
        for little in [true, false] {
            let picture = [
                b"\xff\xd8".to_vec(),
                segment(0xe0, b"JFIF\0\x01\x01"),
                segment(0xe1, &exif_of(little)),
                segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0secret-xmp"),
                segment(0xe2, b"ICC_PROFILE\0\x01\x01colours"),
                segment(0xe2, b"MPF\0secret-mpf"),
                segment(0xed, b"Photoshop 3.0\0secret-iptc"),
                segment(0xfe, b"secret-comment"),
                segment(0xc0, b"frame"),
                segment(0xda, b"scan"),
                b"data\xff\0more\xff\xd0end\xff\xff\xc4".to_vec(),
                segment(0xc4, b"table")[2..].to_vec(),
                segment(0xda, b"scan2"),
                b"last\xff\xd9secret-trailer".to_vec(),
            ]
            .concat();
            let out = stripped("image/jpeg", &picture).unwrap();
            for gone in ["GPS", "secret", "MPF"] {
                assert!(!holds(&out, gone), "{gone}");
            }
            for kept in ["JFIF", "colours", "frame", "data", "more", "end", "table", "scan2", "last"] {
                assert!(holds(&out, kept), "{kept}");
            }
            assert!(out.ends_with(b"last\xff\xd9"));
            let exif = out.windows(6).position(|window| window == b"Exif\0\0").unwrap();
            assert_eq!(orientation(&out[exif..exif + 32]), Some(6));
            assert_eq!(stripped("image/jpeg", &out).unwrap(), out, "once is enough");
        }
    }

    #[test]
    fn a_png_keeps_its_picture_alone() {
        let chunk = |kind: &[u8], content: &[u8]| {
            [&u32::try_from(content.len()).unwrap().to_be_bytes()[..], kind, content, b"crc!"].concat()
        };
        let picture = [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            chunk(b"IHDR", b"head"),
            chunk(b"tEXt", b"Author\0secret"),
            chunk(b"eXIf", b"secret"),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0secret"),
            chunk(b"IDAT", b"pixels"),
            chunk(b"tIME", b"secret"),
            chunk(b"IEND", b""),
            b"secret".to_vec(),
        ]
        .concat();
        let out = stripped("image/png", &picture).unwrap();
        assert!(!holds(&out, "secret") && holds(&out, "pixels") && holds(&out, "head"));
        assert_eq!(stripped("image/png", &out).unwrap(), out);
    }

    #[test]
    fn a_png_keeps_its_orientation_alone() {
        let exif_of = |turn: u8| {
            let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
            tiff.push(turn);
            tiff.extend_from_slice(b"\0\0\0\0\0\0GPS 10.7769 106.7009");
            tiff
        };
        let turned_by = |picture: &[u8]| PngDecoder::new(Cursor::new(picture)).unwrap().orientation().unwrap();
        for (turn, shown) in [(6, Orientation::Rotate90), (3, Orientation::Rotate180), (1, Orientation::NoTransforms)] {
            let mut picture = vec![];
            let mut encoder = PngEncoder::new(&mut picture);
            encoder.set_exif_metadata(exif_of(turn)).unwrap();
            encoder.write_image(&[7; 6], 1, 2, ExtendedColorType::Rgb8).unwrap();
            assert!(turned_by(&picture) == shown && holds(&picture, "GPS"));
            let out = stripped("image/png", &picture).unwrap();
            assert!(!holds(&out, "GPS") && holds(&out, "eXIf") == (turn != 1));
            assert_eq!(turned_by(&out), shown);
            assert_eq!(
                DynamicImage::from_decoder(PngDecoder::new(Cursor::new(&out)).unwrap()).unwrap().as_bytes(),
                [7; 6]
            );
            assert_eq!(stripped("image/png", &out).unwrap(), out, "once is enough");
        }
    }

    #[test]
    fn a_colour_profile_that_inflates_to_much_is_dropped() {
        let profile = |size: usize| {
            let mut compressed = ZlibEncoder::new(b"name\0\0".to_vec(), Compression::best());
            compressed.write_all(&vec![0; size]).unwrap();
            compressed.finish().unwrap()
        };
        let png = |profiles: &[Vec<u8>]| {
            let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
            for profile in profiles {
                write_chunk(&mut picture, *b"iCCP", profile).unwrap();
            }
            write_chunk(&mut picture, *b"IDAT", b"pixels").unwrap();
            write_chunk(&mut picture, *b"IEND", b"").unwrap();
            picture
        };
        let largest = profile(MAX_PROFILE as usize);
        assert_eq!(stripped("image/png", &png(&[largest.clone(), profile(9)])).unwrap(), png(&[largest]));
        for dropped in [
            profile(MAX_PROFILE as usize + 1),
            profile(64 * 1024 * 1024),
            b"name\0\0broken".to_vec(),
            b"no end".to_vec(),
            vec![],
            vec![b'x'; MAX_PROFILE as usize + 1],
        ] {
            assert_eq!(stripped("image/png", &png(&[dropped])).unwrap(), png(&[]));
        }
        let mut palette = b"\x89PNG\r\n\x1a\n".to_vec();
        write_chunk(&mut palette, *b"PLTE", &vec![0; MAX_BLOCK as usize + 1]).unwrap();
        assert!(stripped("image/png", &palette).is_err());
    }

    #[test]
    fn a_colour_profile_of_many_segments_is_dropped_from_a_jpeg() {
        let jpeg = |segments: u8, count: u8| {
            let profile = |number: u8| segment(0xe2, &[JPEG_PROFILE, &[number, count], b"colours"].concat());
            let profiles: Vec<u8> = (1..=segments).flat_map(profile).collect();
            [b"\xff\xd8".as_slice(), &profiles, &segment(0xc0, b"frame"), b"\xff\xd9"].concat()
        };
        assert_eq!(stripped("image/jpeg", &jpeg(32, 32)).unwrap(), jpeg(32, 32));
        assert_eq!(stripped("image/jpeg", &jpeg(33, 33)).unwrap(), jpeg(0, 0));
        assert_eq!(stripped("image/jpeg", &jpeg(200, 1)).unwrap(), jpeg(32, 1));
    }

    #[test]
    fn a_large_colour_profile_is_dropped_from_a_webp() {
        let chunk = |kind: &[u8], content: &[u8]| {
            [kind, &u32::try_from(content.len()).unwrap().to_le_bytes()[..], content].concat()
        };
        let webp = |flags: u8, profile: Option<usize>| {
            let head = chunk(b"VP8X", &[flags, 0, 0, 0, 9, 0, 0, 9, 0, 0]);
            let profile = profile.map(|size| chunk(b"ICCP", &vec![0; size])).unwrap_or_default();
            let chunks = [head, profile, chunk(b"VP8 ", b"pixels")].concat();
            [b"RIFF", &u32::try_from(chunks.len() + 4).unwrap().to_le_bytes()[..], b"WEBP", &chunks].concat()
        };
        let kept = webp(0x30, Some(MAX_PROFILE as usize));
        assert_eq!(stripped("image/webp", &kept).unwrap(), kept);
        let large = webp(0x30, Some(MAX_PROFILE as usize + 2));
        assert_eq!(stripped("image/webp", &large).unwrap(), webp(0x10, None));
    }

    #[test]
    fn a_webp_says_no_longer_that_it_has_what_is_gone() {
        let chunk = |kind: &[u8], content: &[u8]| {
            let padding = vec![0; content.len() % 2];
            [kind, &u32::try_from(content.len()).unwrap().to_le_bytes()[..], content, &padding].concat()
        };
        let chunks = [
            chunk(b"VP8X", &[0x1c, 0, 0, 0, 9, 0, 0, 9, 0, 0]),
            chunk(b"VP8 ", b"pixels"),
            chunk(b"EXIF", b"secret!"),
            chunk(b"XMP ", b"secret"),
        ]
        .concat();
        let size = u32::try_from(chunks.len() + 4).unwrap();
        let picture = [b"RIFF", &size.to_le_bytes()[..], b"WEBP", &chunks].concat();
        let out = stripped("image/webp", &picture).unwrap();
        assert!(!holds(&out, "secret") && holds(&out, "pixels"));
        assert_eq!(u32::from_le_bytes(out[4..8].try_into().unwrap()) as usize, out.len() - 8);
        assert_eq!(out[20], 0x10);
    }

    #[test]
    fn a_gif_keeps_its_frames_and_its_loop() {
        let picture = [
            &b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff"[..],
            b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0",
            b"\x21\xfe\x06secret\0",
            b"\x21\xff\x0bXMP DataXMP\x06secret\0",
            b"\x21\xf9\x04\0\0\0\0\0",
            b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0",
            b"\x3bsecret",
        ]
        .concat();
        let out = stripped("image/gif", &picture).unwrap();
        assert!(!holds(&out, "secret") && holds(&out, "NETSCAPE2.0") && out.ends_with(b"\x44\x01\0\x3b"));
    }

    #[test]
    fn whatever_comes_ends() {
        let mut state = 7_u32;
        for media_type in ["image/jpeg", "image/png", "image/webp", "image/gif"] {
            for length in 0..300 {
                let head: &[u8] = match media_type {
                    "image/jpeg" => b"\xff\xd8\xff",
                    "image/png" => b"\x89PNG\r\n\x1a\n",
                    "image/webp" => b"RIFF\xff\xff\xff\xffWEBP",
                    _ => b"GIF89a\x01\0\x01\0\xf7\0\0",
                };
                let noise = (0..length).map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state.to_be_bytes()[0]
                });
                let picture: Vec<u8> = head.iter().copied().chain(noise).collect();
                drop(stripped(media_type, &picture));
            }
        }
    }
}
