//! Payloads that are read while they are sent.

use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Where the bytes of a [`StreamedPayload`] come from. They are read on a thread where blocking is allowed, in order, and
/// from the first again when the message has to be sent again; the same bytes each time.
pub trait ReadAt: Send + Sync + 'static {
    /// Fill the whole buffer with the bytes from `offset` on.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// A payload that is not held in memory but read while it is sent, a chunk of 256 KiB at a time, and again if it has to be
/// sent again.
///
/// ```no_run
/// # use packetboat::{Client, QoS, StreamedPayload};
/// # async fn upload(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
/// let image = StreamedPayload::open("firmware.img")?;
/// client.publish("devices/7/firmware", image).qos(QoS::AtLeastOnce).await?;
/// # Ok(())
/// # }
/// ```
///
/// The length is announced before the first byte is sent, and a message cannot be taken back half-way. So if the bytes
/// are not to be had then (the file was cut short, its disk failed), the connection is closed before the message is whole,
/// and the message fails with [`Withdrawal::PayloadLost`](crate::Withdrawal::PayloadLost), or, if it had been sent whole
/// once, with [`Uncertainty::PayloadLost`](crate::Uncertainty::PayloadLost); [`failure`](Self::failure) says why. A file
/// that is replaced by renaming is safe; one that is written to meanwhile arrives as it was when each part was read.
///
/// In the bounds of the queue it counts as its topic and properties alone. At QoS 0 a message is finished when its turn to
/// be written has come: [`Client::flush`](crate::Client::flush) waits until it is written. Works on every version.
#[derive(Clone)]
pub struct StreamedPayload(Arc<Reading<dyn ReadAt>>);

struct Reading<S: ?Sized> {
    length: usize,
    failure: OnceLock<io::Error>,
    source: S,
}

impl StreamedPayload {
    /// The contents of a file, as long as it is now. It is kept open until the message is delivered. Opening is quick,
    /// and done here, on the calling thread. A pipe, a device or a folder has no length to announce, and is an error.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        // Opening a pipe would wait for somebody to write to it.
        let regular = |metadata: &Metadata| {
            let error = || io::Error::new(io::ErrorKind::InvalidInput, "only a regular file has a length");
            metadata.is_file().then_some(()).ok_or_else(error)
        };
        regular(&std::fs::metadata(&path)?)?;
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        regular(&metadata)?;
        let length = usize::try_from(metadata.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        Ok(Self::new(length, file))
    }

    /// So many bytes of anything.
    pub fn new(length: usize, source: impl ReadAt) -> Self {
        // Far too long is refused when it is published; until then sums with it must not overflow.
        let length = length.min(usize::MAX / 2);
        Self(Arc::new(Reading { length, failure: OnceLock::new(), source }))
    }

    /// Bytes of it.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an empty one is as good as any")]
    pub fn len(&self) -> usize {
        self.0.length
    }

    /// Why the bytes were not to be had, if they were not.
    #[must_use]
    pub fn failure(&self) -> Option<&io::Error> {
        self.0.failure.get()
    }

    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], offset: usize) -> io::Result<()> {
        self.0.source.read_exact_at(buffer, offset as u64)
    }

    /// It cannot be sent any more.
    pub(crate) fn lose(&self, error: io::Error) {
        let _ = self.0.failure.set(error);
    }
}

impl fmt::Debug for StreamedPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamedPayload")
            .field("len", &self.len())
            .field("failure", &self.failure())
            .finish_non_exhaustive()
    }
}

#[cfg(unix)]
impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

#[cfg(windows)]
impl ReadAt for File {
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(self, buffer, offset)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => (buffer, offset) = (&mut buffer[count..], offset + count as u64),
            }
        }
        Ok(())
    }
}
