//! Where a trace comes from: a file or standard input, plain or gzip-compressed, read line by line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;
use std::str;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

/// The longest line that is read, in bytes; a longer one is no operation.
pub const MAX_LINE_BYTES: usize = 64 << 20;

/// The two bytes with which every gzip member begins.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

const READ_BYTES: usize = 256 << 10;

/// An open trace.
pub struct Source {
    /// As messages name it: the path, or `standard input`.
    pub name: String,
    /// The uncompressed text.
    pub reader: Box<dyn BufRead>,
    /// Bytes of the file, if it is one.
    pub total_bytes: Option<u64>,
    /// Bytes read so far, before decompression.
    pub read_bytes: ReadBytes,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Source {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    ///
    /// The file can't be opened or its first bytes not be read.
    pub fn open(path: &Path) -> io::Result<Source> {
        if path.as_os_str() == "-" {
            return Source::new("standard input".to_owned(), io::stdin().lock(), None);
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Source::new(path.display().to_string(), file, metadata.is_file().then_some(metadata.len()))
    }

    /// Wraps any reader; looks at its first two bytes.
    ///
    /// # Errors
    ///
    /// These can't be read.
    pub fn new(name: String, reader: impl Read + 'static, total_bytes: Option<u64>) -> io::Result<Source> {
        let read_bytes = ReadBytes::default();
        let mut reader = BufReader::with_capacity(READ_BYTES, Counted { reader, read: read_bytes.clone() });
        let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
        reader.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut magic)?;
        let gzip = magic == GZIP_MAGIC;
        let whole: Chain<Cursor<Vec<u8>>, _> = Cursor::new(magic).chain(reader);
        let reader: Box<dyn BufRead> = if gzip {
            Box::new(BufReader::with_capacity(READ_BYTES, MultiGzDecoder::new(whole)))
        } else {
            Box::new(whole)
        };
        Ok(Source { name, reader, total_bytes, read_bytes })
    }
}

/// How far a source has been read; shared with whoever shows it.
#[derive(Debug, Clone, Default)]
pub struct ReadBytes(Arc<AtomicU64>);

impl ReadBytes {
    /// Bytes so far.
    pub fn get(&self) -> u64 {
        // Relaxed: shown to a person, orders nothing.
        self.0.load(Ordering::Relaxed)
    }
}

struct Counted<R> {
    reader: R,
    read: ReadBytes,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reader.read(buffer)?;
        // Relaxed: as in `ReadBytes::get`.
        self.read.0.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// The lines of a source, one buffer for all of them.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// From the first line on.
    pub fn new(reader: R) -> Self {
        Lines { reader, buffer: Vec::new(), number: 0 }
    }

    /// The number of the line last read, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its line break, or `None` at the end.
    ///
    /// # Errors
    ///
    /// It can't be read, is longer than [`MAX_LINE_BYTES`] or is not UTF-8.
    pub fn next_line(&mut self) -> io::Result<Option<&str>> {
        self.number += 1;
        self.buffer.clear();
        let most = MAX_LINE_BYTES as u64 + 1;
        self.reader.by_ref().take(most).read_until(b'\n', &mut self.buffer)?;
        let line = match self.buffer.as_slice() {
            [] => return Ok(None),
            [line @ .., b'\n'] => line,
            line => line,
        };
        if line.len() > MAX_LINE_BYTES {
            let message = format!("the line is longer than {MAX_LINE_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        str::from_utf8(line).map(Some).map_err(|error| {
            let message = format!("bad JSON: not UTF-8 at byte {}", error.valid_up_to() + 1);
            io::Error::new(io::ErrorKind::InvalidData, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    /// Hands out one byte at a time, as a pipe may.
    struct Dripping(Cursor<Vec<u8>>);

    impl Read for Dripping {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(1);
            self.0.read(&mut buffer[..most])
        }
    }

    fn lines(bytes: Vec<u8>) -> io::Result<Vec<String>> {
        let source = Source::new("x".into(), Dripping(Cursor::new(bytes)), None)?;
        let mut lines = Lines::new(source.reader);
        let mut read = Vec::new();
        while let Some(line) = lines.next_line()? {
            read.push(line.to_owned());
        }
        Ok(read)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_compressed_text_give_the_same_lines() {
        let expected = vec!["a".to_owned(), String::new(), "b\r".into(), "c".into()];
        assert_eq!(lines(b"a\n\nb\r\nc".to_vec()).unwrap(), expected);
        assert_eq!(lines(b"a\n\nb\r\nc\n".to_vec()).unwrap(), expected);
        assert_eq!(lines(gzip("a\n\nb\r\nc\n")).unwrap(), expected);
        assert_eq!(lines([gzip("a\n\nb"), gzip("\r\nc")].concat()).unwrap(), expected);
        assert_eq!(lines(Vec::new()).unwrap(), Vec::<String>::new());
        assert_eq!(lines(b"x".to_vec()).unwrap(), ["x"]);
    }

    #[test]
    fn what_is_cut_or_no_text_is_an_error() {
        let whole = gzip(&"line\n".repeat(1000));
        assert!(lines(whole[..whole.len() - 9].to_vec()).is_err());
        assert!(lines(vec![0x1f, 0x8b]).is_err());
        assert!(lines(b"a\n\xff\n".to_vec()).is_err());
    }
}
