//! `graftd graph`: a picture of a running daemon's tree or of its history, in a terminal or a file.

use super::Failure;
use super::client::Server;
use super::error::unless_pipe_closed;
use crate::graph::{Form, known};
use crate::limits::{GRAPH_COLUMNS, GRAPH_ROWS};
use clap::Args;
use rustix::termios::tcgetwinsize;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// Lines that a picture takes in a terminal unless it is told otherwise, if there are so many.
const LINES: u32 = 20;

/// Names aside that are tried.
const ASIDES: u32 = 100;

/// Draw a path of a running daemon: in the terminal, or as SVG, PNG, JPEG or PDF into a file.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  graftd graph cpu,h1 --style cpu --from -1d\n  graftd graph 'load,*,one' --from -7d\n  \
graftd graph url --type top\n  graftd graph status --type stacked --from -1d --out status.png\n  \
graftd graph request_time, --as p50,p99 --markers app,version --theme dark --size 1200x400 --out latency.pdf"
)]
pub(super) struct Graph {
    /// Path: keys joined by commas; an empty key folds all keys there, * draws each
    #[arg(value_name = "PATH")]
    path: String,
    /// File to write: .svg, .png, .jpg, .pdf, or .txt for letters; - is standard output [default: the terminal]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Form, where the file's name does not tell it: svg, png, jpg, pdf, txt
    #[arg(long)]
    format: Option<String>,
    /// Width and height, in pixels; of letters in columns and lines [default: 640x240, or the terminal]
    #[arg(long, value_name = "WxH")]
    size: Option<String>,
    /// What stands above it [default: the path]
    #[arg(long)]
    title: Option<String>,
    /// Colours, order and units of what is known: default, cpu, net, url
    #[arg(long)]
    style: Option<String>,
    /// line, stacked, bar or top [default: that of the style]
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// light or dark [default: light]
    #[arg(long)]
    theme: Option<String>,
    /// From when: -1h, 2026-01-05T00:00:00Z, or seconds since 1970 [default: an hour before the end]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Until when [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Length of a step: 10s, 1m, 1h, 1d, or raw [default: what there is room for]
    #[arg(long, value_name = "TIME")]
    step: Option<String>,
    /// Figures, joined by commas: value, rate, mean, min, max, last, sum, count; of sketches p50, p90, p95, p99, p999, distinct
    /// [default: the rate of counters, p50, p90 and p99 of quantiles, the value of all else]
    #[arg(long = "as", value_name = "FIGURE")]
    figure: Option<String>,
    /// Fold keys by sum, mean, min, max or last, whatever their action is
    #[arg(long, value_name = "HOW")]
    fold: Option<String>,
    /// What numbers are of, where the tree does not say it
    #[arg(long)]
    units: Option<String>,
    /// Path of a text: its changes are drawn as vertical lines; may be given more than once
    #[arg(long, value_name = "PATH")]
    markers: Vec<String>,
    /// on or off [default: where there are several lines]
    #[arg(long)]
    legend: Option<String>,
    #[command(flatten)]
    server: Server,
}

impl Graph {
    pub(super) fn run(self) -> Result<(), Failure> {
        let file = self.out.as_deref().filter(|file| *file != Path::new("-"));
        let form = self.form(file)?;
        let letters = *known(&Form::NAMES, form).map_err(Failure::usage)? == Form::Txt;
        let mut query = form_urlencoded::Serializer::new(String::new());
        let terminal = io::stdout().is_terminal() && file.is_none();
        if letters
            && terminal
            && self.size.is_none()
            && let Ok(size) = tcgetwinsize(io::stdout())
        {
            // The prompt that follows has a line as well.
            let fit = |length: u16, range: std::ops::RangeInclusive<u32>, most: u32| {
                u32::from(length).min(most).clamp(*range.start(), *range.end())
            };
            let rows = fit(size.ws_row.saturating_sub(1), GRAPH_ROWS, LINES);
            query.append_pair("size", &format!("{}x{rows}", fit(size.ws_col, GRAPH_COLUMNS, u32::MAX)));
        }
        // See https://no-color.org.
        let plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        if letters && terminal && !plain {
            query.append_pair("ansi", "1");
        }
        for (name, value) in [
            ("size", &self.size),
            ("title", &self.title),
            ("style", &self.style),
            ("type", &self.kind),
            ("theme", &self.theme),
            ("from", &self.from),
            ("to", &self.to),
            ("step", &self.step),
            ("as", &self.figure),
            ("fold", &self.fold),
            ("units", &self.units),
            ("legend", &self.legend),
        ] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        for path in &self.markers {
            query.append_pair("markers", path);
        }
        let query = query.finish();
        let answer = self.server.get(&format!("/graph/{}.{form}?{query}", escaped(&self.path)), "*/*")?;
        let mut picture = Vec::new();
        let read = answer.into_body().into_reader().read_to_end(&mut picture);
        read.map_err(|error| Failure::work(format_args!("the answer is cut off: {error}")))?;
        match file {
            Some(file) => {
                write(file, &picture).map_err(|error| Failure::work(format_args!("{}: {error}", file.display())))
            }
            None if !letters && terminal => Err(Failure::usage(format_args!(
                "a terminal cannot show {form}: name a file, such as --out graph.{form}"
            ))),
            None => {
                let mut out = io::stdout().lock();
                unless_pipe_closed(out.write_all(&picture).and_then(|()| out.flush()))
            }
        }
    }

    /// As it is said, or as the file is called; else letters.
    fn form<'f>(&'f self, file: Option<&'f Path>) -> Result<&'f str, Failure> {
        if let Some(form) = &self.format {
            known(&Form::NAMES, form).map_err(|wanted| Failure::usage(format_args!("--format {form}: {wanted}")))?;
            return Ok(form);
        }
        let Some(file) = file else { return Ok("txt") };
        let end = file.extension().and_then(|end| end.to_str()).unwrap_or_default();
        known(&Form::NAMES, end).map_err(|wanted| {
            Failure::usage(format_args!("--out {}: its end {wanted}; or name --format", file.display()))
        })?;
        Ok(end)
    }
}

/// Writes a file so that whoever reads it has the old one or the new one, with the mode and, where that may be, the owner that it had.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let before = file.symlink_metadata().ok();
    // What is no file (a pipe, /dev/stdout) is written to as it is, and a link where it leads, were it to nothing yet.
    if before.as_ref().is_some_and(|meta| !meta.is_file()) {
        return OpenOptions::new().write(true).create(true).truncate(true).open(file)?.write_all(bytes);
    }
    // Until it has the mode of what it replaces, it is nobody else's to read.
    let (aside, mut new) = aside(file, if before.is_some() { 0o600 } else { 0o666 })?;
    let written = (|| {
        new.write_all(bytes)?;
        if let Some(before) = before {
            // Only root may give a file away; it is no less written if nobody does.
            let _ = fchown(&new, Some(before.uid()), Some(before.gid()));
            new.set_permissions(before.permissions())?;
        }
        fs::rename(&aside, file)
    })();
    if written.is_err() {
        // That it is not there is what is wanted.
        let _ = fs::remove_file(&aside);
    }
    written
}

/// A new file beside another one. Who may write to the folder may guess its name: whatever has that already is left alone, and not
/// written to.
fn aside(file: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut tried = 0;
    loop {
        let aside = file.with_file_name(format!(".{name}.{}.{tried}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).mode(mode).open(&aside) {
            Ok(new) => return Ok((aside, new)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tried < ASIDES => tried += 1,
            Err(error) => return Err(error),
        }
    }
}

/// A path as it stands in a URL's path (RFC 3986, 3.3).
fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,*".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_file_is_replaced_with_its_mode_and_nobodys_link_is_followed() {
        let folder = std::env::temp_dir().join(format!("graftd-graph-out-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let (file, other) = (folder.join("x.png"), folder.join("other"));
        fs::write(&other, "theirs").expect("written");
        for name in [format!(".x.png.{}", std::process::id()), format!(".x.png.{}.0", std::process::id())] {
            symlink(&other, folder.join(name)).expect("a link");
        }
        write(&file, b"one").expect("written");
        assert_eq!(fs::read(&file).expect("there"), b"one");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).expect("a mode");
        write(&file, b"two").expect("written");
        assert_eq!(fs::read(&file).expect("there"), b"two");
        assert_eq!(file.metadata().expect("there").permissions().mode() & 0o7777, 0o604);
        let (_, private) = aside(&folder.join("y.png"), 0o600).expect("a file aside");
        assert_eq!(private.metadata().expect("there").permissions().mode() & 0o7777, 0o600);
        fs::remove_file(folder.join(format!(".y.png.{}.0", std::process::id()))).expect("removed");
        assert_eq!(fs::read(&other).expect("there"), b"theirs");
        // What is a link on purpose is written to where it leads.
        let link = folder.join("link.png");
        symlink(&file, &link).expect("a link");
        write(&link, b"three").expect("written");
        assert_eq!(fs::read(&file).expect("there"), b"three");
        let early = folder.join("early.png");
        symlink(folder.join("late"), &early).expect("a link");
        write(&early, b"four").expect("written");
        assert_eq!(fs::read(folder.join("late")).expect("there"), b"four");
        fs::remove_file(folder.join("late")).and_then(|()| fs::remove_file(&early)).expect("removed");
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 5, "nothing is left aside");
        fs::remove_dir_all(&folder).expect("removed");
    }
}
