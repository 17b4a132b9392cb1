//! Lines of a stream that may break off at any place.

use std::io::{Error, ErrorKind, Result};
use std::pin::pin;

use futures_util::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt};

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
                    return Err(unfit(format!("a line is longer than {LONGEST} bytes")));
                }
                continue;
            };
            self.line.extend_from_slice(chunk.get(..end).unwrap_or_default());
            self.reader.consume_unpin(end + 1);
            let line = std::mem::take(&mut self.line);
            return text(line).map(Some);
        }
    }
}

/// All that a stream holds up to its end, which is at most `longest` bytes away.
pub(super) async fn whole(stream: impl AsyncRead, longest: usize) -> Result<String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(1);
    pin!(stream.take(limit)).read_to_end(&mut bytes).await?;
    if bytes.len() > longest {
        return Err(unfit(format!("it is longer than {longest} bytes")));
    }
    text(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| unfit("it is not UTF-8".to_owned()))
}

fn unfit(what: String) -> Error {
    Error::new(ErrorKind::InvalidData, what)
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
    #[test]
    fn a_whole_is_read_up_to_a_limit() {
        let read = |bytes: &'static [u8], longest| whole(Cursor::new(bytes), longest).now_or_never().unwrap();
        assert_eq!(read(b"four", 4).unwrap(), "four");
        let error = read(b"four", 3).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::InvalidData, "it is longer than 3 bytes")
        );
        assert_eq!(read(b"\xff", 3).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
