//! Tests of what a tree means, on files like those that sites have.

use super::super::include::{Disk, load};
use super::super::parse;
use super::*;
use std::path::Path;

fn read(text: &str) -> Result<Gmond, Error> {
    Gmond::from_tree(&parse("t", text.as_bytes(), &|_| None)?)
}

fn fixture(name: &str) -> Gmond {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let loaded = load(&Disk, &path).unwrap_or_else(|error| panic!("{error}"));
    Gmond::from_tree(&loaded.tree).unwrap_or_else(|error| panic!("{error}"))
}

fn params(module: &Module) -> Vec<(&str, Option<&str>)> {
    module.param.iter().map(|param| (param.name.as_str(), param.value.as_deref())).collect()
}

fn warnings(gmond: &Gmond) -> Vec<String> {
    gmond.warnings.list().iter().map(ToString::to_string).collect()
}

#[test]
fn a_python_module_and_its_group() {
    let gmond = fixture("redis.pyconf");
    assert_eq!(warnings(&gmond), [""; 0]);
    let redis = gmond.python_module("Redis").expect("a module");
    assert_eq!(params(redis), [("host", Some("127.0.0.1")), ("port", Some("6379")), ("auth", Some(""))]);
    assert_eq!((redis.pos.line, redis.pos.column), (3, 3));
    let [group] = gmond.collection_groups.as_slice() else { panic!("{:?}", gmond.collection_groups) };
    assert_eq!((group.collect_once, group.collect_every, group.time_threshold), (false, 10, 60));
    let [clients, memory, keys] = group.metrics.as_slice() else { panic!("{:?}", group.metrics) };
    assert_eq!(
        (clients.name.as_deref(), clients.value_threshold, &clients.title),
        (Some("connected_clients"), None, &None)
    );
    assert_eq!((memory.value_threshold, memory.title.as_deref()), (Some(1024.0), Some("Memory Used")));
    assert_eq!(
        (keys.name_match.as_deref(), keys.title.as_deref()),
        (Some(r"redis_db(\d+)_keys"), Some(r"Keys of database \1"))
    );
}

#[test]
fn a_gmond_conf_with_its_folder() {
    let gmond = fixture("gmond.conf");
    assert_eq!(warnings(&gmond), [""; 0]);
    let names: Vec<_> = gmond.modules.iter().map(|module| (module.name.as_str(), module.enabled)).collect();
    assert_eq!(
        names,
        [
            ("core_metrics", true),
            ("cpu_module", true),
            ("python_module", true),
            ("multi_interface", true),
            ("mysql", true),
            ("mysql", false)
        ]
    );
    assert_eq!((&gmond.modules[1].language, gmond.modules[1].path.as_deref()), (&Language::C, Some("modcpu.so")));
    assert_eq!(gmond.modules[2].params.as_deref(), Some("/usr/lib/ganglia/python_modules"));
    assert_eq!(params(&gmond.modules[3]), [("interfaces", Some("")), ("excluded_interfaces", Some("lo vnet[0-9]+"))]);
    let mysql = gmond.python_module("mysql").expect("a module");
    assert_eq!(
        params(mysql),
        [
            ("host", Some("db01")),
            ("user", Some("monitor")),
            ("passwd", Some(r"it's a \secret\")),
            ("Get_InnoDB", Some("True")),
            ("get_master", Some("True"))
        ]
    );
    assert_eq!(gmond.python_module("cpu_module"), None);

    assert_eq!(gmond.collection_groups.len(), 4);
    assert!(gmond.collection_groups[0].collect_once);
    assert_eq!(gmond.collection_groups[1].metrics[0].value_threshold, Some(1.0));
    assert_eq!(gmond.collection_groups[3].metrics[0].value_threshold, Some(0.0));

    let cluster = Cluster {
        name: "Frontends of the north".into(),
        owner: "Operations".into(),
        latlong: "N52.52 E13.40".into(),
        url: "http://example.net/clusters;3".into(),
    };
    assert_eq!(gmond.cluster, cluster);
    assert_eq!(gmond.host.location, "2,1,0");
    assert_eq!(gmond.globals.host_dmax, 0);
    assert_eq!(gmond.globals.send_metadata_interval, 30);
    assert_eq!(gmond.globals.user.as_deref(), Some("ganglia"));
    assert_eq!(gmond.globals.override_hostname.as_deref(), Some("web-07.example.net"));
    assert_eq!(gmond.globals.module_dir.as_deref(), Some("/usr/lib/ganglia"));
}

#[test]
fn an_empty_file_is_the_defaults() {
    let gmond = read("").expect("a configuration");
    assert_eq!(gmond, Gmond::default());
    assert_eq!((gmond.globals.host_dmax, gmond.cluster.url.as_str()), (86_400, "unspecified"));
    let gmond = read("collection_group { } modules { module { name = x } }").expect("a configuration");
    assert_eq!((gmond.collection_groups[0].collect_every, gmond.collection_groups[0].time_threshold), (60, 3600));
    assert!(gmond.modules[0].enabled && gmond.modules[0].language == Language::C);
}

#[test]
fn languages() {
    let gmond = read(
        "modules { module { name=a language='c/c++' }
 module { name=b language=PYTHON } module { name=c language=perl } }",
    )
    .expect("modules");
    let languages: Vec<_> = gmond.modules.iter().map(|module| module.language.clone()).collect();
    assert_eq!(languages, [Language::C, Language::Python, Language::Other("perl".into())]);
}

#[test]
fn unknown_names_are_warnings_with_a_place_and_a_guess() {
    let gmond = read(concat!(
        "modules {\n module { name = a lang = python parm x { } run() }\n n = 1\n}\n",
        "colection_group { metric = 3 }\nbananas { deep { deeper { } } }\nload('x')\n",
        "collection_group { metric { name = a titel = b } }\nhost { include('x') }\n",
    ))
    .expect("a configuration");
    assert_eq!(
        warnings(&gmond),
        [
            "t:2:20: unknown key `lang` in module",
            "t:2:34: unknown section `parm` in module; did you mean `param`?",
            "t:2:45: unknown function `run` in module",
            "t:3:2: unknown key `n` in modules",
            "t:5:1: unknown section `colection_group` in the file; did you mean `collection_group`?",
            "t:6:1: unknown section `bananas` in the file",
            "t:7:1: unknown function `load` in the file",
            "t:8:38: unknown key `titel` in metric; did you mean `title`?",
            "t:9:8: unknown function `include` in host",
        ]
    );
    assert_eq!((gmond.modules.len(), gmond.collection_groups.len()), (1, 1));
}

#[test]
fn what_names_nothing_is_passed_over_and_what_is_out_of_range_moved() {
    let gmond = read(
        "modules { module { language = python } }
 collection_group { collect_every = 0 time_threshold = -5
 metric { title = x }
 metric { name = a value_threshold = -1 } metric { name = a value_threshold = nan } }",
    )
    .expect("a configuration");
    assert!(gmond.modules.is_empty());
    let group = &gmond.collection_groups[0];
    assert_eq!((group.collect_every, group.time_threshold, group.metrics.len()), (1, 0, 2));
    assert!(group.metrics.iter().all(|metric| metric.value_threshold.is_none()));
    assert_eq!(gmond.warnings.list().len(), 4, "{:?}", gmond.warnings);
}

#[test]
fn wrong_shapes_are_errors() {
    for (text, message) in [
        ("modules { module = x }", "t:1:11: `module` is a section in modules; write `module { … }`"),
        ("cluster { name { } }", "t:1:11: `name` is a key in cluster; write `name = …`"),
        ("cluster { name() }", "t:1:11: `name` is a key in cluster"),
        ("cluster { name += x }", "t:1:11: `name` takes one value, not a list; write `name = …`"),
        ("cluster { name = {x} }", "t:1:11: `name` takes one value, not a list"),
        ("cluster x { }", "t:1:1: `cluster` takes no title, found `x`; remove it"),
        (
            "modules { module { param { value = 3 } } }",
            "t:1:20: `param` without a name; write `param NAME { value = … }`",
        ),
        ("modules { module { enabled = 1 } }", "t:1:30: `enabled` must be yes or no, not `1`; write `yes` or `no`"),
        (
            "collection_group { collect_every = 10s }",
            "t:1:36: `collect_every` must be a whole number, not `10s`; write digits, like `60`",
        ),
        (
            "collection_group { collect_every = 10; }",
            "t:1:36: `collect_every` must be a whole number, not `10;`; remove the `;`: items need no end mark",
        ),
        (
            "collection_group { metric { value_threshold = 1% } }",
            "t:1:47: `value_threshold` must be a number, not `1%`",
        ),
    ] {
        let error = read(text).expect_err(text).to_string();
        assert!(error.starts_with(message), "{text}: {error}");
    }
}

#[test]
fn channels_are_known_and_passed_over() {
    let gmond = read("UDP_send_channel { any = 3 } sflow { x = {1} }").expect("a configuration");
    assert_eq!(gmond, Gmond::default());
}
