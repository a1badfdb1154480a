//! Starts of modules, each on a thread of its own: some sleep in their init, and others are not to wait for them.

use super::super::copy::Copy;
use super::super::files::Folders;
use super::super::load::{Job, Loaded};
use super::super::probe::Refusal;
use super::GmodMaker;
use crate::core::{Event, Events};
use crate::worker::Cancel;
use gmod_compat::protocol::gmod::Language;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

/// What a start needs of the daemon.
#[derive(Clone, Debug)]
pub(in crate::module) struct Around {
    pub(in crate::module) events: Events,
    pub(in crate::module) folders: Folders,
    pub(in crate::module) host: String,
}

/// What is starting, by module: of each one start, and the newest that waits for its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Starts(Arc<Mutex<HashMap<String, Start>>>);

#[derive(Debug, Default)]
struct Start {
    /// Ends the one that is under way.
    cancel: Arc<Cancel>,
    next: Option<(Job, Copy, Language)>,
}

impl GmodMaker {
    /// Has a module started; an [`Event::Loaded`] will tell. A start of the same module that is under way is ended.
    pub(in crate::module) fn begin(&self, job: Job, copy: Copy, language: Language, around: Around) {
        let mut starts = self.starts.0.lock();
        if let Some(start) = starts.get_mut(&job.name) {
            start.next = Some((job, copy, language));
            start.cancel.now();
            return;
        }
        let name = job.name.clone();
        let told = job.clone();
        starts.insert(name.clone(), Start::default());
        drop(starts);
        let (maker, events) = (self.clone(), around.events.clone());
        let spawned = thread::Builder::new()
            .name("graftd-make".to_owned())
            .spawn(move || maker.run((job, copy, language), &around));
        if let Err(error) = spawned {
            self.starts.0.lock().remove(&name);
            let result = Err(Refusal::now(format!("its thread cannot be started: {error}")));
            events.send(Event::Loaded(Loaded::of(told, result)));
        }
    }

    /// Nobody wants the module any more: what starts of it is ended.
    pub(in crate::module) fn forget(&self, name: &str) {
        if let Some(start) = self.starts.0.lock().get_mut(name) {
            start.next = None;
            start.cancel.now();
        }
    }

    fn run(&self, first: (Job, Copy, Language), around: &Around) {
        let mut wanted = Some(first);
        while let Some((job, copy, language)) = wanted.take() {
            let cancel = self.starts.0.lock().get(&job.name).map(|start| Arc::clone(&start.cancel)).unwrap_or_default();
            let result = self.make(&job, &copy, language, around, &cancel);
            cancel.over();
            let name = job.name.clone();
            // A core that is gone wants no module.
            let told = around.events.send(Event::Loaded(Loaded::of(job, result)));
            let mut starts = self.starts.0.lock();
            wanted = starts.get_mut(&name).and_then(|start| start.next.take()).filter(|_| told);
            if wanted.is_some() {
                // What ended the one before is not for this one.
                if let Some(start) = starts.get_mut(&name) {
                    start.cancel = Arc::default();
                }
            } else {
                starts.remove(&name);
            }
        }
    }
}
