//! The searches and numbers of [`scan`](super::super::scan) against plain ones.

use super::super::scan::{Literal, Marks, decimal, few_digits, few_thousandths, find_byte, whole};
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
        prop_assert_eq!(find_byte(&text, from, needle), plain);
    }

    #[test]
    fn marks_are_quotes_and_backslashes(lines in prop::collection::vec(prop_oneof![dense(), sparse()], 1..4), from in 0usize..410) {
        let mut marks = Marks::default();
        for line in lines {
            marks.read(&line);
            let plain = line.iter().enumerate().skip(from).find(|&(_, &b)| b == b'"' || b == b'\\').map(|(i, _)| i);
            prop_assert_eq!(marks.next(from), plain);
            prop_assert_eq!(marks.has_slash(), line.contains(&b'\\'));
        }
    }

    #[test]
    fn a_literal_is_found_where_it_is(text in "[ab]{0,40}", literal in "[ab]{1,12}", from in 0usize..45) {
        let found = Literal::new(&literal).find(text.as_bytes(), from);
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
