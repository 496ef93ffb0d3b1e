//! What is in the memory of this process: all of it is looked through.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

use memchr::memmem::Finder;
use zeroize::Zeroizing;

pub(crate) const LENGTH: usize = 40;

/// So much is looked through at once.
const PART: usize = 1 << 16;
static NOTHING: [u8; PART] = [0; PART];

/// The secrets of the tests are computed, letter by letter, so that there are no other copies than those that are looked for.
pub(crate) fn letter(secret: u8, at: usize) -> u8 {
    let mixed = (u64::from(secret) + 1) * 0x9e37_79b1 + u64::try_from(at).unwrap() * 0x85eb_ca6b;
    b'a' + u8::try_from((mixed >> 13 ^ mixed >> 7) % 26).unwrap()
}

pub(crate) fn secret(number: u8) -> Vec<u8> {
    let mut secret = Vec::with_capacity(LENGTH);
    secret.extend((0..LENGTH).map(|at| letter(number, at)));
    secret
}

/// The first 16 bytes of what was freed are the allocator's, and of no account.
const FREED: usize = 16;

pub(crate) fn copies(number: u8) -> usize {
    copies_of(LENGTH - FREED, |at| letter(number, FREED + at))
}

/// How often these bytes are in memory that can be written to, the stack included.
pub(crate) fn copies_of(length: usize, byte: impl Fn(usize) -> u8) -> usize {
    let wanted: Zeroizing<Vec<u8>> = Zeroizing::new((0..length).map(byte).collect());
    places(length, &[&wanted])
}

/// At how many places there are 16 bytes of these, from one of every 16 on.
pub(crate) fn pieces_of(bytes: &'static [u8]) -> usize {
    let pieces: BTreeSet<&[u8]> = bytes.chunks_exact(16).collect();
    places(16, &Vec::from_iter(pieces))
}

/// Where in memory one of these is, all of this length.
fn places(length: usize, wanted: &[&[u8]]) -> usize {
    let memory = File::open("/proc/self/mem").unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let (mut found, mut buffer) = (0, vec![0; PART]);
    let finders: Vec<Finder<'_>> = wanted.iter().map(|bytes| Finder::new(*bytes)).collect();
    // What is read lies in memory, too, and so may what is wanted.
    let own = [&[&buffer[..]], wanted].concat();
    let own: Vec<_> = own
        .iter()
        .map(|bytes| bytes.as_ptr_range())
        .map(|range| range.start.addr()..range.end.addr())
        .collect();
    for line in maps.lines() {
        let mut words = line.split(' ');
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [mut at, to] = [from, to].map(|address| usize::from_str_radix(address, 16).unwrap());
        while at < to {
            // A part may be gone meanwhile.
            let count = memory.read_at(&mut buffer, at as u64).unwrap_or(0).min(to - at);
            if count < length {
                break;
            }
            // Most was never touched.
            if buffer[..count] != NOTHING[..count] {
                for finder in &finders {
                    let places = finder.find_iter(&buffer[..count]).map(|place| at + place);
                    found += places.filter(|place| !own.iter().any(|own| own.contains(place))).count();
                }
            }
            buffer.fill(0);
            at += count - length + 1;
        }
    }
    found
}

/// What PEM says in base64; at compile time, so that it is in no other memory.
pub(crate) const fn decoded<const N: usize>(pem: &str) -> [u8; N] {
    let (text, mut der) = (pem.as_bytes(), [0; N]);
    let (mut from, mut to, mut bits, mut count) = (0, 0, 0_u32, 0);
    while text[from] != b'\n' {
        from += 1;
    }
    while to < N {
        let six = match text[from] {
            letter @ b'A'..=b'Z' => letter - b'A',
            letter @ b'a'..=b'z' => letter - b'a' + 26,
            digit @ b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'\n' => 64,
            _ => panic!("the length is wrong"),
        };
        from += 1;
        if six < 64 {
            (bits, count) = (bits << 6 | six as u32, count + 6);
        }
        if count >= 8 {
            count -= 8;
            der[to] = (bits >> count & 0xff) as u8;
            to += 1;
        }
    }
    der
}
