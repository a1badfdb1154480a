use super::*;
use crate::conf::{Files, load};
use std::cell::RefCell;
use std::ffi::OsString;
use std::io;
use std::path::Path;

/// Files that are not on any disk; what is read of them is kept.
#[derive(Default)]
struct Shelf {
    files: BTreeMap<String, Vec<u8>>,
    read: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl Files for Shelf {
    fn read(&self, path: &Path, _: usize) -> io::Result<Vec<u8>> {
        let path = path.display().to_string();
        let text = self.files.get(&path).cloned().ok_or(io::ErrorKind::NotFound)?;
        self.read.borrow_mut().insert(path, text.clone());
        Ok(text)
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.contains_key(&path.display().to_string())
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let paths = self.files.keys().map(Path::new).filter(|path| path.parent() == Some(folder));
        Ok(paths.filter_map(|path| path.file_name().map(Into::into)).collect())
    }

    fn var(&self, _: &str) -> Option<String> {
        None
    }
}

impl Shelf {
    fn with(mut self, path: &str, text: &str) -> Shelf {
        self.files.insert(path.to_owned(), text.as_bytes().to_vec());
        self
    }

    fn conf(&self, path: &str) -> Conf {
        self.read.borrow_mut().clear();
        let loaded = load(self, Path::new(path)).unwrap();
        let disabled = !path.ends_with("conf");
        Conf { path: path.to_owned(), loaded, texts: self.read.borrow().clone(), disabled }
    }
}

fn python(names: &[&str]) -> Vec<PythonFile> {
    let file = |name: &&str| PythonFile {
        path: Path::new("/py").join(name),
        relative: name.into(),
        is_module: !name.contains("helper"),
    };
    names.iter().map(file).collect()
}

/// Finds every C module whose path does not speak of what is gone.
fn find(module: &Module, _: &Globals) -> Result<PathBuf, String> {
    let path = module.path.as_deref().ok_or("has no path")?;
    if path.contains("gone") { Err(format!("{path} is not there")) } else { Ok(Path::new("/so").join(path)) }
}

/// The plan as text: a line a file, `=` before what is in those that are made, and a line a note.
fn planned(found: &Installation) -> String {
    let plan = plan(found, &find).unwrap();
    let mut out = String::new();
    for put in &plan.puts {
        match (&put.to, &put.content) {
            (To::Conf { name, on }, Content::Bytes(bytes)) => {
                out += &format!("conf/{name}.{}\n", if *on { "on" } else { "off" });
                for line in String::from_utf8_lossy(bytes).lines() {
                    out += &format!("= {line}\n");
                }
            }
            (To::Plugin(path), Content::CopyOf(from)) => {
                out += &format!("plugins/{} < {}\n", path.display(), from.display());
            }
            other => panic!("{other:?}"),
        }
    }
    for note in &plan.notes {
        out += &format!("{} {}: {}\n", if note.missing { "!" } else { "-" }, note.at, note.what);
    }
    out
}

#[track_caller]
fn check(found: &Installation, expected: &str) {
    let planned = planned(found);
    let expected: String = expected.trim().lines().map(|line| format!("{}\n", line.trim_start())).collect();
    let trimmed: String = planned.lines().map(|line| format!("{}\n", line.trim_start())).collect();
    assert_eq!(trimmed, expected, "\n{planned}");
}

#[test]
fn a_file_of_one_module_stays_as_it_is() {
    let shelf = Shelf::default()
        .with(
            "/g/redis.pyconf",
            "/* é */ modules { module { name=redis language=python } }\ncollection_group { metric { name=x } }",
        )
        .with("/g/mysql.pyconf.disabled", "modules { module { name = mysql language = python } }")
        .with("/g/none.pyconf", "modules { module { name = none language = python } }");
    let found = Installation {
        others: ["/g/redis.pyconf", "/g/none.pyconf", "/g/mysql.pyconf.disabled"].map(|path| shelf.conf(path)).to_vec(),
        python: python(&["Redis.py", "mysql.py", "helper.py", "spare.py", "lib/helper.py"]),
        ..Installation::default()
    };
    check(
        &found,
        "
        plugins/helper.py < /py/helper.py
        plugins/lib/helper.py < /py/lib/helper.py
        conf/mysql.off
        = # imported by graftd from /g/mysql.pyconf.disabled
        = modules { module { name = mysql language = python } }
        conf/redis.on
        = # imported by graftd from /g/redis.pyconf
        = /* é */ modules { module { name=redis language=python } }
        = collection_group { metric { name=x } }
        conf/spare.off
        = # imported by graftd from /py/spare.py
        = # gmond had no configuration for it and did not run it. As NAME.on it runs with its defaults.
        plugins/mysql.py < /py/mysql.py
        plugins/redis.py < /py/Redis.py
        plugins/spare.py < /py/spare.py
        ! /g/none.pyconf:1:11: there is no none.py; name its folder with --python-modules DIR
        ",
    );
}

const GMOND_CONF: &str = r#"
globals { deaf = no override_hostname = "web1" }
cluster { name = "My \"own\"" owner = "me" }
host { location = "1,2,3" }
udp_send_channel { host = a }
udp_recv_channel { mcast_join = 239.2.11.71 port = 8650 }
tcp_accept_channel { port = 8651 acl { default = deny } }
tcp_accept_channel { bind = "::1" }
modules {
  module { name = core_metrics }
  module { name = cpu_module path = modcpu.so }
  module { name = mem_module path = modmem.so enabled = no }
  module { name = own_module path = own.so params = "a b" param P { value = 1 } }
  module { name = lost_module path = gone.so }
  module { name = camel language = perl }
}
include ("/g/conf.d/*.conf")
collection_group { collect_every = 20 metric { name = cpu_user title = "User" } metric { name = own_a } metric { name = mem_free } }
collection_group { collect_once = yes metric { name = heartbeat } metric { name = location } }
collection_group { metric { name_match = "(.*)" } metric { name = disk_total } metric { name = io_reads } }
"#;

#[test]
fn gmonds_own_file_is_parted() {
    let shelf = Shelf::default()
        .with("/g/gmond.conf", GMOND_CONF)
        .with("/g/conf.d/io.conf", "modules { module { name = io_module path = modio.so } }\ncollection_group { metric { name = io_reads } }\n")
        .with("/g/conf.d/unread.pyconf", "modules { module { name = late language = python } }")
        .with("/g/conf.d/python.conf", "modules { module { name = python_module path = modpython.so } }");
    let found = Installation {
        main: Some(shelf.conf("/g/gmond.conf")),
        others: vec![shelf.conf("/g/conf.d/unread.pyconf")],
        python: python(&["late.py"]),
        ..Installation::default()
    };
    check(&found, include_str!("parted_gmond_conf.txt"));
}

#[test]
fn a_file_of_several_modules_is_parted_and_the_first_of_a_name_counts() {
    let shelf = Shelf::default()
        .with("/g/conf.d/more.pyconf", "collection_group { metric { name = included } }")
        .with(
            "/g/two.pyconf",
            "modules { module { name = a language = python } module { name = B language = python enabled = no } }
             collection_group { metric { name_match = \"(.+)\" title = \"\\\\1\" } }",
        )
        .with("/g/again.pyconf", "modules { module { name = A language = python } }")
        .with("/g/more.pyconf", "include (\"/g/conf.d/more.pyconf\") modules { module { name = c language = python } }")
        .with("/g/c.conf", "modules { module { name = one path = x.so } module { name = two path = x.so } module { name = one path = x.so } }");
    let paths = ["/g/two.pyconf", "/g/again.pyconf", "/g/more.pyconf", "/g/c.conf"];
    let found = Installation {
        others: paths.map(|path| shelf.conf(path)).to_vec(),
        python: python(&["a.py", "b.py", "c.py"]),
        ..Installation::default()
    };
    check(
        &found,
        r#"
        conf/B.off
        = # imported by graftd from /g/two.pyconf:1:49
        = modules {
        =   module {
        =     name = "B"
        =     language = "python"
        =     enabled = "no"
        =   }
        = }
        = collection_group {
        =   metric {
        =     name_match = "(.+)"
        =     title = "\\1"
        =   }
        = }
        conf/a.on
        = # imported by graftd from /g/two.pyconf:1:11
        = modules {
        =   module {
        =     name = "a"
        =     language = "python"
        =   }
        = }
        = collection_group {
        =   metric {
        =     name_match = "(.+)"
        =     title = "\\1"
        =   }
        = }
        conf/c.on
        = # imported by graftd from /g/more.pyconf:1:45
        = modules {
        =   module {
        =     name = "c"
        =     language = "python"
        =   }
        = }
        = collection_group {
        =   metric {
        =     name = "included"
        =   }
        = }
        conf/x.on
        = # imported by graftd from /g/c.conf:1:11
        = modules {
        =   module {
        =     name = "one"
        =     path = "x.so"
        =   }
        = }
        conf/x-two.on
        = # imported by graftd from /g/c.conf:1:45
        = modules {
        =   module {
        =     name = "two"
        =     path = "x.so"
        =   }
        = }
        plugins/B.py < /py/b.py
        plugins/a.py < /py/a.py
        plugins/c.py < /py/c.py
        plugins/x.so < /so/x.so
        - /g/again.pyconf:1:11: module A is configured at /g/two.pyconf:1:11 already, and that one counts; left out
        - /g/c.conf:1:79: module one is configured at /g/c.conf:1:11 already, and that one counts; left out
        - /g/two.pyconf:1:49: enabled = no: it comes over as B.off; remove that line too to run it
        "#,
    );
}

#[test]
fn names_that_cannot_be_are_told() {
    let shelf = Shelf::default()
        .with("/g/gmond.pyconf", "modules { module { name = gmond language = python } }")
        .with("/g/cpu.pyconf", "modules { module { name = cpu language = python } }")
        .with("/g/up.pyconf", "modules { module { name = \"../up\" language = python } }")
        .with("/g/lib.conf", "modules { module { name = lib path = libown.so } module { name = x path = own.bin } }")
        .with("/g/helper.pyconf", "modules { module { name = helper language = python } }");
    let paths = ["/g/gmond.pyconf", "/g/cpu.pyconf", "/g/up.pyconf", "/g/lib.conf", "/g/helper.pyconf"];
    let found = Installation {
        others: paths.map(|path| shelf.conf(path)).to_vec(),
        python: python(&["gmond.py", "cpu.py", "helper.py"]),
        taken: vec!["cpu.so".to_owned()],
        ..Installation::default()
    };
    check(
        &found,
        r#"
        plugins/helper.py < /py/helper.py
        ! /g/gmond.pyconf:1:11: a module named gmond cannot run beside graftd's own of that name; rename it and its file
        ! /g/cpu.pyconf:1:11: plugins/ has a cpu.so already, and one name is one plugin; rename the module and its file
        ! /g/up.pyconf:1:11: there is no ../up.py; name its folder with --python-modules DIR
        ! /g/lib.conf:1:11: libown.so: a file lib….so is the plugin that its rest names; rename it and its path
        ! /g/lib.conf:1:50: /so/own.bin does not end in .so, and graftd would not see it; rename it
        ! /g/helper.pyconf:1:11: /py/helper.py has no metric_init; it is no gmond module
        - /py/gmond.py: a module named gmond cannot run beside graftd's own of that name; rename it and its file
        - /py/cpu.py: plugins/ has a cpu.so already, and one name is one plugin; rename the module and its file
        "#,
    );
}

#[test]
fn bytes_stay_bytes_and_a_deaf_gmond_stays_deaf() {
    let mut shelf = Shelf::default()
        .with("/g/gmond.conf", "globals { deaf = yes } udp_recv_channel { }\ninclude (\"/g/x\ny.pyconf\")");
    shelf.files.insert(
        "/g/x\ny.pyconf".into(),
        b"\xef\xbb\xbf/* caf\xe9 */ modules { module { name = x language = python } }".to_vec(),
    );
    let found =
        Installation { main: Some(shelf.conf("/g/gmond.conf")), python: python(&["x.py"]), ..Installation::default() };
    let plan = plan(&found, &find).unwrap();
    let bytes = |at: usize| match &plan.puts[at].content {
        Content::Bytes(bytes) => bytes.clone(),
        other @ Content::CopyOf(_) => panic!("{other:?}"),
    };
    assert_eq!(plan.puts[0].to, To::Conf { name: "gmond".to_owned(), on: false });
    assert!(String::from_utf8(bytes(0)).unwrap().ends_with("# gmond was deaf: it listened to nobody.\n"));
    let expected =
        b"# imported by graftd from /g/x?y.pyconf\n/* caf\xe9 */ modules { module { name = x language = python } }";
    assert_eq!(bytes(1), expected);
}

#[test]
fn what_gmond_cannot_read_is_an_error() {
    let shelf = Shelf::default().with("/g/gmond.conf", "cluster = x");
    let found = Installation { main: Some(shelf.conf("/g/gmond.conf")), ..Installation::default() };
    assert_eq!(
        plan(&found, &find).unwrap_err().to_string(),
        "/g/gmond.conf:1:1: `cluster` is a section in the file; write `cluster { … }`"
    );
    let found = Installation { others: vec![shelf.conf("/g/gmond.conf")], ..Installation::default() };
    check(&found, "! /g/gmond.conf:1:1: `cluster` is a section in the file; write `cluster { … }`");
}
