//! The modules that Debian ships, run for real: what they say of their metrics beside a table that was read of them
//! once, and their values beside what `/proc` and the system say around the call.
//!
//! Where the packages libganglia1 and ganglia-modules-linux are not installed the tests say so and pass.

use super::tests::{alone, has_libraries};
use super::*;
use gmod_compat::descriptor::Entered;
use rustix::fs::statvfs;
use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::path::PathBuf;

const FOLDERS: [&str; 3] =
    ["/usr/lib/x86_64-linux-gnu/ganglia", "/usr/lib/aarch64-linux-gnu/ganglia", "/usr/lib/ganglia"];

/// One of Debian's modules: `cpu` for `modcpu.so`.
fn debian(name: &str, opening: &Opening<'_>) -> Option<CModule> {
    if !has_libraries() {
        return None;
    }
    let file = FOLDERS.iter().map(|folder| Path::new(folder).join(format!("mod{name}.so"))).find(|file| file.is_file());
    let Some(file) = file else {
        eprintln!("skipped: mod{name}.so is not installed (libganglia1, ganglia-modules-linux)");
        return None;
    };
    let symbol = format!("{name}_module");
    let opening = Opening { symbol: Some(&symbol), ..*opening };
    Some(CModule::open(&file, &opening).unwrap_or_else(|why| panic!("{}: {why}", file.display())))
}

/// All values of a module that are values, by name.
fn values(module: &mut CModule) -> BTreeMap<String, Entered> {
    let mut out = BTreeMap::new();
    for (index, descriptor) in module.descriptors().to_vec().into_iter().enumerate() {
        let value = module.value(index).unwrap();
        if let Some(value) = descriptor.kind.convert(&value).unwrap() {
            out.insert(descriptor.name, value);
        }
    }
    out
}

fn number(values: &BTreeMap<String, Entered>, name: &str) -> f64 {
    match &values[name] {
        Entered::Number(number) => *number,
        Entered::Text(text) => panic!("{name} is {text:?}"),
    }
}

fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, expected {expected} within {tolerance}");
}

/// A line as in the table: `cpu | cpu_num | uint16 | CPUs | zero | %hu | 1200 | cpu`.
fn line(module: &str, metric: &Descriptor) -> String {
    let name = match module {
        "multicpu" => format!("{}N", metric.name.trim_end_matches(|c: char| c.is_ascii_digit())),
        "fs" => ["fs_capacity_bytes_", "fs_used_bytes_", "fs_free_pct_"]
            .iter()
            .find(|start| metric.name.starts_with(**start))
            .map_or_else(|| metric.name.clone(), |start| format!("{start}FS")),
        _ => metric.name.clone(),
    };
    let kind = metric.kind.xml_name(&Entered::Number(0.0));
    let Descriptor { units, slope, format, time_max, groups, .. } = metric;
    [module, &name, kind, units, slope.name(), format, &time_max.to_string(), &groups.join(",")].join(" | ")
}

const MODULES: [&str; 10] = ["cpu", "disk", "fs", "io", "load", "mem", "multicpu", "net", "proc", "sys"];

#[test]
fn what_the_ten_modules_say_of_their_metrics_is_read_whole() {
    let _alone = alone();
    let table =
        read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/debian_modules.txt")).unwrap();
    for name in MODULES {
        let Some(module) = debian(name, &Opening::default()) else { return };
        let start = format!("{name} | ");
        let mut expected: Vec<_> = table.lines().filter(|line| line.starts_with(&start)).collect();
        expected.sort_unstable();
        let mut found: Vec<_> = module.descriptors().iter().map(|metric| line(name, metric)).collect();
        found.sort_unstable();
        found.dedup();
        if name == "fs" && found.is_empty() {
            eprintln!("modfs.so sees no file system here");
            continue;
        }
        assert_eq!(found, expected);
        assert!(module.remarks().is_empty(), "{:?}", module.remarks());
        assert!(module.descriptors().iter().all(|metric| !metric.description.is_empty()));
        module.close();
    }
}

/// What was recorded of the same modules by another program, descriptions and all: `c_modules.json` in the folder that
/// `GRAFTD_SAMPLES` names, or else in `data/gmond` of something that lies beside the checkout.
fn recorded() -> Option<serde_json::Value> {
    const NAME: &str = "gmond/c_modules.json";
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().ok()?;
    let beside = std::fs::read_dir(workspace.parent()?).ok()?;
    let beside = beside.filter_map(|entry| Some(entry.ok()?.path().join("data").join(NAME)));
    let named = std::env::var_os("GRAFTD_SAMPLES").map(|folder| PathBuf::from(folder).join(NAME));
    let file = named.into_iter().chain(beside).find(|file| file.is_file())?;
    Some(serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
}

#[test]
fn descriptions_are_those_that_were_recorded() {
    let Some(recorded) = recorded() else {
        eprintln!("skipped: no record of the modules lies here");
        return;
    };
    let _alone = alone();
    let mut seen = 0;
    for name in MODULES {
        let Some(module) = debian(name, &Opening::default()) else { return };
        let metrics = recorded["modules"][format!("mod{name}.so")]["metrics"].as_array().unwrap();
        for metric in metrics {
            let Some(found) = module.descriptors().iter().find(|found| metric["name"] == found.name.as_str()) else {
                assert!(matches!(name, "multicpu" | "fs"), "{name}: {} is missing", metric["name"]);
                continue;
            };
            assert_eq!(metric["desc"], found.description.as_str());
            assert_eq!(metric["units"], found.units.as_str());
            assert_eq!(metric["format"], found.format.as_str());
            assert_eq!(metric["type"], found.kind.xml_name(&Entered::Number(0.0)));
            seen += 1;
        }
    }
    eprintln!("{seen} descriptions compared");
}

/// The figures behind a key of a `/proc` file: `key: 1 2 3` or `key 1 2 3`.
fn figures(file: &str, key: &str) -> Vec<f64> {
    let text = read_to_string(file).unwrap();
    let line = text.lines().find(|line| line.split([' ', ':', '\t']).next() == Some(key));
    let line = line.unwrap_or_else(|| panic!("{file}: no {key}"));
    line.split([' ', ':', '\t']).skip(1).filter_map(|word| word.parse().ok()).collect()
}

fn processors() -> usize {
    let stat = read_to_string("/proc/stat").unwrap();
    stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count()
}

#[test]
fn processors_as_proc_stat_has_them() {
    let _alone = alone();
    let Some(mut module) = debian("cpu", &Opening::default()) else { return };
    // The first call tells of all the time since boot.
    let found = values(&mut module);
    let ticks = figures("/proc/stat", "cpu");
    let all: f64 = ticks.iter().take(8).sum();
    let share = |parts: &[usize]| parts.iter().map(|part| ticks[*part]).sum::<f64>() / all * 100.0;
    assert_eq!(number(&found, "cpu_num"), processors() as f64);
    let parts: [(&str, &[usize]); 8] = [
        ("cpu_user", &[0]),
        ("cpu_nice", &[1]),
        ("cpu_system", &[2, 5, 6]),
        ("cpu_idle", &[3]),
        ("cpu_wio", &[4]),
        ("cpu_intr", &[5]),
        ("cpu_sintr", &[6]),
        ("cpu_steal", &[7]),
    ];
    for (name, part) in parts {
        close(name, number(&found, name), share(part), 1.0);
    }
    let sum: f64 = ["user", "nice", "system", "idle", "wio", "steal"]
        .iter()
        .map(|part| number(&found, &format!("cpu_{part}")))
        .sum();
    close("the parts together", sum, 100.0, 1.5);
    let Some(mut module) = debian("multicpu", &Opening::default()) else { return };
    assert_eq!(module.descriptors().len(), 8 * processors());
    for (name, value) in values(&mut module) {
        assert!(matches!(value, Entered::Number(0.0..=100.0)), "{name}: {value:?}");
    }
}

#[test]
fn memory_as_proc_meminfo_has_it() {
    let _alone = alone();
    let Some(mut module) = debian("mem", &Opening::default()) else { return };
    let meminfo = |key| figures("/proc/meminfo", key)[0];
    let before: Vec<f64> = ["MemFree", "Buffers", "Cached", "SReclaimable"].map(meminfo).to_vec();
    let found = values(&mut module);
    let after: Vec<f64> = ["MemFree", "Buffers", "Cached", "SReclaimable"].map(meminfo).to_vec();
    assert_eq!(number(&found, "mem_total"), meminfo("MemTotal"));
    assert_eq!(number(&found, "swap_total"), meminfo("SwapTotal"));
    // What moves may have moved between the three looks: by as much again as it did, and 64 MB.
    for (at, name) in ["mem_free", "mem_buffers", "mem_cached", "mem_sreclaimable"].into_iter().enumerate() {
        let (low, high) = (before[at].min(after[at]), before[at].max(after[at]));
        close(name, number(&found, name), f64::midpoint(low, high), (high - low) * 2.0 + 65_536.0);
    }
}

#[test]
fn load_processes_and_system_as_proc_has_them() {
    let _alone = alone();
    let Some(mut load) = debian("load", &Opening::default()) else { return };
    let loads = || {
        let text = read_to_string("/proc/loadavg").unwrap();
        text.split(' ').take(3).map(|word| word.parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    let (before, found, after) = (loads(), values(&mut load), loads());
    for (at, name) in ["load_one", "load_five", "load_fifteen"].into_iter().enumerate() {
        let value = number(&found, name);
        assert!(value == before[at] || value == after[at], "{name}: {value}, not {} or {}", before[at], after[at]);
    }
    let Some(mut proc) = debian("proc", &Opening::default()) else { return };
    let found = values(&mut proc);
    let tasks = read_to_string("/proc/loadavg").unwrap();
    let tasks: f64 = tasks.split([' ', '/']).nth(4).unwrap().parse().unwrap();
    close("proc_total", number(&found, "proc_total"), tasks, tasks / 4.0 + 50.0);
    assert!(number(&found, "proc_run") <= number(&found, "proc_total"));

    let Some(mut sys) = debian("sys", &Opening::default()) else { return };
    let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as f64;
    let (before, found, after) = (clock(), values(&mut sys), clock());
    close("boottime", number(&found, "boottime"), figures("/proc/stat", "btime")[0], 1.0);
    assert!((before..=after).contains(&number(&found, "sys_clock")), "{before} {found:?} {after}");
    let name = rustix::system::uname();
    for (metric, own) in [("machine_type", name.machine()), ("os_name", name.sysname()), ("os_release", name.release())]
    {
        assert_eq!(found[metric], Entered::Text(own.to_string_lossy().into_owned()));
    }
    let mut sizes = std::fs::read_dir("/sys/class/net").unwrap().map(|entry| {
        read_to_string(entry.unwrap().path().join("mtu")).ok().and_then(|text| text.trim().parse::<f64>().ok())
    });
    // 0 where no interface is up.
    let mtu = number(&found, "mtu");
    assert!(mtu == 0.0 || sizes.any(|size| size == Some(mtu)), "{mtu}");
}

/// What is mounted for writing from a device of this machine, each device once: device, folder.
fn mounted() -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for line in read_to_string("/proc/mounts").unwrap().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [device, folder, kind, mode, ..] = words[..] else { continue };
        let local = device.starts_with("/dev/") && !device.contains(':') && !kind.starts_with("nfs");
        if local && !mode.starts_with("ro") && !out.iter().any(|(known, _)| known == device) {
            out.push((device.to_owned(), folder.to_owned()));
        }
    }
    out
}

#[test]
fn disks_as_statvfs_has_them() {
    let _alone = alone();
    let Some(mut disk) = debian("disk", &Opening::default()) else { return };
    let found = values(&mut disk);
    let (mut total, mut free) = (0.0, 0.0);
    for (_, folder) in mounted() {
        let Ok(stat) = statvfs(Path::new(&folder)) else { continue };
        total += stat.f_blocks as f64 * stat.f_bsize as f64 / 1e9;
        free += stat.f_bavail as f64 * stat.f_bsize as f64 / 1e9;
    }
    close("disk_total", number(&found, "disk_total"), total, 1e-6);
    close("disk_free", number(&found, "disk_free"), free, free / 100.0 + 1.0);
    assert!((0.0..=100.0).contains(&number(&found, "part_max_used")));

    let Some(mut fs) = debian("fs", &Opening::default()) else { return };
    let found = values(&mut fs);
    if found.contains_key("fs_capacity_bytes_root") {
        let stat = statvfs("/").unwrap();
        let bytes = stat.f_blocks as f64 * stat.f_frsize as f64;
        close("fs_capacity_bytes_root", number(&found, "fs_capacity_bytes_root"), bytes, bytes / 1e6);
        assert!((0.0..=100.0).contains(&number(&found, "fs_free_pct_root")));
    }
}

#[test]
fn rates_are_numbers_from_the_second_call_on() {
    let _alone = alone();
    for name in ["io", "net"] {
        let Some(mut module) = debian(name, &Opening::default()) else { return };
        values(&mut module);
        // These two measure between calls, and look no more often than once in so many seconds; io says NaN at first.
        for (metric, value) in values(&mut module) {
            assert!(matches!(value, Entered::Number(n) if n >= 0.0), "{metric}: {value:?}");
        }
    }
}
