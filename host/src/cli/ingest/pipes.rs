//! The pipes that a daemon with the same folders would run.

use super::summary::Shown;
use crate::cli::Failure;
use crate::ingest::{Grouping, PipeRun};
use crate::module::{
    Branch, Folders, Library, PipeBody, Planned, check_conf, grouping, is_gmond_c, look, plan, python_pipe, refusal,
};

/// Loads every pipe that is to run; tells where the branch of each hangs.
pub(super) fn pipes(folders: &Folders, host: &str) -> Result<(Vec<PipeRun>, Vec<Shown>), Failure> {
    let Some(plugins) = &folders.plugins else {
        return Err(Failure::usage(
            "there is no plugins folder, so no pipe to read a log through; name one with --plugins DIR",
        ));
    };
    let seen = look(folders).map_err(Failure::usage)?;
    let (mut pipes, mut branches) = (Vec::new(), Vec::new());
    for (name, plan) in plan(&seen) {
        let loaded = match plan.what {
            Planned::Off(_) | Planned::BuiltIn(_) => continue,
            Planned::Rejected(why) => Err(why),
            Planned::Run { plugin, conf } if plugin.is_python() => {
                python_pipe(&name, &plugin.path, &conf, Some(plugins), host).map_err(|refusal| refusal.why).and_then(
                    |found| {
                        let Some((branch, wants, pipe)) = found else { return Ok(None) };
                        Ok(Some((String::new(), branch, grouping(&conf)?, wants, pipe)))
                    },
                )
            }
            // A collector, and none to be loaded here.
            Planned::Run { plugin, .. } if is_gmond_c(&plugin.path) => Ok(None),
            Planned::Run { plugin, conf } => Library::load(&plugin.path).and_then(|library| {
                if !library.is_pipe() {
                    return Ok(None);
                }
                let declared = library.declared();
                check_conf(&declared, &conf)?;
                let branch = Branch::of(&name, &conf, &declared, host)?;
                let pipe = library.pipe(&conf.params).map_err(|error| refusal(&error, &conf).why)?;
                Ok(Some((declared.path, branch, grouping(&conf)?, library.wants(), PipeBody::here(pipe))))
            }),
        };
        match loaded {
            Ok(Some((declared, branch, grouping, wants, pipe))) => {
                branches.push(Shown::of(&declared, &branch, grouping.as_ref().map_or(0, Grouping::levels)));
                pipes.push(PipeRun::alone(&name, &branch, grouping.as_ref(), wants, pipe));
            }
            Ok(None) => {}
            Err(why) => eprintln!("graftd: module {name}: rejected: {why}"),
        }
    }
    if pipes.is_empty() {
        let plugins = plugins.display();
        return Err(Failure::usage(format_args!(
            "{plugins}: no pipe to read a log through; name their folder with --plugins, or build them with `make build`"
        )));
    }
    Ok((pipes, branches))
}
