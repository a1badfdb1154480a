//! A big access log to read: from the generator that lies beside the checkout, or else from one of our own.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_owned).unwrap_or_default()
}

/// Where what is generated is kept between runs.
pub(crate) fn scratch() -> Result<PathBuf, String> {
    let folder = std::env::temp_dir().join("graftd-bench");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// A log of that many lines in the format `combined` or `timed`; says where it comes from.
pub(crate) fn access_log(lines: usize, format: &str) -> Result<(PathBuf, &'static str), String> {
    let script = samples().map(|folder| folder.join("make_access_log.py")).filter(|script| script.is_file());
    let source =
        if script.is_some() { "the sample generator" } else { "our own generator: no sample generator was found" };
    let kind = if script.is_some() { "sample" } else { "own" };
    let file = scratch()?.join(format!("{kind}-{format}-{lines}.log"));
    if file.is_file() {
        return Ok((file, source));
    }
    let part = file.with_extension("part");
    let said = |error: std::io::Error| format!("{}: {error}", part.display());
    let out = File::create(&part).map_err(said)?;
    match script {
        Some(script) => {
            let lines = lines.to_string();
            let made = Command::new("python3")
                .arg(script)
                .args(["--lines", &lines, "--seed", "1", "--format", format])
                .stdout(out)
                .status()
                .map_err(|error| format!("python3: {error}"))?;
            if !made.success() {
                return Err(format!("the sample generator ended with {made}"));
            }
        }
        None => generate(BufWriter::new(out), lines, format == "timed").map_err(said)?,
    }
    fs::rename(&part, &file).map_err(said)?;
    Ok((file, source))
}

/// The folder with sample data: named by `GRAFTD_SAMPLES`, or a folder `shared/data` beside the checkout.
fn samples() -> Option<PathBuf> {
    let named = std::env::var_os("GRAFTD_SAMPLES").map(PathBuf::from);
    let beside = || Some(workspace().parent()?.join("shared").join("data"));
    named.or_else(beside).filter(|folder| folder.is_dir())
}

/// Lines of about 200 bytes: skewed URLs, addresses and agents, as real logs have them, and the same for ever.
fn generate(mut out: impl Write, lines: usize, timed: bool) -> std::io::Result<()> {
    let agents = [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "curl/8.5.0",
    ];
    let mut seed = 1u64;
    let mut random = move |below: u64| {
        // xorshift64 (Marsaglia 2003).
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for i in 0..lines {
        let address = random(200_000);
        // A uniform bound makes small numbers frequent, as with real URLs.
        let bound = 1 + random(98_000);
        let url = random(bound);
        let status = [200, 200, 200, 200, 200, 200, 304, 304, 301, 404, 500][random(11) as usize];
        let bound = 1 + random(5);
        let agent = agents[random(bound) as usize];
        let (second, minute) = (i / 50 % 60, i / 3_000 % 60);
        write!(
            out,
            "10.{}.{}.{} - - [17/May/2015:10:{minute:02}:{second:02} +0000] \"GET /articles/{url}/index.html HTTP/1.1\" {status} {} \"-\" \"{}\"",
            address >> 16,
            address >> 8 & 255,
            address & 255,
            random(50_000),
            agent
        )?;
        if timed {
            write!(out, " 0.{:03} 0.{:03}", random(900), random(900))?;
        }
        writeln!(out)?;
    }
    out.flush()
}
