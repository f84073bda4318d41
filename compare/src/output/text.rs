//! Numbers and lines.

/// Columns of a terminal that the table fits.
pub(crate) const WIDTH: usize = 100;

/// Three significant places at least, thousands set apart, no trailing zeros for whole numbers.
pub(crate) fn number(value: f64) -> String {
    let rounded = value.round();
    if value >= 99.95 {
        return thousands(rounded as u64);
    }
    if (value - rounded).abs() < 0.005 {
        return format!("{rounded:.0}");
    }
    if value >= 9.995 { format!("{value:.1}") } else { format!("{value:.2}") }
}

fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `text` in lines of at most [`WIDTH`] columns. The first begins with `first`, the others with as many blanks as `indent`.
/// A word that is longer than a line stays whole.
pub(crate) fn wrap(first: &str, indent: usize, text: &str) -> String {
    let mut lines = vec![first.to_owned()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("never empty");
        let is_new = line.trim().is_empty() || line.len() == first.len() && line == first;
        if !is_new && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(" ".repeat(indent) + word);
            continue;
        }
        if !is_new {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_what_matters() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (2.136, "2.14"),
            (33.27, "33.3"),
            (99.96, "100"),
            (520.4, "520"),
            (199_278.0, "199,278"),
            (1_000_000.0, "1,000,000"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_long_text_goes_on_below_its_beginning() {
        let text = wrap("  met        ", 13, &"word ".repeat(40));
        assert!(
            text.lines().count() == 3 && text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        assert!(text.lines().skip(1).all(|line| line.starts_with("             word")), "{text}");
        assert_eq!(text.matches("word").count(), 40);
    }
}
