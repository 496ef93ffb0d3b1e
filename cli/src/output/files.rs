//! `--output`: a file that begins anew when it is full, and some that were full before.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file of at most so many bytes, unless a single message is longer. Full ones are kept as `name.1` and so on, the
/// youngest first.
#[derive(Debug)]
pub(crate) struct Files {
    path: PathBuf,
    file: File,
    size: u64,
    limit: Option<u64>,
    keep: u32,
}

impl Files {
    /// What is in the file stays.
    pub(crate) fn open(path: &Path, limit: Option<u64>, keep: u32) -> io::Result<Self> {
        let file = open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size, limit, keep })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A message is never in two files.
    pub(super) fn write<'a>(&mut self, messages: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        let mut together = Vec::new();
        for message in messages {
            let (length, waiting) = (message.len() as u64, together.len() as u64);
            if self.size + waiting > 0 && self.limit.is_some_and(|limit| self.size + waiting + length > limit)
            {
                self.append(&together)?;
                together.clear();
                self.rotate()?;
            }
            together.extend_from_slice(message);
        }
        self.append(&together)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (0..self.keep).rev() {
            let from = if number == 0 { self.path.clone() } else { self.numbered(number) };
            match std::fs::rename(&from, self.numbered(number + 1)) {
                // There have not been so many.
                Err(error) if error.kind() == io::ErrorKind::NotFound && number > 0 => {}
                result => result?,
            }
        }
        if self.keep == 0 {
            self.file.set_len(0)?;
        }
        self.file = open(&self.path)?;
        self.size = 0;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
