//! Pictures: their size, their thumbnails, and what was written beside them.

use std::io::Cursor;

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

/// A photograph as a phone takes it: on its side, with its place in Exif.
pub fn photograph(width: u32, height: u32) -> Vec<u8> {
    let jpeg =
        encoded(RgbImage::from_fn(width, height, |x, _| Rgb([x.to_le_bytes()[0], 0, 0])).into(), ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    exif.extend_from_slice(b"GPS 10.7769 N 106.7009 E");
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[tokio::test]
async fn a_photograph_loses_its_place_and_stands_upright() {
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
    assert!(whole.bytes.windows(6).any(|window| window == b"Exif\0\0"), "its orientation stays");
    for size in [320_u32, 1280] {
        let thumbnail = anna.get(&format!("{}?size={size}", address(&upload))).await;
        assert_eq!(thumbnail.header("content-type"), Some("image/jpeg"));
        assert_eq!(image::load_from_memory(&thumbnail.bytes).unwrap().dimensions(), (size / 2, size));
        assert_ne!(thumbnail.header("etag"), whole.header("etag"));
    }
    anna.get(&format!("{}?size=640", address(&upload))).await.names_field("size");
}

#[tokio::test]
async fn a_picture_that_is_seen_through_stays_so() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let clear = encoded(RgbaImage::new(900, 600).into(), ImageFormat::Png);
    let upload = anna.upload("clear.png", "image/png", clear).await;
    let thumbnail = anna.get(&format!("{}?size=320", address(&upload))).await;
    assert_eq!(thumbnail.header("content-type"), Some("image/png"));
    assert!(image::load_from_memory(&thumbnail.bytes).unwrap().color().has_alpha());
}

#[tokio::test]
async fn what_only_claims_to_be_a_picture_is_a_file() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    // Its header says that it is larger than anybody's memory; its data say nothing.
    let mut bomb = png(10, 10);
    bomb[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    for (picture, media_type) in [
        (bomb, "image/png"),
        (b"\x89PNG\r\n\x1a\nnot really".to_vec(), "application/octet-stream"),
        (b"\xff\xd8\xff\xe0broken".to_vec(), "application/octet-stream"),
        (b"GIF89a\x01\0".to_vec(), "application/octet-stream"),
        (b"GIF89a".to_vec(), "text/plain"),
        (png(300, 300)[..400].to_vec(), "application/octet-stream"),
    ] {
        let upload = anna.upload("a.png", "image/png", picture.clone()).await;
        assert_eq!((&upload["media_type"], &upload["thumbhash"]), (&json!(media_type), &json!(null)));
        anna.get(&format!("{}?size=320", address(&upload))).await.refused(404, "not_found");
        assert_eq!(anna.send(anna.request(Method::GET, &address(&upload))).await.status, 200);
    }
}

#[tokio::test]
async fn what_is_too_large_to_be_looked_at_is_a_file() {
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
