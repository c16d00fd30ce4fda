//! Pictures: dimensions, thumbnails and metadata.

use std::{io::Cursor, process::Command};

use image::{DynamicImage, GenericImageView as _, ImageFormat, Rgb, RgbImage, RgbaImage};
use reqwest::Method;
use support::{Application, json};

use super::address;

fn encoded(picture: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, format).unwrap();
    out.into_inner()
}

pub fn png(width: u32, height: u32) -> Vec<u8> {
    let colour = |x: u32, y: u32| Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], 90]);
    encoded(RgbImage::from_fn(width, height, colour).into(), ImageFormat::Png)
}

/// Creates a photograph like that of a phone: rotated, and with a location in its Exif data.
pub fn photograph(width: u32, height: u32) -> Vec<u8> {
    let colour = |x: u32, _: u32| Rgb([x.to_le_bytes()[0], 0, 0]);
    on_its_side(&encoded(RgbImage::from_fn(width, height, colour).into(), ImageFormat::Jpeg))
}

fn on_its_side(jpeg: &[u8]) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    exif.extend_from_slice(b"GPS 10.7769 N 106.7009 E");
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

/// Creates a JPEG of a single colour, with 4:2:0 subsampling, as cameras write it. The first blocks
/// contain the colour, and all others repeat it.
pub(super) fn flat(width: u16, height: u16) -> Vec<u8> {
    let blocks = usize::from(width.div_ceil(16)) * usize::from(height.div_ceil(16));
    [
        b"\xff\xd8\xff\xdb\0\x43\0".as_slice(),
        &[8; 64],
        &[0xff, 0xc0, 0, 17, 8],
        &height.to_be_bytes(),
        &width.to_be_bytes(),
        &[3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0],
        &[0xff, 0xc4, 0, 21, 0, 1, 1],
        &[0; 14],
        &[0, 7],
        &[0xff, 0xc4, 0, 20, 0x10, 1],
        &[0; 15],
        &[0],
        &[0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0],
        &[0x9f, 0x80, 0x9f, 0xa8],
        &vec![0_u8; blocks * 12 / 8],
        &[0xff, 0xd9],
    ]
    .concat()
}

#[tokio::test]
async fn creates_thumbnails_of_a_hundred_megapixel_photograph() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut photograph = on_its_side(&flat(12_000, 9_000));
    let upload = anna.upload("IMG_2.jpg", "image/jpeg", photograph.clone()).await;
    assert_eq!((&upload["width"], &upload["height"]), (&json!(9_000), &json!(12_000)));
    assert!(upload["thumbhash"].as_str().is_some_and(|hash| hash.len() > 20));
    for size in [320_u32, 1280] {
        let thumbnail = anna.get(&format!("{}?size={size}", address(&upload))).await;
        let thumbnail = image::load_from_memory(&thumbnail.bytes).unwrap();
        assert_eq!(thumbnail.dimensions(), (size * 3 / 4, size));
        let colour = thumbnail.to_rgb8().get_pixel(size / 2, size / 2).0;
        let is_near = colour.iter().zip([154_u8, 40, 0]).all(|(colour, meant)| colour.abs_diff(meant) < 10);
        assert!(is_near, "{colour:?}");
    }
    // Changes it to a progressive JPEG, of which the decoder keeps all scans in memory.
    let frame = photograph.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    photograph[frame + 1] = 0xc2;
    let upload = anna.upload("IMG_3.jpg", "image/jpeg", photograph).await;
    assert_eq!((&upload["media_type"], &upload["width"]), (&json!("image/jpeg"), &json!(null)));
    anna.get(&format!("{}?size=320", address(&upload))).await.refused(404, "not_found");
}

#[tokio::test]
async fn strips_location_and_applies_orientation_of_photographs() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let photograph = photograph(2000, 1000);
    let upload = anna.upload("IMG_1.jpg", "application/octet-stream", photograph.clone()).await;
    assert_eq!(
        (&upload["media_type"], &upload["width"], &upload["height"]),
        (&json!("image/jpeg"), &json!(1000), &json!(2000))
    );
    assert!(upload["thumbhash"].as_str().is_some_and(|hash| hash.len() > 20));
    let whole = anna.get(&address(&upload)).await;
    assert!(!whole.text().contains("GPS") && photograph.windows(3).any(|window| window == b"GPS"));
    assert_eq!(
        (whole.header("content-type"), upload["size"].as_u64()),
        (Some("image/jpeg"), Some(whole.bytes.len() as u64))
    );
    assert!(whole.bytes.windows(6).any(|window| window == b"Exif\0\0"), "the orientation is kept");
    for size in [320_u32, 1280] {
        let thumbnail = anna.get(&format!("{}?size={size}", address(&upload))).await;
        assert_eq!(thumbnail.header("content-type"), Some("image/jpeg"));
        assert_eq!(image::load_from_memory(&thumbnail.bytes).unwrap().dimensions(), (size / 2, size));
        assert_ne!(thumbnail.header("etag"), whole.header("etag"));
    }
    anna.get(&format!("{}?size=640", address(&upload))).await.names_field("size");
}

#[tokio::test]
async fn converts_thumbnails_of_heic_and_avif_photographs() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("IMG_4.jpg");
    std::fs::write(&original, photograph(2000, 1000)).unwrap();
    for (name, options, media_type) in [("a.heic", &[][..], "image/heic"), ("a.avif", &["-A"][..], "image/avif")] {
        let written = folder.path().join(name);
        let encoder = Command::new("heif-enc").args(options).arg(&original).arg("-o").arg(&written).output().unwrap();
        assert!(encoder.status.success(), "{encoder:?}");
        let picture = std::fs::read(&written).unwrap();
        assert!(picture.windows(3).any(|window| window == b"GPS"));
        let upload = anna.upload(name, "application/octet-stream", picture.clone()).await;
        assert_eq!(
            (&upload["media_type"], &upload["width"], &upload["height"]),
            (&json!(media_type), &json!(2000), &json!(1000))
        );
        assert!(upload["thumbhash"].as_str().is_some_and(|hash| hash.len() > 20));
        let whole = anna.get(&address(&upload)).await;
        assert_eq!((whole.header("content-type"), whole.bytes.len()), (Some(media_type), picture.len()));
        assert!(!whole.bytes.windows(3).any(|window| window == b"GPS"), "the location is overwritten");
        for size in [320_u32, 1280] {
            let thumbnail = anna.get(&format!("{}?size={size}", address(&upload))).await;
            assert_eq!(thumbnail.header("content-type"), Some("image/jpeg"));
            assert_eq!(image::load_from_memory(&thumbnail.bytes).unwrap().dimensions(), (size, size / 2));
        }
    }
}

#[tokio::test]
async fn transparent_pictures_stay_transparent() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let clear = encoded(RgbaImage::new(900, 600).into(), ImageFormat::Png);
    let upload = anna.upload("clear.png", "image/png", clear).await;
    let thumbnail = anna.get(&format!("{}?size=320", address(&upload))).await;
    assert_eq!(thumbnail.header("content-type"), Some("image/png"));
    assert!(image::load_from_memory(&thumbnail.bytes).unwrap().color().has_alpha());
}

#[tokio::test]
async fn stores_invalid_pictures_as_files() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    // The header claims a size for which no memory suffices; the data is small.
    let mut bomb = png(10, 10);
    bomb[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    for (picture, media_type) in [
        (bomb, "image/png"),
        (b"\x89PNG\r\n\x1a\nnot really".to_vec(), "application/octet-stream"),
        (b"\xff\xd8\xff\xe0broken".to_vec(), "application/octet-stream"),
        (b"GIF89a\x01\0".to_vec(), "application/octet-stream"),
        (b"GIF89a".to_vec(), "text/plain"),
        (b"\0\0\0\x18ftypavif\0\0\0\0avifmif1\0\0\0\x0cmeta".to_vec(), "application/octet-stream"),
        (png(300, 300)[..400].to_vec(), "application/octet-stream"),
    ] {
        let upload = anna.upload("a.png", "image/png", picture.clone()).await;
        assert_eq!((&upload["media_type"], &upload["thumbhash"]), (&json!(media_type), &json!(null)));
        anna.get(&format!("{}?size=320", address(&upload))).await.refused(404, "not_found");
        assert_eq!(anna.send(anna.request(Method::GET, &address(&upload))).await.status, 200);
    }
}

#[tokio::test]
async fn stores_pictures_too_large_to_decode_as_files() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    for (width, height) in [(8_000, 7_000), (12_001, 4)] {
        let bomb = encoded(DynamicImage::new_luma8(width, height), ImageFormat::Png);
        let upload = anna.upload("bomb.png", "image/png", bomb).await;
        assert_eq!(upload["media_type"], "image/png");
        for unknown in ["width", "height", "thumbhash"] {
            assert_eq!(upload[unknown], json!(null), "{unknown} of {width} × {height}");
        }
    }
}
