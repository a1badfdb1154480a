//! How a plugin and the host meet: version 1 of the binary interface.
//!
//! A plugin exports one [`Plugin`]. Calls cross the boundary once a batch, once a collect and once a tick, with
//! flat data: records are borrowed, and what a module has to say crosses as an encoded [frame](crate::delta::wire).
//! Once released, this version is frozen; growth is a second one beside it, which the host tries first.

#![allow(
    unsafe_code,
    missing_docs,
    non_local_definitions,
    reason = "abi_stable's derives expand to unsafe impls and undocumented glue"
)]

use crate::access::{Access, Fields};
use crate::clock::Clock;
use crate::delta::Delta;
use crate::error::{Error, ErrorKind};
use crate::params::{ParamDecl, Params};
use crate::{Collector, Pipe};
use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::package_version_strings;
use abi_stable::sabi_trait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RBox, RErr, ROk, RResult, RSlice, RStr, RVec};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// A running pipe, behind the boundary.
#[sabi_trait]
pub trait RawPipe: Send {
    /// Folds a batch of records.
    fn process(&mut self, clock: Clock, batch: RSlice<'_, Access<'_>>) -> RResult<(), Error>;
    /// Appends what has been folded since the last flush, as a frame; nothing if there is nothing.
    #[sabi(last_prefix_field)]
    fn flush(&mut self, clock: Clock, frame: &mut RVec<u8>) -> RResult<(), Error>;
}

/// A running collector, behind the boundary.
#[sabi_trait]
pub trait RawCollector: Send {
    /// Samples once and appends what was found, as a frame.
    #[sabi(last_prefix_field)]
    fn collect(&mut self, clock: Clock, frame: &mut RVec<u8>) -> RResult<(), Error>;
}

/// An owned pipe.
pub type PipeBox = RawPipe_TO<'static, RBox<()>>;
/// An owned collector.
pub type CollectorBox = RawCollector_TO<'static, RBox<()>>;

/// What a plugin's module is, and how one is made.
#[repr(u8)]
#[derive(StableAbi, Clone, Copy)]
pub enum Make {
    /// It folds access-log records.
    Pipe {
        /// The fields it reads.
        wants: Fields,
        /// Makes one.
        new: extern "C" fn(&Params) -> RResult<PipeBox, Error>,
    },
    /// It samples on an interval.
    Collector {
        /// Makes one.
        new: extern "C" fn(&Params) -> RResult<CollectorBox, Error>,
    },
}

/// What a plugin exports.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRef)))]
#[sabi(missing_field(panic))]
pub struct Plugin {
    /// The plugin's own version.
    pub version: RStr<'static>,
    /// Where its branch hangs, such as `cpu,{host}`; empty for the host's default.
    pub path: RStr<'static>,
    /// The action of its branch; empty for `add` (a pipe) or `average` (a collector).
    pub action: RStr<'static>,
    /// The parameters it takes.
    pub params: RSlice<'static, ParamDecl>,
    /// How its module is made.
    #[sabi(last_prefix_field)]
    pub make: Make,
}

impl RootModule for PluginRef {
    abi_stable::declare_root_module_statics! {PluginRef}
    const BASE_NAME: &'static str = "graftd_plugin";
    const NAME: &'static str = "graftd_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// Makes a pipe for the host. `export_pipe!` hands it over.
pub extern "C" fn new_pipe<P: Pipe>(params: &Params) -> RResult<PipeBox, Error> {
    let made = caught(|| P::new(params));
    match made {
        Ok(pipe) => ROk(RawPipe_TO::from_value(Guard::new(pipe), abi_stable::sabi_trait::TD_Opaque)),
        Err(error) => RErr(error),
    }
}

/// Makes a collector for the host. `export_collector!` hands it over.
pub extern "C" fn new_collector<C: Collector>(params: &Params) -> RResult<CollectorBox, Error> {
    let made = caught(|| C::new(params));
    match made {
        Ok(collector) => ROk(RawCollector_TO::from_value(Guard::new(collector), abi_stable::sabi_trait::TD_Opaque)),
        Err(error) => RErr(error),
    }
}

/// Keeps a module's panics inside the plugin, and its delta beside it.
struct Guard<M> {
    /// `None` once it has panicked while being dropped, or been dropped.
    module: Option<M>,
    delta: Delta,
}

impl<M> Guard<M> {
    fn new(module: M) -> Guard<M> {
        Guard { module: Some(module), delta: Delta::new() }
    }

    fn call(&mut self, clock: Clock, work: impl FnOnce(&mut M, &mut Delta) -> Result<(), Error>) -> RResult<(), Error> {
        self.delta.set_clock(clock);
        let Guard { module: Some(module), delta } = self else {
            return RErr(Error::failed("the module is gone"));
        };
        caught(|| work(module, delta)).into()
    }
}

impl<M> Drop for Guard<M> {
    fn drop(&mut self) {
        let module = self.module.take();
        let _ = caught(|| {
            drop(module);
            Ok(())
        });
    }
}

impl<P: Pipe> RawPipe for Guard<P> {
    fn process(&mut self, clock: Clock, batch: RSlice<'_, Access<'_>>) -> RResult<(), Error> {
        self.call(clock, |pipe, delta| {
            pipe.process(batch.as_slice(), delta);
            Ok(())
        })
    }

    fn flush(&mut self, clock: Clock, frame: &mut RVec<u8>) -> RResult<(), Error> {
        self.call(clock, |pipe, delta| {
            pipe.flush(delta);
            frame.extend_from_slice(delta.flush());
            Ok(())
        })
    }
}

impl<C: Collector> RawCollector for Guard<C> {
    fn collect(&mut self, clock: Clock, frame: &mut RVec<u8>) -> RResult<(), Error> {
        self.call(clock, |collector, delta| {
            let collected = collector.collect(delta);
            // What a failing collector had found before it failed is not a sample.
            let found = delta.flush();
            if collected.is_ok() {
                frame.extend_from_slice(found);
            }
            collected
        })
    }
}

/// Where the last panic in this plugin happened. A plain static: a thread-local with a destructor would keep the
/// plugin's code from being unloaded.
static PANICKED_AT: Mutex<Option<String>> = Mutex::new(None);

/// Runs foreign work; a panic becomes an error that says where it happened.
fn caught<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        // The default hook prints to the daemon's stderr and knows no module; ours keeps the place for the error.
        std::panic::set_hook(Box::new(|info| {
            let at = info.location().map(ToString::to_string);
            if let Ok(mut panicked_at) = PANICKED_AT.lock() {
                *panicked_at = at;
            }
        }));
    });
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(panic_error(&*payload)))
}

fn panic_error(payload: &(dyn Any + Send)) -> Error {
    let said = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)");
    let at = PANICKED_AT.lock().ok().and_then(|mut at| at.take());
    match at {
        Some(at) => Error::new(ErrorKind::Panic, format_args!("panicked at {at}: {said}")),
        None => Error::new(ErrorKind::Panic, format_args!("panicked: {said}")),
    }
}
