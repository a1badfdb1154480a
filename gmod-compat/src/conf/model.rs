//! The types that a gmond configuration is read into, with gmond's defaults (`lib/libgmond.c`, 3.7).

use super::error::{Pos, Warnings};

/// A whole gmond configuration, defaults filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gmond {
    /// `modules { module { … } }`, in order, switched off ones too.
    pub modules: Vec<Module>,
    /// `collection_group { … }`, in order.
    pub collection_groups: Vec<CollectionGroup>,
    /// `cluster { … }`.
    pub cluster: Cluster,
    /// `host { … }`.
    pub host: Host,
    /// `globals { … }`.
    pub globals: Globals,
    /// What was passed over or bent: unknown names, values out of range, metrics without a name, and the tree's own
    /// warnings before them.
    pub warnings: Warnings,
}

/// Who runs a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Language {
    /// A C module: `C/C++`, or no `language` at all.
    C,
    /// A Python module: `python`.
    Python,
    /// Any other, as written (`perl`, `php`). gmond leaves these to plugins of its own.
    Other(String),
}

/// One `module { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The name: the symbol of a C module, the file's stem of a Python one. Never empty.
    pub name: String,
    /// Who runs it.
    pub language: Language,
    /// The file of a C module, relative to `module_dir`.
    pub path: Option<String>,
    /// Whether it is to be loaded; default yes.
    pub enabled: bool,
    /// The one text that C modules get as `params`.
    pub params: Option<String>,
    /// The `param NAME { value = … }`, in order. Names differ, without regard to case; of two with one name the later
    /// is kept, in the place of the first.
    pub param: Vec<Param>,
    /// Where the section stands.
    pub pos: Pos,
}

/// One `param NAME { value = … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// The title as written; its case counts to the module.
    pub name: String,
    /// The value, always text; none if it was not given.
    pub value: Option<String>,
    /// Where the section stands.
    pub pos: Pos,
}

/// One `collection_group { … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectionGroup {
    /// Whether the metrics are collected at start alone; default no.
    pub collect_once: bool,
    /// Seconds between collections, at least 1; default 60.
    pub collect_every: u32,
    /// Seconds after which all is sent, changed or not; default 3600.
    pub time_threshold: u32,
    /// The metrics, in order.
    pub metrics: Vec<Metric>,
    /// Where the section stands.
    pub pos: Pos,
}

/// One `metric { … }`. At least one of `name` and `name_match` is given; gmond looks at `name_match` first.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The metric's name, or the start of several names (gmond: exact first, else as a prefix without regard
    /// to case).
    pub name: Option<String>,
    /// A PCRE pattern, searched anywhere in the names. Not compiled here.
    pub name_match: Option<String>,
    /// A change of at least this much sends the group at once; none is off (gmond's negative values).
    pub value_threshold: Option<f64>,
    /// The title shown to people; `\1` … stand for the groups of `name_match`.
    pub title: Option<String>,
    /// Where the section stands.
    pub pos: Pos,
}

/// `cluster { … }`; what is not given is `unspecified`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's name.
    pub name: String,
    /// Who runs it.
    pub owner: String,
    /// Where it stands: `N37.37 W122.23`.
    pub latlong: String,
    /// A page about it.
    pub url: String,
}

/// `host { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Where the host stands, `rack,rank,plane`; default `unspecified`.
    pub location: String,
}

/// `globals { … }`, with the defaults of gmond 3.7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Globals {
    /// Run in the background; default yes.
    pub daemonize: bool,
    /// Change to `user` after start; default yes.
    pub setuid: bool,
    /// The user to change to. Its default is chosen when gmond is built: `nobody`, on Debian `ganglia`.
    pub user: Option<String>,
    /// Above 0: stay in the foreground and print; what `ganglia.get_debug_msg_level()` tells a Python module. Default
    /// 0.
    pub debug_level: u32,
    /// Bytes of the longest packet sent; default 1472.
    pub max_udp_msg_len: u32,
    /// Send nothing; default no.
    pub mute: bool,
    /// Receive nothing; default no.
    pub deaf: bool,
    /// Send and show the extra elements of metrics; default yes.
    pub allow_extra_data: bool,
    /// Seconds of silence after which a host is forgotten, 0 for never; default 86400.
    pub host_dmax: u32,
    /// Seconds within which a host is expected to be heard; default 20.
    pub host_tmax: u32,
    /// Seconds between sweeps of what has expired; default 300.
    pub cleanup_threshold: u32,
    /// Whether gexec runs on the host; default no.
    pub gexec: bool,
    /// Seconds between metadata packets, 0 for once only; default 0.
    pub send_metadata_interval: u32,
    /// The folder of the C modules.
    pub module_dir: Option<String>,
    /// The name to send instead of the host's own.
    pub override_hostname: Option<String>,
    /// The address to send instead of the host's own.
    pub override_ip: Option<String>,
    /// Tags of the host, parted by commas.
    pub tags: Option<String>,
}

impl Default for Cluster {
    fn default() -> Self {
        let unspecified = || "unspecified".to_owned();
        Cluster { name: unspecified(), owner: unspecified(), latlong: unspecified(), url: unspecified() }
    }
}

impl Default for Host {
    fn default() -> Self {
        Host { location: "unspecified".to_owned() }
    }
}

impl Default for Globals {
    fn default() -> Self {
        Globals {
            daemonize: true,
            setuid: true,
            user: None,
            debug_level: 0,
            max_udp_msg_len: 1472,
            mute: false,
            deaf: false,
            allow_extra_data: true,
            host_dmax: 86_400,
            host_tmax: 20,
            cleanup_threshold: 300,
            gexec: false,
            send_metadata_interval: 0,
            module_dir: None,
            override_hostname: None,
            override_ip: None,
            tags: None,
        }
    }
}
