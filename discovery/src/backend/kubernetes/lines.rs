//! Lines of a stream that may break off at any place.

use std::io::{Error, ErrorKind, Result};

use futures_util::io::{AsyncBufRead, AsyncBufReadExt};

/// The longest line that is read, in bytes. An object in Kubernetes is at most a few MiB.
const LONGEST: usize = 32 << 20;

/// Reads lines. Waiting for the next one may be given up and taken up again without losing anything.
pub(super) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) const fn new(reader: R) -> Self {
        Self { reader, line: Vec::new() }
    }

    /// The next line, or `None` at the end; a line that is cut off by it does not count.
    pub(super) async fn next(&mut self) -> Result<Option<String>> {
        loop {
            let chunk = self.reader.fill_buf().await?;
            let Some(end) = chunk.iter().position(|byte| *byte == b'\n') else {
                let length = chunk.len();
                if length == 0 {
                    return Ok(None);
                }
                self.line.extend_from_slice(chunk);
                self.reader.consume_unpin(length);
                if self.line.len() > LONGEST {
                    return Err(Error::new(
                        ErrorKind::InvalidData,
                        format!("a line is longer than {LONGEST} bytes"),
                    ));
                }
                continue;
            };
            self.line.extend_from_slice(chunk.get(..end).unwrap_or_default());
            self.reader.consume_unpin(end + 1);
            let line = std::mem::take(&mut self.line);
            return String::from_utf8(line)
                .map(Some)
                .map_err(|_| Error::new(ErrorKind::InvalidData, "a line is not UTF-8"));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::io::{BufReader, Cursor};

    use super::*;

    #[test]
    fn lines_are_put_together_from_pieces_of_any_size() {
        for size in [1, 2, 3, 100] {
            let mut lines = Lines::new(BufReader::with_capacity(size, Cursor::new("one\n\nthree\ncut o")));
            let mut next = || lines.next().now_or_never().unwrap().unwrap();
            assert_eq!(next().as_deref(), Some("one"));
            assert_eq!(next().as_deref(), Some(""));
            assert_eq!(next().as_deref(), Some("three"));
            assert_eq!(next(), None);
        }
    }

    #[test]
    fn what_is_no_text_or_too_long_is_an_error() {
        let mut lines = Lines::new(Cursor::new(b"\xff\n"));
        assert!(lines.next().now_or_never().unwrap().is_err());
        let mut lines = Lines::new(BufReader::new(futures_util::io::repeat(b'x')));
        assert!(lines.next().now_or_never().unwrap().is_err());
    }
}
