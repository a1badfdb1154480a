//! `graftd import-gmond`: a ganglia installation taken over.

use super::error::print;
use super::{Dirs, Failure};
use crate::import::{Done, Into, State, apply, library, look};
use crate::module::open_anywhere;
use clap::Args;
use gmod_compat::import::{Note, plan};
use serde_json::json;
use std::cell::RefCell;
use std::path::PathBuf;

/// Bring over what a ganglia installation runs: Python modules, C modules, their configuration and gmond's own.
///
/// Reads gmond.conf and all that it includes, and what lies beside it in conf.d. A module's file goes into the plugins folder,
/// its .pyconf, as it stands, becomes NAME.on, what was switched off NAME.off; of a file with several modules each gets its
/// part. Cluster, host and ports become gmond.on. The installation stays as it is, and so does every file of yours: what
/// differs is told and kept. Done again it changes nothing.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:\n  graftd import-gmond --dry-run\n  graftd import-gmond /etc/ganglia --python-modules /usr/lib/ganglia/python_modules\n\n\
Exit codes: 0 all is there that gmond ran; 1 something of it could not be brought over, which is told; 2 there is no \
installation, or gmond could not read it either.")]
pub(super) struct Import {
    /// The installation's folder, or its gmond.conf
    #[arg(value_name = "DIR", default_value = "/etc/ganglia")]
    from: PathBuf,
    /// Folder with the Python modules [default: what gmond.conf gives to python_module, or ganglia's usual one]
    #[arg(long, value_name = "DIR")]
    python_modules: Vec<PathBuf>,
    #[command(flatten)]
    dirs: Dirs,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Write over files that differ
    #[arg(long)]
    force: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

impl Import {
    pub(super) fn run(self) -> Result<(), Failure> {
        let folders = self.dirs.folders()?;
        let (Some(conf), Some(plugins)) = (&folders.conf, &folders.plugins) else {
            return Err(Failure::usage("no folders to bring it into; name them with --conf and --plugins"));
        };
        for named in &self.python_modules {
            if !named.is_dir() {
                return Err(Failure::usage(format_args!("--python-modules {}: is no folder", named.display())));
            }
        }
        let found = look(&self.from, &self.python_modules, plugins).map_err(Failure::usage)?;
        let told = RefCell::new(found.notes);
        let plan = plan(&found.installation, &|module, globals| library(module, globals, &told))
            .map_err(|error| Failure::usage(format_args!("{error}")))?;
        let into = Into { conf, plugins, force: self.force, dry_run: self.dry_run };
        let done = apply(&plan, &into);
        let mut notes = told.into_inner();
        notes.extend(plan.notes);
        // What was written into a folder that others can write is not believed when it is to run.
        for file in done.iter().filter(|file| !self.dry_run && matches!(file.state, State::Brought | State::There)) {
            if let Err(what) = open_anywhere(&file.path, &folders) {
                notes.push(Note { at: file.path.display().to_string(), what, missing: true });
            }
        }
        self.tell(&done, &notes)?;
        let failed = done.iter().filter(|file| matches!(file.state, State::Failed(_))).count();
        match failed + notes.iter().filter(|note| note.missing).count() {
            0 => Ok(()),
            1 => Err(Failure::work("one thing could not be brought over")),
            n => Err(Failure::work(format_args!("{n} things could not be brought over"))),
        }
    }

    fn tell(&self, done: &[Done], notes: &[Note]) -> Result<(), Failure> {
        if self.json {
            let files: Vec<_> = done.iter().map(|file| shown(file, self.dry_run)).collect();
            let notes: Vec<_> =
                notes.iter().map(|note| json!({"at": note.at, "what": note.what, "missing": note.missing})).collect();
            return print(&json!({"files": files, "notes": notes, "dry_run": self.dry_run}).to_string());
        }
        for file in done {
            let path = file.path.display();
            let word = word(&file.state, self.dry_run);
            print(&match &file.state {
                State::Brought => format!("{word:<8} {path} from {}", file.from),
                State::There => format!("{word:<8} {path}"),
                State::Kept => format!("{word:<8} {path}: it differs from what would come from {}", file.from),
                State::Failed(why) => format!("{word:<8} {path}: {why}"),
            })?;
        }
        for note in notes {
            print(&format!("{:<8} {}: {}", if note.missing { "missing" } else { "note" }, note.at, note.what))?;
        }
        let count = |state: &State| done.iter().filter(|file| file.state == *state).count();
        let (brought, there, kept) = (count(&State::Brought), count(&State::There), count(&State::Kept));
        let would = if self.dry_run { "would be " } else { "" };
        let kept =
            if kept == 0 { String::new() } else { format!(", {kept} kept as they are (--force writes over them)") };
        print(&match brought {
            0 => format!("nothing to do: {there} files are there already{kept}"),
            _ => format!("{brought} files {would}brought over, {there} there already{kept}"),
        })
    }
}

fn word(state: &State, dry_run: bool) -> &'static str {
    match state {
        State::Brought if dry_run => "would bring",
        State::Brought => "brought",
        State::There => "there",
        State::Kept => "kept",
        State::Failed(_) => "failed",
    }
}

fn shown(file: &Done, dry_run: bool) -> serde_json::Value {
    let why = match &file.state {
        State::Failed(why) => Some(why),
        _ => None,
    };
    json!({"path": file.path, "from": file.from, "state": word(&file.state, dry_run), "why": why})
}
