use std::io::Cursor;

use flate2::{Compression, write::ZlibEncoder};
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder as _, ImageEncoder as _,
    codecs::png::{PngDecoder, PngEncoder},
    metadata::Orientation,
};

use super::{
    exif::orientation,
    jpeg::{JPEG_PROFILE, write_segment},
    png::write_chunk,
    *,
};

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
fn keeps_orientation_and_colours_of_jpegs() {
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
fn keeps_only_the_image_of_pngs() {
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
fn keeps_the_orientation_of_pngs() {
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
        assert_eq!(DynamicImage::from_decoder(PngDecoder::new(Cursor::new(&out)).unwrap()).unwrap().as_bytes(), [7; 6]);
        assert_eq!(stripped("image/png", &out).unwrap(), out, "once is enough");
    }
}

#[test]
fn drops_profiles_that_inflate_too_much() {
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
fn drops_profiles_of_many_segments() {
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
fn drops_large_profiles_of_webps() {
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
fn clears_webp_flags_of_removed_chunks() {
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
fn keeps_frames_and_loops_of_gifs() {
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
fn accepts_gifs_without_a_trailer_and_with_stray_zeros() {
    let head = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff";
    let frame = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
    let whole = [&head[..], frame, b"\x3b"].concat();
    for picture in [[&head[..], frame].concat(), [&head[..], b"\0", frame, b"\0\0\x3b"].concat(), whole.clone()] {
        assert_eq!(stripped("image/gif", &picture).unwrap(), whole);
    }
    for broken in [&head[..], &[&head[..], &frame[..12]].concat()] {
        assert!(stripped("image/gif", broken).is_err());
    }
}

#[test]
fn terminates_on_any_input() {
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

fn iso_box(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 8).unwrap().to_be_bytes();
    [&length, kind.as_slice(), content].concat()
}

/// Creates an AVIF with one picture and three items of metadata: two in the file, one in the
/// description. `secret_at` and `picture_at` are their offsets in the file.
fn avif(picture_at: u32, secret_at: u32) -> Vec<u8> {
    let item = |id: u16, kind: &[u8; 4]| {
        iso_box(b"infe", &[&[2, 0, 0, 0][..], &id.to_be_bytes(), &[0, 0], kind, b"\0"].concat())
    };
    let items = [item(1, b"av01"), item(2, b"Exif"), item(3, b"mime"), item(4, b"uri ")].concat();
    // Offsets and lengths of four bytes, no base and no index.
    let place = |id: u16, method: u16, offset: u32, length: u32| {
        [&id.to_be_bytes()[..], &method.to_be_bytes(), &[0, 0, 0, 1], &offset.to_be_bytes(), &length.to_be_bytes()]
            .concat()
    };
    let places =
        [place(1, 0, picture_at, 6), place(2, 0, secret_at, 11), place(3, 0, secret_at + 11, 10), place(4, 1, 0, 11)];
    let locations = [&[1, 0, 0, 0, 0x44, 0, 0, 4][..], &places.concat()].concat();
    let size = |width: u32, height: u32| {
        iso_box(b"ispe", &[&[0; 4][..], &width.to_be_bytes(), &height.to_be_bytes()].concat())
    };
    let properties = [size(512, 512), size(4032, 3024)].concat();
    let meta = [
        vec![0; 4],
        iso_box(b"hdlr", b"pict"),
        iso_box(b"iinf", &[&[0, 0, 0, 0, 0, 4][..], &items].concat()),
        iso_box(b"iloc", &locations),
        iso_box(b"iprp", &iso_box(b"ipco", &properties)),
        iso_box(b"idat", b"secret-data"),
        iso_box(b"xml ", b"secret-xml"),
    ];
    [
        iso_box(b"ftyp", b"avif\0\0\0\0avifmif1"),
        iso_box(b"meta", &meta.concat()),
        iso_box(b"uuid", b"secret-uuid"),
        iso_box(b"mdat", b"pixels secret-exifsecret-xmp"),
        iso_box(b"moov", &iso_box(b"trak", &[iso_box(b"tkhd", b"kept"), iso_box(b"udta", b"secret-udta")].concat())),
    ]
    .concat()
}

#[test]
fn overwrites_metadata_of_avif() {
    let unplaced = avif(0, 0);
    let position = |text: &str| {
        u32::try_from(unplaced.windows(text.len()).position(|window| window == text.as_bytes()).unwrap()).unwrap()
    };
    let picture = avif(position("pixels"), position("secret-exif"));
    let out = stripped("image/avif", &picture).unwrap();
    assert_eq!(out.len(), picture.len(), "offsets stay valid");
    assert!(!holds(&out, "secret"), "{}", String::from_utf8_lossy(&out));
    for kept in ["pixels", "kept", "pict", "av01"] {
        assert!(holds(&out, kept), "{kept}");
    }
    let size = crate::picture::heif::largest_size(&mut Cursor::new(&out)).unwrap();
    assert_eq!(size, (4032, 3024), "not the size of a tile");
    for length in 0..picture.len() {
        let cut = stripped("image/avif", &picture[..length]);
        assert!(cut.map_or(true, |out| !holds(&out, "secret-")), "{length}");
    }
    let beyond = avif(position("pixels"), u32::MAX - 100);
    assert!(stripped("image/avif", &beyond).is_err(), "metadata beyond the end of the file");
}
