//! A `.on` that is a configuration of gmond's as it stands: a `.pyconf`, or a part of a `gmond.conf`.
//!
//! What gmond has no word for (an interval for all, a virtual environment, a limit) stands in a section of its own:
//! `graftd { every = 5s  python = "/srv/venv" }`, with the keys of any other `.on`.

use super::error::ConfError;
use super::module::ModuleConf;
use super::places::Places;
use gmod_compat::conf::{Disk, Gmond, Item, Language, Module, Set, load_text, parse};
use gmod_compat::protocol::gmod::Group;
use plugin_api::{Params, Value};
use std::path::Path;

/// What a gmond configuration says of one module, beside what any `.on` can say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PyConf {
    /// `enabled = no`.
    pub disabled: bool,
    /// Its collection groups; none if it has none.
    pub groups: Option<Vec<Group>>,
    /// The symbol of a C module.
    pub symbol: Option<String>,
    /// A C module's `params`.
    pub params: Option<String>,
    /// gmond's `debug_level`.
    pub debug_level: u32,
    /// What was passed over in it, a line each.
    pub remarks: Vec<String>,
}

/// Reads such a text.
///
/// # Errors
/// It is not of the grammar, what it includes cannot be read, or it speaks of several modules and of none by the file's
/// name.
pub(super) fn read(file: &Path, text: &str) -> Result<ModuleConf, ConfError> {
    let (gmond, own) = gmond_of(file, text)?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let module = the_one(&gmond.modules, &stem).map_err(|why| ConfError::new(file, 0, why))?;
    let mut conf = ModuleConf::parse(file, &own)?;
    conf.places = Places::new(file, text, Vec::new(), Vec::new());
    if let Some(module) = module {
        conf.plugin = conf.plugin.or_else(|| Some(plugin_of(module)));
        conf.params = params_of(module);
    }
    let module = module.cloned();
    conf.pyconf = Some(said(&gmond, module));
    Ok(conf)
}

/// Text of the years before UTF-8: every byte is a character.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The plugin that such a text speaks for, as far as it itself says: nothing else is read.
pub(crate) fn plugin_spoken_for(file: &Path, text: &str) -> Option<String> {
    let mut tree = parse("", text.as_bytes(), &|_| None).ok()?;
    take_own(&mut tree.items);
    let gmond = Gmond::from_tree(&tree).ok()?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    the_one(&gmond.modules, &stem).ok()?.map(plugin_of)
}

/// The name of the section that is graftd's own.
const OWN: &str = "graftd";

/// What it means to gmond, and graftd's own section as TOML.
fn gmond_of(file: &Path, text: &str) -> Result<(Gmond, String), ConfError> {
    // These errors have a place of their own.
    let placed = |error: gmod_compat::conf::Error| ConfError::whole(error.to_string());
    let mut tree = load_text(&Disk, file, text.as_bytes()).map_err(placed)?.tree;
    let own = as_toml(&take_own(&mut tree.items));
    Ok((Gmond::from_tree(&tree).map_err(placed)?, own))
}

fn take_own(items: &mut Vec<Item>) -> Vec<Set> {
    let mut own = Vec::new();
    items.retain(|item| match item {
        Item::Section(section) if section.name.eq_ignore_ascii_case(OWN) => {
            own.extend(
                section
                    .items
                    .iter()
                    .filter_map(|item| if let Item::Set(set) = item { Some(set.clone()) } else { None }),
            );
            false
        }
        _ => true,
    });
    own
}

/// The keys as TOML, each on the line on which it stands, so that what is wrong in it is told with that.
fn as_toml(own: &[Set]) -> String {
    let mut toml = String::new();
    for set in own {
        let value = set.values.first().map_or("", |word| word.text.as_str());
        let line = set.pos.line as usize;
        toml.extend(std::iter::repeat_n('\n', line.saturating_sub(toml.matches('\n').count() + 1)));
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace(char::is_control, " ");
        let key = if set.key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') { set.key.as_str() } else { "?" };
        // Two on a line are told with the line of the first.
        if !toml.is_empty() && !toml.ends_with('\n') {
            toml.push('\n');
        }
        toml.push_str(&format!("{key} = \"{escaped}\""));
    }
    toml
}

/// The module that a file of this name speaks of: the one of that name, or else the only one.
fn the_one<'m>(modules: &'m [Module], stem: &str) -> Result<Option<&'m Module>, String> {
    let enabled: Vec<&Module> = modules.iter().filter(|module| module.enabled).collect();
    let among = if enabled.is_empty() { modules.iter().collect() } else { enabled };
    let is_named =
        |module: &&&Module| plugin_of(module).eq_ignore_ascii_case(stem) || module.name.eq_ignore_ascii_case(stem);
    match among.as_slice() {
        [] => Ok(None),
        [module] => Ok(Some(module)),
        several => several.iter().find(is_named).copied().map(Some).ok_or_else(|| {
            let names: Vec<&str> = several.iter().map(|module| module.name.as_str()).collect();
            format!(
                "speaks of several modules ({}); give each a file of its own: `graftd import-gmond` does that",
                names.join(", ")
            )
        }),
    }
}

/// The plugin that a module block means: the stem of a C module's file, the name of any other.
fn plugin_of(module: &Module) -> String {
    let stem = |path: &String| Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    match (&module.language, &module.path) {
        (Language::C, Some(path)) => stem(path).unwrap_or_else(|| module.name.clone()),
        _ => module.name.clone(),
    }
}

/// The parameters: all text, for that is what gmond hands over.
fn params_of(module: &Module) -> Params {
    let given = module.param.iter().filter_map(|param| Some((&param.name, param.value.as_ref()?)));
    given.fold(Params::new(), |params, (name, value)| params.with(name, Value::from(value.as_str())))
}

fn said(gmond: &Gmond, module: Option<Module>) -> PyConf {
    let groups: Vec<Group> = gmond.collection_groups.iter().map(Group::from).collect();
    let (symbol, params, disabled) = match module {
        Some(Module { language: Language::C, name, params, enabled, .. }) => (Some(name), params, !enabled),
        Some(module) => (None, None, !module.enabled),
        None => (None, None, false),
    };
    PyConf {
        disabled,
        groups: Some(groups).filter(|groups| !groups.is_empty()),
        symbol,
        params,
        debug_level: gmond.globals.debug_level,
        remarks: gmond.warnings.list().iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PYCONF: &str = r#"
        /* redis */
        modules { module { name = "redis" language = "python" param port { value = 6379 } param host { value = "::1" } } }
        collection_group { collect_every = 5 metric { name_match = "redis_(.+)" title = "\\1" value_threshold = 1.0 } }
    "#;

    fn parse(file: &str, text: &str) -> Result<ModuleConf, String> {
        ModuleConf::parse(Path::new(file), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_pyconf_is_a_conf_as_it_stands() {
        let conf = parse("conf/cache.on", PYCONF).unwrap();
        assert_eq!(conf.plugin.as_deref(), Some("redis"));
        assert_eq!(conf.params.text("port"), Ok(Some("6379")));
        let said = conf.pyconf.unwrap();
        let groups = said.groups.unwrap();
        assert_eq!((groups[0].collect_every, groups[0].metrics[0].value_threshold), (5, Some(1.0)));
        assert!(!said.disabled && said.symbol.is_none() && said.remarks.is_empty());
    }

    #[test]
    fn what_gmond_has_no_word_for_stands_in_a_section_of_its_own() {
        let own = "\ngraftd { every = 5s\n python = \"/srv/venv\" time_limit = 2s }\n";
        let conf = parse("conf/cache.on", &format!("{PYCONF}{own}")).unwrap();
        assert_eq!((conf.plugin.as_deref(), conf.python.as_deref()), (Some("redis"), Some("/srv/venv")));
        assert_eq!((conf.every, conf.time_limit), (Some(Duration::from_secs(5)), Some(Duration::from_secs(2))));
        assert_eq!(conf.pyconf.unwrap().remarks, [""; 0]);
        let why = parse("conf/cache.on", "modules { }\n\ngraftd { evry = 5s }\n").unwrap_err();
        assert_eq!(why, "conf/cache.on:3: unknown key \"evry\"; did you mean \"every\"?");
        assert_eq!(plugin_spoken_for(Path::new("x.on"), &format!("{own}{PYCONF}")).as_deref(), Some("redis"));
    }

    #[test]
    fn groups_alone_are_of_the_plugin_that_the_file_is_named_after() {
        let conf = parse("conf/redis.on", "collection_group { metric { name = x } }").unwrap();
        assert_eq!((conf.plugin, conf.pyconf.is_some()), (None, true));
    }

    #[test]
    fn a_c_module_is_named_after_its_file() {
        let text = "modules { module { name = cpu_module path = \"modcpu.so\" params = \"x\" } module { name = off language = python enabled = no } }";
        let conf = parse("conf/whatever.on", text).unwrap();
        let said = conf.pyconf.unwrap();
        assert_eq!(conf.plugin.as_deref(), Some("modcpu"));
        assert_eq!((said.symbol.as_deref(), said.params.as_deref()), (Some("cpu_module"), Some("x")));
    }

    #[test]
    fn of_several_modules_the_file_names_one() {
        let text = "modules { module { name = a language = python } module { name = b language = python } }";
        assert_eq!(parse("conf/b.on", text).unwrap().plugin.as_deref(), Some("b"));
        let why = parse("conf/c.on", text).unwrap_err();
        assert!(why.starts_with("conf/c.on: speaks of several modules (a, b)"), "{why}");
        assert!(
            parse("conf/a.on", "modules { module { name = a language = python enabled = no } }")
                .unwrap()
                .pyconf
                .unwrap()
                .disabled
        );
    }

    #[test]
    fn errors_have_one_place() {
        let why = parse("conf/a.on", "modules {\n module { name = } }").unwrap_err();
        assert!(why.starts_with("conf/a.on:2:") && why.matches("conf/a.on").count() == 1, "{why}");
    }
}
