//! Boxes of HEIC and AVIF (ISO/IEC 14496-12 and 23008-12).
//!
//! Metadata is overwritten with zeros and not removed, because other boxes refer to pixels by their
//! offset in the file.

use std::{
    io::{self, BufRead, Read as _, Seek, SeekFrom, Write},
    ops::Range,
};

use super::{array, copy, malformed, skip};

/// Maximum size of the boxes that describe an image, in bytes. Images of thousands of tiles stay
/// far below it.
const MAX_DESCRIPTION: u64 = 1024 * 1024;
/// Boxes that are kept: of a file, of its description, and of the tracks of an animation.
const FILE_BOXES: [&[u8; 4]; 6] = [b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip"];
const META_BOXES: [&[u8; 4]; 9] = [b"hdlr", b"pitm", b"iinf", b"iloc", b"iprp", b"iref", b"idat", b"dinf", b"grpl"];
const MOVIE_BOXES: [&[u8; 4]; 2] = [b"mvhd", b"trak"];
const TRACK_BOXES: [&[u8; 4]; 4] = [b"tkhd", b"edts", b"tref", b"mdia"];
/// Types of items that contain pixels.
const PICTURE_ITEMS: [&[u8; 4]; 13] = [
    b"hvc1", b"hev1", b"lhv1", b"av01", b"avc1", b"vvc1", b"jpeg", b"j2k1", b"unci", b"grid", b"iovl", b"iden", b"tmap",
];
/// Length of the version and flags of a box.
const VERSION_AND_FLAGS: usize = 4;

pub(super) fn heif(from: &mut impl BufRead, to: &mut (impl Write + Seek)) -> io::Result<()> {
    let mut at = 0;
    let mut erased = Vec::new();
    let mut has_description = false;
    while let Some(header) = BoxHeader::read(from)? {
        if (at == 0) != (header.kind == *b"ftyp") {
            return Err(malformed());
        }
        to.write_all(&header.bytes)?;
        let content = at + header.bytes.len() as u64;
        let length = match header.content {
            Some(length) if header.kind == *b"meta" || header.kind == *b"moov" => {
                let mut description = read_description(from, length)?;
                if header.kind == *b"meta" {
                    has_description = true;
                    erased.append(&mut erase_metadata(&mut description, content)?);
                } else {
                    free_others(&mut description, 0, &MOVIE_BOXES, Some((b"trak", &TRACK_BOXES)))?;
                }
                to.write_all(&description)?;
                length
            }
            Some(length) if FILE_BOXES.contains(&&header.kind) => {
                copy(from, to, length)?;
                length
            }
            Some(length) => {
                skip(from, length)?;
                // Later boxes keep their offset.
                to.seek(SeekFrom::Start(at + 4))?;
                to.write_all(b"free")?;
                to.seek(SeekFrom::Start(content))?;
                io::copy(&mut io::repeat(0).take(length), to)?;
                length
            }
            // Pixels up to the end of the file.
            None if header.kind == *b"mdat" => io::copy(from, to)?,
            None => return Err(malformed()),
        };
        at = content + length;
    }
    if !has_description {
        return Err(malformed());
    }
    for Range { start, end } in erased {
        if end > at {
            return Err(malformed());
        }
        to.seek(SeekFrom::Start(start))?;
        io::copy(&mut io::repeat(0).take(end - start), to)?;
    }
    to.seek(SeekFrom::End(0)).map(drop)
}

/// Description of the images in a file: the content of its `meta` box.
pub(in crate::picture) struct MetaBox(Vec<u8>);

impl MetaBox {
    pub fn read(from: &mut (impl BufRead + Seek)) -> io::Result<Self> {
        while let Some(header) = BoxHeader::read(from)? {
            let length = header.content.ok_or_else(malformed)?;
            if header.kind == *b"meta" {
                return read_description(from, length).map(Self);
            }
            from.seek_relative(i64::try_from(length).map_err(|_| malformed())?)?;
        }
        Err(malformed())
    }

    /// Contents of the properties of this kind.
    pub fn properties(&self, kind: [u8; 4]) -> Vec<&[u8]> {
        let within = |range: Range<usize>, kind: [u8; 4]| {
            let children = children(&self.0, range).unwrap_or_default();
            children.into_iter().filter(move |child| child.kind == kind).map(|child| child.content)
        };
        let all = VERSION_AND_FLAGS.min(self.0.len())..self.0.len();
        let containers = within(all, *b"iprp").flat_map(|range| within(range, *b"ipco"));
        containers.flat_map(|range| within(range, kind)).map(|range| &self.0[range]).collect()
    }
}

/// Header of a box in a stream.
struct BoxHeader {
    bytes: Vec<u8>,
    kind: [u8; 4],
    /// Length of the content; `None` if it extends to the end of the file.
    content: Option<u64>,
}

impl BoxHeader {
    /// Returns `None` at the end of the file.
    fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        if from.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let (size, kind) = (array::<4>(from)?, array::<4>(from)?);
        let mut bytes = [size, kind].concat();
        let whole = match u32::from_be_bytes(size) {
            0 => None,
            1 => {
                let size = array::<8>(from)?;
                bytes.extend_from_slice(&size);
                Some(u64::from_be_bytes(size))
            }
            size => Some(u64::from(size)),
        };
        let length = bytes.len() as u64;
        let content = whole.map(|whole| whole.checked_sub(length).ok_or_else(malformed)).transpose()?;
        Ok(Some(Self { bytes, kind, content }))
    }
}

fn read_description(from: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    if length > MAX_DESCRIPTION {
        return Err(malformed());
    }
    let mut content = Vec::new();
    from.take(length).read_to_end(&mut content)?;
    if content.len() as u64 == length { Ok(content) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Box within a description.
struct ChildBox {
    kind: [u8; 4],
    /// Position of the kind.
    kind_at: usize,
    content: Range<usize>,
}

/// Lists the boxes in a range of a description.
fn children(bytes: &[u8], range: Range<usize>) -> io::Result<Vec<ChildBox>> {
    let mut found = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let header = Fields::new(&bytes[..range.end], at).numbers::<2>(4)?;
        let length = match usize::try_from(header[0]).map_err(|_| malformed())? {
            0 => range.end - at,
            length => length,
        };
        let end = at.checked_add(length).filter(|end| length >= 8 && *end <= range.end).ok_or_else(malformed)?;
        let kind = bytes[at + 4..at + 8].try_into().map_err(|_| malformed())?;
        found.push(ChildBox { kind, kind_at: at + 4, content: at + 8..end });
        at = end;
    }
    Ok(found)
}

/// Overwrites boxes that aren't in `kept`, and those in the boxes of the kind `nested.0` that
/// aren't in `nested.1`.
fn free_others(
    bytes: &mut [u8],
    start: usize,
    kept: &[&[u8; 4]],
    nested: Option<(&[u8; 4], &[&[u8; 4]])>,
) -> io::Result<()> {
    let all = children(bytes, start..bytes.len())?;
    let mut freed = Vec::new();
    for child in all {
        if !kept.contains(&&child.kind) {
            freed.push(child);
        } else if let Some((_, kept)) = nested.filter(|(kind, _)| child.kind == **kind) {
            freed.extend(children(bytes, child.content)?.into_iter().filter(|inner| !kept.contains(&&inner.kind)));
        }
    }
    for child in freed {
        bytes[child.kind_at..child.kind_at + 4].copy_from_slice(b"free");
        bytes[child.content].fill(0);
    }
    Ok(())
}

/// Overwrites the metadata in a description whose content is at this offset in the file. Returns
/// the ranges of metadata in the rest of the file.
fn erase_metadata(meta: &mut [u8], offset: u64) -> io::Result<Vec<Range<u64>>> {
    if meta.len() < VERSION_AND_FLAGS {
        return Err(malformed());
    }
    free_others(meta, VERSION_AND_FLAGS, &META_BOXES, None)?;
    let all = children(meta, VERSION_AND_FLAGS..meta.len())?;
    let content_of = |kind: &[u8; 4]| all.iter().find(|child| child.kind == *kind).map(|child| child.content.clone());
    let (Some(items), Some(locations)) = (content_of(b"iinf"), content_of(b"iloc")) else {
        return Err(malformed());
    };
    let pictures = picture_items(meta, items)?;
    let data = content_of(b"idat").map(|range| offset + range.start as u64);
    let extents = extents(&meta[..locations.end], locations.start, &pictures, data)?;
    let end = offset + meta.len() as u64;
    let (inside, outside) = extents.into_iter().partition::<Vec<_>, _>(|range| (offset..end).contains(&range.start));
    for Range { start, end } in inside {
        let position = |at: u64| usize::try_from(at - offset).map_err(|_| malformed());
        meta.get_mut(position(start)?..position(end)?).ok_or_else(malformed)?.fill(0);
    }
    Ok(outside)
}

/// Ids of the items that contain pixels.
fn picture_items(meta: &[u8], items: Range<usize>) -> io::Result<Vec<u64>> {
    let mut fields = Fields::new(&meta[..items.end], items.start);
    let version = fields.version()?;
    fields.number(if version == 0 { 2 } else { 4 })?;
    let mut pictures = Vec::new();
    for item in children(meta, fields.at..items.end)? {
        let mut fields = Fields::new(&meta[..item.content.end], item.content.start);
        let version = fields.version()?;
        let id = fields.number(if version < 3 { 2 } else { 4 })?;
        fields.number(2)?;
        // Older versions have no type and describe no pixels.
        if version >= 2 && PICTURE_ITEMS.iter().any(|kind| meta[fields.at..].starts_with(&kind[..])) {
            pictures.push(id);
        }
    }
    Ok(pictures)
}

/// Ranges in the file of all items but `pictures`. `data` is the offset of the content of `idat`.
fn extents(meta: &[u8], at: usize, pictures: &[u64], data: Option<u64>) -> io::Result<Vec<Range<u64>>> {
    /// Methods by which an extent refers to the file and to `idat`.
    const FILE: u64 = 0;
    const DATA: u64 = 1;
    let mut fields = Fields::new(meta, at);
    let version = fields.version()?;
    let [sizes, more_sizes] = fields.numbers::<2>(1)?;
    let (offset_size, length_size) = (sizes >> 4, sizes & 15);
    let (base_size, index_size) = (more_sizes >> 4, if version == 0 { 0 } else { more_sizes & 15 });
    let id_size = if version < 2 { 2 } else { 4 };
    let count = fields.number(id_size)?;
    let mut found = Vec::new();
    for _ in 0..count {
        let id = fields.number(id_size)?;
        let method = if version == 0 { FILE } else { fields.number(2)? & 15 };
        fields.number(2)?;
        let base = fields.number(base_size)?;
        for _ in 0..fields.number(2)? {
            fields.number(index_size)?;
            let (offset, length) = (fields.number(offset_size)?, fields.number(length_size)?);
            if pictures.contains(&id) {
                continue;
            }
            let start = match (method, data) {
                (FILE, _) => Some(base),
                (DATA, Some(data)) => data.checked_add(base),
                _ => None,
            };
            let start = start.and_then(|start| start.checked_add(offset));
            let end = start.and_then(|start| start.checked_add(length));
            // A length of zero stands for the rest of the file.
            let range = start.zip(end).filter(|_| length > 0).ok_or_else(malformed)?;
            found.push(range.0..range.1);
        }
    }
    Ok(found)
}

/// Reads big-endian numbers from a position.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Reads a number of `size` bytes, at most eight; zero if it has none.
    fn number(&mut self, size: u64) -> io::Result<u64> {
        let size = usize::try_from(size).ok().filter(|size| *size <= 8).ok_or_else(malformed)?;
        let bytes = self.bytes.get(self.at..self.at + size).ok_or_else(malformed)?;
        self.at += size;
        Ok(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    fn numbers<const N: usize>(&mut self, size: u64) -> io::Result<[u64; N]> {
        let mut found = [0; N];
        for number in &mut found {
            *number = self.number(size)?;
        }
        Ok(found)
    }

    /// Reads the version of a box and skips its flags.
    fn version(&mut self) -> io::Result<u64> {
        Ok(self.number(4)? >> 24)
    }
}
