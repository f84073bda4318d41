//! The curve of an explanation as a picture.

use std::fmt::Write as _;

use super::Explanation;

/// The picture and the plot in it.
const SIZE: (f64, f64) = (640.0, 320.0);
const MARGIN: (f64, f64, f64, f64) = (56.0, 24.0, 24.0, 48.0);

/// Draws the share of failing continuations over steps; the jump is marked.
pub(super) fn draw(explanation: &Explanation) -> String {
    let (width, height) = SIZE;
    let (left, right, top, bottom) = MARGIN;
    let x = |step: u64| left + (width - left - right) * step as f64 / explanation.steps.max(1) as f64;
    let y = |part: f64| top + (height - top - bottom) * (1.0 - part);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for percent in [0, 25, 50, 75, 100] {
        let at = y(f64::from(percent) / 100.0);
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {at}H{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{percent} %</text>",
            width - right,
            left - 6.0,
            at + 4.0
        );
    }
    if let Some(jump) = &explanation.jump {
        let (from, to) = (x(jump.before.after), x(jump.after.after));
        let _ = writeln!(
            svg,
            "<rect x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\" fill=\"#fbd5d5\"/>",
            from - 1.0,
            to - from + 2.0,
            height - top - bottom
        );
    }
    let points: Vec<String> = explanation
        .curve
        .iter()
        .map(|share| format!("{:.1},{:.1}", x(share.after), y(share.part())))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"2\"/>",
        points.join(" ")
    );
    for share in &explanation.curve {
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"#1f5fa8\"><title>after step {}: {} of {}</title></circle>",
            x(share.after),
            y(share.part()),
            share.after,
            share.failed,
            share.of
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{left}\" y=\"{}\">step 0</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">step {}</text>\n\
         <text x=\"{left}\" y=\"14\">continuations that fail, by the step from which on they are drawn</text>\n</svg>",
        height - bottom + 20.0,
        width - right,
        height - bottom + 20.0,
        explanation.steps
    );
    svg
}
