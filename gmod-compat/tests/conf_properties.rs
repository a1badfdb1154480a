//! Properties of the configuration reader: no text makes it panic or run away, and a printed tree reads back the same.

use gmod_compat::conf::{
    Call, Disk, Files, Gmond, Item, Pos, Section, Set, Tree, Word, limits, load, load_text, looks_like_gmond, parse,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

fn nowhere() -> Pos {
    Pos { file: "".into(), line: 0, column: 0 }
}

/// The items with their places wiped out, so that trees of different texts compare.
fn placeless(items: Vec<Item>) -> Vec<Item> {
    let word = |word: Word| Word { pos: nowhere(), ..word };
    let one = |item| match item {
        Item::Set(set) => Item::Set(Set { values: set.values.into_iter().map(word).collect(), pos: nowhere(), ..set }),
        Item::Section(section) => Item::Section(Section { items: placeless(section.items), pos: nowhere(), ..section }),
        Item::Call(call) => {
            Item::Call(Call { arguments: call.arguments.into_iter().map(word).collect(), pos: nowhere(), ..call })
        }
    };
    items.into_iter().map(one).collect()
}

/// Any text without NUL, which the grammar cannot hold; half of them made of what is special in it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        vec(any::<char>(), 0..12).prop_map(|chars| chars.into_iter().collect::<String>()),
        "[\"'\\\\$\\{\\}n0x1#/* \n\t\r=,é:-]{0,12}"
    ]
    .prop_map(|text| text.replace('\0', ""))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_]{1,8}", text()].prop_filter("a name is not empty", |name| !name.is_empty())
}

fn words() -> impl Strategy<Value = Vec<Word>> {
    vec(text().prop_map(|text| Word { text, pos: nowhere() }), 0..4)
}

fn item() -> impl Strategy<Value = Item> {
    let leaf = prop_oneof![
        (name(), text(), any::<bool>()).prop_map(|(key, text, append)| {
            Item::Set(Set { key, values: vec![Word { text, pos: nowhere() }], list: false, append, pos: nowhere() })
        }),
        (name(), words(), any::<bool>()).prop_map(|(key, values, append)| Item::Set(Set {
            key,
            values,
            list: true,
            append,
            pos: nowhere()
        })),
        (name(), words()).prop_map(|(name, arguments)| Item::Call(Call { name, arguments, pos: nowhere() })),
    ];
    leaf.prop_recursive(5, 40, 5, |item| {
        (name(), proptest::option::of(text()), vec(item, 0..5))
            .prop_map(|(name, title, items)| Item::Section(Section { name, title, items, pos: nowhere() }))
    })
}

/// Texts of the pieces that configurations are made of, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("modules { module { "),
        Just("collection_group { metric { "),
        Just("param x { value = "),
        Just("cluster { name = "),
        Just("include ("),
        Just("collect_every = "),
        Just("value_threshold = "),
        Just("enabled = "),
        Just("name = a "),
        Just("-0x1F "),
        Just("017 "),
        Just("yes "),
        Just("{"),
        Just("}"),
        Just(") "),
        Just("+= "),
        Just(", "),
        Just("\""),
        Just("'"),
        Just("${A:-b}"),
        Just("\\"),
        Just("/* "),
        Just("*/ "),
        Just("# "),
        Just("\n"),
        Just("é"),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// All that is done with a text, its result thrown away.
fn read(text: &[u8]) {
    looks_like_gmond(text);
    if let Ok(tree) = parse("t", text, &|name| Some(name.to_owned())) {
        let _ = Gmond::from_tree(&tree);
        let _ = tree.to_string();
    }
}

/// Sixteen files that each hold the same few includes, of each other mostly.
struct Maze(String);

impl Files for Maze {
    fn read(&self, _: &Path, at_most: usize) -> io::Result<Vec<u8>> {
        Ok(self.0.bytes().take(at_most).collect())
    }
    fn exists(&self, path: &Path) -> bool {
        path.as_os_str().len() < 12
    }
    fn names(&self, _: &Path) -> io::Result<Vec<OsString>> {
        Ok(('a'..='p').map(|c| c.to_string().into()).collect())
    }
    fn var(&self, _: &str) -> Option<String> {
        None
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..400)) {
        read(&bytes);
    }

    #[test]
    fn no_pieces_make_it_panic(text in pieces()) {
        read(text.as_bytes());
        // Cut anywhere, as by a full disk.
        for end in 0..text.len() {
            read(&text.as_bytes()[..end]);
        }
    }

    #[test]
    fn a_printed_tree_reads_back_the_same(items in vec(item(), 0..6)) {
        let tree = Tree { items, ..Tree::default() };
        let printed = tree.to_string();
        // An environment in which a variable that slips through shows.
        let back = parse("t", printed.as_bytes(), &|_| Some("SLIPPED".to_owned()));
        let back = back.map_err(|error| TestCaseError::fail(format!("{error}\n{printed}")))?;
        prop_assert!(back.warnings.is_empty(), "{:?}\n{}", back.warnings, printed);
        prop_assert_eq!(placeless(back.items), tree.items);
    }

    #[test]
    fn what_reads_prints_as_what_reads_the_same(text in pieces()) {
        if let Ok(tree) = parse("t", text.as_bytes(), &|_| None) {
            let back = parse("t", tree.to_string().as_bytes(), &|_| None).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(placeless(back.items), placeless(tree.items));
        }
    }

    #[test]
    fn errors_have_a_place_inside_the_text(text in pieces()) {
        if let Err(error) = parse("t", text.as_bytes(), &|_| None) {
            let lines: Vec<&str> = text.split('\n').collect();
            let line = lines.get(error.line as usize - 1);
            prop_assert!(line.is_some(), "{}", error);
            prop_assert!(error.column as usize <= line.map_or(0, |line| line.chars().count()) + 1, "{}", error);
            prop_assert!(!error.what.is_empty() && !error.hint.is_empty());
        }
    }

    #[test]
    fn no_includes_run_away(includes in vec("include\\(('[a-e]/\\*'|[a-p]|'\\*'|'\\.\\./[a-c]')\\)", 0..4)) {
        let maze = Maze(includes.join(" "));
        let _ = load(&maze, Path::new("a"));
        if let Ok(loaded) = load_text(&maze, Path::new("/a/b"), maze.0.as_bytes()) {
            prop_assert!(loaded.files.len() <= limits::MAX_FILES);
        }
    }
}

/// Every fixture reads without a warning and prints as what reads the same.
#[test]
fn the_fixtures_round_trip() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in [folder.clone(), folder.join("conf.d")] {
        paths.extend(Disk.names(&folder).expect("a folder").into_iter().map(|name| folder.join(name)));
    }
    assert!(paths.len() >= 4, "{paths:?}");
    for path in paths {
        let text = std::fs::read(&path).expect("a file");
        assert!(looks_like_gmond(&text), "{}", path.display());
        let tree = parse("t", &text, &|_| None).expect("a tree");
        assert!(tree.warnings.is_empty(), "{:?}", tree.warnings);
        let back = parse("t", tree.to_string().as_bytes(), &|_| None).expect("a tree");
        assert_eq!(placeless(back.items), placeless(tree.items));
    }
}
