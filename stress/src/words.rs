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

/// Columns of a terminal. Text for people is broken at this width.
pub(crate) const COLUMNS: usize = 110;

/// [`broken`] with two blanks before each line but the first.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    broken(text, width, 2)
}

/// One line of text as lines of `width`, broken between words. Each but the first has `indent` blanks before it. A word that is longer
/// has a line of its own.
pub(crate) fn broken(text: &str, width: usize, indent: usize) -> Vec<String> {
    let words = text.trim_start_matches(' ');
    let mut lines = Vec::new();
    let mut line = text[..text.len() - words.len()].to_owned();
    let mut is_begun = false;
    for word in words.split(' ') {
        if is_begun && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
        } else if is_begun {
            line.push(' ');
        }
        line.push_str(word);
        is_begun = true;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!([many(0_u64, "choice"), many(1_u64, "choice")], ["0 choices", "1 choice"]);
        assert_eq!([many(1_u32, "life"), many(2_u32, "life")], ["1 life", "2 lives"]);
    }

    #[test]
    fn lines_are_broken_between_words_and_none_is_lost() {
        let text = "  a checkpoint that waits for the pages which it has begun to write";
        for width in 14..80 {
            let lines = broken(text, width, 4);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:?}");
            assert!(lines[0].starts_with("  a") && lines[1..].iter().all(|line| line.starts_with("    ")));
            let words: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
            assert_eq!(words.join(" "), text.trim());
        }
        assert_eq!(broken(text, text.len(), 4), [text]);
        assert_eq!(broken("", 9, 4), [""]);
        assert_eq!(broken("a longer_than_that b", 9, 1), ["a", " longer_than_that", " b"]);
    }
}
