//! What suspects say on their sockets. What they are told is not looked at: who
//! tells it chose it.
//!
//! The program is in the kernel only while a process is suspected, and then
//! sees every packet that the host sends: what is of no watched socket costs one
//! lookup. Every packet passes.
//!
//! A socket is known by its cookie, not by its addresses: those may be another
//! socket's in another network namespace, the cookie is unique to one socket.

use core::hint::black_box;

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_socket_cookie, bpf_skb_load_bytes},
    macros::cgroup_skb,
    programs::SkBuffContext,
};
use monitor_ebpf::{KIND_PAYLOAD, PAYLOAD_BYTES, PAYLOADS_A_SECOND, PayloadRecord, Watched};

use crate::{
    maps::{EVENTS, WATCH_STATS, WATCHED, count},
    task::{self, NO_WAKEUP},
};

/// What the hook answers: the packet passes.
const PASS: i32 = 1;
/// `IPPROTO_TCP`, include/uapi/linux/in.h.
const TCP: u8 = 6;
/// Bytes of an IPv6 header.
const HEADER6: u32 = 40;
/// Where in a TCP header the number of the payload's first byte is.
const SEQUENCE: u32 = 4;
/// Where in a TCP header its own length is, in words of four bytes, in the
/// upper half.
const DATA_OFFSET: u32 = 12;
/// Bytes of the end of a line at the most.
const LINE_END: u32 = 2;
/// Bytes copied at the most.
#[expect(clippy::cast_possible_truncation, reason = "it is a few hundred")]
const MOST: u32 = PAYLOAD_BYTES as u32;

#[cgroup_skb(egress)]
fn stratum_out(ctx: SkBuffContext) -> i32 {
    look(&ctx);
    PASS
}

#[inline(always)]
fn look(ctx: &SkBuffContext) {
    // SAFETY: the helper takes this program's own context.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.as_ptr()) };
    let Some(watched) = WATCHED.get_ptr_mut(cookie) else {
        return;
    };
    let Some(Segment { start, sequence }) = segment(ctx) else {
        return;
    };
    let bytes = ctx.len().wrapping_sub(start);
    if start >= ctx.len() {
        return;
    }
    // SAFETY: `watched` is from the map.
    if unsafe { is_again(watched, sequence, bytes) } {
        return;
    }
    count!(WATCH_STATS.packets += 1);
    // A message is an object of JSON, and a connection of Stratum has nothing else.
    // Where anything else is sent, a message is only a piece of other data: of
    // that, only the count leaves the kernel.
    match ctx.load::<u8>(start as usize) {
        Ok(b'{') => {}
        // The end of a line, by itself.
        Ok(b'\r' | b'\n' | b' ') if bytes <= LINE_END => return,
        _ => {
            // SAFETY: as above.
            unsafe { add_foreign(watched) };
            return;
        }
    }
    // SAFETY: as above.
    let (due, foreign) = unsafe { (is_due(watched), (*watched).foreign) };
    if !due || !tell(ctx, cookie, foreign, start, bytes) {
        // The content of the message is not known.
        // SAFETY: as above.
        unsafe { add_foreign(watched) };
        count!(WATCH_STATS.dropped += 1);
    }
}

/// What is to be known of a TCP segment.
struct Segment {
    /// Where in the packet its payload begins.
    start: u32,
    /// The number of the payload's first byte.
    sequence: u32,
}

/// Nothing for other packets, and for version 6 with headers in between, which no
/// ordinary connection has.
#[inline(always)]
fn segment(ctx: &SkBuffContext) -> Option<Segment> {
    let first: u8 = ctx.load(0).ok()?;
    let (protocol, header) = match first >> 4 {
        4 => (ctx.load::<u8>(9).ok()?, u32::from(first & 0xf) * 4),
        6 => (ctx.load::<u8>(6).ok()?, HEADER6),
        _ => return None,
    };
    if protocol != TCP {
        return None;
    }
    let words: u8 = ctx.load((header + DATA_OFFSET) as usize).ok()?;
    let sequence: u32 = ctx.load((header + SEQUENCE) as usize).ok()?;
    Some(Segment {
        start: header + u32::from(words >> 4) * 4,
        sequence: u32::from_be(sequence),
    })
}

/// Whether all of this was sent before: the hook sees what TCP sends again, too, and
/// one message is not two for that.
///
/// # Safety
/// `watched` must be a value of the map. Other processors write to it as well.
#[inline(always)]
unsafe fn is_again(watched: *mut Watched, sequence: u32, bytes: u32) -> bool {
    let next = sequence.wrapping_add(bytes);
    // SAFETY: the caller's contract.
    unsafe {
        // Numbers go round: of two the one less than half of them ahead is the
        // later.
        let beyond = next.wrapping_sub((*watched).next);
        if (*watched).begun != 0 && (beyond == 0 || beyond > u32::MAX / 2) {
            return true;
        }
        (*watched).begun = 1;
        (*watched).next = next;
    }
    false
}

/// Whether a packet may be copied this second. Two processors may both take the
/// last of its share, which is accepted.
///
/// # Safety
/// As for [`is_again`].
#[inline(always)]
unsafe fn is_due(watched: *mut Watched) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "seconds since boot")]
    let second = (task::now() >> 30) as u32;
    // SAFETY: the caller's contract.
    unsafe {
        if (*watched).second != second {
            (*watched).second = second;
            (*watched).copied = 0;
        }
        let copied = (*watched).copied.wrapping_add(1);
        (*watched).copied = copied;
        copied <= PAYLOADS_A_SECOND
    }
}

/// Counts a packet of which it is not known that it is a message.
///
/// # Safety
/// As for [`is_again`].
#[inline(always)]
unsafe fn add_foreign(watched: *mut Watched) {
    // SAFETY: the caller's contract.
    unsafe { (*watched).foreign = (*watched).foreign.wrapping_add(1) };
}

/// Copies the head of the payload for the collector; whether that was possible.
#[inline(always)]
fn tell(ctx: &SkBuffContext, cookie: u64, foreign: u32, start: u32, bytes: u32) -> bool {
    let Some(mut entry) = EVENTS.reserve_untyped::<PayloadRecord>(0) else {
        return false;
    };
    let record = entry.as_mut_ptr();
    // The compiler knows that there is a byte at least, the verifier does not. That
    // of 6.1 learns nothing from a comparison with 0: it is to see both bounds in
    // the bits.
    const { assert!(MOST.is_power_of_two()) };
    let len = (black_box(bytes).min(MOST).wrapping_sub(1) & (MOST - 1)) + 1;
    // SAFETY: `record` points to a reserved, writable record, all of which is
    // written before it is submitted. The helper writes `len` bytes at most.
    let copied = unsafe {
        record.write(PayloadRecord {
            kind: KIND_PAYLOAD,
            len,
            cookie,
            time_ns: task::now(),
            foreign,
            reserved: 0,
            payload: [0; PAYLOAD_BYTES],
        });
        let to = (&raw mut (*record).payload).cast();
        bpf_skb_load_bytes(ctx.as_ptr(), start, to, len)
    };
    if copied < 0 {
        entry.discard(NO_WAKEUP);
        return false;
    }
    entry.submit(NO_WAKEUP);
    true
}
