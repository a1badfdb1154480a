//! `gmond.on`: what the built-in module `gmond` takes over of gmond itself. It is TOML.

use super::Note;
use crate::conf::{Gmond, Item, Section, Tree};
use std::fmt::Write;
use std::net::IpAddr;

/// gmond's port, for packets and for XML.
const PORT: u16 = 8649;

/// Seconds of the longest time that graftd takes: 366 days.
const HOST_DMAX_MAX: u32 = 366 * 86_400;

/// Where gmond listened.
struct Channel {
    /// `FILE:LINE:COLUMN`.
    at: String,
    /// The address, and the group that it joins if it is one of multicast; none: all addresses.
    address: Option<String>,
    port: u16,
    /// All addresses are those of IPv6.
    six: bool,
    /// The interface on which it joins.
    interface: Option<String>,
    /// It has an access list.
    acl: bool,
}

/// Appends the text. What differs from what gmond did is told. Whether the module is to run: gmond listened.
pub(super) fn gmond_on(tree: &Tree, gmond: &Gmond, text: &mut String, notes: &mut Vec<Note>) -> bool {
    let mut note = |at: &str, what: String| notes.push(Note { at: at.to_owned(), what, missing: false });
    let mut said = String::from("plugin = \"gmond\"\n");
    let unspecified = |value: &str| value.is_empty() || value == "unspecified";
    let names = [
        ("cluster", &gmond.cluster.name),
        ("owner", &gmond.cluster.owner),
        ("latlong", &gmond.cluster.latlong),
        ("url", &gmond.cluster.url),
        ("location", &gmond.host.location),
    ];
    for (key, value) in names.into_iter().filter(|(_, value)| !unspecified(value)) {
        _ = writeln!(said, "{key} = {}", quoted(value));
    }
    if (1..=HOST_DMAX_MAX).contains(&gmond.globals.host_dmax) {
        _ = writeln!(said, "host_dmax = \"{}s\"", gmond.globals.host_dmax);
    }
    let deaf = gmond.globals.deaf;
    let mut listened = false;
    for (name, key, what) in [
        ("udp_recv_channel", "udp", "What gmetric and other gmonds send."),
        ("tcp_accept_channel", "tcp", "XML, for gmetad and gstat."),
    ] {
        let channels = channels(tree, name);
        if channels.is_empty() || deaf {
            continue;
        }
        _ = writeln!(said, "\n# {what}");
        let (own, others): (Vec<&Channel>, Vec<&Channel>) = channels.iter().partition(|channel| channel.is_loopback());
        let mut listens: Vec<String> = own.iter().map(|channel| channel.local()).collect();
        listens.extend(channels.first().filter(|_| own.is_empty()).map(Channel::local));
        listens.dedup();
        if !others.is_empty() {
            let addresses: Vec<String> = others.iter().map(|channel| quoted(&channel.text())).collect();
            said.push_str(
                "# gmond listened where other hosts reach it. ganglia knows no token, so that needs an `allow`:\n",
            );
            if !said.contains("# allow =") {
                said.push_str("# allow = [\"10.0.0.0/8\"]\n");
            }
            _ = writeln!(said, "# {key} = [{}]", addresses.join(", "));
            if let Some(interface) = others.iter().find_map(|channel| channel.interface.as_ref()) {
                _ = writeln!(said, "# interface = {}", quoted(interface));
            }
        }
        for channel in others {
            let acl = if channel.acl { ", and its acl does not come over: see allow" } else { "" };
            let (there, here) = (channel.text(), listens.join(" and "));
            note(
                &channel.at,
                format!("gmond listened on {there}; gmond.on has that as a comment and listens on {here}{acl}"),
            );
        }
        let quoted: Vec<String> = listens.iter().map(|address| quoted(address)).collect();
        _ = writeln!(said, "{key} = [{}]", quoted.join(", "));
        listened = true;
    }
    if deaf {
        said.push_str("\n# gmond was deaf: it listened to nobody.\n");
    }
    text.push_str(&said);
    for item in &tree.items {
        let at = item.pos().to_string();
        if item.name().eq_ignore_ascii_case("udp_send_channel") {
            note(&at, "not needed: what modules say is in the tree, and gmetad may poll it (gmond.on, tcp)".to_owned());
        } else if item.name().eq_ignore_ascii_case("sflow") {
            note(&at, "graftd takes no sFlow; left out".to_owned());
        }
    }
    let globals = &gmond.globals;
    let main = tree.items.iter().find(|item| item.name().eq_ignore_ascii_case("globals"));
    let at = main.map(|item| item.pos().to_string()).unwrap_or_default();
    if let Some(host) = &globals.override_hostname {
        note(&at, format!("override_hostname: write host = {} into graftd.conf", quoted(host)));
    }
    if globals.override_ip.is_some() {
        note(&at, "override_ip has no counterpart; left out".to_owned());
    }
    listened
}

fn channels(tree: &Tree, name: &str) -> Vec<Channel> {
    let sections = tree.items.iter().filter_map(|item| match item {
        Item::Section(section) if section.name.eq_ignore_ascii_case(name) => Some(section),
        _ => None,
    });
    sections
        .map(|section| {
            let value = |key| value(section, key).filter(|value| !value.is_empty());
            Channel {
                at: section.pos.to_string(),
                address: value("mcast_join").or(value("bind")).map(str::to_owned),
                port: value("port").and_then(|port| port.parse().ok()).unwrap_or(PORT),
                six: value("family").is_some_and(|family| family == "inet6"),
                interface: value("mcast_if").map(str::to_owned),
                acl: section.items.iter().any(|item| item.name().eq_ignore_ascii_case("acl")),
            }
        })
        .collect()
}

/// The last value of a key, as gmond takes it.
fn value<'a>(section: &'a Section, key: &str) -> Option<&'a str> {
    section.items.iter().rev().find_map(|item| match item {
        Item::Set(set) if set.key.eq_ignore_ascii_case(key) => set.values.first().map(|word| word.text.as_str()),
        _ => None,
    })
}

impl Channel {
    fn is_loopback(&self) -> bool {
        self.address.as_deref().is_some_and(|address| {
            address == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        })
    }

    /// The address as it stands, or that which stands for all.
    fn text(&self) -> String {
        let address = self.address.as_deref().unwrap_or(if self.six { "::" } else { "0.0.0.0" });
        if address.contains(':') { format!("[{address}]:{}", self.port) } else { format!("{address}:{}", self.port) }
    }

    /// The same port on this machine alone.
    fn local(&self) -> String {
        match self.address.as_deref().and_then(|address| address.parse().ok()) {
            Some(IpAddr::V6(address)) if address.is_loopback() => format!("[{address}]:{}", self.port),
            Some(IpAddr::V4(address)) if address.is_loopback() => format!("{address}:{}", self.port),
            _ => format!("127.0.0.1:{}", self.port),
        }
    }
}

/// A text as TOML quotes it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => _ = write!(out, "\\u{:04X}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
