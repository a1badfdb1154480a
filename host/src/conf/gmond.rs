//! A `.on` that is a configuration of gmond's as it stands: a `.pyconf`, or a part of a `gmond.conf`.

use super::error::ConfError;
use super::module::ModuleConf;
use super::places::Places;
use gmod_compat::conf::{Disk, Gmond, Language, Module, load_text, parse};
use gmod_compat::protocol::gmod::Group;
use plugin_api::{Params, Value};
use std::path::Path;

/// What a gmond configuration says of one module, beside what any `.on` can say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GmondConf {
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
    let gmond = gmond_of(file, text)?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let module = the_one(&gmond.modules, &stem).map_err(|why| ConfError::new(file, 0, why))?;
    let mut conf = ModuleConf { places: Places::new(file, text, Vec::new(), Vec::new()), ..ModuleConf::default() };
    if let Some(module) = module {
        conf.plugin = Some(plugin_of(module));
        conf.params = params_of(module);
    }
    let module = module.cloned();
    conf.gmond = Some(said(gmond, module));
    Ok(conf)
}

/// Text of the years before UTF-8: every byte is a character.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The plugin that such a text speaks for, as far as it itself says: nothing else is read.
pub(crate) fn plugin_spoken_for(file: &Path, text: &str) -> Option<String> {
    let gmond = Gmond::from_tree(&parse("", text.as_bytes(), &|_| None).ok()?).ok()?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    the_one(&gmond.modules, &stem).ok()?.map(plugin_of)
}

fn gmond_of(file: &Path, text: &str) -> Result<Gmond, ConfError> {
    let loaded = load_text(&Disk, file, text.as_bytes());
    let gmond = loaded.and_then(|loaded| Gmond::from_tree(&loaded.tree));
    // These errors have a place of their own.
    gmond.map_err(|error| ConfError::whole(error.to_string()))
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

fn said(gmond: Gmond, module: Option<Module>) -> GmondConf {
    let groups: Vec<Group> = gmond.collection_groups.iter().map(Group::from).collect();
    let (symbol, params, disabled) = match module {
        Some(Module { language: Language::C, name, params, enabled, .. }) => (Some(name), params, !enabled),
        Some(module) => (None, None, !module.enabled),
        None => (None, None, false),
    };
    GmondConf {
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
        let gmond = conf.gmond.unwrap();
        let groups = gmond.groups.unwrap();
        assert_eq!((groups[0].collect_every, groups[0].metrics[0].value_threshold), (5, Some(1.0)));
        assert!(!gmond.disabled && gmond.symbol.is_none() && gmond.remarks.is_empty());
    }

    #[test]
    fn groups_alone_are_of_the_plugin_that_the_file_is_named_after() {
        let conf = parse("conf/redis.on", "collection_group { metric { name = x } }").unwrap();
        assert_eq!((conf.plugin, conf.gmond.is_some()), (None, true));
    }

    #[test]
    fn a_c_module_is_named_after_its_file() {
        let text = "modules { module { name = cpu_module path = \"modcpu.so\" params = \"x\" } module { name = off language = python enabled = no } }";
        let conf = parse("conf/whatever.on", text).unwrap();
        let gmond = conf.gmond.unwrap();
        assert_eq!(conf.plugin.as_deref(), Some("modcpu"));
        assert_eq!((gmond.symbol.as_deref(), gmond.params.as_deref()), (Some("cpu_module"), Some("x")));
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
                .gmond
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
