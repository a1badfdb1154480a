//! Big access logs to read: those of a busy site, and those that somebody writes to do harm.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Addresses, and paths with their queries, of which a log has the more the longer it is.
const ADDRESSES: u64 = 200_000;
const TARGETS: u64 = 98_000;

/// Agents: families of them, each in many versions.
const AGENTS: [&str; 8] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.{b}.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{b} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.{b} Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:{v}.0) Gecko/20100101 Firefox/{v}.0",
    "Mozilla/5.0 (Linux; Android 14; SM-S91{b}B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "curl/8.{b}.0",
];

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
    let Some(script) = sample("make_access_log.py") else {
        let file = made(&format!("own-{format}-{lines}"), |out| generate(out, lines, format == "timed"))?;
        return Ok((file, "our own generator"));
    };
    let file = scratch()?.join(format!("sample-{format}-{lines}.log"));
    if !file.is_file() {
        let part = file.with_extension("part");
        let said = |error: std::io::Error| format!("{}: {error}", part.display());
        let made = Command::new("python3")
            .arg(script)
            .args(["--lines", &lines.to_string(), "--seed", "1", "--format", format])
            .stdout(File::create(&part).map_err(said)?)
            .status()
            .map_err(|error| format!("python3: {error}"))?;
        if !made.success() {
            return Err(format!("the sample generator ended with {made}"));
        }
        fs::rename(&part, &file).map_err(said)?;
    }
    Ok((file, "the sample generator"))
}

/// What is new on each line of a hostile log beside address, URL and referer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hostile {
    /// An agent of no browser.
    Noise,
    /// An agent that looks like a browser's.
    Browser,
}

/// A log in the format `combined` in which everything is new on each line.
pub(crate) fn hostile_log(lines: usize, kind: Hostile) -> Result<PathBuf, String> {
    made(&format!("hostile-{kind:?}-{lines}"), |out| hostile(out, lines, kind))
}

/// The file of that name, made by `write` unless it is there.
pub(crate) fn made(name: &str, write: impl FnOnce(BufWriter<File>) -> std::io::Result<()>) -> Result<PathBuf, String> {
    let file = scratch()?.join(format!("{name}.log"));
    if !file.is_file() {
        let part = file.with_extension("part");
        let said = |error: std::io::Error| format!("{}: {error}", part.display());
        write(BufWriter::new(File::create(&part).map_err(said)?)).map_err(said)?;
        fs::rename(&part, &file).map_err(said)?;
    }
    Ok(file)
}

/// A generator that makes logs of a sample: `make_access_log.py` in the folder that `GRAFTD_SAMPLES` names.
pub(crate) fn sample(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("GRAFTD_SAMPLES").map(PathBuf::from)?;
    Some(folder.join(name)).filter(|script| script.is_file())
}

/// Numbers that are the same in each run (xorshift64, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn any(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.any() % bound
    }

    /// Small numbers are frequent, as with real URLs and agents.
    fn skewed(&mut self, bound: u64) -> u64 {
        let bound = 1 + self.below(bound);
        let bound = 1 + self.below(bound);
        self.below(bound)
    }
}

/// Lines of about 230 bytes: skewed URLs, addresses and agents, as real logs have them, and the same for ever.
fn generate(mut out: impl Write, lines: usize, timed: bool) -> std::io::Result<()> {
    let mut random = Random(1);
    for i in 0..lines {
        let address = random.below(ADDRESSES);
        let target = random.skewed(TARGETS);
        let status = [200, 200, 200, 200, 200, 200, 304, 304, 301, 404, 500][random.below(11) as usize];
        let agent = AGENTS[random.skewed(AGENTS.len() as u64) as usize]
            .replace("{v}", &(90 + random.skewed(50)).to_string())
            .replace("{b}", &random.skewed(9).to_string());
        let (hour, minute, second) = (i / 720_000 % 24, i / 12_000 % 60, i / 200 % 60);
        write!(
            out,
            "{}.{}.{}.{} - - [17/May/2015:{hour:02}:{minute:02}:{second:02} +0000] \"GET /articles/{}/",
            10 + address % 180,
            address >> 16,
            address >> 8 & 255,
            address & 255,
            target % 5_000,
        )?;
        match target % 5 {
            0 => write!(out, "?page={target}")?,
            1 => write!(out, "images/photo-{}.jpg", target % 100)?,
            _ => write!(out, "index.html")?,
        }
        write!(out, " HTTP/1.1\" {status} ")?;
        match (status, timed) {
            (301 | 304, false) => write!(out, "-")?,
            _ => write!(out, "{}", random.skewed(500_000))?,
        }
        match random.below(3) {
            0 => write!(out, " \"-\" \"{agent}\"")?,
            _ => write!(out, " \"https://www.example.org/articles/{}/?from=list\" \"{agent}\"", random.skewed(5_000))?,
        }
        match (timed, random.below(10)) {
            (false, _) => {}
            (true, 0..3) => write!(out, " 0.00{} -", random.below(9))?,
            (true, _) => write!(out, " 0.{:03} 0.{:03}", random.below(900), random.below(900))?,
        }
        writeln!(out)?;
    }
    out.flush()
}

fn hostile(mut out: impl Write, lines: usize, kind: Hostile) -> std::io::Result<()> {
    let mut random = Random(1);
    for i in 0..lines {
        let noise = random.any();
        let status = [200, 404, 200, 200, 500][i % 5];
        write!(
            out,
            "{}.{}.{}.{} - - [17/May/2015:10:00:{:02} +0000] \"GET /{noise:x}/{i}?q={i} HTTP/1.1\" {status} {} \"http://{noise:x}.example/{i}\" ",
            1 + (i >> 24),
            i >> 16 & 255,
            i >> 8 & 255,
            i & 255,
            i / 1_000 % 60,
            noise % 100_000,
        )?;
        match kind {
            Hostile::Noise => writeln!(out, "\"{noise:016x}{:016x}{:016x}\"", random.any(), random.any())?,
            Hostile::Browser => writeln!(
                out,
                "\"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.{i}.0 Safari/537.36\"",
                noise % 1_000
            )?,
        }
    }
    out.flush()
}
