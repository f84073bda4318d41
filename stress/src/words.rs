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

#[cfg(test)]
mod tests {
    use super::many;

    #[test]
    fn one_is_singular() {
        assert_eq!([many(0_u64, "choice"), many(1_u64, "choice")], ["0 choices", "1 choice"]);
        assert_eq!([many(1_u32, "life"), many(2_u32, "life")], ["1 life", "2 lives"]);
    }
}
