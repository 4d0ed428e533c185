//! What the guest says over its second serial port: frames with a checksum, because a serial line guarantees nothing. Pure.
//!
//! A frame is four bytes of mark, one of kind, four of length, four of checksum (both little-endian), and the content.

/// What a frame begins with.
const MARK: [u8; 4] = *b"\xb1mfl";

/// Bytes before the content.
const HEAD: usize = 13;

/// The most content of a frame, in bytes.
pub(super) const CONTENT_MOST: usize = 1 << 16;

/// How much that is no frame may come before the first one: firmware and the kernel's look at the port may leave some bytes.
const NOISE_MOST: usize = 4_096;

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The guest is up; the text says what it is.
    Up(Vec<u8>),
    /// What `brimful run` wrote to standard output.
    Out(Vec<u8>),
    /// What it wrote to standard error.
    Err(Vec<u8>),
    /// A part of the archive of the run's folder.
    Archive(Vec<u8>),
    /// It is over, with this exit status; nothing follows.
    End(u8),
}

/// Why bytes are no frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Neither a frame nor what may come before the first.
    #[error("something that is no frame")]
    NoFrame,
    /// The content is not what was sent.
    #[error("a frame whose checksum is wrong")]
    Checksum,
    /// Of a kind or a length that no frame has.
    #[error("a frame of no known kind or length")]
    Unknown,
}

impl Frame {
    fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Up(text) => (1, text),
            Self::Out(text) => (2, text),
            Self::Err(text) => (3, text),
            Self::Archive(part) => (4, part),
            Self::End(status) => (5, std::slice::from_ref(status)),
        }
    }

    fn from_parts(kind: u8, content: &[u8]) -> Option<Self> {
        let owned = || content.to_vec();
        Some(match (kind, content) {
            (1, _) => Self::Up(owned()),
            (2, _) => Self::Out(owned()),
            (3, _) => Self::Err(owned()),
            (4, _) => Self::Archive(owned()),
            (5, &[status]) => Self::End(status),
            _ => return None,
        })
    }

    /// Its bytes. Content beyond [`CONTENT_MOST`] is not one frame: whoever sends cuts it up.
    pub(super) fn print(&self) -> Vec<u8> {
        let (kind, content) = self.parts();
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(HEAD + content.len());
        bytes.extend_from_slice(&MARK);
        bytes.push(kind);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&checksum(kind, length, content).to_le_bytes());
        bytes.extend_from_slice(content);
        bytes
    }
}

/// FNV-1a of 32 bits (draft-eastlake-fnv, section 2): enough to notice a byte lost or changed on the way.
fn checksum(kind: u8, length: u32, content: &[u8]) -> u32 {
    let head = std::iter::once(kind).chain(length.to_le_bytes());
    head.chain(content.iter().copied())
        .fold(0x811c_9dc5, |sum: u32, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Puts bytes, as they come, together to frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// How many of them are used up.
    used: usize,
    begun: bool,
}

impl Frames {
    /// Takes what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.used);
        self.used = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, if one is there.
    ///
    /// # Errors
    /// When what came is none; nothing that follows means anything then.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if !self.begun && !self.skip_noise()? {
            return Ok(None);
        }
        let rest = self.bytes.get(self.used..).unwrap_or_default();
        if !rest.iter().zip(&MARK).all(|(byte, mark)| byte == mark) {
            return Err(FrameError::NoFrame);
        }
        let &[_, _, _, _, kind, l0, l1, l2, l3, c0, c1, c2, c3, ref rest @ ..] = rest else { return Ok(None) };
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        if size > CONTENT_MOST {
            return Err(FrameError::Unknown);
        }
        let Some(content) = rest.get(..size) else { return Ok(None) };
        if checksum(kind, length, content) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(FrameError::Checksum);
        }
        let frame = Frame::from_parts(kind, content).ok_or(FrameError::Unknown)?;
        self.used += HEAD + size;
        Ok(Some(frame))
    }

    /// Passes over what comes before the first mark. Returns whether the mark is there.
    fn skip_noise(&mut self) -> Result<bool, FrameError> {
        match self.bytes.windows(MARK.len()).position(|window| window == MARK) {
            Some(at) => {
                self.used = at;
                self.begun = true;
                Ok(true)
            }
            None if self.bytes.len() > NOISE_MOST => Err(FrameError::NoFrame),
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(frames: &mut Frames) -> Result<Vec<Frame>, FrameError> {
        std::iter::from_fn(|| frames.next().transpose()).collect()
    }

    #[test]
    fn a_changed_byte_is_noticed_wherever_it_is() {
        let sound = Frame::Out(b"every expectation holds".to_vec()).print();
        for at in 0..sound.len() {
            let mut bytes = [Frame::Up(Vec::new()).print(), sound.clone()].concat();
            bytes[HEAD + at] ^= 0x20;
            let mut frames = Frames::default();
            frames.push(&bytes);
            frames.push(&Frame::End(0).print());
            let heard = all(&mut frames);
            // A length made longer waits for bytes that never come.
            assert!(heard.is_err() || heard == Ok(vec![Frame::Up(Vec::new())]), "byte {at}: {heard:?}");
        }
    }

    #[test]
    fn noise_is_passed_over_before_the_first_frame_and_nowhere_else() {
        let mut frames = Frames::default();
        frames.push(b"\x1bcSeaBIOS\r\n\xb1m");
        assert_eq!(frames.next(), Ok(None));
        frames.push(b"\xb1");
        frames.push(&Frame::Up(b"6.1".to_vec()).print()[1..]);
        assert_eq!(frames.next(), Ok(Some(Frame::Up(b"6.1".to_vec()))));
        frames.push(b"oops");
        assert_eq!(frames.next(), Err(FrameError::NoFrame));
        let mut frames = Frames::default();
        frames.push(&[b'.'; NOISE_MOST + 1]);
        assert_eq!(frames.next(), Err(FrameError::NoFrame));
    }

    #[test]
    fn a_frame_of_another_kind_is_refused() {
        let mut bytes = Frame::End(7).print();
        bytes[4] = 9;
        let sum = checksum(9, 1, &[7]).to_le_bytes();
        bytes[9..13].copy_from_slice(&sum);
        let mut frames = Frames::default();
        frames.push(&bytes);
        assert_eq!(frames.next(), Err(FrameError::Unknown));
    }

    fn some() -> impl Strategy<Value = Frame> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
        prop_oneof![
            bytes().prop_map(Frame::Up),
            bytes().prop_map(Frame::Out),
            bytes().prop_map(Frame::Err),
            bytes().prop_map(Frame::Archive),
            any::<u8>().prop_map(Frame::End),
        ]
    }

    proptest! {
        #[test]
        fn what_was_said_is_heard_however_it_is_cut(said in proptest::collection::vec(some(), 0..6), piece in 1usize..30) {
            let bytes: Vec<u8> = said.iter().flat_map(Frame::print).collect();
            let mut frames = Frames::default();
            let mut heard = Vec::new();
            for part in bytes.chunks(piece) {
                frames.push(part);
                heard.extend(all(&mut frames).unwrap());
            }
            prop_assert_eq!(heard, said);
        }
    }
}
