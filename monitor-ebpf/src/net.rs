//! Connections to listed pools: seen as they are begun, or refused.
//!
//! Both programs are loaded only if there is a list. What is not on it costs one
//! lookup a connection and leaves no record.

use aya_ebpf::{
    btf_maps::lpm_trie::Key,
    helpers::generated::bpf_probe_read_kernel,
    macros::{btf_tracepoint, lsm},
    programs::{BtfTracePointContext, LsmContext},
};
use monitor_ebpf::{ConnectRecord, KIND_CONNECT, POOL_PORTS};

use crate::{
    kernel::{
        Object as _, SOCK_ADDRESS4, SOCK_ADDRESS6, SOCK_FAMILY, SOCK_PORT, TASK_LEADER, TASK_START,
        TASK_TGID, Typed, Untyped,
    },
    maps::{EVENTS, POOL_CALLS, POOL_STATS, POOLS, count},
    task::{self, NO_WAKEUP},
};

/// `AF_INET` and `AF_INET6`, include/linux/socket.h.
const INET: u16 = 2;
const INET6: u16 = 10;
/// `TCP_SYN_SENT`, `include/net/tcp_states.h`.
const SYN_SENT: u32 = 2;
/// `-EPERM`.
const REFUSED: i32 = -1;
/// Bits of an address, mapped into version 6 if it is of version 4.
const ADDRESS_BITS: u32 = 128;
/// Bytes of a `struct sockaddr_in6` up to the end of the address. The kernel
/// holds every address in 128 bytes.
const SOCKADDR: usize = 24;

/// `(const struct sock *sk, const int oldstate, const int newstate)`. A socket
/// gets this state in the call of connect, its destination being set, by the
/// thread that called.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    let state: u32 = ctx.arg(2);
    if state != SYN_SENT {
        return 0;
    }
    // SAFETY: an argument of the hook: `sk`.
    let sock = unsafe { Typed::new(ctx.arg(0)) };
    let family: u16 = sock.read(&SOCK_FAMILY);
    let address = match family {
        INET => mapped(sock.read(&SOCK_ADDRESS4)),
        INET6 => {
            let mut address = [0; 16];
            // SAFETY: the helper checks the address it reads from.
            unsafe {
                let from = sock.as_ptr().add(SOCK_ADDRESS6.load() as usize);
                bpf_probe_read_kernel((&raw mut address).cast(), 16, from.cast());
            }
            address
        }
        _ => return 0,
    };
    let port = u16::from_be(sock.read(&SOCK_PORT));
    if is_listed(address, port) {
        count!(POOL_STATS.begun += 1);
        tell(address, port, false);
    }
    0
}

/// `(struct socket *sock, struct sockaddr *address, int addrlen)`, and what the
/// programs before this one say.
#[lsm(hook = "socket_connect")]
fn socket_connect(ctx: LsmContext) -> i32 {
    let before: i32 = ctx.arg(3);
    if before != 0 {
        return before;
    }
    count!(POOL_STATS.checked += 1);
    let from: *const u8 = ctx.arg(1);
    let mut raw = [0_u8; SOCKADDR];
    // SAFETY: the helper checks the address it reads from.
    let read = unsafe { bpf_probe_read_kernel((&raw mut raw).cast(), 24, from.cast()) };
    if read != 0 {
        return 0;
    }
    let address = match u16::from_ne_bytes([raw[0], raw[1]]) {
        INET => mapped(u32::from_ne_bytes([raw[4], raw[5], raw[6], raw[7]])),
        INET6 => {
            let mut address = [0; 16];
            address.copy_from_slice(&raw[8..]);
            address
        }
        _ => return 0,
    };
    let port = u16::from_be_bytes([raw[2], raw[3]]);
    if !is_listed(address, port) {
        return 0;
    }
    count!(POOL_STATS.refused += 1);
    tell(address, port, true);
    REFUSED
}

/// An address of version 4, in the network's order, as one of version 6.
#[inline(always)]
fn mapped(address: u32) -> [u8; 16] {
    let [a, b, c, d] = address.to_ne_bytes();
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

#[inline(always)]
fn is_listed(address: [u8; 16], port: u16) -> bool {
    let Some(listed) = POOLS.get(&Key::new(ADDRESS_BITS, address)) else {
        return false;
    };
    if listed.count == 0 {
        return true;
    }
    let mut found = false;
    for at in 0..POOL_PORTS {
        #[expect(clippy::cast_possible_truncation, reason = "there are a few ports")]
        let valid = (at as u32) < listed.count;
        found |= valid && listed.ports[at] == port;
    }
    found
}

/// Tells the collector, at most once a second per process: a process that connects
/// in a loop does not fill the ring.
#[inline(always)]
fn tell(address: [u8; 16], port: u16, refused: bool) {
    let current = Untyped::current();
    let tgid: u32 = current.read(&TASK_TGID);
    let time_ns = task::now();
    let second = time_ns >> 30;
    if let Some(last) = POOL_CALLS.get_ptr(tgid) {
        // SAFETY: pointers from the map are valid for the program's run.
        if unsafe { *last } == second {
            count!(POOL_STATS.untold += 1);
            return;
        }
    }
    let record = ConnectRecord {
        kind: KIND_CONNECT,
        tgid,
        start_ns: current.follow(&TASK_LEADER).read(&TASK_START),
        time_ns,
        address,
        port: port.into(),
        refused: refused.into(),
    };
    // A full table forgets another; then that is told of twice.
    let _inserted = POOL_CALLS.insert(tgid, second, 0);
    if EVENTS
        .output_untyped::<ConnectRecord>(&record, NO_WAKEUP)
        .is_err()
    {
        count!(POOL_STATS.untold += 1);
    }
}
