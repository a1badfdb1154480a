//! What a pipe is tried on.

use crate::ingest::format::{Decoded, Format};
use plugin_api::{Access, Fields};

/// Hands over the sample's records, with the fields that are wanted.
pub(in crate::module) fn with<T>(wants: Fields, work: impl FnOnce(&[Access<'_>]) -> T) -> T {
    let (mut decoded, mut records) = (Decoded::default(), Vec::new());
    // The format is one of our own.
    if let Ok(format) = Format::compile("timed") {
        let mut parser = format.parser(wants);
        for line in SAMPLE.lines() {
            let _ = parser.parse(line, &mut records, &mut decoded);
        }
    }
    decoded.settle(&mut records);
    work(&records)
}

/// A few lines such as a pipe will meet: plain ones, an error, absent fields, IPv6, hostile ones.
const SAMPLE: &str = r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1024 "-" "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36" 0.012 0.010
2001:db8::7 - ann [17/May/2015:10:05:03 +0000] "POST /cart?item=7 HTTP/2.0" 302 0 "https://shop.example/" "curl/8.5.0" 0.120 0.001, 0.119
192.0.2.9 - - [17/May/2015:10:05:04 +0000] "GET /%22%00?a=b,c* HTTP/1.1" 404 - "-" "-" 0.001 -
192.0.2.9 - - [17/May/2015:10:05:04 +0000] "-" 400 0 "-" "-" 0.000 -
192.0.2.4 - - [17/May/2015:10:05:05 +0000] "GET /slow HTTP/1.1" 502 157 "-" "\x22quoted\x22 agent" 30.001 30.000
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lines_of_the_sample_are_records() {
        with(Fields::ALL, |records| assert_eq!(records.len(), SAMPLE.lines().count()));
    }
}
