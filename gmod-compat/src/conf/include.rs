//! Follows `include ("…")`, as gmond's own `include` does (`Ganglia_cfg_include` in `lib/libgmond.c`):
//!
//! * one argument; a path that exists is read as it stands, wildcard characters or not;
//! * else a path with wildcards is a folder and a pattern for the names in it: wildcards in the folder's part are not
//!   expanded, hidden names need a pattern with a dot, no match is no error;
//! * any other path is an error.
//!
//! Unlike gmond: the names are taken in alphabetical order (gmond: in the order of the folder), a relative path
//! starts from the folder of the file that includes (gmond: from wherever it was started), a file is read whole
//! before the next, so no section can start in one and end in another, and a circle is named as one. As in gmond
//! `include` works at the top of a file alone.

use super::error::{Error, Pos, Warnings, quoted};
use super::fnmatch;
use super::limits::{MAX_FILES, MAX_INCLUDE_DEPTH, MAX_TOKENS, MAX_TOTAL_BYTES};
use super::parser::{Call, Item, Tree, parse};
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// What a configuration may see of the world: files, and environment variables. Tests bring their own.
pub trait Files {
    /// Reads a file, but no more than `at_most` bytes of it.
    ///
    /// # Errors
    /// When there is no such file, it is not a plain one, or it cannot be read.
    fn read(&self, path: &Path, at_most: usize) -> io::Result<Vec<u8>>;

    /// Whether something is at that path.
    fn exists(&self, path: &Path) -> bool;

    /// The names of the plain files in a folder, in any order.
    ///
    /// # Errors
    /// When there is no such folder or it cannot be read.
    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// The value of an environment variable, if it is set.
    fn var(&self, name: &str) -> Option<String>;
}

/// The files and the environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path, at_most: usize) -> io::Result<Vec<u8>> {
        // Asked before the open, which would wait for ever on a named pipe that nobody writes to.
        if !path.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file"));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(u64::try_from(at_most).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            // metadata of the path, not of the entry: a link to a plain file is one.
            if entry.path().is_file() {
                names.push(entry.file_name());
            }
        }
        Ok(names)
    }

    fn var(&self, name: &str) -> Option<String> {
        // A name with `=` or NUL is no variable, and asking for it is not defined everywhere.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
}

/// A configuration with its includes followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The items of all files, each `include` replaced by what it names.
    pub tree: Tree,
    /// The files read, in order; one that is included twice is in here twice. Whoever reloads on change watches these
    /// and [`Loaded::folders`].
    pub files: Vec<PathBuf>,
    /// The folders whose names were matched against a wildcard, whether they exist or not.
    pub folders: Vec<PathBuf>,
}

/// Reads a configuration file and all that it includes.
///
/// # Errors
/// A file that cannot be read, the first thing in one that is not of the grammar, a circle, or a limit of
/// [`super::limits`].
pub fn load(files: &dyn Files, path: &Path) -> Result<Loaded, Error> {
    let mut loader = Loader::new(files);
    let items = loader.file(path, None)?;
    Ok(loader.loaded(items))
}

/// As [`load`], for a file whose text is already at hand. `path` names it in messages and is where relative includes
/// start from.
///
/// # Errors
/// As [`load`].
pub fn load_text(files: &dyn Files, path: &Path, text: &[u8]) -> Result<Loaded, Error> {
    let mut loader = Loader::new(files);
    loader.out.files.push(path.to_owned());
    let items = loader.text(path, text, None)?;
    Ok(loader.loaded(items))
}

struct Loader<'a> {
    files: &'a dyn Files,
    /// The files open inside each other now.
    open: Vec<PathBuf>,
    bytes: usize,
    out: Loaded,
}

impl<'a> Loader<'a> {
    fn new(files: &'a dyn Files) -> Self {
        Loader { files, open: Vec::new(), bytes: 0, out: Loaded::default() }
    }

    fn loaded(mut self, items: Vec<Item>) -> Loaded {
        self.out.tree.items = items;
        self.out
    }

    fn warnings(&mut self) -> &mut Warnings {
        &mut self.out.tree.warnings
    }

    /// Reads one file; `by` is the include that names it.
    fn file(&mut self, path: &Path, by: Option<&Pos>) -> Result<Vec<Item>, Error> {
        if self.out.files.len() >= MAX_FILES {
            return Err(place(path, by, format!("more than {MAX_FILES} files"), "include fewer, or each of them once"));
        }
        let left = MAX_TOTAL_BYTES.saturating_sub(self.bytes);
        let text = self.files.read(path, left.saturating_add(1)).map_err(|error| {
            place(path, by, format!("cannot read {}: {error}", path.display()), "check the path and who may read it")
        })?;
        self.out.files.push(path.to_owned());
        self.text(path, &text, by)
    }

    fn text(&mut self, path: &Path, text: &[u8], by: Option<&Pos>) -> Result<Vec<Item>, Error> {
        let identity = normal(path);
        if self.open.contains(&identity) {
            return Err(place(
                path,
                by,
                format!("{} includes itself, directly or through others", path.display()),
                "remove one of the includes",
            ));
        }
        if self.open.len() >= MAX_INCLUDE_DEPTH {
            return Err(place(
                path,
                by,
                format!("more than {MAX_INCLUDE_DEPTH} files inside each other"),
                "include them from one file",
            ));
        }
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > MAX_TOTAL_BYTES {
            return Err(place(
                path,
                by,
                format!("more than {MAX_TOTAL_BYTES} bytes of configuration"),
                "is this the right file?",
            ));
        }
        let files = self.files;
        let tree = parse(&path.to_string_lossy(), text, &|name| files.var(name))?;
        self.out.tree.tokens += tree.tokens;
        if self.out.tree.tokens > MAX_TOKENS {
            return Err(place(
                path,
                by,
                format!("more than {MAX_TOKENS} tokens of configuration"),
                "is this the right file?",
            ));
        }
        self.warnings().append(tree.warnings);
        self.open.push(identity);
        let mut items = Vec::with_capacity(tree.items.len());
        for item in tree.items {
            match item {
                Item::Call(call) if call.name.eq_ignore_ascii_case("include") => {
                    items.append(&mut self.include(&call, path)?);
                }
                other => items.push(other),
            }
        }
        self.open.pop();
        Ok(items)
    }

    /// What an `include` in the file `from` stands for.
    fn include(&mut self, call: &Call, from: &Path) -> Result<Vec<Item>, Error> {
        let [argument] = call.arguments.as_slice() else {
            let what = format!("`include` takes one path, not {}", call.arguments.len());
            return Err(Error::at(&call.pos, what, "write one `include (\"…\")` for each"));
        };
        let given = argument.text.as_str();
        let pos = &argument.pos;
        if given.is_empty() {
            return Err(Error::at(
                pos,
                "`include` of an empty path",
                "name a file, or a pattern like \"/etc/ganglia/conf.d/*.conf\"",
            ));
        }
        let base = from.parent().unwrap_or(Path::new(""));
        let path = base.join(given);
        if self.files.exists(&path) {
            return self.file(&path, Some(pos));
        }
        if !fnmatch::has_wildcard(given) {
            let what = format!("no file {}", path.display());
            return Err(Error::at(pos, what, "correct the path; one with `*` may match nothing"));
        }
        let (folder, pattern) = match given.rsplit_once('/') {
            Some(("", pattern)) => (PathBuf::from("/"), pattern),
            Some((folder, pattern)) => (base.join(folder), pattern),
            None => (base.to_owned(), given),
        };
        self.out.folders.push(folder.clone());
        let names = match self.files.names(if folder.as_os_str().is_empty() { Path::new(".") } else { &folder }) {
            Ok(names) => names,
            Err(error) => {
                // gmond goes on without a word.
                let what = format!("cannot list {}, so {} matches nothing: {error}", folder.display(), quoted(given));
                self.warnings().push(Error::at(
                    pos,
                    what,
                    "check the folder; wildcards are for the last part of the path alone",
                ));
                return Ok(Vec::new());
            }
        };
        let mut names: Vec<OsString> =
            names.into_iter().filter(|name| fnmatch::matches(pattern, &name.to_string_lossy())).collect();
        names.sort_unstable();
        let mut items = Vec::new();
        for name in names {
            items.append(&mut self.file(&folder.join(name), Some(pos))?);
        }
        Ok(items)
    }
}

/// An error at the include that leads to the file, or of the file itself where none does.
fn place(path: &Path, by: Option<&Pos>, what: impl Into<String>, hint: &str) -> Error {
    match by {
        Some(pos) => Error::at(pos, what, hint),
        None => Error::of_file(path.to_string_lossy(), what, hint),
    }
}

/// The path without `.` and, where that is sure, `..`. Two spellings that stay apart, by a link say, end at the depth
/// limit instead.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
#[path = "include_tests.rs"]
mod tests;
