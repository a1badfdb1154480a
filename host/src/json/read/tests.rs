use super::*;
use crate::tokens::Tokens;
use crate::tree::{Limits, Tree};
use plugin_api::delta::wire::Reader;
use proptest::prelude::*;
use std::time::Duration;

fn entries(json: &str) -> Vec<String> {
    listed(&read_documents(json.as_bytes()))
}

fn listed(documents: &Documents) -> Vec<String> {
    assert_eq!(documents.faults, []);
    let mut all = Vec::new();
    for frame in &documents.frames {
        let mut reader = Reader::new(frame).unwrap();
        while let Some(entry) = reader.next_entry().unwrap() {
            all.push(format!("{}={:?}", encode_path(reader.path().iter().copied()), entry.op));
        }
    }
    all
}

fn fault(json: &str) -> String {
    let documents = read_documents(json.as_bytes());
    assert_eq!(documents.frames.len(), 0, "{json}");
    documents.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_document_becomes_entries_in_order_after_its_actions() {
    assert_eq!(
        entries(
            r#"{"br":{"ie":[{"6":3},{"7":[8,{"venders":{"sogou":2}}]}],"":1,"defaultaction":"max"},"defaultaction":"add"}"#
        ),
        [
            "br=Action(Add)",
            "br=Action(Max)",
            "br,ie,6=Number(3.0)",
            "br,ie,7=Number(8.0)",
            "br,ie,7,venders,sogou=Number(2.0)",
            "br=Number(1.0)",
        ]
    );
    assert_eq!(entries(r#"[{"a":true},{"b":"x"}]"#), ["a=Bool(true)", "b=Text(\"x\")"]);
    assert_eq!(entries("[]"), [] as [&str; 0]);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let deep = format!("{}1{}", "{\"k\":".repeat(100), "}".repeat(100));
    for (json, want) in [
        ("{\"a\":NaN}", "line 1 column 6: expected value"),
        ("{\"a\":1e999}", "line 1 column 10: number out of range"),
        ("{\"a\":1", "line 1 column 6: EOF while parsing an object"),
        ("", "line 1 column 0: EOF while parsing a value"),
        ("{} x", "line 1 column 4: trailing characters"),
        ("{\"a\":{\"b\":null}}", "document 1, a,b: null is no value; leave the key out"),
        ("[[{\"a\":1}]]", "document 1: a document must be an object, not an array"),
        ("[7]", "document 1: a document must be an object, such as {\"hits\": 1}"),
        ("{\"\":7}", "document 1: a document has no value of its own, only its keys have"),
        ("{\"a\":{\"\":{\"p50\":1}}}", "document 1, a: an object under \"\" is a sketch"),
        ("{\"a\":1,\"defaultaction\":\"sum\"}", "document 1: unknown action \"sum\"; known are add"),
        (&deep, "nested deeper than 64"),
    ] {
        let said = fault(json);
        assert!(said.contains(want), "{json}: {said}");
    }
    let long = format!("{{\"a\":{{\"{}\":1}}}}", "k".repeat(1 << 20));
    assert_eq!(fault(&long), "document 1, a: a key of 1048576 bytes; at most 16384 are allowed");
}

#[test]
fn a_bad_document_costs_itself_alone() {
    let documents = read_documents(br#"[{"a":1},{"b":null,"c":{"d":[1,2]}},{"e":2}]"#);
    assert_eq!((documents.frames.len(), documents.faults.len()), (2, 1));
    assert_eq!((documents.good, documents.rejected), (2, 1));
    assert_eq!(documents.faults[0].at, "document 2, b");
}

#[test]
fn what_says_nothing_takes_no_room_and_of_many_faults_the_first_are_kept() {
    let many = |document: &str| read_documents(format!("[{}]", vec![document; 1_000].join(",")).as_bytes());
    for empty in ["{}", "{\"defaultaction\":\"max\"}", "{\"a\":{},\"b\":[]}"] {
        let documents = many(empty);
        assert_eq!((documents.frames.len(), documents.good, documents.rejected), (0, 1_000, 0), "{empty}");
    }
    let documents = many("1");
    assert_eq!((documents.good, documents.rejected), (0, 1_000));
    assert_eq!(documents.faults.len(), PUSH_FAULTS_MAX);
    assert_eq!(documents.faults[9].at, "document 10");
    // What an action's place holds instead of its name is passed over too.
    for other in ["[[1],{}]", "{\"a\":[]}", "1", "-1", "1.5", "true", "null"] {
        let said = fault(&format!("{{\"a\":1,\"defaultaction\":{other}}}"));
        assert!(said.contains("defaultaction must be a text"), "{other}: {said}");
    }
}

#[test]
fn a_broken_document_takes_back_itself_alone() {
    let mut documents = Documents::default();
    documents.read(b"{\"a\":1}", None);
    documents.read(b"{\"b\":1} x", None);
    assert_eq!((documents.frames.len(), documents.good, documents.rejected), (1, 1, 1));
}

#[test]
fn a_token_does_not_enter_the_tree() {
    let n = "n=Number(1.0)";
    for (json, good, want) in [
        ("{\"token\":\"s3cret\"}", 0, &[][..]),
        ("{\"token\":\"s3cret\",\"n\":1}", 1, &[n]),
        ("{\"t\\u006fken\":[\"s3cret\",\"s3cret\"],\"n\":1}", 1, &[n]),
        ("[{\"n\":1},{\"token\":\"s3cret\",\"n\":1}]", 2, &[n, n]),
        ("{\"token\":\"s3cret\",\"n\":1,\"defaultaction\":\"max\"}", 1, &["n=Action(Max)", n]),
        // Another text or another place: a member like any other.
        ("{\"token\":\"ring\",\"n\":1}", 1, &["token=Text(\"ring\")", n]),
        ("{\"n\":{\"token\":\"s3cret\"}}", 1, &["n,token=Text(\"s3cret\")"]),
    ] {
        let mut documents = Documents::default();
        documents.read(json.as_bytes(), Some(&Tokens::one(Some("s3cret"))));
        assert_eq!(
            (documents.good, listed(&documents)),
            (good, want.iter().map(ToString::to_string).collect()),
            "{json}"
        );
    }
    assert_eq!(entries("{\"token\":\"s3cret\"}"), ["token=Text(\"s3cret\")"], "no token is set");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}:,\"a-c0-9 .eE+-]{0,60}") {
        let documents = read_documents(text.as_bytes());
        let mut tree = Tree::new(Limits::default(), Duration::from_secs(1), 0);
        for frame in documents.frames {
            tree.merge(&[], &frame, 0).unwrap();
        }
    }
}

/// Each frame's first path, and what is wrong.
fn many(text: &str) -> (Vec<String>, Vec<String>, u64) {
    let read = read_documents(text.as_bytes());
    let path = |frame: &Vec<u8>| {
        let mut reader = Reader::new(frame).unwrap();
        reader.next_entry().unwrap();
        encode_path(reader.path().iter().copied())
    };
    (read.frames.iter().map(path).collect(), read.faults.iter().map(ToString::to_string).collect(), read.rejected)
}

#[test]
fn documents_one_behind_another_are_each_read_whole_or_not_at_all() {
    for text in [
        "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n",
        "{\"a\":1}{\"b\":2} {\"c\":3}",
        "\r\n {\"a\":1}\r\n\r\n{\n\"b\":\n2}\r\n{\"c\":3}",
        "{\"a\":1}\n[{\"b\":2},{\"c\":3}]",
        "[{\"a\":1},{\"b\":2}][{\"c\":3}]\n[]{}",
    ] {
        assert_eq!(many(text), (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], vec![], 0), "{text:?}");
    }
}

#[test]
fn what_is_wrong_with_one_of_several_is_said_with_its_line_and_costs_that_alone() {
    for (text, good, faults) in [
        ("{\"a\":1}\n{\"b\":null}\n{\"c\":3}", "a c", "line 2, b: null is no value; leave the key out"),
        ("{\"a\":{\"x\":null}}\n{\"c\":3}", "c", "line 1, a,x: null is no value; leave the key out"),
        ("{\"a\":1}\n{\"b\":tru}\n{\"c\":3}", "a c", "line 2 column 9: expected ident"),
        ("{\"a\":1} {\"b\":tru}\n{\"c\":3}", "a c", "line 1 column 17: expected ident"),
        // One that is cut off costs no other.
        ("{\"a\":1\n{\"b\":2}\n{\"c\":3}", "b c", "line 2 column 1: expected `,` or `}`"),
        ("{\"a\":\n{\"b\":2}\n{\"c\":3}", "b c", "line 3 column 1: expected `,` or `}`"),
        ("{\"a\":1\n\n {\"b\":2}\n{\"c\":3}", "b c", "line 3 column 2: expected `,` or `}`"),
        // It is rejected once, whatever else is wrong with it.
        ("{\"a\":null}}\n{\"c\":3}", "c", "line 1 column 11: trailing characters"),
        ("{\"a\":1}\n7\n{\"c\":3}", "a c", "line 2 column 1: invalid type: integer `7`"),
        ("{\"a\":1}\n{\"b\":2}}\n{\"c\":3}", "a c", "line 2 column 8: trailing characters"),
        // What closes more than was opened tells of a document that is not whole.
        ("{\"a\":1}\n{\"b\":2}\n}\n{\"c\":3}", "a", "line 3 column 1: trailing characters"),
        ("{\"a\":1}\n[{\"b\":2},7]", "a b", "line 2, document 2: a document must be an object, such as {\"hits\": 1}"),
        // Where lines do not tell what is whole, nothing is guessed.
        ("{\n\"a\":\n{\"b\":tru},\n\"x\":\n{\n\"c\": 1}\n}", "", "line 3 column 9: expected ident"),
        ("{\"a\":1}\n{\"b\":", "a", "line 2 column 5: EOF while parsing a value"),
    ] {
        let (found, told, rejected) = many(text);
        assert_eq!((found.join(" ").as_str(), rejected), (good, 1), "{text:?}");
        assert!(told.len() == 1 && told[0].starts_with(faults), "{text:?}: {told:?}");
    }
}
