//! Tests of the includes, on files held in memory, and once on the disk.

use super::*;
use std::collections::BTreeMap;

/// A disk of `(path, text)`. Its folders are those that its files are in.
pub(crate) struct Memory(BTreeMap<PathBuf, Vec<u8>>);

impl Memory {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        Memory(files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect())
    }
}

impl Files for Memory {
    fn read(&self, path: &Path, at_most: usize) -> io::Result<Vec<u8>> {
        let bytes = self.0.get(&normal(path)).ok_or(io::ErrorKind::NotFound)?;
        Ok(bytes.get(..at_most).unwrap_or(bytes).to_vec())
    }
    fn exists(&self, path: &Path) -> bool {
        self.0.contains_key(&normal(path))
    }
    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let folder = normal(folder);
        // Backwards, so that a reader that does not sort is seen.
        let inside = self.0.keys().rev().filter(|path| path.parent() == Some(&folder));
        let names: Vec<OsString> = inside.filter_map(|path| path.file_name()).map(ToOwned::to_owned).collect();
        if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }
    fn var(&self, name: &str) -> Option<String> {
        (name == "ETC").then(|| "/etc/ganglia".to_owned())
    }
}

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded.tree.items.iter().map(Item::name).collect()
}

fn load_all(files: &[(&str, &str)]) -> Result<Loaded, Error> {
    load(&Memory::new(files), Path::new(files[0].0))
}

#[test]
fn includes_are_replaced_by_what_they_name_in_order() {
    let loaded = load_all(&[
        ("/etc/ganglia/gmond.conf", "a=1 include (\"${ETC}/conf.d/*.conf\") INCLUDE('sub/one.inc') z=1"),
        ("/etc/ganglia/conf.d/20.conf", "c=1"),
        ("/etc/ganglia/conf.d/10.conf", "b=1 include(\"*.pyconf\")"),
        ("/etc/ganglia/conf.d/.hidden.conf", "no=1"),
        ("/etc/ganglia/conf.d/30.conf~", "no=1"),
        ("/etc/ganglia/conf.d/x.pyconf", "bb=1"),
        ("/etc/ganglia/sub/one.inc", "y=1"),
    ])
    .expect("a configuration");
    assert_eq!(names(&loaded), ["a", "b", "bb", "c", "y", "z"]);
    assert_eq!(loaded.files.len(), 5);
    assert_eq!(loaded.folders, [Path::new("/etc/ganglia/conf.d"), Path::new("/etc/ganglia/conf.d")]);
    assert_eq!(loaded.tree.items[2].pos().to_string(), "/etc/ganglia/conf.d/x.pyconf:1:1");
    assert!(loaded.tree.warnings.is_empty());
}

#[test]
fn a_path_that_exists_is_taken_literally_and_a_file_may_come_twice() {
    let loaded = load_all(&[("g", "include('[a].c') include('[a].c')"), ("[a].c", "lit=1"), ("a.c", "no=1")])
        .expect("a configuration");
    assert_eq!(names(&loaded), ["lit", "lit"]);
}

#[test]
fn no_match_is_silent_and_no_folder_a_warning() {
    let loaded = load_all(&[("/g/gmond.conf", "include('*.nothing') include('/no/*.conf') include('/g*/x.c')")])
        .expect("a configuration");
    assert!(loaded.tree.items.is_empty());
    let warnings: Vec<String> = loaded.tree.warnings.list().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].starts_with("/g/gmond.conf:1:30: cannot list /no, so `/no/*.conf` matches nothing"),
        "{warnings:?}"
    );
}

#[test]
fn what_cannot_be_included_is_an_error_at_the_include() {
    for (text, message) in [
        ("\n include('nope.conf')", "/e/g:2:10: no file /e/nope.conf; correct the path"),
        ("include()", "/e/g:1:1: `include` takes one path, not 0"),
        ("include(a, b)", "/e/g:1:1: `include` takes one path, not 2"),
        ("include('')", "/e/g:1:9: `include` of an empty path"),
        ("include(g)", "/e/g:1:9: /e/g includes itself"),
        ("include('../e/./h')", "/e/../e/./h:1:9: /e/../e/g includes itself"),
        ("include(bad)", "/e/bad:2:1: `}` without"),
    ] {
        let error = load_all(&[("/e/g", text), ("/e/h", "include(g)"), ("/e/bad", "\n}")]).expect_err(text).to_string();
        assert!(error.starts_with(message), "{text}: {error}");
    }
    let error = load(&Memory::new(&[]), Path::new("/e/none")).expect_err("no file").to_string();
    assert!(error.starts_with("/e/none: cannot read /e/none: "), "{error}");
}

#[test]
fn depth_files_and_bytes_end_at_their_limits() {
    let chain = |n: usize| {
        let files: Vec<(String, String)> = (0..n)
            .map(|i| (format!("/{i}"), if i + 1 < n { format!("include({})", i + 1) } else { String::new() }))
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        load_all(&files)
    };
    assert!(chain(MAX_INCLUDE_DEPTH).is_ok());
    assert!(
        chain(MAX_INCLUDE_DEPTH + 1)
            .expect_err("too deep")
            .to_string()
            .contains("more than 16 files inside each other")
    );

    // Each file includes the next twice: without a limit on files this is 2^15 of them.
    let texts: Vec<(String, String)> =
        (0..15).map(|i| (format!("/{i}"), format!("include({0}) include({0})", i + 1))).collect();
    let mut files: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.push(("/15", ""));
    assert!(load_all(&files).expect_err("too many").to_string().contains("more than 1024 files"));

    let half = " ".repeat(MAX_TOTAL_BYTES / 2 + 1);
    let error = load_all(&[("/g", "include(a) include(a)"), ("/a", &half)]).expect_err("too long").to_string();
    assert_eq!(error, "/g:1:20: more than 16777216 bytes of configuration; is this the right file?");

    let many = "a=b ".repeat(MAX_TOKENS / 6);
    let error =
        load_all(&[("/g", "include(a) include(a) include(a)"), ("/a", &many)]).expect_err("too many").to_string();
    assert!(error.contains("tokens of configuration"), "{error}");
}

#[test]
fn a_text_at_hand_is_not_read_again() {
    let memory = Memory::new(&[("/e/h", "b=1"), ("/e/g", "old=1")]);
    let loaded = load_text(&memory, Path::new("/e/g"), b"a=1 include(h)").expect("a configuration");
    assert_eq!(names(&loaded), ["a", "b"]);
    assert_eq!(loaded.files, [Path::new("/e/g"), Path::new("/e/h")]);
    assert!(load_text(&memory, Path::new("/e/g"), b"include(g)").is_err());
}

#[test]
fn the_disk_is_read_as_the_memory_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let bytes = Disk.read(&folder.join("redis.pyconf"), 10).expect("a file");
    assert_eq!(bytes.len(), 10);
    assert!(Disk.read(&folder, 10).expect_err("a folder").to_string().contains("not a plain file"));
    assert!(Disk.exists(&folder.join("gmond.conf")) && !Disk.exists(&folder.join("none")));
    assert!(Disk.names(&folder).expect("names").contains(&OsString::from("redis.pyconf")));
    assert!(Disk.names(&folder.join("none")).is_err());
    assert_eq!((Disk.var(""), Disk.var("A=B")), (None, None));
    assert!(Disk.var("PATH").is_some());
    let loaded = load(&Disk, &folder.join("gmond.conf")).expect("a configuration");
    assert!(loaded.files.iter().any(|path| path.ends_with("conf.d/mysql.pyconf")), "{:?}", loaded.files);
}
