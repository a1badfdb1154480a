//! What a tree means to gmond 3.7: modules, collection groups, cluster, host and globals.
//!
//! Names of keys and sections are compared without regard to case. A singular section that comes again (`cluster`,
//! `modules`) goes on where it was: later keys win, the rest stays. A key that comes again wins. This was measured on
//! libconfuse 3.3 with gmond's own options.
//!
//! **Unknown names.** gmond refuses a file with one in it (`no such option 'x'`, `Parse error`), and an unknown
//! section too. Here it is a [warning](Gmond::warnings) with its place and the nearest known name, and the rest of
//! the file counts: one word of a newer or patched gmond should not cost a module. What gmond could not read either
//! stays an error: a section without its title, `+=` (gmond has no list), a number that is none.
//!
//! The channels (`udp_send_channel`, `udp_recv_channel`, `tcp_accept_channel`) and `sflow` are known and passed over.

use super::error::{Error, Warnings, did_you_mean, quoted};
use super::model::{Cluster, CollectionGroup, Globals, Gmond, Host, Language, Metric, Module, Param};
use super::parser::{Item, Section, Set, Tree};
use super::value::Value;

/// The sections of gmond that say nothing to graftd.
const PASSED_OVER: &[&str] = &["udp_send_channel", "udp_recv_channel", "tcp_accept_channel", "sflow"];

/// Seconds and sizes are C `int`s in gmond.
const INT_MAX: u32 = i32::MAX.unsigned_abs();

impl Gmond {
    /// Reads a tree, its includes already followed.
    ///
    /// # Errors
    /// The first thing of a wrong shape: an `=` where a section belongs or the reverse, a title that
    /// is missing or too many, a list, a boolean or number that is none.
    pub fn from_tree(tree: &Tree) -> Result<Gmond, Error> {
        let mut out = Gmond { warnings: tree.warnings.clone(), ..Gmond::default() };
        let sections = ["modules", "collection_group", "cluster", "host", "globals"];
        for item in &tree.items {
            if PASSED_OVER.iter().any(|name| name.eq_ignore_ascii_case(item.name())) {
                continue;
            }
            match known(item, "the file", &[], &sections, &mut out.warnings)? {
                Some(Known::Section("modules", section)) => out.modules(section)?,
                Some(Known::Section("collection_group", section)) => {
                    let group = CollectionGroup::read(section, &mut out.warnings)?;
                    out.collection_groups.push(group);
                }
                Some(Known::Section("cluster", section)) => out.cluster.read(section, &mut out.warnings)?,
                Some(Known::Section("host", section)) => out.host.read(section, &mut out.warnings)?,
                Some(Known::Section("globals", section)) => out.globals.read(section, &mut out.warnings)?,
                _ => {}
            }
        }
        Ok(out)
    }

    /// The block that configures the Python module in `STEM.py`: the first that is switched on, is of the language
    /// Python, and has that name, without regard to case.
    pub fn python_module(&self, stem: &str) -> Option<&Module> {
        self.modules.iter().find(|module| {
            module.enabled && module.language == Language::Python && module.name.eq_ignore_ascii_case(stem)
        })
    }

    fn modules(&mut self, section: &Section) -> Result<(), Error> {
        untitled(section)?;
        for item in &section.items {
            if let Some(Known::Section(_, module)) = known(item, "modules", &[], &["module"], &mut self.warnings)? {
                self.modules.extend(Module::read(module, &mut self.warnings)?);
            }
        }
        Ok(())
    }
}

impl Module {
    /// None, with a warning, if it has no name.
    fn read(section: &Section, warnings: &mut Warnings) -> Result<Option<Module>, Error> {
        untitled(section)?;
        let mut out = Module {
            name: String::new(),
            language: Language::C,
            path: None,
            enabled: true,
            params: None,
            param: Vec::new(),
            pos: section.pos.clone(),
        };
        let keys = ["name", "language", "enabled", "path", "params"];
        // Where each title stands in `param`: a module with a hundred thousand of them is silly, not slow.
        let mut places = std::collections::HashMap::new();
        for item in &section.items {
            match known(item, "module", &keys, &["param"], warnings)? {
                Some(Known::Key(value)) => match value.key {
                    "name" => out.name = value.string(),
                    "language" => out.language = Language::read(value.text),
                    "enabled" => out.enabled = value.boolean()?,
                    "path" => out.path = Some(value.string()),
                    _ => out.params = Some(value.string()),
                },
                Some(Known::Section(_, section)) => {
                    let param = Param::read(section, warnings)?;
                    let place = *places.entry(param.name.to_ascii_lowercase()).or_insert(out.param.len());
                    match out.param.get_mut(place) {
                        Some(earlier) => *earlier = param,
                        None => out.param.push(param),
                    }
                }
                None => {}
            }
        }
        if out.name.is_empty() {
            warnings.push(Error::at(&section.pos, "a module without a name is passed over", "add `name = \"…\"`"));
            return Ok(None);
        }
        Ok(Some(out))
    }
}

impl Language {
    fn read(text: &str) -> Language {
        if text.eq_ignore_ascii_case("python") {
            Language::Python
        } else if text.eq_ignore_ascii_case("C/C++") {
            Language::C
        } else {
            Language::Other(text.to_owned())
        }
    }
}

impl Param {
    fn read(section: &Section, warnings: &mut Warnings) -> Result<Param, Error> {
        let Some(title) = &section.title else {
            return Err(Error::at(&section.pos, "`param` without a name", "write `param NAME { value = … }`"));
        };
        let mut out = Param { name: title.clone(), value: None, pos: section.pos.clone() };
        for item in &section.items {
            if let Some(Known::Key(value)) = known(item, "param", &["value"], &[], warnings)? {
                out.value = Some(value.string());
            }
        }
        Ok(out)
    }
}

impl CollectionGroup {
    fn read(section: &Section, warnings: &mut Warnings) -> Result<CollectionGroup, Error> {
        untitled(section)?;
        let mut out = CollectionGroup {
            collect_once: false,
            collect_every: 60,
            time_threshold: 3600,
            metrics: Vec::new(),
            pos: section.pos.clone(),
        };
        let keys = ["collect_once", "collect_every", "time_threshold"];
        for item in &section.items {
            match known(item, "collection_group", &keys, &["metric"], warnings)? {
                Some(Known::Key(value)) => match value.key {
                    "collect_once" => out.collect_once = value.boolean()?,
                    // gmond takes 0 and then collects without a pause.
                    "collect_every" => out.collect_every = value.integer(1..=INT_MAX, warnings)?,
                    _ => out.time_threshold = value.integer(0..=INT_MAX, warnings)?,
                },
                Some(Known::Section(_, section)) => out.metrics.extend(Metric::read(section, warnings)?),
                None => {}
            }
        }
        Ok(out)
    }
}

impl Metric {
    /// None, with a warning, if it names nothing.
    fn read(section: &Section, warnings: &mut Warnings) -> Result<Option<Metric>, Error> {
        untitled(section)?;
        let mut out =
            Metric { name: None, name_match: None, value_threshold: None, title: None, pos: section.pos.clone() };
        let keys = ["name", "name_match", "value_threshold", "title"];
        for item in &section.items {
            if let Some(Known::Key(value)) = known(item, "metric", &keys, &[], warnings)? {
                match value.key {
                    "name" => out.name = Some(value.string()),
                    "name_match" => out.name_match = Some(value.string()),
                    // A NaN is never reached, so it is off, as a negative one is.
                    "value_threshold" => {
                        let threshold = value.number()?;
                        out.value_threshold = (threshold >= 0.0).then_some(threshold);
                    }
                    _ => out.title = Some(value.string()),
                }
            }
        }
        if out.name.is_none() && out.name_match.is_none() {
            warnings.push(Error::at(
                &section.pos,
                "a metric without a name is passed over",
                "add `name = \"…\"` or `name_match = \"…\"`",
            ));
            return Ok(None);
        }
        Ok(Some(out))
    }
}

impl Cluster {
    fn read(&mut self, section: &Section, warnings: &mut Warnings) -> Result<(), Error> {
        untitled(section)?;
        for item in &section.items {
            if let Some(Known::Key(value)) =
                known(item, "cluster", &["name", "owner", "latlong", "url"], &[], warnings)?
            {
                let place = match value.key {
                    "name" => &mut self.name,
                    "owner" => &mut self.owner,
                    "latlong" => &mut self.latlong,
                    _ => &mut self.url,
                };
                *place = value.string();
            }
        }
        Ok(())
    }
}

impl Host {
    fn read(&mut self, section: &Section, warnings: &mut Warnings) -> Result<(), Error> {
        untitled(section)?;
        for item in &section.items {
            if let Some(Known::Key(value)) = known(item, "host", &["location"], &[], warnings)? {
                self.location = value.string();
            }
        }
        Ok(())
    }
}

impl Globals {
    fn read(&mut self, section: &Section, warnings: &mut Warnings) -> Result<(), Error> {
        const KEYS: &[&str] = &[
            "daemonize",
            "setuid",
            "user",
            "debug_level",
            "max_udp_msg_len",
            "mute",
            "deaf",
            "allow_extra_data",
            "host_dmax",
            "host_tmax",
            "cleanup_threshold",
            "gexec",
            "send_metadata_interval",
            "module_dir",
            "override_hostname",
            "override_ip",
            "tags",
        ];
        untitled(section)?;
        for item in &section.items {
            let Some(Known::Key(value)) = known(item, "globals", KEYS, &[], warnings)? else { continue };
            match value.key {
                "daemonize" => self.daemonize = value.boolean()?,
                "setuid" => self.setuid = value.boolean()?,
                "mute" => self.mute = value.boolean()?,
                "deaf" => self.deaf = value.boolean()?,
                "allow_extra_data" => self.allow_extra_data = value.boolean()?,
                "gexec" => self.gexec = value.boolean()?,
                "debug_level" => self.debug_level = value.integer(0..=INT_MAX, warnings)?,
                "max_udp_msg_len" => self.max_udp_msg_len = value.integer(0..=INT_MAX, warnings)?,
                "host_dmax" => self.host_dmax = value.integer(0..=INT_MAX, warnings)?,
                "host_tmax" => self.host_tmax = value.integer(0..=INT_MAX, warnings)?,
                "cleanup_threshold" => self.cleanup_threshold = value.integer(0..=INT_MAX, warnings)?,
                "send_metadata_interval" => self.send_metadata_interval = value.integer(0..=INT_MAX, warnings)?,
                "user" => self.user = Some(value.string()),
                "module_dir" => self.module_dir = Some(value.string()),
                "override_hostname" => self.override_hostname = Some(value.string()),
                "override_ip" => self.override_ip = Some(value.string()),
                _ => self.tags = Some(value.string()),
            }
        }
        Ok(())
    }
}

/// An item whose name is known.
enum Known<'a> {
    Key(Value<'a>),
    Section(&'static str, &'a Section),
}

/// Looks an item up among the keys and sections that may stand `within`. None, with a warning, if it is not among them.
fn known<'a>(
    item: &'a Item,
    within: &str,
    keys: &[&'static str],
    sections: &[&'static str],
    warnings: &mut Warnings,
) -> Result<Option<Known<'a>>, Error> {
    let find = |names: &[&'static str]| names.iter().copied().find(|name| name.eq_ignore_ascii_case(item.name()));
    match (item, find(keys), find(sections)) {
        (Item::Set(set), Some(key), _) => Ok(Some(Known::Key(one(set, key)?))),
        (Item::Section(section), _, Some(name)) => Ok(Some(Known::Section(name, section))),
        (_, Some(key), _) => {
            Err(Error::at(item.pos(), format!("`{key}` is a key in {within}"), format!("write `{key} = …`")))
        }
        (_, _, Some(name)) => {
            Err(Error::at(item.pos(), format!("`{name}` is a section in {within}"), format!("write `{name} {{ … }}`")))
        }
        (_, None, None) => {
            let what = match item {
                Item::Set(_) => "key",
                Item::Section(_) => "section",
                Item::Call(_) => "function",
            };
            let what = format!("unknown {what} {} in {within}", quoted(item.name()));
            warnings.push(Error::at(item.pos(), what, did_you_mean(item.name(), &[keys, sections])));
            Ok(None)
        }
    }
}

/// The one value of a key. gmond has no lists, so neither `+=` nor `{…}`.
fn one<'a>(set: &'a Set, key: &'static str) -> Result<Value<'a>, Error> {
    match set.values.as_slice() {
        [word] if !set.list && !set.append => Ok(Value { key, text: &word.text, pos: &word.pos }),
        _ => Err(Error::at(&set.pos, format!("`{key}` takes one value, not a list"), format!("write `{key} = …`"))),
    }
}

fn untitled(section: &Section) -> Result<(), Error> {
    match &section.title {
        None => Ok(()),
        Some(title) => {
            let what = format!("{} takes no title, found {}", quoted(&section.name), quoted(title));
            Err(Error::at(&section.pos, what, "remove it"))
        }
    }
}

#[cfg(test)]
#[path = "gmond_tests.rs"]
mod tests;
