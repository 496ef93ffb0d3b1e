//! Payloads that are kept where they are.

/// A payload of which the session keeps a handle instead of a copy. Cloning it is cheap.
///
/// Bytes in memory are all it takes: whatever is `AsRef<[u8]>` and `Clone` is a handle. One whose bytes are elsewhere, in
/// a file for example, has `absent` ones instead. The session never looks at them: it announces their number, and whoever
/// writes its [`Output`](super::Output) fetches them.
pub trait Handle: Clone {
    /// The bytes in memory.
    fn resident(&self) -> &[u8];

    /// How many bytes follow those in memory.
    #[inline]
    fn absent(&self) -> usize {
        0
    }

    /// Absent bytes turned out not to be had. A connection that had announced them is to be closed; the message ends
    /// where it would be sent next.
    #[inline]
    fn is_lost(&self) -> bool {
        false
    }
}

impl<P: AsRef<[u8]> + Clone> Handle for P {
    #[inline]
    fn resident(&self) -> &[u8] {
        self.as_ref()
    }
}
