//! Mutations that are the same in every run: what a fuzzer would do, without its feedback.

/// Pieces that formats are made of, and that parsers stumble over.
const PIECES: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "-0.0",
    "18446744073709551616",
    "4294967296",
    "65536",
    "%",
    "%00",
    "%ff",
    "%2",
    "/",
    "//",
    "///",
    "?",
    "#",
    "&",
    "=",
    ";",
    "|",
    "@",
    " ",
    "\n",
    "\u{0}",
    "é",
    "\u{feff}",
    "[::",
    "127.0.0.1:80",
];

/// A small generator of numbers (xorshift64*): the same seed, the same numbers.
pub struct Numbers(u64);

impl Numbers {
    /// Begins anew; any seed will do.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `end`, 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or(0).checked_rem(end).unwrap_or(0)
    }
}

/// `data` with one to four changes; `others` are what pieces may be taken from.
pub fn mutate(data: &[u8], others: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..=numbers.below(4) {
        change(&mut data, others, numbers);
    }
    data
}

fn change(data: &mut Vec<u8>, others: &[Vec<u8>], numbers: &mut Numbers) {
    let at = numbers.below(data.len() + 1);
    let to = (at + numbers.below(16)).min(data.len());
    match numbers.below(8) {
        0 => data.truncate(at),
        1 => drop(data.drain(at..to)),
        2 => insert(data, at, PIECES[numbers.below(PIECES.len())].as_bytes()),
        3 => drop(data.splice(at..to, PIECES[numbers.below(PIECES.len())].bytes())),
        4 => insert(data, at, &data[at..to].repeat(1 + numbers.below(200))),
        5 => flip(data, at, numbers),
        6 => swap_digits(data, numbers),
        _ => cross(data, at, others, numbers),
    }
}

fn insert(data: &mut Vec<u8>, at: usize, piece: &[u8]) {
    drop(data.splice(at..at, piece.iter().copied()));
}

fn flip(data: &mut [u8], at: usize, numbers: &mut Numbers) {
    if let Some(byte) = data.get_mut(at) {
        *byte ^= 1 << numbers.below(8);
    }
}

/// Numbers are where limits are.
fn swap_digits(data: &mut [u8], numbers: &mut Numbers) {
    for byte in data.iter_mut().filter(|byte| byte.is_ascii_digit()) {
        if numbers.below(4) == 0 {
            *byte = b'0' + u8::try_from(numbers.below(10)).unwrap_or(0);
        }
    }
}

/// Goes on as another sample does.
fn cross(data: &mut Vec<u8>, at: usize, others: &[Vec<u8>], numbers: &mut Numbers) {
    let Some(other) = others.get(numbers.below(others.len())) else { return };
    data.truncate(at);
    data.extend_from_slice(other.get(numbers.below(other.len())..).unwrap_or_default());
}
