//! What runs, what does not, and what is left as it is.

use super::*;

fn plugin(path: &str) -> (String, PluginFile) {
    let path = PathBuf::from(path);
    let stamp = Stamp { device: 1, inode: 1, size: 1, modified_ns: 1 };
    let kind = PluginKind::of(&path);
    (plugin_name(&path).unwrap(), PluginFile { path, kind, stamp, refused: None })
}

fn plans(plugins: &[&str], confs: &[(&str, &str)]) -> Vec<String> {
    let mut seen = Seen::default();
    for path in plugins {
        let (name, file) = plugin(path);
        seen.plugins.entry(name).or_default().push(file);
    }
    for (path, text) in confs {
        let path = PathBuf::from(path);
        let (name, on) = conf_name(&path).unwrap();
        seen.confs.entry(name).or_default().push(ConfFile {
            path,
            on,
            text: Ok((*text).to_owned()),
            speaks_for: spoken_plugin(text),
        });
    }
    let said = plan(&seen).into_iter().map(|(name, plan)| match plan.what {
        Planned::Run { plugin, .. } => format!("{name} runs {}", plugin.path.display()),
        Planned::BuiltIn(conf) => format!("{name} is built in: {}", conf.plugin()),
        Planned::Off(_) => format!("{name} off"),
        Planned::Rejected(why) => format!("{name} rejected: {why}"),
    });
    said.collect()
}

#[test]
fn what_is_built_in_has_keys_of_its_own() {
    let said = plans(
        &["p/gmond.so"],
        &[
            ("c/gmond.on", "udp = \"127.0.0.1\""),
            ("c/g.on", "plugin = \"gmond\""),
            ("c/h.on", "plugin = \"gmond\"\nupd = 1"),
        ],
    );
    assert_eq!(said[..2], ["g is built in: gmond", "gmond is built in: gmond"]);
    assert_eq!(said[2], "h rejected: c/h.on:2: unknown key \"upd\"; did you mean \"udp\"?");
}

#[test]
fn what_runs() {
    assert_eq!(
        plans(
            &["p/cpu.so", "p/libload.so", "p/url.so"],
            &[("c/load.off", ""), ("c/shop.on", "plugin = \"url\""), ("c/blog.on", "plugin = \"url\"")]
        ),
        ["blog runs p/url.so", "cpu runs p/cpu.so", "load off", "shop runs p/url.so"]
    );
}

#[test]
fn a_python_module_is_a_plugin_and_a_helper_is_none() {
    let pyconf = "modules { module { name = redis language = python } }";
    assert_eq!(
        plans(&["p/redis.py", "p/up.py"], &[("c/cache.on", pyconf), ("c/up.off", "")]),
        ["cache runs p/redis.py", "up off"]
    );
    assert_eq!(plans(&["p/redis.py"], &[("c/cache.off", pyconf)]), ["cache off"]);
    assert_eq!(
        plans(&["p/redis.py"], &[("c/redis.on", &pyconf.replace("python", "python enabled = no"))]),
        ["redis off"]
    );
    let both = plans(&["p/cpu.so", "p/cpu.py"], &[]);
    assert_eq!(both, ["cpu rejected: p/cpu.so and p/cpu.py are all the plugin \"cpu\"; remove all but one"]);

    let mut seen = Seen::default();
    let (name, file) = plugin("p/DBUtil.py");
    seen.plugins.insert(name, vec![PluginFile { kind: PluginKind::Helper, ..file }]);
    assert!(plan(&seen).is_empty(), "a helper of others is left alone");
    let conf = ConfFile { path: "c/DBUtil.on".into(), on: true, text: Ok(String::new()), speaks_for: None };
    seen.confs.insert("DBUtil".to_owned(), vec![conf]);
    let Planned::Rejected(why) = &plan(&seen)["DBUtil"].what else { panic!("it runs") };
    assert!(why.starts_with("c/DBUtil.on: DBUtil.py is no module"), "{why}");
}

#[test]
fn what_is_off_keeps_its_plugin_from_running_by_itself() {
    assert_eq!(plans(&["p/url.so"], &[("c/shop.off", "isolation = \"process\"\nplugin = \"url\"\n")]), ["shop off"]);
}

#[test]
fn what_does_not_and_why() {
    assert_eq!(
        plans(
            &["p/cpu.so", "p/libcpu.so", "p/load.so", "p/url.so"],
            &[
                ("c/url.on", ""),
                ("c/url.off", ""),
                ("c/a.on", "plugin = \"ulr\""),
                ("c/b.on", "evry = 1\nplugin = \"load\""),
                ("c/r.on", "plugin = \"relay\"")
            ]
        ),
        [
            "a rejected: c/a.on: there is no plugin \"ulr\" (no ulr.so, no ulr.py); did you mean \"url\"?",
            "b rejected: c/b.on:1: unknown key \"evry\"; did you mean \"every\"?",
            "cpu rejected: p/cpu.so and p/libcpu.so are all the plugin \"cpu\"; remove all but one",
            "r rejected: c/r.on: \"to\" is missing: which graftd is to receive, as in to = \"stats.example.net:8652\"",
            "url rejected: c/url.on and c/url.off both speak of url; remove one",
        ]
    );
}

#[test]
fn what_is_unfinished_keeps_its_plan() {
    let mut seen = Seen::default();
    for path in ["p/url.so", "p/status.so", "p/new.so"] {
        let (name, file) = plugin(path);
        seen.plugins.entry(name).or_default().push(file);
    }
    let conf = |path: &str, text: &str| {
        let path = PathBuf::from(path);
        (conf_name(&path).unwrap(), text.to_owned(), path)
    };
    for ((name, on), text, path) in [conf("c/shop.on", "plugin = \"url\""), conf("c/blog.on", "plugin = \"status\"")] {
        seen.confs.entry(name).or_default().push(ConfFile {
            path,
            on,
            speaks_for: spoken_plugin(&text),
            text: Ok(text),
        });
    }
    let before = plan(&seen);
    assert_eq!(before.keys().collect::<Vec<_>>(), ["blog", "new", "shop"]);
    // Half of a .on is there, a plugin has just vanished, and one is being made.
    seen.confs.get_mut("shop").unwrap()[0].text = Ok("plug".to_owned());
    seen.unfinished_confs = ["shop".to_owned(), "more".to_owned()].into();
    seen.plugins.remove("status");
    seen.plugins.entry("fresh".to_owned()).or_default().push(plugin("p/fresh.so").1);
    seen.unfinished_plugins = ["status".to_owned(), "fresh".to_owned()].into();
    assert_eq!(plan_after(&seen, |name| before.get(name).cloned()), before);
    // Without a plan so far, there is none yet; and what shop speaks for is not known.
    let first = plan(&seen);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["new", "url"]);
    // All is whole, and what vanished is gone.
    seen.unfinished_confs.clear();
    seen.unfinished_plugins.clear();
    let after = plan_after(&seen, |name| before.get(name).cloned());
    assert!(matches!(after["blog"].what, Planned::Rejected(_)) && matches!(after["fresh"].what, Planned::Run { .. }));
}

#[test]
fn names() {
    let name = |path: &str| plugin_name(Path::new(path));
    assert_eq!(name("p/libredis.so"), Some("redis".into()));
    assert_eq!(name("p/lib.so"), Some("lib".into()));
    assert_eq!((name("p/.x.so"), name("p/.so"), name("p/x.so.1")), (None, None, None));
    assert_eq!(conf_name(Path::new("c/.x.on")), None);
    assert_eq!(conf_name(Path::new("c/.on")), None);
}
