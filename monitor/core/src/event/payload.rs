//! What was sent on a watched socket.

use monitor_ebpf::{PAYLOAD_BYTES, PayloadRecord};
use zerocopy::FromBytes;

/// The head of what a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The socket.
    pub cookie: u64,
    /// When it was sent, nanoseconds of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// How many packets that are no message were sent on it before.
    pub foreign: u32,
    bytes: [u8; PAYLOAD_BYTES],
    len: usize,
}

impl Payload {
    /// A packet sent at this moment, before which nothing else was. Takes at most
    /// [`PAYLOAD_BYTES`] of `text`.
    #[must_use]
    pub fn new(cookie: u64, time_ns: u64, text: &[u8]) -> Self {
        let mut bytes = [0; PAYLOAD_BYTES];
        let len = text.len().min(PAYLOAD_BYTES);
        bytes[..len].copy_from_slice(&text[..len]);
        Self {
            cookie,
            time_ns,
            foreign: 0,
            bytes,
            len,
        }
    }

    /// The bytes, hostile.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// From a record; nothing if it is too short.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (record, _) = PayloadRecord::read_from_prefix(bytes).ok()?;
        let PayloadRecord {
            kind: _,
            len,
            cookie,
            time_ns,
            foreign,
            reserved: _,
            payload,
        } = record;
        let len = (len as usize).min(PAYLOAD_BYTES);
        Some(Self {
            foreign,
            ..Self::new(cookie, time_ns, &payload[..len])
        })
    }
}

#[cfg(test)]
mod tests {
    use monitor_ebpf::KIND_PAYLOAD;
    use zerocopy::IntoBytes;

    use super::{super::*, *};

    #[track_caller]
    fn check(len: u32, expected: &[u8]) {
        let mut payload = [0; PAYLOAD_BYTES];
        payload[..2].copy_from_slice(b"{}");
        let record = PayloadRecord {
            kind: KIND_PAYLOAD,
            len,
            cookie: 7,
            time_ns: 5,
            foreign: 3,
            reserved: 0,
            payload,
        };
        let Ok(Event::Payload(payload)) = decode(record.as_bytes()) else {
            panic!("not a payload")
        };
        let expected = Payload {
            foreign: 3,
            ..Payload::new(7, 5, expected)
        };
        assert_eq!(payload, expected);
    }

    #[test]
    fn as_many_bytes_as_are_valid() {
        check(2, b"{}");
    }

    #[test]
    fn a_length_beyond_the_record_is_cut() {
        let mut all = [0; PAYLOAD_BYTES];
        all[..2].copy_from_slice(b"{}");
        check(u32::MAX, &all);
    }
}
