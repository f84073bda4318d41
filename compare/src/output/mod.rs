//! The results for people: a table on the terminal, Markdown for `RESULTS.md`, and one page.

mod markdown;
mod page;
mod plot;
mod table;
mod text;

pub(crate) use markdown::markdown as write_markdown;
pub(crate) use page::page as write_page;
pub(crate) use table::{
    growth as write_growth, header as write_header, row as write_row, summary as write_summary,
};
pub(crate) use text::{number, wrap};
