//! Pictures: what one costs the daemon, in each form, and what it keeps of them.

use crate::figures::{Median, cpu_of, resident_of};
use crate::wire::Http;
use graftd_tests::{Daemon, Folders, graftd_with_input};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PICTURES: usize = 40;

/// Longest that a PNG may take, in milliseconds of CPU time.
const WANTED_MS: f64 = 50.0;

/// 2026-01-05T00:00:00Z
const MONDAY: i64 = 1_767_571_200;

pub(crate) fn run() -> Result<(), String> {
    let folders = Arc::new(Folders::new());
    let mut csv = String::new();
    for minute in 0..1_440 {
        for (place, key) in ["user", "nice", "system", "iowait", "irq", "softirq", "steal", "idle"].iter().enumerate() {
            let value = 5.0 + ((minute * (place + 1)) as f64 / 90.0).sin() * 4.0;
            let at = MONDAY + minute as i64 * 60;
            // Writing to a String cannot fail.
            let _ = writeln!(csv, "\"cpu,h1,{key}\",{at},{value:.2}");
        }
    }
    let data = folders.root().join("data").display().to_string();
    graftd_with_input(["trend", "import", "--data", &data, "-"], csv.as_bytes()).good();
    let daemon = Daemon::builder().folders(&folders).tick(Duration::from_secs(1)).start();
    daemon.post("/push", "application/json", r#"{"名":{"中文":1,"مرحبا":2,"👩":3}}"#.as_bytes()).good();
    let at_rest = resident_of(daemon.process());
    println!("{:<44} {:>10} {:>12} {:>10}", "a picture, 640x240", "CPU ms", "wall ms", "bytes");
    let day = format!("from={MONDAY}&to={}", MONDAY + 86_400);
    let mut png_ms = 0.0;
    for (name, target) in [
        ("SVG, 8 lines over a day", format!("cpu,h1.svg?{day}")),
        ("PNG, 8 lines over a day", format!("cpu,h1.png?{day}")),
        ("PNG, 8 areas over a day", format!("cpu,h1.png?style=cpu&{day}")),
        ("JPEG, 8 lines over a day", format!("cpu,h1.jpg?{day}")),
        ("PDF, 8 lines over a day", format!("cpu,h1.pdf?{day}")),
        ("letters, 8 lines over a day", format!("cpu,h1.txt?{day}")),
        ("PNG of 1920x1080", format!("cpu,h1.png?size=1920x1080&{day}")),
        ("PNG, names in Chinese, Arabic and emoji", "%E5%90%8D.png?type=top".to_owned()),
    ] {
        if name.contains("Chinese") {
            println!(
                "resident before the first {:.1} MiB, after these {:.1} MiB",
                mib(at_rest),
                mib(resident_of(daemon.process()))
            );
        }
        let (cpu_ms, wall, bytes) = ask(&daemon, &format!("/graph/{target}"))?;
        let Median { min, mid, max } = Median::of(wall);
        println!("{name:<44} {cpu_ms:>10.2} {mid:>12.2} {bytes:>10}   ({min:.2} to {max:.2})");
        if name.starts_with("PNG, 8 lines") {
            png_ms = cpu_ms;
        }
    }
    let after = resident_of(daemon.process());
    println!("resident after all, with the system's fonts {:.1} MiB", mib(after));
    println!("wanted: a PNG in less than {WANTED_MS} ms");
    if png_ms < WANTED_MS { Ok(()) } else { Err(format!("a PNG takes {png_ms:.1} ms")) }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// CPU time a picture but for the first, which may look through the system's fonts; how long each took; its length.
fn ask(daemon: &Daemon, target: &str) -> Result<(f64, Vec<f64>, usize), String> {
    let mut client = Http::connect(daemon.http()).map_err(|error| error.to_string())?;
    let request = client.request("GET", target, "", b"");
    let mut one = || -> Result<(f64, usize), String> {
        let began = Instant::now();
        client.send(&request).map_err(|error| error.to_string())?;
        let (status, body) = client.answer().map_err(|error| error.to_string())?;
        if status != 200 {
            return Err(format!("{target}: {status} {}", String::from_utf8_lossy(&body)));
        }
        Ok((began.elapsed().as_secs_f64() * 1e3, body.len()))
    };
    let (first, bytes) = one()?;
    let before = cpu_of(daemon.process());
    let wall = (0..PICTURES).map(|_| one().map(|(took, _)| took)).collect::<Result<Vec<f64>, String>>()?;
    let cpu_ms = (cpu_of(daemon.process()) - before).as_secs_f64() * 1e3 / PICTURES as f64;
    if first > 10.0 * cpu_ms {
        println!("  (the first took {first:.1} ms)");
    }
    Ok((cpu_ms, wall, bytes))
}
