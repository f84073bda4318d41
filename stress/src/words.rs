//! Words for people.

/// A count and its noun: "1 choice", "2 choices".
pub(crate) fn many(count: impl Into<u128>, noun: &str) -> String {
    let count = count.into();
    match (count, noun) {
        (1, _) => format!("1 {noun}"),
        (_, "life") => format!("{count} lives"),
        _ => format!("{count} {noun}s"),
    }
}

/// The width of a terminal that shows what is written for people without broken lines.
pub(crate) const COLUMNS: usize = 110;

/// `text` if it is not wider than `width`, or lines that are not, broken between words. A longer word has a line of its own.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a line from the start");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("  {word}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::many;

    #[test]
    fn one_is_singular() {
        assert_eq!([many(0_u64, "choice"), many(1_u64, "choice")], ["0 choices", "1 choice"]);
        assert_eq!([many(1_u32, "life"), many(2_u32, "life")], ["1 life", "2 lives"]);
    }
}
