//! Small pictures that claim a huge size or decompress to one. The memory for each upload is
//! bounded.

use std::{
    io::{Cursor, Write as _},
    process::Stdio,
};

use flate2::{Compression, Crc, write::ZlibEncoder};
use image::{DynamicImage, ImageFormat};
use support::{Application, Value, json, natter};
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::{
    address,
    pictures::{flat, png},
};

const MIB: u64 = 1024 * 1024;
/// Memory limit of all these uploads together, in bytes, for buffers and caches of the allocator.
const SERVER_MEMORY: u64 = 96 * MIB;

/// Picture, and the expected result of uploading it.
struct Bomb {
    name: &'static str,
    picture: Vec<u8>,
    has_thumbnail: bool,
    /// Maximum size at which it is stored, in bytes.
    stored: usize,
}

fn bomb(name: &'static str, picture: Vec<u8>, has_thumbnail: bool) -> Bomb {
    let stored = picture.len();
    Bomb { name, picture, has_thumbnail, stored }
}

/// Compresses 256 MiB of zeros.
fn zeros() -> Vec<u8> {
    let mut compressed = ZlibEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1024 * 1024];
    for _ in 0..256 {
        compressed.write_all(&zeros).unwrap();
    }
    compressed.finish().unwrap()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut checksum = Crc::new();
    checksum.update(kind);
    checksum.update(data);
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length, kind.as_slice(), data, &checksum.sum().to_be_bytes()].concat()
}

/// Creates a PNG of 10 × 10 pixels that has these chunks after its header.
fn png_with(chunks: &[u8]) -> Vec<u8> {
    let picture = png(10, 10);
    [&picture[..33], chunks, &picture[33..]].concat()
}

fn pngs(zeros: &[u8]) -> Vec<Bomb> {
    let with = |kind, head: &[u8]| png_with(&chunk(kind, &[head, zeros].concat()));
    let mut huge = png(10, 10);
    let head = [&30_000_u32.to_be_bytes()[..], &30_000_u32.to_be_bytes(), &huge[24..29]].concat();
    drop(huge.splice(8..33, chunk(b"IHDR", &head)));
    let (whole, mut animated) = (png(10, 10), png_with(&chunk(b"acTL", &[0, 0, 0x27, 0x10, 0, 0, 0, 0])));
    let length = u32::from_be_bytes(whole[33..37].try_into().unwrap()) as usize;
    let pixels = &whole[41..41 + length];
    animated.truncate(animated.len() - 12);
    for number in 0..10_000_u32 {
        let sides = [0, 0, 0, 10, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        animated.extend(chunk(b"fcTL", &[&(2 * number).to_be_bytes()[..], &sides].concat()));
        animated.extend(chunk(b"fdAT", &[&(2 * number + 1).to_be_bytes()[..], pixels].concat()));
    }
    animated.extend(chunk(b"IEND", b""));
    vec![
        Bomb { stored: 10_000, ..bomb("iCCP", with(b"iCCP", b"x\0\0"), true) },
        Bomb { stored: 10_000, ..bomb("zTXt", with(b"zTXt", b"x\0\0"), true) },
        Bomb { stored: 10_000, ..bomb("iTXt", with(b"iTXt", b"x\0\x01\0\0\0"), true) },
        bomb("PNG of 30,000 × 30,000", huge, false),
        bomb("APNG of 10,000 frames", animated, true),
    ]
}

fn jpegs() -> Vec<Bomb> {
    let small = flat(64, 64);
    let profile = |number: u8| {
        let content = [b"ICC_PROFILE\0".as_slice(), &[number, 255], &[0; 65_000]].concat();
        let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
        [[0xff, 0xe2].as_slice(), &length, &content].concat()
    };
    let profiles = (1..=255).flat_map(profile).collect::<Vec<u8>>();
    let mut huge = small.clone();
    let frame = huge.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    huge[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    let mut passes = flat(4_000, 4_000);
    passes[frame + 1] = 0xc2;
    let scan = passes.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
    // From the second scan on, the scans contain no data.
    let head = passes[scan..scan + 14].to_vec();
    passes.truncate(passes.len() - 2);
    passes.extend(head.repeat(5_000));
    passes.extend([0xff, 0xd9]);
    vec![
        Bomb { stored: 10_000, ..bomb("APP2", [&small[..2], &profiles, &small[2..]].concat(), true) },
        bomb("JPEG of 65,535 × 65,535", huge, false),
        bomb("JPEG of 5,001 scans", passes, false),
    ]
}

fn gif(width: u16, height: u16, frames: usize) -> Vec<u8> {
    let frame = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
    let [width, height] = [width, height].map(u16::to_le_bytes);
    [b"GIF89a".as_slice(), &width, &height, b"\x80\0\0\0\0\0\xff\xff\xff", &frame.repeat(frames), b"\x3b"].concat()
}

fn webp(chunks: &[u8]) -> Vec<u8> {
    let size = u32::try_from(chunks.len() + 4).unwrap().to_le_bytes();
    [b"RIFF", &size[..], b"WEBP", chunks].concat()
}

fn webps() -> Vec<Bomb> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let length = u32::try_from(data.len()).unwrap().to_le_bytes();
        [kind, &length[..], data, &vec![0; data.len() % 2]].concat()
    };
    let canvas = |flags: u8, side: u32| {
        let side = (side - 1).to_le_bytes();
        chunk(b"VP8X", &[&[flags, 0, 0, 0], &side[..3], &side[..3]].concat())
    };
    let mut small = Cursor::new(Vec::new());
    DynamicImage::new_rgba8(10, 10).write_to(&mut small, ImageFormat::WebP).unwrap();
    // Uses the pixel data of the small picture as a chunk.
    let small = small.into_inner()[12..].to_vec();
    let animation = chunk(b"ANIM", &[0; 6]);
    let frame = chunk(b"ANMF", &[&[0, 0, 0, 0, 0, 0, 9, 0, 0, 9, 0, 0, 0, 0, 0, 0], small.as_slice()].concat());
    let huge_frame = chunk(b"VP8 ", b"\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f");
    let profile = chunk(b"ICCP", &vec![0; 16 * 1024 * 1024]);
    vec![
        Bomb { stored: 10_000, ..bomb("ICCP", webp(&[canvas(0x30, 10), profile, small.clone()].concat()), true) },
        bomb("WebP of 16,777,216 × 16,777,216", webp(&[canvas(0x10, 1 << 24), small].concat()), false),
        bomb("WebP with a frame larger than its canvas", webp(&[canvas(0, 10), huge_frame].concat()), false),
        bomb("WebP of 10,000 frames", webp(&[canvas(0x12, 10), animation, frame.repeat(10_000)].concat()), true),
    ]
}

fn peak_memory(app: &Application) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", app.instances[0].process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn decompression_bombs_are_rejected_in_bounded_memory() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    anna.upload("warm.png", "image/png", png(1_000, 1_000)).await;
    let before = peak_memory(&app);
    let gifs = vec![
        bomb("GIF of 65,535 × 65,535", gif(65_535, 65_535, 1), false),
        bomb("GIF of frames", gif(1, 1, 20_000), true),
    ];
    for Bomb { name, picture, has_thumbnail, stored } in [pngs(&zeros()), jpegs(), gifs, webps()].into_iter().flatten()
    {
        let upload = anna.upload("bomb", "application/octet-stream", picture).await;
        assert!(upload["media_type"].as_str().unwrap().starts_with("image/"), "{name}: {upload}");
        assert_eq!(upload["thumbhash"] != Value::Null, has_thumbnail, "{name}: {upload}");
        assert!(upload["size"].as_u64().unwrap() <= stored as u64, "{name}: {upload}");
        let thumbnail = anna.get(&format!("{}?size=320", address(&upload))).await;
        assert_eq!(thumbnail.status, if has_thumbnail { 200 } else { 404 }, "{name}");
    }
    let more = peak_memory(&app).saturating_sub(before);
    assert!(more < SERVER_MEMORY, "the server used {} MiB more", more / MIB);
    let upload = anna.upload("last.png", "image/png", png(100, 100)).await;
    assert_eq!(upload["width"], json!(100));
}

/// Runs the reader process for a PNG of 7,000 × 7,000 pixels, with this memory limit in MiB.
/// Returns whether it succeeded, and its output.
async fn resized_with(memory: u32) -> (bool, Vec<u8>) {
    let task = json!({ "kind": "picture", "media_type": "image/png", "side": 320, "memory": memory });
    let mut child = Command::new(natter())
        .arg("read-file")
        .env_clear()
        .env("RAYON_NUM_THREADS", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut picture = Cursor::new(Vec::new());
    DynamicImage::new_rgba8(7_000, 7_000).write_to(&mut picture, ImageFormat::Png).unwrap();
    let mut input = child.stdin.take().unwrap();
    let writing = async move {
        // A process that reaches its limit stops reading.
        let _ = input.write_all(&[task.to_string().as_bytes(), b"\n", picture.get_ref()].concat()).await;
    };
    let ((), output) = tokio::join!(writing, child.wait_with_output());
    let output = output.unwrap();
    (output.status.success(), output.stdout)
}

#[tokio::test]
async fn an_oversized_picture_ends_only_the_reader_process() {
    let (is_success, output) = resized_with(32).await;
    assert!(!is_success && output.is_empty(), "{}", String::from_utf8_lossy(&output));
    let (is_success, output) = resized_with(224).await;
    assert!(is_success);
    let resized: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(resized["width"], 320);
}
