//! The operator's list of pools: pure.
//!
//! A line is a target and, if there is one, a name. A target is an address, a
//! prefix (`192.0.2.0/24`) or a host name, each with or without a port:
//! `192.0.2.7:3333`, `[2001:db8::/32]:3333`, `pool.example.org:3333`. Without one
//! any port is meant. A host name is looked up in the text of `/etc/hosts` if
//! the operator allows that, and nowhere else: to ask a name server would tell
//! the pool's owner.
//!
//! The kernel looks for the longest prefix only, so [`Pools::compiled`] gives
//! each prefix the ports of those around it.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use monitor_ebpf::{POOL_PORTS, POOL_PREFIXES, PoolPorts};

use super::{entries, list_name};
use crate::kernel::prefix::Prefix;
use unjack_core::text::clean;

/// Bits of a prefix at the least, of both versions: a slip of the pen must not
/// refuse half of the Internet.
const LEAST_BITS: (u8, u8) = (8, 16);
/// Bits by which an address of version 4 is longer when mapped.
const MAPPED: u8 = 96;

/// What is listed of a prefix: ports, `None` being any, and their names.
type Ports = BTreeMap<Option<u16>, String>;

/// The listed pools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pools {
    listed: BTreeMap<Prefix, Ports>,
    compiled: Vec<(Prefix, PoolPorts)>,
    /// Host names that lead to no address.
    pub unresolved: usize,
}

impl Pools {
    /// Reads a list. `hosts` is the text of `/etc/hosts`, if names may be looked
    /// up there.
    ///
    /// # Errors
    /// The first line that is none, from 1, and what is wrong with it.
    pub fn parse(text: &str, hosts: Option<&str>) -> Result<Self, (usize, String)> {
        let hosts = hosts.map(parse_hosts).unwrap_or_default();
        let mut pools = Self::default();
        let mut lines = HashMap::new();
        for (number, target, name) in entries(text) {
            let at = |problem| (number, problem);
            let name = list_name(name).map_err(at)?;
            let (host, port) = split_port(target).map_err(at)?;
            if let Some(prefix) = parse_prefix(host).map_err(at)? {
                pools.add(prefix, port, name).map_err(at)?;
                lines.insert(prefix, number);
                continue;
            }
            let found = hosts.get(&host.to_ascii_lowercase());
            pools.unresolved += usize::from(found.is_none());
            let name = if name.is_empty() { host } else { &name };
            for address in found.into_iter().flatten() {
                let prefix = Prefix::of(octets(*address), 128);
                pools.add(prefix, port, name.to_owned()).map_err(at)?;
                lines.insert(prefix, number);
            }
        }
        for prefix in pools.listed.keys() {
            let ports = ports(&pools.all_ports(*prefix)).ok_or_else(|| {
                let problem = format!(
                    "more than {POOL_PORTS} ports of one prefix and those around it: \
                     list it without a port"
                );
                (lines.get(prefix).copied().unwrap_or(1), problem)
            })?;
            pools.compiled.push((*prefix, ports));
        }
        Ok(pools)
    }

    fn add(&mut self, prefix: Prefix, port: Option<u16>, name: String) -> Result<(), String> {
        self.listed.entry(prefix).or_default().insert(port, name);
        if self.listed.len() > POOL_PREFIXES as usize {
            return Err(format!("more than {POOL_PREFIXES} prefixes"));
        }
        Ok(())
    }

    /// How many prefixes are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.listed.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The name of the listed pool that is meant by an address and port, the
    /// most particular if there are several; empty if it has none.
    #[must_use]
    pub fn find(&self, to: SocketAddr) -> Option<&str> {
        let address = octets(to.ip());
        (0..=128).rev().find_map(|bits| {
            let ports = self.listed.get(&Prefix::of(address, bits))?;
            let found = ports.get(&Some(to.port())).or_else(|| ports.get(&None))?;
            Some(found.as_str())
        })
    }

    /// What the kernel is given.
    #[must_use]
    pub fn compiled(&self) -> &[(Prefix, PoolPorts)] {
        &self.compiled
    }

    /// The ports of a prefix and of all it lies in.
    fn all_ports(&self, prefix: Prefix) -> Vec<Option<u16>> {
        let around = (0..=prefix.bits).map(|bits| Prefix::of(prefix.address, bits));
        let mut all: Vec<_> = around
            .filter_map(|prefix| self.listed.get(&prefix))
            .flat_map(|ports| ports.keys().copied())
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Ports as the kernel is given them; `None` if they are too many.
fn ports(all: &[Option<u16>]) -> Option<PoolPorts> {
    let mut ports = PoolPorts::default();
    if all.contains(&None) {
        return Some(ports);
    }
    for (place, port) in ports.ports.iter_mut().zip(all) {
        *place = port.unwrap_or(0);
    }
    ports.count = u32::try_from(all.len()).ok()?;
    (all.len() <= POOL_PORTS).then_some(ports)
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// A target's host and port.
fn split_port(target: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = if let Some(inside) = target.strip_prefix('[') {
        let (host, rest) = inside
            .split_once(']')
            .ok_or("there is no ']' to the '['".to_owned())?;
        if rest.is_empty() {
            return Ok((host, None));
        }
        let port = rest.strip_prefix(':');
        (host, port.ok_or("after ']' must come ':' and a port")?)
    } else {
        match target.split_once(':') {
            // More than one colon: version 6 without a port.
            Some((_, rest)) if rest.contains(':') => return Ok((target, None)),
            Some(parts) => parts,
            None => return Ok((target, None)),
        }
    };
    match port.parse() {
        Ok(port) if port > 0 => Ok((host, Some(port))),
        _ => Err(format!(
            "{:?} is no port from 1 to 65535",
            clean(port.as_bytes(), 80)
        )),
    }
}

/// An address or a prefix; `None` if it is a host name.
fn parse_prefix(host: &str) -> Result<Option<Prefix>, String> {
    let (address, bits) = match host.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (host, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        if bits.is_none() && is_host_name(host) {
            return Ok(None);
        }
        return Err(format!(
            "{:?} is no address, prefix or host name",
            clean(host.as_bytes(), 80)
        ));
    };
    let (most, least, more) = match address {
        IpAddr::V4(_) => (32, LEAST_BITS.0, MAPPED),
        IpAddr::V6(_) => (128, LEAST_BITS.1, 0),
    };
    let bits = match bits {
        None => most,
        Some(bits) => bits
            .parse::<u8>()
            .ok()
            .filter(|bits| (least..=most).contains(bits))
            .ok_or_else(|| format!("a prefix of this version has from {least} to {most} bits"))?,
    };
    let prefix = Prefix::of(octets(address), bits + more);
    if prefix.address != octets(address) {
        let shown = Ipv6Addr::from(prefix.address).to_canonical();
        return Err(format!(
            "has bits set after the first {bits}: write {shown}/{bits}"
        ));
    }
    Ok(Some(prefix))
}

/// A name as the DNS has them, which no slip in an address makes.
fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253
        && host.split('.').all(label)
        && last.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// `/etc/hosts`: names in lower case, each with its addresses. What is no entry
/// is skipped, as the resolver does.
fn parse_hosts(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let mut words = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        // Names that are led nowhere, as lists that block hosts do, must not put
        // this host's own addresses on the list.
        let leads = |address: &IpAddr| {
            let address = address.to_canonical();
            !address.is_loopback() && !address.is_unspecified()
        };
        if let Some(address) = address.filter(leads) {
            for name in words {
                hosts
                    .entry(name.to_ascii_lowercase())
                    .or_default()
                    .push(address);
            }
        }
    }
    hosts
}

#[cfg(test)]
mod tests;
