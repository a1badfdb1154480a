//! The searches and numbers of [`scan`](super::super::scan) against plain ones.

use super::super::scan::{Line, Literal, decimal, few_digits, few_thousandths, whole};
use super::super::window::{Marks, Window};
use proptest::prelude::*;

/// Texts in which few bytes are often found.
fn dense() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(
        prop_oneof![prop::sample::select(b"\"\\ -0129.\x80\xff\x21\x23".to_vec()), any::<u8>()],
        0..200,
    )
}

/// Texts with long ways between quotes.
fn sparse() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select([&[b'x'; 60][..], b"\"\\ "].concat()), 0..400)
}

proptest! {
    #[test]
    fn a_byte_is_found_where_it_is(text in dense(), from in 0usize..210, needle in 1u8..) {
        let plain = text.get(from..).and_then(|rest| rest.iter().position(|&b| b == needle)).map(|i| from + i);
        prop_assert_eq!(Line::alone(&text).find_byte(from, needle), plain);
        // Nor is it found behind the line.
        let behind = [&text[..], &[b'\n', needle, needle]].concat();
        prop_assert_eq!(Line { text: &behind, len: text.len() }.find_byte(from, needle), plain);
    }

    #[test]
    fn marks_are_quotes_and_backslashes(
        lines in prop::collection::vec(prop_oneof![dense(), sparse()], 1..4),
        from in 0usize..410,
        until in 0usize..410,
    ) {
        let mut marks = Marks::default();
        for line in lines {
            marks.read(&line);
            let until = until.min(line.len());
            let plain = |wanted: &[u8]| (from..until).find(|&i| wanted.contains(&line[i]));
            prop_assert_eq!(marks.quotes.next(from, until), plain(b"\"\\"));
            prop_assert_eq!(marks.questions.next(from, until), plain(b"?"));
            prop_assert_eq!(marks.slash, line.contains(&b'\\'));
        }
    }

    #[test]
    fn a_window_finds_every_line(lines in prop::collection::vec("[ab\"]{0,5}|[a-c\"]{0,200}", 0..60), longest in 0usize..100_000, ended: bool) {
        let mut lines = lines;
        if let Some(line) = lines.first_mut() {
            line.push_str(&"x".repeat(longest));
        }
        let mut text = lines.join("\n");
        if ended && !lines.is_empty() {
            text.push('\n');
        } else if lines.last().is_some_and(String::is_empty) {
            // Nothing at the end of a text is no line.
            lines.pop();
        }
        let mut window = Window::default();
        window.begin(0);
        let mut found = Vec::new();
        while let Some(line) = window.next_line(text.as_bytes()) {
            let (marks, offset) = window.marks(line.start);
            let quote = marks.quotes.next(offset, offset + line.len());
            prop_assert_eq!(quote.map(|at| at - offset), text[line.clone()].find('"'));
            found.push(text[line].to_owned());
        }
        prop_assert_eq!(window.at(), text.len());
        prop_assert_eq!(found, lines);
    }

    #[test]
    fn a_literal_is_found_where_it_is(text in "[ab]{0,40}", literal in "[ab]{1,12}", from in 0usize..45) {
        let behind = format!("{text}\n{literal}");
        let within = Line { text: behind.as_bytes(), len: text.len() };
        let found = Literal::new(&literal).find(Line::alone(text.as_bytes()), from);
        prop_assert_eq!(Literal::new(&literal).find(within, from), found);
        prop_assert_eq!(found, text.get(from..).and_then(|rest| rest.find(&literal)).map(|i| from + i));
    }

    #[test]
    fn numbers_are_what_they_say(number in "[0-9]{0,9}", after in "[^0-9]{0,9}", before in "[ -~]{0,9}") {
        let text = format!("{before}{number}{after}");
        let few = (1..8).contains(&number.len()).then(|| (number.parse().unwrap(), number.len()));
        prop_assert_eq!(few_digits(text.as_bytes(), before.len()), few);
        prop_assert_eq!(whole(number.as_bytes()), number.parse().ok());
    }

    #[test]
    fn decimals_are_rounded_as_they_should_be(text in "[0-9]{0,20}(\\.[0-9]{0,20})?|[0-9.+e-]{0,8}") {
        let plain = text.parse().ok().filter(|_| !text.contains(['+', '-', 'e']));
        prop_assert_eq!(decimal(text.as_bytes()), plain);
        if let Some((thousandths, len)) = few_thousandths(text.as_bytes(), 0) {
            let number: f64 = text[..len].parse().unwrap();
            prop_assert_eq!(thousandths as f64 / 1e3, number);
            prop_assert_eq!(text[..len].split('.').nth(1).map(str::len), Some(3));
        }
    }
}
