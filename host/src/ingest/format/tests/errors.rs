//! What is said of bad formats and bad lines, word for word.

use super::super::MAX_LINE;
use super::*;

fn refused(spec: &str) -> String {
    Format::compile(spec).expect_err(spec).to_string()
}

#[test]
fn bad_formats() {
    let known = r#"known are "combined", "common", "timed", "vhost_combined", "json", "w3c", an nginx log_format or an Apache LogFormat"#;
    assert_eq!(
        refused("combind"),
        format!(r#"log format, column 1: unknown log format "combind": {known}; did you mean "combined"?"#)
    );
    let of = |name| format!(r#"log format, column 1: unknown log format "{name}": {known}"#);
    assert_eq!(refused("xyz"), of("xyz"));
    assert!(refused("auto").contains("told from a log's lines"));
    assert_eq!(refused("IIS"), of("IIS") + r#"; did you mean "w3c"?"#);
    assert_eq!(refused("jsno"), of("jsno") + r#"; did you mean "json"?"#);
    assert_eq!(refused("  "), format!("log format, column 1: no log format: {known}"));
    for (spec, error) in [
        (
            "$remote_addr $host$request_uri",
            "column 19: $request_uri follows $host with nothing between them, so no one can tell where one ends: put a space or quotes between them",
        ),
        (
            "%h%u",
            "column 3: %u follows %h with nothing between them, so no one can tell where one ends: put a space or quotes between them",
        ),
        ("%h %z", "column 4: unknown directive %z; a percent sign is written %%"),
        ("%h %", "column 4: % without a directive; a percent sign is written %%"),
        ("%h %{Referer", "column 5: { without its }"),
        ("%{min}T %s", "column 1: unknown unit \"min\" in %{min}T: known are \"s\", \"ms\" and \"us\""),
        ("$status ${host", "column 9: ${ without its }"),
        ("$status \0", "column 9: a zero byte, which no log has"),
        ("$status $", "column 9: $ without the name of a variable"),
        ("log_format a 'x y';", "column 15: the format has no value: nginx writes $status, Apache %>s"),
        (
            "log_format a escape=xml '$status';",
            "column 14: unknown escape \"xml\": known are \"default\", \"json\" and \"none\"",
        ),
        ("log_format a '$status", "column 14: the quote ' that opens here is not closed"),
        (
            "LogFormat \"%h \\\"%q%r\\\"\" x",
            "column 19: %r follows %q with nothing between them, so no one can tell where one ends: put a space or quotes between them",
        ),
        ("$status $request $host", "column 9: $request holds spaces and ends at one: put it in double quotes"),
    ] {
        assert_eq!(refused(spec), format!("log format, {error}"), "{spec}");
    }
    assert!(refused("%{Q}t %s").starts_with(r#"log format, column 1: "Q" in the time of %{Q}t is not known"#));
    assert!(
        refused("%{%Q}t %s").starts_with(r#"log format, column 1: "%Q" in the time of %{%Q}t is not known: known are"#)
    );
}

#[test]
fn bad_lines() {
    let line = r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 17 "-" "curl/8""#;
    let ends = "the line ends before this field does: it is cut off, or of another format";
    // A cut-off line names the field in which it ends.
    for (len, field) in [
        (0, "addr, column 1"),
        (5, "addr, column 1"),
        (10, "skipped field, column 10"),
        (13, "user, column 12"),
        (30, "time, column 15"),
        (50, "request, column 44"),
        (60, "status, column 60"),
        (61, "status, column 60"),
        (65, "bytes, column 64"),
        (68, "referer, column 68"),
        (69, "agent, column 70"),
        (71, "agent, column 72"),
        (77, "agent, column 72"),
    ] {
        let error = read("combined", &line[..len]).expect_err(&line[..len]);
        assert_eq!(error.to_string(), format!("{field}: {ends}"), "{}", &line[..len]);
        assert_eq!(Format::compile("combined").unwrap().items()[usize::from(error.item)].what.name(), error.field);
    }
    for (from, to, error) in [
        ("10.0.0.1", "", "addr, column 1: no address"),
        (" 200 ", " 20 ", "status, column 60: not a status code, which is three digits from 100 to 999"),
        (" 200 ", " 2000 ", "status, column 60: not a status code, which is three digits from 100 to 999"),
        (" 200 ", " 099 ", "status, column 60: not a status code, which is three digits from 100 to 999"),
        (" 200 ", " +20 ", "status, column 60: not a status code, which is three digits from 100 to 999"),
        (" 17 ", " 17k ", "bytes, column 64: not a number of bytes"),
        (" 17 ", " -17 ", "bytes, column 64: not a number of bytes"),
        (" 17 ", " 99999999999999999999 ", "bytes, column 64: not a number of bytes"),
        (" 17 ", " 18446744073709551615 ", "bytes, column 64: not a number of bytes"),
        ("May", "Mai", "time, column 15: not a time of the form that the format names"),
        ("17/May", "31/Apr", "time, column 15: not a time of the form that the format names"),
        (":10:05:03", ":24:05:03", "time, column 15: not a time of the form that the format names"),
        (":03 +", ":61 +", "time, column 15: not a time of the form that the format names"),
        ("+0000", "*0000", "time, column 15: not a time of the form that the format names"),
        (
            "+0000] ",
            "+0000]",
            "time, column 15: the line ends before this field does: it is cut off, or of another format",
        ),
    ] {
        assert_eq!(read("combined", &line.replace(from, to)).expect_err(to).to_string(), error);
    }
    // What nobody wants is not judged.
    let odd = line.replace("May", "Mai").replace(" 17 ", " 17k ");
    assert!(read_all("combined", Fields::of(&[Field::Status]), &[&odd])[0].is_ok());
    let timed = |tail: &str| read("timed", &format!("{line}{tail}")).expect_err(tail).to_string();
    assert_eq!(timed(" x 0.1"), "request_time, column 80: not a number of seconds");
    assert_eq!(timed(" 0.1 0.1,x"), "upstream_time, column 84: not a number of seconds");
    assert_eq!(timed(" 0.1"), format!("request_time, column 80: {ends}"));
    assert_eq!(
        read("[$status]", "200").unwrap_err().to_string(),
        "status, column 1: the line does not begin as its format does"
    );
    let long = "x".repeat(MAX_LINE + 1);
    assert_eq!(
        read("combined", &long).unwrap_err().to_string(),
        format!("addr, column {}: the line is longer than a line may be", MAX_LINE + 1)
    );
}
