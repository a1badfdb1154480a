//! Where a module's deltas hang in the tree.

use super::library::Declared;
use crate::conf::{ModuleConf, PathTemplate};
use plugin_api::Action;
use std::sync::Arc;

/// A branch: its path, and the action that holds in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The keys from the root.
    pub keys: Arc<[String]>,
    /// The action, and how many of the keys lead to the node that has it.
    pub action: Option<(usize, Action)>,
}

impl Branch {
    /// The branch of a module: where its `.on` says, else where its plugin says, else `NAME,{host}` for a collector and
    /// `NAME` for a pipe.
    ///
    /// # Errors
    /// What the plugin says is no path or no action.
    pub fn of(name: &str, conf: &ModuleConf, declared: &Declared, host: &str) -> Result<Branch, String> {
        let path = match (&conf.path, declared.path.as_str()) {
            (Some(path), _) => path.clone(),
            (None, "") => {
                let mut written = String::new();
                crate::tree::encode_key(name, &mut written);
                if !declared.is_pipe {
                    written.push_str(",{host}");
                }
                PathTemplate::parse(&written)?
            }
            (None, path) => PathTemplate::parse(path).map_err(|error| format!("the plugin's {error}"))?,
        };
        let default = if declared.is_pipe { Action::Add } else { Action::Average };
        let action = conf.action.or(declared_action(declared)?).unwrap_or(default);
        Ok(Branch { keys: path.keys(host).into(), action: Some((path.keys_above_host().max(1), action)) })
    }

    /// The branch of a module that another program runs. A gmond module says itself which host each of its metrics is of, so
    /// its branch ends where the host's key begins.
    ///
    /// # Errors
    /// Keys follow the host's; or what the module says is no path or no action.
    pub fn of_gmod(
        name: &str,
        conf: &ModuleConf,
        declared: &Declared,
        is_pipe: bool,
        host: &str,
    ) -> Result<Branch, String> {
        if is_pipe {
            return Branch::of(name, conf, declared, host);
        }
        let path = match &conf.path {
            Some(path) => path.clone(),
            None => {
                let mut written = String::new();
                crate::tree::encode_key(name, &mut written);
                PathTemplate::parse(&written)?
            }
        };
        let mut keys = path.keys(host);
        let above = path.keys_above_host();
        if above + 1 < keys.len() {
            return Err(conf
                .place(&format!("\"path\": {{host}} must be the last key of {path}: metrics hang below their host")));
        }
        keys.truncate(above);
        if keys.is_empty() {
            return Err(conf.place("\"path\": at least one key must stand before {host}"));
        }
        let depth = keys.len();
        Ok(Branch { keys: keys.into(), action: Some((depth, conf.action.unwrap_or(Action::Average))) })
    }
}

fn declared_action(declared: &Declared) -> Result<Option<Action>, String> {
    match declared.action.as_str() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error| format!("the plugin's action: {error}")),
    }
}
