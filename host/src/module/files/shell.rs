//! Paths as a shell takes them, for commands that a person copies.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The path as one word of a shell: as it is where it can be, else in quotation marks.
pub(super) fn quoted(path: &Path) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_@%+=:,./-".contains(c);
    // No option of the command.
    let dash = if path.as_os_str().as_bytes().starts_with(b"-") { "./" } else { "" };
    match path.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(plain) => format!("{dash}{text}"),
        Some(text) if !text.contains(char::is_control) => format!("'{dash}{}'", text.replace('\'', r"'\''")),
        // What cannot be shown in a line is written as bytes; bash, zsh and POSIX of 2024 read it.
        _ => {
            let bytes = path.as_os_str().as_bytes().iter().map(|byte| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
                b' '..=b'~' => char::from(*byte).to_string(),
                byte => format!("\\{byte:03o}"),
            });
            format!("$'{dash}{}'", bytes.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn words() {
        for (path, word) in [
            (&b"/etc/graftd/x.on"[..], "/etc/graftd/x.on"),
            (b"/my plugins/x.so", "'/my plugins/x.so'"),
            (b"/it's/$HOME/`x`.so", r"'/it'\''s/$HOME/`x`.so'"),
            (b"-r/x.so", "./-r/x.so"),
            (b"-r /x.so", "'./-r /x.so'"),
            (b"/a\nb\xff'.so", r"$'/a\012b\377\'.so'"),
            ("/größe.so".as_bytes(), "/größe.so"),
            (b"~/x.so", "'~/x.so'"),
        ] {
            assert_eq!(quoted(Path::new(OsStr::from_bytes(path))), word);
        }
    }

    #[test]
    fn a_shell_reads_them_back() {
        for path in [&b"/my plugins/it's $x \\ \"y\".so"[..], b"/a\nb\xff'\\.so"] {
            let path = Path::new(OsStr::from_bytes(path));
            let echoed =
                std::process::Command::new("bash").arg("-c").arg(format!("printf %s {}", quoted(path))).output();
            assert_eq!(echoed.unwrap().stdout, path.as_os_str().as_bytes());
        }
    }
}
