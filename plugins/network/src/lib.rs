//! Traffic, errors and drops of the network interfaces, per second: `network,{host},bytes_in` and, of one interface,
//! `network,{host},bytes_in,eth0`.

mod choice;

use choice::Choice;
use graft_rates::{Fold, Folder, PROCFS, Rates, SYSFS, set_parts};
use plugin_api::{Collector, Delta, Error, ParamDecl, Params, export_collector};
use procfs_core::FromBufRead as _;
use procfs_core::net::{DeviceStatus, InterfaceDeviceStatus};
use std::collections::BTreeMap;

/// What is counted of an interface, in the order of [`counters`].
const METRICS: [&str; 8] =
    ["bytes_in", "bytes_out", "packets_in", "packets_out", "errors_in", "errors_out", "drops_in", "drops_out"];

/// Rates of the interfaces that carry the machine's traffic, each packet counted once.
#[derive(Debug)]
pub struct Network {
    procfs: Folder,
    choice: Choice,
    rates: Rates<{ METRICS.len() }>,
}

impl Collector for Network {
    const PARAMS: &'static [ParamDecl] = &[
        PROCFS,
        SYSFS,
        ParamDecl::new("interfaces", "[]", "the interfaces to count; none for those that stand on hardware"),
    ];

    fn new(params: &Params) -> Result<Network, Error> {
        let named = params.texts("interfaces")?.unwrap_or_default();
        let choice = Choice::new(Folder::new(params, &SYSFS)?, &named);
        Ok(Network { procfs: Folder::new(params, &PROCFS)?, choice, rates: Rates::default() })
    }

    fn collect(&mut self, out: &mut Delta) -> Result<(), Error> {
        let devices =
            self.procfs.parse("net/dev", |text| InterfaceDeviceStatus::from_buf_read(text.as_bytes()).ok())?.0;
        let chosen = self.choice.among(devices.keys().map(String::as_str));
        if chosen.is_empty() {
            let file = self.procfs.join("net/dev");
            return Err(Error::no_data(format_args!("{}: has {}", file.display(), self.choice.missing())));
        }
        let counters: BTreeMap<_, _> =
            chosen.into_iter().filter_map(|name| Some((name.to_owned(), counters(devices.get(name)?)))).collect();
        let rates = self.rates.sample(out.clock().monotonic(), counters);
        for (i, metric) in METRICS.iter().enumerate() {
            let parts = rates.iter().filter_map(|(name, rates)| Some((name.as_str(), rates[i]?)));
            set_parts(out, metric, Fold::Sum, parts);
        }
        Ok(())
    }
}

fn counters(device: &DeviceStatus) -> [u64; METRICS.len()] {
    [
        device.recv_bytes,
        device.sent_bytes,
        device.recv_packets,
        device.sent_packets,
        device.recv_errs,
        device.sent_errs,
        device.recv_drop,
        device.sent_drop,
    ]
}

export_collector!(Network, path = "network,{host}");
