//! Connections to listed pools: the programs, and the list in the kernel.

use std::collections::HashSet;

use aya::{
    Btf, Ebpf,
    maps::{
        MapData, PerCpuArray,
        lpm_trie::{Key, LpmTrie},
    },
    programs::{BtfTracePoint, Lsm},
};
use monitor_ebpf::{PoolPorts, PoolStats};
use rustix::net::{AddressFamily, SocketType};
use zerocopy::IntoBytes;

use super::{
    ProbeError, Settings,
    error::chain,
    load::{map, program},
    sum,
};
use crate::kernel::prefix::Prefix;

/// The tracepoint at which a connection is begun.
const BEGUN: &str = "inet_sock_set_state";
/// The security hook at which it is refused.
const REFUSED: &str = "socket_connect";

/// The list in the kernel. The programs live as long as the object they are of.
pub(super) struct Pools {
    listed: LpmTrie<MapData, [u8; 16], [u8; size_of::<PoolPorts>()]>,
    stats: PerCpuArray<MapData, [u8; size_of::<PoolStats>()]>,
}

impl Pools {
    /// Attaches what the settings ask for.
    pub(super) fn attach(
        ebpf: &mut Ebpf,
        btf: &Btf,
        settings: Settings,
    ) -> Result<Self, ProbeError> {
        if settings.pools {
            let name = BEGUN;
            let refused = |source| ProbeError::Program { name, source };
            let program: &mut BtfTracePoint = program(ebpf, name)?;
            program.load(name, btf).map_err(refused)?;
            program.attach().map_err(refused)?;
        }
        if settings.block_pools {
            let program: &mut Lsm = program(ebpf, REFUSED)?;
            let attached = program.load(REFUSED, btf).and_then(|()| program.attach());
            attached.map_err(|error| ProbeError::NoLsm { why: chain(&error) })?;
        }
        let pools = Self {
            listed: map(ebpf, "POOLS")?,
            stats: map(ebpf, "POOL_STATS")?,
        };
        // A kernel without BPF among its security modules takes the program and
        // never calls it.
        if settings.block_pools && !pools.is_called()? {
            let why = "the kernel takes the program and never calls it".to_owned();
            return Err(ProbeError::NoLsm { why });
        }
        Ok(pools)
    }

    /// Whether the security hook is called, when this process connects a socket
    /// to nowhere: that takes the address from it, and sends nothing.
    fn is_called(&self) -> Result<bool, ProbeError> {
        let before = self.stats()?.checked;
        let socket =
            rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).map_err(|errno| {
                ProbeError::Io {
                    what: "no socket to try --block-pools with",
                    source: errno.into(),
                }
            })?;
        // Whether it may be done does not matter.
        let _connected = rustix::net::connect_unspec(&socket);
        Ok(self.stats()?.checked > before)
    }

    /// Replaces the list. What stays on it is on it all the time.
    pub(super) fn list(&mut self, listed: &[(Prefix, PoolPorts)]) -> Result<(), ProbeError> {
        let failed = |source| ProbeError::Map {
            name: "POOLS",
            source,
        };
        let wanted: HashSet<(u32, [u8; 16])> = listed
            .iter()
            .map(|(prefix, _)| (prefix.bits.into(), prefix.address))
            .collect();
        let stale: Vec<_> = self
            .listed
            .keys()
            .filter_map(Result::ok)
            .filter(|key| !wanted.contains(&(key.prefix_len(), key.data())))
            .collect();
        // First what goes, for there to be room.
        for key in stale {
            self.listed.remove(&key).map_err(failed)?;
        }
        for (prefix, ports) in listed {
            let mut value = [0; size_of::<PoolPorts>()];
            value.copy_from_slice(ports.as_bytes());
            let key = Key::new(prefix.bits.into(), prefix.address);
            self.listed.insert(&key, value, 0).map_err(failed)?;
        }
        Ok(())
    }

    /// The counters, summed over all processors.
    pub(super) fn stats(&self) -> Result<PoolStats, ProbeError> {
        let per_cpu = self.stats.get(&0, 0).map_err(|source| ProbeError::Map {
            name: "POOL_STATS",
            source,
        })?;
        Ok(sum(per_cpu.iter()))
    }
}
