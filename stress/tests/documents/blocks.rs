//! The blocks of a Markdown file.

/// A fenced block: what stands behind the opening fence, and its text.
#[derive(Clone, Debug)]
pub struct Block {
    pub language: String,
    pub text: String,
}

/// The fenced blocks of `document`, in their order.
pub fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for line in document.lines() {
        match line.strip_prefix("```") {
            Some(language) if !is_open => {
                blocks.push(Block { language: language.into(), text: String::new() });
                is_open = true;
            }
            Some(_) => is_open = false,
            None if is_open => {
                let block = blocks.last_mut().expect("a fence has opened it");
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    blocks
}

/// Applies the hunk `diff` to `text`: the lines without `+` are replaced by those without `-`.
pub fn apply(diff: &str, text: &str) -> String {
    let side = |dropped: char| -> String {
        let kept = diff.lines().filter(|line| !line.starts_with(dropped));
        kept.map(|line| format!("{}\n", line.get(1..).unwrap_or_default())).collect()
    };
    let (before, after) = (side('+'), side('-'));
    assert_eq!(text.matches(&before).count(), 1, "the diff fits in one place of the file:\n{diff}");
    text.replace(&before, &after)
}

/// Whether `output` is what `expected` shows. A line `...` stands for any lines; figures of time are not compared.
pub fn matches(expected: &str, output: &str) -> Result<(), String> {
    let lines: Vec<String> = output.lines().map(timeless).collect();
    let mut at = 0;
    let mut skipping = false;
    for line in expected.lines().map(timeless) {
        if line == "..." {
            skipping = true;
            continue;
        }
        let found = lines[at..].iter().position(|shown| *shown == line);
        match found {
            Some(0) => at += 1,
            Some(later) if skipping => at += later + 1,
            _ => return Err(format!("the document shows\n  {line}\nand the output is\n{output}")),
        }
        skipping = false;
    }
    if skipping || at == lines.len() { Ok(()) } else { Err(format!("the output has more lines:\n{output}")) }
}

/// A line with a rate or a time has only its name left: those differ from machine to machine.
fn timeless(line: &str) -> String {
    let line = line.trim_end();
    match line.contains("/s per job") || line.starts_with("slowest seed") || line.starts_with("jobs ") {
        true => line.split(' ').next().unwrap_or_default().to_owned(),
        false => line.to_owned(),
    }
}
