//! From an installation to a plan.

use super::channels::gmond_on;
use super::owners::{is_core, owner};
use super::parting::{Block, Group, origin, parted, whole};
use super::{BUILT_IN, Conf, Content, FindLibrary, Installation, Note, Plan, Put, To};
use crate::conf::{Error, Gmond, Item, Language, Module, Pos, Section, parse};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Says what is to be done.
///
/// # Errors
/// `gmond.conf` says what gmond could not read either.
pub fn plan(found: &Installation, find: &FindLibrary<'_>) -> Result<Plan, Error> {
    let mut planner = Planner {
        found,
        find,
        plan: Plan::default(),
        seen: BTreeMap::new(),
        confs: BTreeSet::new(),
        plugins: BTreeSet::new(),
        broken: found.broken.clone(),
    };
    let mut read = Vec::new();
    for conf in found.main.iter().chain(&found.others) {
        match Gmond::from_tree(&conf.loaded.tree) {
            Ok(gmond) => read.push((conf, gmond)),
            Err(error) if found.main.as_ref().is_some_and(|main| std::ptr::eq(main, conf)) => return Err(error),
            Err(error) => {
                planner.plan.notes.push(placed(&error, true));
                planner.broken.push(PathBuf::from(&conf.path));
            }
        }
    }
    let warnings = read.iter().flat_map(|(_, gmond)| gmond.warnings.list());
    planner.plan.notes.extend(warnings.map(|warning| placed(warning, false)));
    let main = read.first().filter(|_| found.main.is_some());
    let runs_python =
        main.is_some_and(|(_, gmond)| gmond.modules.iter().any(|module| is_python_host(module) && module.enabled));
    let mut candidates = Vec::new();
    for (at, (conf, gmond)) in read.iter().enumerate() {
        let included = at == 0 && main.is_some();
        // Without modpython, which Debian dropped, nothing includes a .pyconf: that is what graftd is for.
        let is_pyconf = conf.path.ends_with(".pyconf");
        let runs = !conf.disabled && (included || main.is_none() || (is_pyconf && !runs_python));
        candidates.extend(candidates_of(conf, gmond, included, runs));
        if !runs && !conf.disabled {
            planner.note(&conf.path, "gmond.conf does not include it; brought over switched off");
        }
    }
    planner.modules(&candidates);
    planner.python_without_conf();
    if let Some((conf, gmond)) = main {
        planner.daemon(conf, gmond);
    }
    planner.plan.puts.sort_by_key(|put| rank(&put.to, found));
    Ok(planner.plan)
}

/// An error or a warning of the reader's as a note.
fn placed(error: &Error, missing: bool) -> Note {
    let at = match error.line {
        0 => error.file.clone(),
        line => format!("{}:{line}:{}", error.file, error.column),
    };
    let hint = if error.hint.is_empty() { String::new() } else { format!("; {}", error.hint) };
    Note { at, what: format!("{}{hint}", error.what), missing }
}

/// Helpers first, then what says how modules run, then the modules: none starts without either.
fn rank(to: &To, found: &Installation) -> (u8, To) {
    let order = match to {
        To::Plugin(path) if found.python.iter().any(|file| file.relative == *path && !file.is_module) => 0,
        To::Conf { .. } => 1,
        To::Plugin(_) => 2,
    };
    (order, to.clone())
}

fn is_python_host(module: &Module) -> bool {
    module.language == Language::C && module.name == "python_module"
}

/// A module block, and what else stands in its file.
struct Candidate<'a> {
    block: Block<'a>,
    gmond: &'a Gmond,
    conf: &'a Conf,
    /// gmond would run it.
    runs: bool,
    /// It is the only module of its file.
    alone: bool,
    /// Collection groups of its file, if it is not the main one.
    own: Vec<Group<'a>>,
    /// Those of files that have no module, and of the main file.
    shared: Vec<Group<'a>>,
    /// Its file includes others, so that it means something else where it does not lie.
    includes: bool,
}

fn candidates_of<'a>(conf: &'a Conf, gmond: &'a Gmond, included: bool, runs: bool) -> Vec<Candidate<'a>> {
    let sections = |within: &'a [Item], name: &'static str| {
        within.iter().filter_map(move |item| match item {
            Item::Section(section) if section.name.eq_ignore_ascii_case(name) => Some(section),
            _ => None,
        })
    };
    let blocks: Vec<&Section> =
        sections(&conf.loaded.tree.items, "modules").flat_map(|modules| sections(&modules.items, "module")).collect();
    let groups: Vec<Group<'a>> = sections(&conf.loaded.tree.items, "collection_group")
        .filter_map(|section| {
            let group = gmond.collection_groups.iter().find(|group| group.pos == section.pos)?;
            Some(Group { section, metrics: &group.metrics })
        })
        .collect();
    let modules_in = |file: &str| gmond.modules.iter().filter(|module| &*module.pos.file == file).count();
    let is_main = |file: &str| included && file == conf.path;
    let shared: Vec<Group<'a>> = groups
        .iter()
        .filter(|group| is_main(&group.section.pos.file) || modules_in(&group.section.pos.file) == 0)
        .cloned()
        .collect();
    let of_module = |module: &'a Module| {
        let section = blocks.iter().find(|section| section.pos == module.pos)?;
        let file = &*module.pos.file;
        let own = groups.iter().filter(|group| &*group.section.pos.file == file && !is_main(file)).cloned().collect();
        Some(Candidate {
            block: Block { module, section },
            gmond,
            conf,
            runs: runs && module.enabled,
            alone: modules_in(file) == 1,
            own,
            shared: shared.clone(),
            includes: includes(conf, file),
        })
    };
    gmond.modules.iter().filter_map(of_module).collect()
}

/// Whether a file includes others, as far as can be told.
fn includes(conf: &Conf, file: &str) -> bool {
    let tree = conf.texts.get(file).and_then(|text| parse(file, text, &|_| None).ok());
    tree.is_none_or(|tree| tree.items.iter().any(|item| matches!(item, Item::Call(_))))
}

struct Planner<'a> {
    found: &'a Installation,
    find: &'a FindLibrary<'a>,
    plan: Plan,
    /// Where each module was met first.
    seen: BTreeMap<String, Pos>,
    /// The names of graftd's modules, in small letters.
    confs: BTreeSet<String>,
    /// Plugins that come over already, by their path there.
    plugins: BTreeSet<PathBuf>,
    /// Configurations that cannot be read.
    broken: Vec<PathBuf>,
}

impl Planner<'_> {
    fn note(&mut self, at: &dyn ToString, what: impl Into<String>) {
        self.plan.notes.push(Note { at: at.to_string(), what: what.into(), missing: false });
    }

    fn missing(&mut self, at: &dyn ToString, what: impl Into<String>) {
        self.plan.notes.push(Note { at: at.to_string(), what: what.into(), missing: true });
    }

    fn modules(&mut self, candidates: &[Candidate<'_>]) {
        let others: Vec<&str> = candidates.iter().map(|candidate| candidate.block.module.name.as_str()).collect();
        let mut taken: BTreeSet<String> = BTreeSet::new();
        // gmond takes the first of a name that is switched on; what is off comes after what is on.
        let in_order = candidates.iter().filter(|candidate| candidate.runs);
        for candidate in in_order.chain(candidates.iter().filter(|candidate| !candidate.runs)) {
            self.module(candidate, &others, &mut taken);
        }
        let mut told: BTreeSet<String> = BTreeSet::new();
        for candidate in candidates {
            for metric in candidate.shared.iter().flat_map(|group| group.metrics) {
                let at = metric.pos.to_string();
                if is_core(metric) || taken.contains(&at) || !candidate.runs || !told.insert(at.clone()) {
                    continue;
                }
                let name = metric.name_match.as_ref().or(metric.name.as_ref()).cloned().unwrap_or_default();
                match owner(metric) {
                    Some(owner) if others.contains(&owner) => {
                        let what = "has a file of its own, which came over as it stands: add this group to its .on";
                        self.missing(&at, format!("{name:?} is a metric of {owner}, which {what}"));
                        continue;
                    }
                    Some(owner) => {
                        self.note(&at, format!("{name:?} is a metric of {owner}, which is not configured; left out"));
                        continue;
                    }
                    None => {}
                }
                let what = "cannot be told; add its group to the .on of the module that has it";
                self.missing(&at, format!("whose metric {name:?} is {what}"));
            }
        }
    }

    fn module(&mut self, candidate: &Candidate<'_>, others: &[&str], taken: &mut BTreeSet<String>) {
        let module = candidate.block.module;
        let at = &module.pos;
        let provided = match &module.language {
            _ if module.name == "core_metrics" => {
                return self.note(at, "core_metrics is part of gmond itself (heartbeat, location, gexec); not needed");
            }
            _ if is_python_host(module) => {
                return self.note(at, "python_module is gmond's host of Python modules; graftd runs them itself");
            }
            Language::C => self.library(candidate),
            Language::Python => self.python(candidate),
            Language::Other(language) => {
                Err(format!("module {} is written in {language:?}, which graftd does not run", module.name))
            }
        };
        let (name, plugin, source) = match provided {
            Ok(provided) => provided,
            // What gmond did not run either is no loss.
            Err(why) if candidate.runs => return self.missing(at, why),
            Err(why) => return self.note(at, why),
        };
        if let Err(why) = fits(&name, &self.found.taken, &plugin) {
            return self.missing(at, why);
        }
        // One file may hold several C modules; the name of a Python module is what gmond knows it by.
        let key = match module.language {
            Language::C => format!("{name}.so {}", module.name),
            _ => name.to_lowercase(),
        };
        if let Some(first) = self.seen.get(&key) {
            let why = format!("module {} is configured at {first} already, and that one counts; left out", module.name);
            return self.note(at, why);
        }
        self.seen.insert(key, at.clone());
        let name = if self.confs.contains(&name.to_lowercase()) { format!("{name}-{}", module.name) } else { name };
        if name.contains(['/', '\0']) {
            return self.missing(at, format!("{name:?} is no name for a file; rename the module"));
        }
        self.confs.insert(name.to_lowercase());
        if !module.enabled {
            self.note(at, format!("enabled = no: it comes over as {name}.off; remove that line too to run it"));
        }
        let content = self.text(candidate, others, taken);
        let to = To::Conf { name, on: candidate.runs };
        self.plan.puts.push(Put { to, content: Content::Bytes(content), from: at.to_string() });
        self.plugin(plugin, &source);
    }

    /// The text of its `.on`: its file as it stands where that speaks of it alone.
    fn text(&mut self, candidate: &Candidate<'_>, others: &[&str], taken: &mut BTreeSet<String>) -> Vec<u8> {
        let file = &*candidate.block.module.pos.file;
        let groups = if candidate.own.is_empty() { &candidate.shared } else { &candidate.own };
        let as_it_stands = candidate.alone && !candidate.includes && (!candidate.own.is_empty() || groups.is_empty());
        if let (true, Some(text)) = (as_it_stands, candidate.conf.texts.get(file)) {
            return whole(file, text);
        }
        parted(&candidate.block, groups, others, |metric| {
            taken.insert(metric.pos.to_string());
        })
    }

    fn plugin(&mut self, to: PathBuf, source: &Path) {
        if self.plugins.insert(to.clone()) {
            let from = source.display().to_string();
            self.plan.puts.push(Put { to: To::Plugin(to), content: Content::CopyOf(source.to_owned()), from });
        }
    }

    /// The name of a C module's plugin, the plugin's file and where it lies.
    fn library(&self, candidate: &Candidate<'_>) -> Result<(String, PathBuf, PathBuf), String> {
        let module = candidate.block.module;
        let source = (self.find)(module, &candidate.gmond.globals)?;
        let file = source.file_name().and_then(|name| name.to_str());
        let name = file.and_then(|file| file.strip_suffix(".so"));
        let (Some(file), Some(name)) = (file, name) else {
            return Err(format!("{} does not end in .so, and graftd would not see it; rename it", source.display()));
        };
        // graftd takes libx.so for the plugin x; the configuration says libx.
        if name.starts_with("lib") && name.len() > 3 {
            return Err(format!("{file}: a file lib….so is the plugin that its rest names; rename it and its path"));
        }
        Ok((name.to_owned(), PathBuf::from(file), source))
    }

    /// The same for a Python module. gmond takes the file whatever its case.
    fn python(&self, candidate: &Candidate<'_>) -> Result<(String, PathBuf, PathBuf), String> {
        let name = &candidate.block.module.name;
        let file = self.found.python.iter().find(|file| {
            file.relative.parent() == Some(Path::new(""))
                && file.relative.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case(name.as_str()))
        });
        match file {
            Some(file) if file.is_module => Ok((name.clone(), format!("{name}.py").into(), file.path.clone())),
            Some(file) => Err(format!("{} has no metric_init; it is no gmond module", file.path.display())),
            None => Err(format!("there is no {name}.py; name its folder with --python-modules DIR")),
        }
    }

    /// What else lies in the folder: helpers as they are, and modules that gmond has no configuration for switched off.
    fn python_without_conf(&mut self) {
        for file in &self.found.python {
            let stem = file.relative.with_extension("").display().to_string();
            if self.confs.contains(&stem.to_lowercase()) {
                continue;
            }
            if file.is_module && file.relative.components().count() == 1 {
                if let Err(why) = fits(&stem, &self.found.taken, &file.relative) {
                    self.note(&file.path.display(), why);
                    continue;
                }
                let mut text = origin(&file.path.display().to_string());
                let broken = self.broken.iter().any(|path| is_pyconf_of(path, &stem));
                text.push_str(if broken { BROKEN } else { NO_CONF });
                let to = To::Conf { name: stem, on: false };
                let from = file.path.display().to_string();
                self.plan.puts.push(Put { to, content: Content::Bytes(text.into_bytes()), from });
            }
            self.plugin(file.relative.clone(), &file.path);
        }
    }

    /// `gmond.on`, for what gmond did itself.
    fn daemon(&mut self, conf: &Conf, gmond: &Gmond) {
        let mut text = origin(&conf.path);
        let on = gmond_on(&conf.loaded.tree, gmond, &mut text, &mut self.plan.notes);
        let to = To::Conf { name: "gmond".to_owned(), on };
        self.plan.puts.push(Put { to, content: Content::Bytes(text.into_bytes()), from: conf.path.clone() });
    }
}

/// In the `.off` of a module that gmond had no configuration for.
const NO_CONF: &str = "# gmond had no configuration for it and did not run it. As NAME.on it runs with its defaults.\n";

/// In that of one whose configuration cannot be read.
const BROKEN: &str = "# Its configuration cannot be read, so it is off. Mend that, and import again.\n";

/// Whether a file in `conf/` is one that only stands in for a configuration that could not be read.
#[must_use]
pub fn is_stopgap(text: &[u8]) -> bool {
    let lines = text.strip_suffix(BROKEN.as_bytes());
    lines.is_some_and(|origin| {
        origin.starts_with(b"# imported by graftd from ") && origin.iter().filter(|byte| **byte == b'\n').count() == 1
    })
}

/// `redis.pyconf`, or the same switched off, for `redis`.
fn is_pyconf_of(path: &Path, module: &str) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    name.strip_prefix(&module.to_lowercase()).is_some_and(|rest| rest.starts_with(".pyconf"))
}

/// Whether a plugin of that name can lie beside the others.
fn fits(name: &str, taken: &[String], plugin: &Path) -> Result<(), String> {
    if BUILT_IN.contains(&name) {
        return Err(format!(
            "a module named {name} cannot run beside graftd's own of that name; rename it and its file"
        ));
    }
    if name.starts_with('.') || name.contains(['/', '\0']) || name.is_empty() {
        return Err(format!("{name:?} is no name for a file; rename the module"));
    }
    let other = if plugin.extension().is_some_and(|ending| ending == "py") { "so" } else { "py" };
    if taken.iter().any(|taken| taken == &format!("{name}.{other}")) {
        return Err(format!(
            "plugins/ has a {name}.{other} already, and one name is one plugin; rename the module and its file"
        ));
    }
    Ok(())
}
