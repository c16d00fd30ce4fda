//! Blocks of a GIF.

use std::io::{self, BufRead, Write};

use super::{array, copy, malformed};

/// Block that ends the file.
const TRAILER: u8 = 0x3b;

pub(super) fn gif(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    let head: [u8; 13] = array(from)?;
    if !head.starts_with(b"GIF8") {
        return Err(malformed());
    }
    to.write_all(&head)?;
    copy(from, to, palette(head[10]))?;
    let mut has_image = false;
    loop {
        let separator = match array::<1>(from) {
            Ok([separator]) => separator,
            // Some programs write no trailer, and browsers show their files.
            Err(error) if has_image && error.kind() == io::ErrorKind::UnexpectedEof => TRAILER,
            Err(error) => return Err(error),
        };
        match separator {
            TRAILER => return to.write_all(&[TRAILER]),
            // Browsers skip zeros between blocks.
            0 => {}
            0x2c => {
                let image: [u8; 9] = array(from)?;
                to.write_all(&[0x2c])?;
                to.write_all(&image)?;
                // Copies the palette and the code size of the image data.
                copy(from, to, palette(image[8]) + 1)?;
                blocks(from, to)?;
                has_image = true;
            }
            0x21 => {
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
            _ => return Err(malformed()),
        }
    }
}

/// Returns the size of the palette that these flags announce, in bytes.
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

/// Copies blocks up to and including the empty block that ends them.
fn blocks(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    loop {
        let block = block(from)?;
        write_block(to, &block)?;
        if block.is_empty() {
            return Ok(());
        }
    }
}
