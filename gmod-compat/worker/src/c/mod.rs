//! gmond's C modules: a shared object that exports a `struct mmodule`, run as gmond runs it.
//!
//! ```text
//! file ── celf: is it one, and for this gmond? ── libapr, libganglia ── dlopen ── init ── table of metrics ── handler
//! ```
//!
//! What a module does wrong in here (a bad pointer, `exit`, an endless loop) costs this process, and this process runs
//! nothing else. What can be told beforehand is an error in words.
//!
//! **As gmond:** the symbol is the module's `name`; `module_name`, `params`, the list of `param`s and the
//! configuration are set before `init`; the table of metrics is read after it and ends where a name is NULL; of two
//! metrics with one name the later counts; all calls are made from one thread; `cleanup` comes before the pool ends.
//!
//! **Kinder than gmond:** version and magic number are looked at before anything of the file runs, and gmond writes
//! into what it takes for the structure before it looks. Who names no symbol gets the file's only module. A missing
//! handler or table is told; gmond calls it.

#![allow(unsafe_code)] // This room is the worker's border to C.

#[cfg(test)]
mod debian_tests;
mod layout;
mod libraries;
mod table;
#[cfg(test)]
mod tests;

use gmod_compat::celf;
use gmod_compat::descriptor::{Descriptor, Value};
use layout::{Array, Handler, Module, Param, SAMPLE_TEXT_BYTES, Sample};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use libraries::Libraries;
use plugin_api::Error;
use std::io::Read;
use std::path::Path;
use std::ptr;
use table::{Kind, Table, bounded};

/// Bytes of a module's file that are looked at; a larger one is no module.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What a module is opened with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opening<'a> {
    /// The symbol of its structure: `name = "…"` in its configuration. None: the only one that there is.
    pub(crate) symbol: Option<&'a str>,
    /// The one text `params = "…"`.
    pub(crate) params: Option<&'a str>,
    /// The `param NAME { value = "…" }`, in order.
    pub(crate) param: &'a [(String, String)],
    /// The text of gmond's configuration. Only a module that reads it itself is given it.
    pub(crate) config: Option<&'a [u8]>,
    /// `debug_level`: above 0 what the module says by `debug_msg` goes to stderr.
    pub(crate) debug_level: u32,
}

/// A module that has been opened and initialised.
pub(crate) struct CModule {
    module: *mut Module,
    handler: Handler,
    table: Table,
    libraries: Libraries,
}

impl CModule {
    /// Opens a module's file, which may be a path into `/proc/self/fd`, and initialises it.
    ///
    /// # Errors
    /// It is no such module, not for this gmond, needs what is not there, or its `init` says no.
    pub(crate) fn open(file: &Path, opening: &Opening<'_>) -> Result<CModule, Error> {
        // What cannot be opened now may be there at the next try; what is wrong in the file stays so until it changes.
        let bytes = read(file).map_err(Error::failed)?;
        let symbol = choose(&celf::modules(&bytes), opening.symbol).map_err(Error::config)?;
        let reads_config = celf::imports(&bytes, |name| name.starts_with("cfg_"));
        drop(bytes);
        let libraries = Libraries::open().map_err(Error::failed)?;
        let module = load(file, &symbol, &libraries)?;
        libraries.debug_level(opening.debug_level);
        let config = match (reads_config, opening.config) {
            (true, text) => libraries.config(text.unwrap_or_default()).map_err(Error::failed)?,
            (false, _) => ptr::null_mut(),
        };
        // Safety: it is a module's structure, as yet without its init.
        unsafe { give(module, &symbol, opening, &libraries) }.map_err(Error::config)?;
        // Safety: as above. What init does is the module's affair.
        let said = unsafe {
            (*module).config = config;
            (*module).init.map_or(0, |init| init(libraries.pool()))
        };
        if said != 0 {
            let why = "by which a gmond module says that it cannot run here";
            return Err(Error::failed(format_args!("its init returned {said}, {why}")));
        }
        // Safety: as above. The table is read after init, which may have replaced it.
        let (handler, metrics) = unsafe { ((*module).handler, (*module).metrics) };
        let handler = handler.ok_or_else(|| {
            Error::config(format_args!("its {symbol} has no handler to call for values; build it anew"))
        })?;
        // Safety: the module says that its table is one.
        let table = unsafe { Table::read(metrics, &libraries) };
        Ok(CModule { module, handler, table, libraries })
    }

    /// Its metrics, in the order of its table.
    pub(crate) fn descriptors(&self) -> &[Descriptor] {
        &self.table.descriptors
    }

    /// What of its table was left out, a line each.
    pub(crate) fn remarks(&self) -> &[String] {
        &self.table.remarks
    }

    /// Samples the metric whose descriptor stands at `index`.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn value(&mut self, index: usize) -> Result<Value, String> {
        let Some(place) = self.table.places.get(index) else { return Err(format!("has no metric number {index}")) };
        // Safety: the handler takes the indexes of the module's table, and this is one.
        let sample = unsafe { (self.handler)(place.index) };
        // Safety: the metric's type says which part of the union the module has set.
        Ok(unsafe {
            match place.kind {
                Kind::Text => Value::Text(text_of(&sample)),
                Kind::Ushort => sample.uint16.into(),
                Kind::Short => sample.int16.into(),
                Kind::Uint => sample.uint32.into(),
                Kind::Int => sample.int32.into(),
                Kind::Float => Value::Float(plain(sample.float)),
                Kind::Double => Value::Float(sample.double),
            }
        })
    }

    /// Ends it as gmond does: its `cleanup`, then what it registered with its pool. Its code stays loaded, for it may
    /// have started threads.
    pub(crate) fn close(self) {
        // Safety: the structure lives as long as the library, which is never closed; nothing is called after.
        unsafe {
            if let Some(cleanup) = (*self.module).cleanup {
                cleanup();
            }
            self.libraries.end();
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let open = std::fs::File::open(file).map_err(|error| format!("cannot be opened: {error}"))?;
    open.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("has more than {FILE_BYTES_MAX} bytes, which is no gmond module"));
    }
    Ok(bytes)
}

/// Loads the file, for ever, and gives the module's structure in it.
fn load(file: &Path, symbol: &str, libraries: &Libraries) -> Result<*mut Module, Error> {
    // Safety: what its constructors do is the module's affair, as all it does is; see the head of this file.
    let library = unsafe { Library::open(Some(file), RTLD_NOW | RTLD_GLOBAL) }
        .map_err(|error| Error::failed(cannot_load(&error, libraries)))?;
    // Safety: nothing is read through it before it is known to point at a structure of this version.
    let module = unsafe { library.get::<*mut Module>(symbol.as_bytes()) }
        .map_err(|error| Error::config(format_args!("has no symbol {symbol} after all ({error}); build it again")))?
        .into_raw()
        .cast::<Module>();
    let handle = library.into_raw();
    // Safety: the symbol is a variable of at least the structure's size, by the file's own table.
    let (version, magic) = unsafe { (ptr::read(&raw const (*module).version), ptr::read(&raw const (*module).magic)) };
    if let Some(misfit) = (celf::Found { symbol: symbol.to_owned(), version, magic }).misfit() {
        return Err(Error::config(misfit));
    }
    // Safety: it is a structure of this version, in the module's writable data; nobody else knows it yet.
    unsafe { (*module).handle = handle };
    Ok(module)
}

/// Gives a module its name and its parameters, which live as long as the pool.
///
/// # Safety
/// `module` is a structure of this version that nobody uses yet.
unsafe fn give(module: *mut Module, symbol: &str, opening: &Opening<'_>, libraries: &Libraries) -> Result<(), String> {
    let name = libraries.text(symbol)?;
    let params = opening.params.map(|text| libraries.text(text)).transpose()?;
    let list = param_list(libraries, opening.param)?;
    // Safety: the caller's.
    unsafe {
        (*module).name = name;
        (*module).params = params.unwrap_or(ptr::null_mut());
        (*module).param_list = list;
    }
    Ok(())
}

/// The symbol of the module to run.
fn choose(found: &[celf::Found], wanted: Option<&str>) -> Result<String, String> {
    let names = || found.iter().map(|found| found.symbol.as_str()).collect::<Vec<_>>().join(", ");
    let chosen = match (wanted, found) {
        (_, []) => return Err("holds no gmond module: it exports no `struct mmodule`".to_owned()),
        (Some(wanted), _) => found.iter().find(|found| found.symbol == wanted).ok_or_else(|| {
            format!("holds no module {wanted}; write name = \"…\" with the one that it holds: {}", names())
        })?,
        (None, [only]) => only,
        (None, _) => return Err(format!("holds several modules; write name = \"…\" with one of {}", names())),
    };
    if chosen.symbol == "python_module" {
        return Err(
            "is gmond's own host of Python modules, and graftd runs those itself: put NAME.py into plugins/ and \
                    NAME.pyconf, as NAME.on, into conf/"
                .to_owned(),
        );
    }
    chosen.misfit().map_or_else(|| Ok(chosen.symbol.clone()), Err)
}

fn cannot_load(error: &libloading::Error, libraries: &Libraries) -> String {
    let why = match error {
        libloading::Error::DlOpen { desc } => format!("{desc:?}").trim_matches('"').to_owned(),
        other => other.to_string(),
    };
    // The loader names the file that it was given, which is a descriptor's number as often as not.
    let why = why.split_once(": ").filter(|(file, _)| file.starts_with('/')).map_or(why.as_str(), |(_, rest)| rest);
    match libraries.without_ganglia() {
        Some(missing) => format!("cannot be loaded: {why}; {missing}"),
        None => format!("cannot be loaded: {why}; gmond's modules may use what libganglia, libapr-1 and libc have"),
    }
}

fn param_list(libraries: &Libraries, params: &[(String, String)]) -> Result<*mut Array, String> {
    let list = libraries.array::<Param>()?;
    for (name, value) in params {
        let param = Param { name: libraries.text(name)?, value: libraries.text(value)? };
        // Safety: the array was made for this type.
        unsafe { libraries.push(list, param)? };
    }
    Ok(list)
}

/// # Safety
/// The sample is of a metric whose values are text.
unsafe fn text_of(sample: &Sample) -> String {
    // Safety: the module has set it up to a NUL, or whole.
    unsafe { bounded((&raw const sample.text).cast(), SAMPLE_TEXT_BYTES) }
}

/// A float as the double that is written the same, so that 0.1 is 0.1 and not 0.10000000149. Whole numbers stay as
/// they are to the last digit.
fn plain(x: f32) -> f64 {
    if !x.is_finite() || x.fract() == 0.0 {
        return f64::from(x);
    }
    x.to_string().parse().unwrap_or_else(|_| f64::from(x))
}
