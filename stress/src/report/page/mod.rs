//! One HTML file that needs no network: its style, its program and its data are in it.

use serde_json::Value;

const STYLE: &str = include_str!("page.css");
const LANES: &str = include_str!("lanes.js");

/// A whole page with `title` and `body`.
pub fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n<script>\n{LANES}</script>\n</body>\n</html>\n"
    )
}

/// The timeline of a run, from what [`lanes::document`](super::lanes::document) says of it.
pub fn lanes(run: &Value) -> String {
    // Nothing in it may end the element.
    let data = run.to_string().replace('<', "\\u003c");
    format!("<div class=\"run\"><script type=\"application/json\">{data}</script></div>\n")
}

/// A violation, for a page.
pub fn violation(run: &Value) -> String {
    let violation = &run["violation"];
    let Some(oracle) = violation["oracle"].as_str() else {
        return "<div class=\"verdict good\"><b>no promise is broken</b></div>\n".into();
    };
    let text = |name: &str| escaped(violation[name].as_str().unwrap_or_default());
    let notes = violation["notes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let notes: String =
        notes.take(20).map(|note| format!("<dt>note</dt><dd>{}</dd>", escaped(note))).collect();
    format!(
        "<div class=\"verdict bad\"><b>VIOLATION of {}</b><dl><dt>expected</dt><dd>{}</dd><dt>seen</dt><dd>{}</dd>{notes}</dl></div>\n",
        escaped(oracle),
        text("expected"),
        text("seen"),
    )
}

/// `text` as it stands in a page.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_no_address_and_text_of_a_run_cannot_end_its_element() {
        let run = serde_json::json!({ "lanes": ["</script><b>"], "events": [], "violation": null });
        let page = page("a < b", &lanes(&run));
        assert_eq!(page.matches("</script>").count(), 2, "{page}");
        assert!(page.contains("<title>a &lt; b</title>"));
        for address in ["src=", "@import", "url(", "fetch("] {
            assert!(!page.contains(address), "{address}");
        }
    }
}
