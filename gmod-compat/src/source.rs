//! What a Python file is, told from its text alone: nothing of it is run.

/// What a Python file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A gmond module: it has `metric_init`.
    Gmond,
    /// A pipe: it has `process`, and no `metric_init`.
    Pipe,
    /// Neither: a helper of others.
    Helper,
}

/// Says what a source is. `metric_init` may stand in an `if` or be imported; `process` must stand at the beginning of a line,
/// for many a class has a method of that name.
pub fn source_kind(source: &[u8]) -> SourceKind {
    let mut kind = SourceKind::Helper;
    for line in source.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let bare = line.trim_ascii_start();
        if defines(bare, b"metric_init") || assigns(line, b"metric_init") || imports(bare, b"metric_init") {
            return SourceKind::Gmond;
        }
        if defines(line, b"process") || assigns(line, b"process") {
            kind = SourceKind::Pipe;
        }
    }
    kind
}

fn defines(line: &[u8], name: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"def").filter(|rest| rest.first().is_some_and(u8::is_ascii_whitespace)) else {
        return false;
    };
    rest.trim_ascii_start().strip_prefix(name).is_some_and(|rest| rest.trim_ascii_start().first() == Some(&b'('))
}

fn assigns(line: &[u8], name: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(name) else { return false };
    let rest = rest.trim_ascii_start();
    rest.first() == Some(&b'=') && rest.get(1) != Some(&b'=')
}

fn imports(line: &[u8], name: &[u8]) -> bool {
    line.starts_with(b"from ")
        && line.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').skip(1).any(|word| word == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn files_are_told_apart() {
        for (source, kind) in [
            ("import os\ndef metric_init(params):\n    return []\n", SourceKind::Gmond),
            ("if True:\n\tdef metric_init (p): pass", SourceKind::Gmond),
            ("metric_init = Module().init\r\n", SourceKind::Gmond),
            ("from shared import run, metric_init", SourceKind::Gmond),
            ("def process(arr):\n    pass\ndef metric_init(p): pass", SourceKind::Gmond),
            ("import graft\ndef process(arr): graft.add('x')", SourceKind::Pipe),
            ("process = Counter()", SourceKind::Pipe),
            ("class A:\n    def process(self): pass\n", SourceKind::Helper),
            ("def metric_initialise(): pass\ndef processed(): pass\nprocess == 1", SourceKind::Helper),
            ("# def metric_init(params)\ndefmetric_init()", SourceKind::Helper),
            ("", SourceKind::Helper),
        ] {
            assert_eq!(source_kind(source.as_bytes()), kind, "{source}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_something(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = source_kind(&bytes);
        }
    }
}
