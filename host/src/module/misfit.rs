//! Why a shared object does not fit this graftd, in one line: abi_stable's errors are pages.

use abi_stable::library::{LibraryError, RootModule};
use plugin_api::abi::PluginRef;

/// The line that matters of an error, and what to do.
pub(super) fn readable(error: &LibraryError) -> String {
    match error {
        LibraryError::OpenError { err, .. } => unopened(&err.to_string()),
        LibraryError::GetSymbolError { .. } => {
            "no graftd plugin: a shared object without export_pipe! or export_collector!".to_owned()
        }
        LibraryError::IncompatibleVersionNumber { expected_version, actual_version, .. } => {
            format!(
                "made with plugin-api {actual_version}, and this graftd has {expected_version}; build it anew with that"
            )
        }
        LibraryError::ParseVersionError(_) => "made for another version of plugin-api; build it anew".to_owned(),
        LibraryError::RootModule { err, .. } => format!("its root module cannot be had: {err}"),
        LibraryError::AbiInstability(pages) => laid_out_otherwise(&pages.to_string()),
        LibraryError::InvalidAbiHeader(_) => {
            "made with another abi_stable; build it anew with this version of plugin-api".to_owned()
        }
        other => one_line(&other.to_string()),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the dynamic linker says: glibc's texts, as `dlerror(3)` gives them.
fn unopened(said: &str) -> String {
    if let Some((_, symbol)) = said.split_once("undefined symbol: ") {
        return format!("needs the function {symbol}, which nothing that it is linked with provides; link it");
    }
    if let Some((library, _)) = said.split_once(": cannot open shared object file: No such file") {
        let library = library.rsplit(": ").next().unwrap_or(library);
        return format!("needs {library}, which is not there; install it");
    }
    if let Some((_, rest)) = said.split_once(": version `")
        && let Some((version, _)) = rest.split_once("' not found")
    {
        return format!("needs {version}, which is newer than this machine's; build it here, or on an older system");
    }
    // The path is repeated, which the one who asked knows.
    one_line(said.rsplit(": ").next().unwrap_or(said))
}

/// Takes the last difference out of the pages of a layout check, which is the innermost: `Error:` and what is wrong, then
/// `Expected:` and `Found:`, each with text below.
fn laid_out_otherwise(pages: &str) -> String {
    let last = pages.rsplit("Error:").next().unwrap_or_default();
    let mut lines = last.lines().map(str::trim).filter(|line| !line.is_empty());
    let wrong = lines.next().unwrap_or_default();
    let below = |title: &str| last.lines().map(str::trim).skip_while(|line| *line != title).nth(1).unwrap_or_default();
    let (expected, found) = (below("Expected:"), below("Found:"));
    let version = PluginRef::VERSION_STRINGS.version;
    if wrong == "mismatched type" && expected == "Plugin" {
        return format!("is another program's plugin: its root module is a {found}, not graftd's");
    }
    let what = match (expected, found) {
        ("", _) | (_, "") => wrong.to_owned(),
        (expected, found) => format!("{wrong}: {expected} is expected, {found} found"),
    };
    format!("its types are laid out otherwise than this graftd's ({what}); build it anew with plugin-api {version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_linker_says_is_told_in_plain_words() {
        for (said, told) in [
            ("/p/x.so: undefined symbol: answer", "needs the function answer, which nothing"),
            (
                "libx.so.1: cannot open shared object file: No such file or directory",
                "needs libx.so.1, which is not there",
            ),
            (
                "/lib/libc.so.6: version `GLIBC_2.99' not found (required by /p/x.so)",
                "needs GLIBC_2.99, which is newer than this machine's",
            ),
            ("/p/x.so: file too short", "file too short"),
        ] {
            assert!(unopened(said).starts_with(told), "{}", unopened(said));
        }
    }

    #[test]
    fn the_innermost_difference_is_told() {
        let pages = "Error:incompatible type size\nExpected:\n    80\nFound:\n    72\n\nError:mismatched type\nExpected:\n    \
                     RStr<'a>\nFound:\n    u64\n";
        let told = laid_out_otherwise(pages);
        assert!(told.contains("(mismatched type: RStr<'a> is expected, u64 found); build it anew"), "{told}");
        let foreign = laid_out_otherwise("Error:mismatched type\nExpected:\n    Plugin\nFound:\n    Calculator\n");
        assert!(foreign.contains("another program's plugin: its root module is a Calculator"), "{foreign}");
        assert!(laid_out_otherwise("").contains("build it anew"));
    }
}
