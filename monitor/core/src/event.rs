//! Bytes from the ring to [`Event`]: the only decoding of the wire.
//!
//! The kernel wrote the bytes, but what is in them (names, code) a process
//! chose. Nothing here trusts more than lengths.

mod payload;

use std::net::{Ipv6Addr, SocketAddr};

use monitor_ebpf::{
    CODE_BYTES, ConnectRecord, ExecRecord, ExitRecord, KIND_CONNECT, KIND_EXEC, KIND_EXIT,
    KIND_PAYLOAD, KIND_SAMPLE, REGISTERS, SAMPLE_COMPAT, SAMPLE_IO, SAMPLE_KERNEL, SAMPLE_ROUNDING,
    STACK_WORDS, SampleRecord,
};
use zerocopy::FromBytes;

pub use self::payload::Payload;

/// The rounding mode in `MXCSR`, bits 13 and 14, 0 being to nearest: Intel SDM
/// volume 1, 10.2.3.
#[cfg(not(target_arch = "aarch64"))]
const ROUNDING: u32 = 0x6000;
/// The rounding mode in `FPCR`, bits 22 and 23, 0 being to nearest: Arm ARM,
/// C5.2.8.
#[cfg(target_arch = "aarch64")]
const ROUNDING: u32 = 0x00c0_0000;

/// The rounding mode in such a register, 0 to 3.
fn mode(register: u32) -> u8 {
    let mode = (register & ROUNDING) >> ROUNDING.trailing_zeros();
    u8::try_from(mode).unwrap_or(0)
}

/// A process, for good: its id may be used again, its start time not.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Process {
    /// Thread-group id.
    #[serde(rename = "pid")]
    pub tgid: u32,
    /// Nanoseconds since boot at which its leader was forked.
    pub start_ns: u64,
}

/// Something the probes saw.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack; most are samples"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A process began to execute an image.
    Exec {
        /// The process.
        process: Process,
        /// Nanoseconds of `CLOCK_MONOTONIC`.
        time_ns: u64,
        /// The image; its inode is 0 where that is not known.
        image: ImageKey,
    },
    /// A process that used at least a millisecond is gone.
    Exit {
        /// The process.
        process: Process,
        /// On-CPU nanoseconds since it was tracked.
        cpu_ns: u64,
        /// The process that forked it, if that was seen; otherwise 0.
        parent: u32,
        /// Name of its last thread, hostile.
        comm: [u8; monitor_ebpf::COMM_BYTES],
    },
    /// A look at what a thread executes.
    Sample(Sample),
    /// A process connects to a listed pool.
    Connect(Process, Contact),
    /// A packet was sent on a watched socket.
    Payload(Payload),
}

/// A connection to a listed pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Where to.
    pub to: SocketAddr,
    /// It was refused.
    pub refused: bool,
}

/// The file a process executes, as the kernel tells files apart. Only good for
/// comparing with another of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey {
    /// Device, in the kernel's own encoding.
    pub device: u32,
    /// Inode; 0 if the process executes no file.
    pub inode: u64,
}

/// A thread's own counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// On-CPU nanoseconds so far.
    pub run_ns: u64,
    /// Context switches it asked for.
    pub voluntary: u64,
    /// Context switches that were forced on it.
    pub involuntary: u64,
    /// Bytes moved by its read and write calls, if the kernel counts them.
    pub io_bytes: Option<u64>,
    /// Page faults.
    pub faults: u64,
}

/// A look at what a thread executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The process.
    pub process: Process,
    /// The thread.
    pub tid: u32,
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// User instruction pointer; 0 if unknown.
    pub ip: u64,
    /// It was taken while the kernel worked for the thread; there is no code.
    pub kernel: bool,
    /// It is of 32-bit code on a 64-bit kernel.
    pub compat: bool,
    /// The file its process executes.
    pub image: ImageKey,
    /// Id of its cgroup in the unified hierarchy.
    pub cgroup: u64,
    /// The thread's counters.
    pub counters: Counters,
    /// The floating-point rounding mode it had when it was last switched out, if that
    /// could be read: 0 to nearest, and 1 to 3 for down, up and towards zero, in
    /// the processor's own order.
    pub rounding: Option<u8>,
    /// General registers; all 0 if the sample interrupted the kernel.
    pub registers: [u64; REGISTERS],
    /// The words from the stack pointer upwards; all 0 if they could not be had.
    pub stack: [u64; STACK_WORDS],
    code: [u8; CODE_BYTES],
    code_len: u8,
}

impl Sample {
    /// The bytes at [`Self::ip`]; empty if it was in the kernel or they could
    /// not be read.
    #[must_use]
    pub fn code(&self) -> &[u8] {
        &self.code[..usize::from(self.code_len)]
    }

    /// A user-mode sample, for tests and replay. Takes at most [`CODE_BYTES`]
    /// of `code`.
    #[must_use]
    pub fn user(process: Process, tid: u32, time_ns: u64, ip: u64, code: &[u8]) -> Self {
        let mut bytes = [0; CODE_BYTES];
        let len = code.len().min(CODE_BYTES);
        bytes[..len].copy_from_slice(&code[..len]);
        Self {
            process,
            tid,
            time_ns,
            ip,
            kernel: false,
            compat: false,
            image: ImageKey::default(),
            cgroup: 0,
            counters: Counters::default(),
            rounding: None,
            registers: [0; REGISTERS],
            stack: [0; STACK_WORDS],
            code: bytes,
            code_len: small(len),
        }
    }
}

/// A record that is not one of the ABI's: probes and collector do not match.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("record of kind {kind} and {len} bytes is none of the ABI's")]
pub struct Malformed {
    /// Its first word, 0 if it is shorter than that.
    pub kind: u32,
    /// Its length in bytes.
    pub len: usize,
}

/// Decodes one record.
///
/// # Errors
/// [`Malformed`] if it is of no known kind or too short for its kind.
pub fn decode(bytes: &[u8]) -> Result<Event, Malformed> {
    let kind = bytes
        .first_chunk()
        .map_or(0, |word| u32::from_ne_bytes(*word));
    let malformed = || Malformed {
        kind,
        len: bytes.len(),
    };
    Ok(match kind {
        KIND_EXEC => exec(bytes).ok_or_else(malformed)?,
        KIND_EXIT => {
            let (record, _) = ExitRecord::read_from_prefix(bytes).map_err(|_| malformed())?;
            let ExitRecord {
                kind: _,
                tgid,
                start_ns,
                time_ns: _,
                cpu_ns,
                parent,
                reserved: _,
                comm,
            } = record;
            Event::Exit {
                process: Process { tgid, start_ns },
                cpu_ns,
                parent,
                comm,
            }
        }
        KIND_SAMPLE => {
            let (record, _) = SampleRecord::read_from_prefix(bytes).map_err(|_| malformed())?;
            let SampleRecord {
                kind: _,
                tgid,
                tid,
                flags,
                start_ns,
                time_ns,
                ip,
                code_len,
                cpu: _,
                image_device,
                rounding,
                image_inode,
                cgroup,
                run_ns,
                voluntary,
                involuntary,
                io_bytes,
                faults,
                registers,
                code,
                stack,
            } = record;
            Event::Sample(Sample {
                process: Process { tgid, start_ns },
                tid,
                time_ns,
                ip,
                kernel: flags & SAMPLE_KERNEL != 0,
                compat: flags & SAMPLE_COMPAT != 0,
                image: ImageKey {
                    device: image_device,
                    inode: image_inode,
                },
                cgroup,
                counters: Counters {
                    run_ns,
                    voluntary,
                    involuntary,
                    io_bytes: (flags & SAMPLE_IO != 0).then_some(io_bytes),
                    faults,
                },
                rounding: (flags & SAMPLE_ROUNDING != 0).then_some(mode(rounding)),
                registers,
                stack,
                code,
                code_len: small((code_len as usize).min(CODE_BYTES)),
            })
        }
        KIND_CONNECT => connection(bytes).ok_or_else(malformed)?,
        KIND_PAYLOAD => Payload::decode(bytes)
            .map(Event::Payload)
            .ok_or_else(malformed)?,
        _ => return Err(malformed()),
    })
}

/// An exec, if it is all there.
fn exec(bytes: &[u8]) -> Option<Event> {
    let (record, _) = ExecRecord::read_from_prefix(bytes).ok()?;
    let ExecRecord {
        kind: _,
        tgid,
        start_ns,
        time_ns,
        image_inode,
        image_device,
        reserved: _,
        comm: _,
    } = record;
    Some(Event::Exec {
        process: Process { tgid, start_ns },
        time_ns,
        image: ImageKey {
            device: image_device,
            inode: image_inode,
        },
    })
}

fn connection(bytes: &[u8]) -> Option<Event> {
    let (record, _) = ConnectRecord::read_from_prefix(bytes).ok()?;
    let ConnectRecord {
        kind: _,
        tgid,
        start_ns,
        time_ns: _,
        address,
        port,
        refused,
    } = record;
    let address = Ipv6Addr::from(address).to_canonical();
    let contact = Contact {
        to: SocketAddr::new(address, u16::try_from(port).ok()?),
        refused: refused != 0,
    };
    Some(Event::Connect(Process { tgid, start_ns }, contact))
}

/// A code length, at most [`CODE_BYTES`].
fn small(len: usize) -> u8 {
    const { assert!(CODE_BYTES <= u8::MAX as usize) };
    u8::try_from(len).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests;
