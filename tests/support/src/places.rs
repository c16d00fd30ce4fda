//! Small GeoIP databases in the format of MaxMind (<https://maxmind.github.io/MaxMind-DB/>).

use std::net::IpAddr;

/// Network with its location. The city is stated only if it is known.
pub struct Known<'a> {
    pub network: &'a str,
    pub country: &'a str,
    pub city: Option<&'a str>,
}

/// Where a record of the search tree leads.
#[derive(Clone, Copy)]
enum Record {
    Nothing,
    Node(usize),
    /// Position in the data section, in bytes.
    Data(usize),
}

const MAP: u8 = 7;
const TEXT: u8 = 2;
const SEPARATOR: usize = 16;

/// Returns the content of the database file.
#[must_use]
pub fn database_of_places(kind: &str, all: &[Known<'_>]) -> Vec<u8> {
    let (mut tree, mut data) = (vec![[Record::Nothing; 2]], Vec::new());
    for known in all {
        let at = Record::Data(data.len());
        describe(known, &mut data);
        let (bits, length) = parse(known.network);
        insert(&mut tree, bits, length, at);
    }
    let mut file = Vec::new();
    for record in tree.iter().flatten() {
        let value = match *record {
            Record::Nothing => tree.len(),
            Record::Node(at) => at,
            Record::Data(at) => tree.len() + SEPARATOR + at,
        };
        file.extend_from_slice(&u32::try_from(value).expect("a small file").to_be_bytes()[1..]);
    }
    file.extend_from_slice(&[0; SEPARATOR]);
    file.extend_from_slice(&data);
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    metadata(kind, tree.len(), &mut file);
    file
}

/// Returns the bits of the address and the length of the prefix. IPv4 addresses are in `::/96`.
fn parse(network: &str) -> (u128, usize) {
    let (address, length) = network.split_once('/').expect("a network in CIDR notation");
    let length: usize = length.parse().expect("a length");
    match address.parse().expect("an address") {
        IpAddr::V4(address) => (u128::from(u32::from(address)), length + 96),
        IpAddr::V6(address) => (u128::from(address), length),
    }
}

fn insert(tree: &mut Vec<[Record; 2]>, bits: u128, length: usize, leaf: Record) {
    let mut node = 0;
    for depth in 0..length {
        let side = usize::from(bits >> (127 - depth) & 1 == 1);
        if depth + 1 == length {
            tree[node][side] = leaf;
            return;
        }
        node = match tree[node][side] {
            Record::Node(next) => next,
            Record::Nothing | Record::Data(_) => {
                tree.push([Record::Nothing; 2]);
                let next = tree.len() - 1;
                tree[node][side] = Record::Node(next);
                next
            }
        };
    }
}

fn describe(known: &Known<'_>, data: &mut Vec<u8>) {
    control(MAP, 1 + usize::from(known.city.is_some()), data);
    if let Some(city) = known.city {
        text("city", data);
        control(MAP, 1, data);
        text("names", data);
        control(MAP, 1, data);
        text("en", data);
        text(city, data);
    }
    text("country", data);
    control(MAP, 1, data);
    text("iso_code", data);
    text(known.country, data);
}

fn metadata(kind: &str, nodes: usize, file: &mut Vec<u8>) {
    const NUMBER_16: u8 = 5;
    const NUMBER_32: u8 = 6;
    control(MAP, 9, file);
    text("node_count", file);
    number(NUMBER_32, nodes, file);
    text("record_size", file);
    number(NUMBER_16, 24, file);
    text("ip_version", file);
    number(NUMBER_16, 6, file);
    text("database_type", file);
    text(kind, file);
    text("languages", file);
    // A list that contains one 64-bit number. The type is above seven, so it takes an additional
    // byte.
    file.extend_from_slice(&[1, 11 - 7]);
    text("en", file);
    text("binary_format_major_version", file);
    number(NUMBER_16, 2, file);
    text("binary_format_minor_version", file);
    number(NUMBER_16, 0, file);
    text("build_epoch", file);
    file.extend_from_slice(&[1, 9 - 7, 1]);
    text("description", file);
    control(MAP, 1, file);
    text("en", file);
    text("For tests", file);
}

fn text(text: &str, out: &mut Vec<u8>) {
    control(TEXT, text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn number(kind: u8, number: usize, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    let used = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    control(kind, used.len(), out);
    out.extend_from_slice(used);
}

fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    assert!(size < 29, "the item needs a longer header");
    out.push(kind << 5 | u8::try_from(size).expect("it is small"));
}
