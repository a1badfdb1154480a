//! Whose a metric is, as far as that is known without running a module: gmond's own modules, by the symbol.
//!
//! Source: the tables of the modules themselves, gmond 3.7 and ganglia-modules-linux 1.3.6. A `*` at the end stands for
//! names that a module makes up for what it finds: disks, file systems, processors.

use crate::conf::{Metric, Module};

const OWNERS: [(&str, &[&str]); 10] = [
    (
        "cpu_module",
        &[
            "cpu_num",
            "cpu_speed",
            "cpu_user",
            "cpu_nice",
            "cpu_system",
            "cpu_idle",
            "cpu_aidle",
            "cpu_wio",
            "cpu_intr",
            "cpu_sintr",
            "cpu_steal",
        ],
    ),
    ("disk_module", &["disk_total", "disk_free", "part_max_used"]),
    ("load_module", &["load_one", "load_five", "load_fifteen"]),
    (
        "mem_module",
        &[
            "mem_total",
            "mem_free",
            "mem_shared",
            "mem_buffers",
            "mem_cached",
            "swap_free",
            "swap_total",
            "mem_sreclaimable",
        ],
    ),
    ("net_module", &["bytes_out", "bytes_in", "pkts_in", "pkts_out"]),
    ("proc_module", &["proc_run", "proc_total"]),
    ("sys_module", &["boottime", "sys_clock", "machine_type", "os_name", "os_release", "mtu"]),
    ("multicpu_module", &["multicpu_*"]),
    ("fs_module", &["fs_*"]),
    ("io_module", &["io_*"]),
];

/// What gmond itself provides as `core_metrics`.
const CORE: [&str; 3] = ["heartbeat", "location", "gexec"];

/// The module of gmond's that a C module is.
fn known(module: &str) -> Option<&'static [&'static str]> {
    OWNERS.iter().find(|(symbol, _)| *symbol == module).map(|(_, names)| *names)
}

/// Which of gmond's own modules has the metric, if one has.
pub(super) fn owner(metric: &Metric) -> Option<&'static str> {
    OWNERS.iter().find(|(_, names)| names.iter().any(|name| selects_only(metric, name))).map(|(symbol, _)| *symbol)
}

/// gmond provides it itself; graftd has no use for it.
pub(super) fn is_core(metric: &Metric) -> bool {
    metric.name_match.is_none() && metric.name.as_deref().is_some_and(|name| CORE.contains(&name))
}

/// The metric is, or may be, one of this module, where `others` are those of the installation.
pub(super) fn may_own<'a>(module: &Module, metric: &Metric, mut others: impl Iterator<Item = &'a str>) -> bool {
    if is_core(metric) {
        return false;
    }
    match known(&module.name) {
        Some(names) => names.iter().any(|name| selects(metric, name)),
        None => {
            !others.any(|other| known(other).is_some_and(|names| names.iter().any(|name| selects_only(metric, name))))
        }
    }
}

/// The metric selects a name, or one of the names that start with what stands before the `*`.
fn selects(metric: &Metric, name: &str) -> bool {
    if let Some(pattern) = &metric.name_match {
        let literal = literal_start(pattern);
        let name = name.trim_end_matches('*');
        return name.starts_with(literal) || (literal.starts_with(name) && !name.is_empty());
    }
    let Some(wanted) = metric.name.as_deref() else { return false };
    match name.strip_suffix('*') {
        Some(start) => wanted.starts_with(start),
        // gmond takes a name that is none for the start of several.
        None => wanted == name || name.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted)),
    }
}

/// The same, where no other module is likely to have such a name too: a pattern must show where it begins.
fn selects_only(metric: &Metric, name: &str) -> bool {
    match &metric.name_match {
        Some(pattern) => !literal_start(pattern).is_empty() && selects(metric, name),
        None => metric.name.as_deref() == Some(name) || (name.ends_with('*') && selects(metric, name)),
    }
}

/// The beginning of a pattern that stands for itself.
fn literal_start(pattern: &str) -> &str {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    let end = pattern.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).unwrap_or(pattern.len());
    // What may be missing is no beginning.
    let optional = pattern.get(end..).is_some_and(|rest| rest.starts_with(['?', '*', '{', '|']));
    let end = if optional { end.saturating_sub(1) } else { end };
    pattern.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::{Gmond, parse};

    /// The metrics of a collection group's text.
    fn metrics(text: &str) -> Vec<Metric> {
        let text = format!("collection_group {{ {text} }} modules {{ module {{ name = x }} }}");
        let gmond = Gmond::from_tree(&parse("t", text.as_bytes(), &|_| None).unwrap()).unwrap();
        gmond.collection_groups[0].metrics.clone()
    }

    fn module(name: &str) -> Module {
        let text = format!("modules {{ module {{ name = \"{name}\" }} }}");
        Gmond::from_tree(&parse("t", text.as_bytes(), &|_| None).unwrap()).unwrap().modules.remove(0)
    }

    #[test]
    fn gmonds_own_metrics_go_to_gmonds_own_modules() {
        let all = ["cpu_module", "fs_module", "mem_module", "redis"];
        for (metric, owners) in [
            ("name = cpu_user", &["cpu_module"][..]),
            ("name = swap_total", &["mem_module"]),
            ("name = CPU_", &["cpu_module", "redis"]),
            ("name = heartbeat", &[]),
            ("name = redis_hits", &["redis"]),
            ("name = mem_writeback", &["redis"]),
            ("name = disk_total", &["redis"]),
            ("name = fs_used_bytes_root", &["fs_module"]),
            ("name_match = \"fs_free_pct_(.+)\"", &["fs_module"]),
            ("name_match = \"^mem_(free|total)\"", &["mem_module"]),
            ("name_match = \"(.*)\"", &["cpu_module", "fs_module", "mem_module", "redis"]),
            ("name_match = \"cpus*\"", &["cpu_module"]),
        ] {
            let metric = metrics(&format!("metric {{ {metric} }}")).remove(0);
            let found: Vec<_> =
                all.into_iter().filter(|name| may_own(&module(name), &metric, all.into_iter())).collect();
            assert_eq!(found, owners, "{metric:?}");
        }
    }

    #[test]
    fn a_pattern_begins_with_what_cannot_be_missing() {
        for (pattern, start) in
            [("^io_([a-z]+)", "io_"), ("ab?c", "a"), ("a|b", ""), ("", ""), ("abc", "abc"), ("é", ""), ("x{2}", "")]
        {
            assert_eq!(literal_start(pattern), start, "{pattern}");
        }
    }
}
