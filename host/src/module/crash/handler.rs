//! The moment of death.
//!
//! Every call into a module sets what the thread is doing in a thread-local; a signal that ends the process finds it
//! there. A thread that a plugin started by itself has nothing there: it is known by the code that it was in, or came from.
//! Only async-signal-safe functions are called: `getpid`, `gettid`, `open`, `write`, `close`, `sigaction`, `raise`, `_exit`.
//! A signal handler runs on the alternate stack that Rust's threads have, so a stack that overflowed is told too.

#![allow(
    unsafe_code,
    reason = "signal handlers are set, and the thread's tag is read from one, by the C library's calls"
)]

use super::extents::{no_tag, whose};
use super::tag::Tag;
use crate::module::fence::Doing;
use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};

/// What a thread is doing: a call's name and a tag, as pointers and lengths.
#[derive(Clone, Copy)]
struct Current {
    doing: (*const u8, usize),
    tag: (*const u8, usize),
}

thread_local! {
    // Without a destructor and made at compile time, so that a handler may read it.
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}

/// While this lives, the thread is in a call of a module.
pub(crate) struct Entered<'t> {
    before: Option<Current>,
    /// What the thread-local points to.
    _tag: PhantomData<&'t Tag>,
    /// It belongs to its thread.
    _here: PhantomData<*const ()>,
}

/// This thread is in a call of a module from now on.
pub(crate) fn enter(tag: &Tag, doing: Doing) -> Entered<'_> {
    let name = doing.name();
    let now = Current { doing: (name.as_ptr(), name.len()), tag: (tag.text().as_ptr(), tag.text().len()) };
    Entered { before: CURRENT.replace(Some(now)), _tag: PhantomData, _here: PhantomData }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

/// The signals by which faulty code ends a process.
const SIGNALS: [(c_int, &CStr); 5] = [
    (libc::SIGSEGV, c"SIGSEGV"),
    (libc::SIGBUS, c"SIGBUS"),
    (libc::SIGABRT, c"SIGABRT"),
    (libc::SIGILL, c"SIGILL"),
    (libc::SIGFPE, c"SIGFPE"),
];

/// What was set for these signals before: Rust's own handler tells of stacks that overflow.
static EARLIER: [OnceLock<libc::sigaction>; SIGNALS.len()] = [const { OnceLock::new() }; SIGNALS.len()];
/// Where to write, as the C library takes it.
static FILE: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());
/// The daemon stops in order.
static STOPPING: AtomicBool = AtomicBool::new(false);
/// The process it is about: children that a module forks have the handlers too, and their end is not the daemon's.
static PROCESS: AtomicI32 = AtomicI32::new(0);

/// From now on it is written to `file` which module's call ends this process.
///
/// # Errors
/// The system refuses a handler.
pub(crate) fn install(file: &Path) -> io::Result<()> {
    let path = CString::new(file.as_os_str().as_bytes()).map_err(|error| io::Error::other(error.to_string()))?;
    // Kept for ever: a handler may read it at any time.
    FILE.store(path.into_raw(), Ordering::Release);
    // Safety: no precondition.
    PROCESS.store(unsafe { libc::getpid() }, Ordering::Release);
    for ((signal, _), earlier) in SIGNALS.iter().zip(&EARLIER) {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        let mut before = MaybeUninit::<libc::sigaction>::zeroed();
        // Safety: an all-zero `sigaction` is a valid one (default action, empty mask), which is then filled in; both pointers
        // are to memory of that type; the handler has the signature that SA_SIGINFO asks for.
        let before = unsafe {
            let new = action.assume_init_mut();
            new.sa_sigaction = on_signal as extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void) as usize;
            new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            if libc::sigaction(*signal, new, before.as_mut_ptr()) != 0 {
                return Err(io::Error::last_os_error());
            }
            before.assume_init()
        };
        let _ = earlier.set(before);
    }
    // Safety: a function without arguments, to be called at `exit`.
    if unsafe { libc::atexit(on_exit) } != 0 {
        return Err(io::Error::other("no room for a function at exit"));
    }
    Ok(())
}

extern "C" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(place) = SIGNALS.iter().position(|(known, _)| *known == signal) else { return };
    // Safety: `info` is the kernel's. Where a process has sent the signal, it says which.
    let (sent, sender) = unsafe {
        let sent = info.is_null() || (*info).si_code <= 0;
        (sent, if info.is_null() { 0 } else { (*info).si_pid() })
    };
    // Safety: no precondition.
    if !sent || sender == unsafe { libc::getpid() } {
        write_down(SIGNALS[place].1.to_bytes(), registers(context));
    }
    // Safety: the action is the one that was set before, or, never null, the default.
    unsafe {
        let default = MaybeUninit::<libc::sigaction>::zeroed();
        // A fault happens again when this returns, and Rust's handler tells of stacks that overflowed. A signal that
        // somebody sent does not happen again, and is none for Rust's.
        let earlier =
            if sent { default.as_ptr() } else { EARLIER[place].get().map_or(default.as_ptr(), ptr::from_ref) };
        libc::sigaction(signal, earlier, ptr::null_mut());
        if sent {
            libc::raise(signal);
        }
    }
}

/// A plugin that calls `exit` ends the daemon as if all were well; it is no good end.
extern "C" fn on_exit() {
    let here = 0_usize;
    // Safety: no precondition.
    let main = unsafe { libc::gettid() == libc::getpid() };
    // The main thread ends the process in order, and has nothing above its stack that could be looked at.
    if !main && !STOPPING.load(Ordering::Acquire) && write_down(b"exit", Some((0, ptr::from_ref(&here) as usize))) {
        // Safety: ends the process.
        unsafe { libc::_exit(1) };
    }
}

/// The daemon stops in order: an `exit` from now on is its own.
pub(crate) fn stopping() {
    STOPPING.store(true, Ordering::Release);
}

/// Where a thread was when a signal came: the addresses of its next instruction and of its stack's end.
fn registers(context: *mut libc::c_void) -> Option<(usize, usize)> {
    if context.is_null() {
        return None;
    }
    // Safety: the kernel hands a handler with SA_SIGINFO the context that it interrupted.
    let machine = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    let found = (machine.gregs[libc::REG_RIP as usize] as usize, machine.gregs[libc::REG_RSP as usize] as usize);
    #[cfg(target_arch = "aarch64")]
    let found = (machine.pc as usize, machine.sp as usize);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found = {
        let _ = machine;
        return None;
    };
    Some(found)
}

/// Words of a stack that are looked at for who called: `abort` and `exit` are a few frames deep.
const STACK_WORDS: usize = 128;

/// Whose code a thread was in, or came from.
fn whose_thread((code, stack): (usize, usize), tag: &mut [u8; 128]) -> Option<usize> {
    if let Some(bytes) = whose(code, tag) {
        return Some(bytes);
    }
    let words = ptr::with_exposed_provenance::<usize>(stack & !(size_of::<usize>() - 1));
    (0..STACK_WORDS).find_map(|word| {
        // Safety: what lies above a stack's end is the stack. Where it is less than that much, this process, which is
        // dying, dies here.
        let address = unsafe { words.add(word).read_volatile() };
        whose(address, tag)
    })
}

/// Writes what ended the process and what this thread is doing: three lines. Whether it is a module's.
fn write_down(what: &[u8], at: Option<(usize, usize)>) -> bool {
    let file = FILE.load(Ordering::Acquire);
    // Safety: no precondition.
    if file.is_null() || unsafe { libc::getpid() } != PROCESS.load(Ordering::Acquire) {
        return false;
    }
    let mut found = no_tag();
    let (doing, tag) = match CURRENT.get() {
        Some(Current { doing, tag }) => (doing, tag),
        None => match at.and_then(|at| whose_thread(at, &mut found)) {
            Some(bytes) => ((OWN_THREAD.as_ptr(), OWN_THREAD.len()), (found.as_ptr(), bytes)),
            None => return false,
        },
    };
    // Whoever started the daemon sees it at once: `graftd: died of SIGSEGV in process() of FINGERPRINT NAME`.
    let said = [b"graftd: died of "[..].as_ptr_range(), what.as_ptr_range(), b" in ".as_ptr_range()];
    let pieces = said.map(|range| (range.start, range.end as usize - range.start as usize));
    for (text, bytes) in pieces.into_iter().chain([doing, (b" of ".as_ptr(), 4), tag, (b"\n".as_ptr(), 1)]) {
        // Safety: as below.
        unsafe { libc::write(libc::STDERR_FILENO, text.cast(), bytes) };
    }
    // Safety: the path is kept for ever; the name and the tag live while the thread is in the call, or here. What cannot be
    // written cannot be told to anybody either.
    unsafe {
        let open = libc::open(
            file,
            libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC | libc::O_NOFOLLOW,
            0o600,
        );
        if open < 0 {
            return true;
        }
        for (text, bytes) in [(what.as_ptr(), what.len()), doing, tag] {
            libc::write(open, text.cast(), bytes);
            libc::write(open, c"\n".as_ptr().cast(), 1);
        }
        libc::close(open);
    }
    true
}

/// What is written of a thread that a plugin started by itself.
pub(super) const OWN_THREAD: &str = "thread";

/// The signals whose handling keeps the daemon going: what a plugin does to them is undone.
const GUARDED: [(c_int, &str); 10] = [
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGCHLD, "SIGCHLD"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
];

/// How they are handled when all is well.
static WELL: OnceLock<[libc::sigaction; GUARDED.len()]> = OnceLock::new();

/// What is done with a signal now.
fn action_of(signal: c_int) -> libc::sigaction {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // Safety: only reads, into memory of that type, of which all zeros is a valid value.
    unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    }
}

/// How signals are handled now is how they are to be.
pub(crate) fn guard_signals() {
    let _ = WELL.set(GUARDED.map(|(signal, _)| action_of(signal)));
}

/// Puts the handling of signals back to how it is to be. The names of those that somebody had changed.
pub(crate) fn mend_signals() -> Vec<&'static str> {
    let Some(well) = WELL.get() else { return Vec::new() };
    let mut changed = Vec::new();
    for ((signal, name), well) in GUARDED.iter().zip(well) {
        if action_of(*signal).sa_sigaction != well.sa_sigaction {
            // Safety: what is set was set before.
            unsafe { libc::sigaction(*signal, well, ptr::null_mut()) };
            changed.push(*name);
        }
    }
    changed
}
