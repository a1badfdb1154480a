//! libapr and libganglia, which gmond's modules expect to find in the process that runs them.
//!
//! Modules are linked with neither libganglia nor, some of them, libapr: they count on gmond's own symbols. So both
//! are opened first, for all that is opened later. They are looked for at run time and not linked, for graftd is of
//! use without them.

use super::layout::{Array, Pool};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

const APR: &str = "libapr-1.so.0";
const APR_PACKAGE: &str = "libapr1 (from Debian 13 on: libapr1t64)";
const GANGLIA: &str = "libganglia.so.0";
const GANGLIA_PACKAGE: &str = "libganglia1";

/// Bytes of configuration that are handed to a module which asks for it.
const CONFIG_BYTES_MAX: usize = 1 << 20;

/// What of the two libraries is called, and one pool.
pub(super) struct Libraries {
    pool: *mut Pool,
    array_make: unsafe extern "C" fn(*mut Pool, c_int, c_int) -> *mut Array,
    array_push: unsafe extern "C" fn(*mut Array) -> *mut c_void,
    strdup: unsafe extern "C" fn(*mut Pool, *const c_char) -> *mut c_char,
    table_elements: unsafe extern "C" fn(*const c_void) -> *const Array,
    pool_destroy: unsafe extern "C" fn(*mut Pool),
    /// libganglia, or why there is none. A module that needs nothing of it does without.
    ganglia: Result<Library, String>,
    /// Never closed: what modules keep of it must hold.
    _apr: Library,
}

impl Libraries {
    /// Opens both, and makes the pool.
    ///
    /// # Errors
    /// There is no libapr, or it is none.
    pub(super) fn open() -> Result<Libraries, String> {
        let apr = open(APR, APR_PACKAGE)?;
        let ganglia = open(GANGLIA, GANGLIA_PACKAGE);
        let initialize: unsafe extern "C" fn() -> c_int = symbol(&apr, APR, "apr_initialize")?;
        let pool_create: unsafe extern "C" fn(*mut *mut Pool, *mut Pool, *const c_void, *const c_void) -> c_int =
            symbol(&apr, APR, "apr_pool_create_ex")?;
        let mut out = Libraries {
            pool: ptr::null_mut(),
            array_make: symbol(&apr, APR, "apr_array_make")?,
            array_push: symbol(&apr, APR, "apr_array_push")?,
            strdup: symbol(&apr, APR, "apr_pstrdup")?,
            table_elements: symbol(&apr, APR, "apr_table_elts")?,
            pool_destroy: symbol(&apr, APR, "apr_pool_destroy")?,
            ganglia,
            _apr: apr,
        };
        // Safety: libapr is opened, `out.pool` may be written to, and NULL stands for "no parent, the usual
        // allocator, no handler", as apr_pools.h says.
        let said = unsafe {
            match initialize() {
                0 => pool_create(&raw mut out.pool, ptr::null_mut(), ptr::null(), ptr::null()),
                other => other,
            }
        };
        if said != 0 || out.pool.is_null() {
            return Err(format!("{APR} gives no memory (status {said}); give the worker more"));
        }
        Ok(out)
    }

    /// The pool: it lives as long as this does.
    pub(super) fn pool(&self) -> *mut Pool {
        self.pool
    }

    /// Why libganglia is missing, if it is.
    pub(super) fn without_ganglia(&self) -> Option<&str> {
        self.ganglia.as_ref().err().map(String::as_str)
    }

    /// A text as the module gets it; it lives as long as the pool.
    ///
    /// # Errors
    /// It holds a NUL.
    pub(super) fn text(&self, text: &str) -> Result<*mut c_char, String> {
        let text = CString::new(text).map_err(|_| format!("{text:?} holds a NUL, which no C module can read"))?;
        // Safety: the pool lives, and `text` ends with a NUL. It is copied.
        let copy = unsafe { (self.strdup)(self.pool, text.as_ptr()) };
        if copy.is_null() { Err(no_memory()) } else { Ok(copy) }
    }

    /// An empty array of elements of a type that may hold any bytes.
    pub(super) fn array<T>(&self) -> Result<*mut Array, String> {
        let bytes = c_int::try_from(size_of::<T>()).map_err(|_| no_memory())?;
        // Safety: the pool lives; the size is the type's.
        let array = unsafe { (self.array_make)(self.pool, 2, bytes) };
        if array.is_null() { Err(no_memory()) } else { Ok(array) }
    }

    /// Adds an element to an array that was made for its type.
    ///
    /// # Safety
    /// `array` is one of [`Libraries::array`] of the same type.
    pub(super) unsafe fn push<T>(&self, array: *mut Array, element: T) -> Result<(), String> {
        // Safety: the array lives as long as its pool; what is returned is room for one element, as yet unset.
        unsafe {
            let place = (self.array_push)(array).cast::<T>();
            if place.is_null() {
                return Err(no_memory());
            }
            place.write(element);
        }
        Ok(())
    }

    /// The elements of a table, or NULL.
    ///
    /// # Safety
    /// `table` is a table of libapr's.
    pub(super) unsafe fn table(&self, table: *const c_void) -> *const Array {
        // Safety: the caller's.
        unsafe { (self.table_elements)(table) }
    }

    /// Sets how much gmond's `debug_msg` prints; without libganglia nothing does.
    pub(super) fn debug_level(&self, level: u32) {
        let Ok(ganglia) = &self.ganglia else { return };
        if let Ok(set) = symbol::<unsafe extern "C" fn(c_int)>(ganglia, GANGLIA, "set_debug_msg_level") {
            // Safety: it takes any number.
            unsafe { set(c_int::try_from(level).unwrap_or(c_int::MAX)) };
        }
    }

    /// gmond's configuration (`cfg_t`) made of its text, for the modules that read it themselves. libganglia parses
    /// it, and ends the process where it cannot, with a message that names the place.
    ///
    /// # Errors
    /// There is no libganglia, or no room for the text.
    pub(super) fn config(&self, text: &[u8]) -> Result<*mut c_void, String> {
        let ganglia = self.ganglia.as_ref().map_err(Clone::clone)?;
        let create: unsafe extern "C" fn(*mut c_char, c_int) -> *mut c_void =
            symbol(ganglia, GANGLIA, "Ganglia_gmond_config_create")?;
        if text.len() > CONFIG_BYTES_MAX {
            return Err(format!("its configuration has more than {CONFIG_BYTES_MAX} bytes; shorten it"));
        }
        let file = in_memory(text).map_err(|error| format!("cannot hand it its configuration: {error}"))?;
        let path = self.text(&format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)))?;
        // Safety: the path ends with a NUL and may be written to. It is read before the file is closed.
        let config = unsafe { create(path, 0) };
        drop(file);
        if config.is_null() { Err("libganglia made no configuration of its text".to_owned()) } else { Ok(config) }
    }

    /// Frees the pool and runs what modules have registered to be run then. Nothing that came from it may be used after.
    ///
    /// # Safety
    /// The module that was given the pool is not called again.
    pub(super) unsafe fn end(self) {
        // Safety: the caller's; the pool is destroyed once, for this takes `self`.
        unsafe { (self.pool_destroy)(self.pool) };
        std::mem::forget(self);
    }
}

fn no_memory() -> String {
    "no memory is left for its parameters; give the worker more".to_owned()
}

fn open(name: &str, package: &str) -> Result<Library, String> {
    // Safety: opening runs the library's constructors; these two are the system's own and have none that ask anything
    // of this process.
    unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) }.map_err(|error| {
        format!("gmond's C modules need {name}, and it cannot be opened ({error}); install Debian's package {package}")
    })
}

/// A function of a library. The caller says its type.
fn symbol<T: Copy>(library: &Library, name: &str, function: &str) -> Result<T, String> {
    // Safety: the types stand in the headers of libapr 1 and libganglia 0, whose names end with the version of that
    // very interface. None of the libraries is ever closed.
    match unsafe { library.get::<T>(function.as_bytes()) } {
        Ok(found) => Ok(*found),
        Err(error) => Err(format!("{name} has no {function} ({error}); install the one of this system")),
    }
}

/// A file without a name that holds `bytes`.
fn in_memory(bytes: &[u8]) -> std::io::Result<std::fs::File> {
    use std::io::{Seek, Write};
    let mut file = std::fs::File::from(rustix::fs::memfd_create("gmond.conf", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}
