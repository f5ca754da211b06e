//! The first and the last of dates and times as patterns: JSON Schema has no words for them.
//!
//! What is written in the same places compares as its text does. So a date is late enough where it has the digits of the
//! first one up to some place and a greater one there, whatever is behind it, or all of them.

/// Dates and times that are written like this one and are no earlier.
pub(super) fn from(first: &str) -> String {
    format!("^{}", behind(first.as_bytes(), true))
}

/// Those that are no later.
pub(super) fn up_to(last: &str) -> String {
    format!("^{}", behind(last.as_bytes(), false))
}

fn behind(rest: &[u8], is_first: bool) -> String {
    let Some((byte, rest)) = rest.split_first() else {
        // As much of a second as says nothing is no later.
        return if is_first { String::new() } else { "(\\.0+)?$".to_owned() };
    };
    let same = behind(rest, is_first);
    match byte {
        b'0'..=b'8' if is_first => format!("([{}-9]|{}{same})", char::from(byte + 1), char::from(*byte)),
        b'1'..=b'9' if !is_first => format!("([0-{}]|{}{same})", char::from(byte - 1), char::from(*byte)),
        b'T' => format!("[Tt ]{same}"),
        b'.' => format!("\\.{same}"),
        byte => format!("{}{same}", char::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::{from, up_to};
    use proptest::prelude::*;
    use regex::Regex;

    fn fits(pattern: &str, text: &str) -> bool {
        Regex::new(pattern).unwrap().is_match(text)
    }

    #[test]
    fn the_bounds_belong_to_the_span() {
        assert_eq!(from("1969"), "^([2-9]|19([7-9]|69))");
        assert_eq!(up_to("2068"), "^([0-1]|20([0-5]|6([0-7]|8(\\.0+)?$)))");
        for (text, is_late, is_early) in [
            ("2026-01-31", true, true),
            ("2026-02-01", true, false),
            ("2025-12-31", false, true),
            ("2026-01-30", false, true),
            ("9999-12-31", true, false),
            ("0000-01-01", false, true),
        ] {
            assert_eq!(
                (fits(&from("2026-01-31"), text), fits(&up_to("2026-01-31"), text)),
                (is_late, is_early),
                "{text}"
            );
        }
        let last = up_to("2026-01-31T12:00:00");
        for (text, is_early) in [
            ("2026-01-31T12:00:00", true),
            ("2026-01-31 12:00:00", true),
            ("2026-01-31T12:00:00.000", true),
            ("2026-01-31T12:00:00.001", false),
            ("2026-01-31T11:59:59.999999999", true),
            ("2026-01-31T12:00:01", false),
        ] {
            assert_eq!(fits(&last, text), is_early, "{text}");
        }
        assert!(fits(&from("12:30:00.5"), "12:30:00.50") && !fits(&from("12:30:00.5"), "12:30:00"));
    }

    proptest! {
        #[test]
        fn texts_of_one_form_are_in_their_order(
            bound in "[0-9]{4}-[0-9]{2}-[0-9]{2}",
            text in "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        ) {
            prop_assert_eq!(fits(&from(&bound), &text), text >= bound);
            prop_assert_eq!(fits(&up_to(&bound), &text), text <= bound);
            prop_assert!(fits(&from(&bound), &bound) && fits(&up_to(&bound), &bound));
        }
    }
}
