//! Modules a second time, set to what is there to be watched: as they are shipped, some look for a network card or a version
//! of a server that nobody has, and only fail.

use super::peers::STATUS_AS_2_2;
use super::source::Module;
use super::standins::varnishstat;
use std::fs;
use std::path::Path;

/// What the name of such a second module ends with.
const SUFFIX: &str = "_fitted";

/// A module, and what is put in the place of what in its `.pyconf`.
const FITTINGS: [(&str, &[(&str, &str)]); 5] = [
    ("apache_status", &[("/server-status", STATUS_AS_2_2)]),
    (
        "mysql",
        &[
            // What MariaDB tells of InnoDB has another form today.
            ("get_innodb {\n      value = True", "get_innodb {\n      value = False"),
            ("\"mysql_innodb_pending_normal_aio_reads\"", "\"mysql_\""),
        ],
    ),
    ("multi_interface", &[("value = \"\"", "value = \"lo\""), ("lo vnet", "vnet")]),
    ("traffic1", &[("bond0.2", "lo")]),
    (
        "varnish",
        &[("varnishstat -1", VARNISHSTAT), ("name  = \"varnish_client_req\"", "name_match = \"varnish_(.+)\"")],
    ),
];

/// Stands for a command that tells what Varnish would.
const VARNISHSTAT: &str = "VARNISHSTAT";

/// Puts the modules into a folder with their `.pyconf`s beside them, and those that are fitted under names of their own.
/// They are given as they lie there.
pub fn put(modules: &[Module], folder: &Path) -> Vec<Module> {
    let mut put = Vec::new();
    for module in modules {
        put.push(copy(module, &module.name, &[], folder));
        if let Some((name, changes)) = FITTINGS.iter().find(|(name, _)| *name == module.name) {
            put.push(copy(module, &format!("{name}{SUFFIX}"), changes, folder));
        }
    }
    put
}

fn copy(module: &Module, name: &str, changes: &[(&str, &str)], folder: &Path) -> Module {
    let file = folder.join(format!("{name}.py"));
    graftd_tests::copy(&module.file, &file);
    let conf = module.conf.as_ref().map(|conf| {
        let mut text = String::from_utf8_lossy(&fs::read(conf).expect("a conf")).into_owned();
        for (from, to) in changes {
            assert!(text.contains(from), "{}: no {from:?} to put {to:?} in its place", conf.display());
            text = text.replace(from, to);
            text = text.replace(VARNISHSTAT, &format!("sh {}", varnishstat(folder).display()));
        }
        // Two are shipped switched off.
        text = text.replace("enabled  = \"no\"", "enabled  = \"yes\"");
        for quote in ['"', '\''] {
            text = text.replace(&format!("= {quote}{}{quote}", module.name), &format!("= {quote}{name}{quote}"));
        }
        let to = folder.join(format!("{name}.pyconf"));
        fs::write(&to, text).expect("a conf");
        to
    });
    Module { name: name.to_owned(), file, conf }
}
