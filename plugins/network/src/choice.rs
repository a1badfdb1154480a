//! Which interfaces are counted.
//!
//! A packet on its way to a container passes eth0, a bridge and a pair of veths: counted at each, it is four packets.
//! Names tell little (`br-3f2a`, `cali81`, `wlp2s0`), so the kernel is asked: an interface that stands on hardware,
//! real or a hypervisor's, has a `device` in `/sys/class/net/NAME`. Bridges, bonds, VLANs, veths, tunnels and ifbs have
//! none. Members of a bond or a bridge are counted, for their master has none. A master with a `device` of its own
//! counts what its members carry (Hyper-V's accelerated networking, net_failover): there the members are left out.

use graft_rates::Folder;

/// The interface that only the machine itself sees.
const LOOPBACK: &str = "lo";

#[derive(Debug)]
pub(crate) struct Choice {
    sysfs: Folder,
    /// Empty: those that stand on hardware.
    named: Vec<String>,
}

impl Choice {
    pub(crate) fn new(sysfs: Folder, named: &[&str]) -> Choice {
        Choice { sysfs, named: named.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// Those to count of the interfaces that are there now.
    pub(crate) fn among<'a>(&self, there: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        if !self.named.is_empty() {
            return there.filter(|name| self.named.iter().any(|named| named == name)).collect();
        }
        let outside: Vec<&str> = there.filter(|name| *name != LOOPBACK).collect();
        let hard: Vec<&str> = outside.iter().copied().filter(|name| self.stands_on_hardware(name)).collect();
        // A container has no hardware: its eth0 is one end of a pair of veths.
        if hard.is_empty() { outside } else { hard }
    }

    /// What there is none of, for an error.
    pub(crate) fn missing(&self) -> String {
        if self.named.is_empty() {
            "no interface but the loopback".to_owned()
        } else {
            format!("none of params.interfaces ({})", self.named.join(", "))
        }
    }

    fn stands_on_hardware(&self, name: &str) -> bool {
        let has = |what: &str| self.sysfs.join(format!("class/net/{name}/{what}")).exists();
        has("device") && !has("master/device")
    }
}
