//! Orientation in Exif, the only Exif field that is kept.

/// Length of the header that precedes the Exif data in a JPEG segment, in bytes.
pub(super) const JPEG_HEAD: usize = 10;

/// Returns the orientation from a JPEG's Exif segment; `None` if the image is upright.
pub(super) fn orientation(segment: &[u8]) -> Option<u8> {
    orientation_of_tiff(segment.strip_prefix(b"Exif\0\0")?)
}

/// Returns the orientation from Exif data without a segment header, as in a PNG.
pub(super) fn orientation_of_tiff(tiff: &[u8]) -> Option<u8> {
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

/// Creates a JPEG segment that contains only the orientation.
pub(super) fn orientation_segment(orientation: u8) -> [u8; 36] {
    let mut segment = *b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    segment[29] = orientation;
    segment
}
