//! The plots of the page, each an SVG: ratios with intervals, percentiles, growth.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::text::number;
use crate::results::{Figure, Growth, RowReport};

/// Colours that stay apart for colour-blind readers (Okabe and Ito). Ours take the first ones.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
    RGBColor(60, 60, 60),
];
const PEER: RGBColor = RGBColor(130, 130, 130);
const FAINT: RGBColor = RGBColor(225, 225, 225);
const WIDTH: u32 = 760;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Draws into a new SVG of this height. A plot that can't be drawn says why in its place.
fn svg(height: u32, draw: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut text = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE).map_err(Into::into).and_then(|()| draw(&area)).and_then(|()| Ok(area.present()?))
    };
    match drawn {
        Ok(()) => text,
        Err(error) => format!("<p>This plot could not be drawn: {error}</p>"),
    }
}

fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().into_text_style(&(WIDTH, 1))
}

/// A line of the plot of ratios.
struct Bar<'a> {
    row: &'a RowReport,
    figure: &'a Figure,
    /// Whether it is the row's first.
    first: bool,
}

const LINE: i32 = 20;
/// Bars are on the left, so that a narrow screen shows them first; names follow on the right.
const BARS: i32 = 330;

/// The ratios of these rows to their baselines, one line each, on a logarithmic scale.
pub(super) fn ratios(rows: &[&RowReport]) -> String {
    let mut bars = Vec::new();
    for row in rows {
        let others = row.contenders.iter().filter(|figure| figure.contender != row.baseline);
        bars.extend(others.enumerate().map(|(at, figure)| Bar { row, figure, first: at == 0 }));
    }
    let ends = bars.iter().flat_map(|bar| [bar.figure.ratio.low, bar.figure.ratio.high]);
    let (least, most) =
        ends.filter(|end| *end > 0.0).fold((0.5_f64, 2.0_f64), |(l, m), end| (l.min(end), m.max(end)));
    let x_of = {
        let (low, high) = ((least * 0.9).ln(), (most * 1.1).ln());
        move |ratio: f64| 10 + ((ratio.ln() - low) / (high - low) * f64::from(BARS - 20)) as i32
    };
    let height = LINE * (bars.len() as i32 + rows.len() as i32) + 40;
    svg(height as u32, |area| {
        for mark in [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0] {
            if least * 0.9 <= mark && mark <= most * 1.1 {
                let (x, colour) = (x_of(mark), if mark == 1.0 { BLACK } else { FAINT });
                area.draw(&PathElement::new([(x, 24), (x, height - 6)], colour.stroke_width(1)))?;
                area.draw(&Text::new(format!("{mark}x"), (x - 10, 6), font(13)))?;
            }
        }
        let mut y = 18;
        for bar in &bars {
            if bar.first {
                y += LINE;
                area.draw(&Text::new(heading(bar.row), (BARS + 10, y - 7), font(13).color(&BLACK)))?;
            }
            y += LINE;
            draw_bar(area, bar, y, &x_of)?;
        }
        Ok(())
    })
}

fn heading(row: &RowReport) -> String {
    format!("{} (1x: {})", row.name, row.baseline)
}

fn draw_bar(area: &Area<'_>, bar: &Bar<'_>, y: i32, x_of: &impl Fn(f64) -> i32) -> Drawn {
    let Figure { contender, ours, ratio, .. } = bar.figure;
    let colour = if *ours { COLOURS[0] } else { PEER };
    let (low, middle, high) = (x_of(ratio.low), x_of(ratio.median), x_of(ratio.high));
    area.draw(&Text::new(contender.clone(), (BARS + 150, y - 7), font(13).color(&colour)))?;
    let value = format!("{:.2} [{:.2}, {:.2}]", ratio.median, ratio.low, ratio.high);
    area.draw(&Text::new(value, (BARS + 10, y - 7), font(13).color(&colour)))?;
    area.draw(&PathElement::new([(low, y), (high, y)], colour.stroke_width(2)))?;
    for x in [low, high] {
        area.draw(&PathElement::new([(x, y - 4), (x, y + 4)], colour.stroke_width(2)))?;
    }
    area.draw(&Circle::new((middle, y), 4, colour.filled()))?;
    Ok(())
}

/// Ours first, so that they have the same colours in every plot.
fn colours<'a>(names: impl Iterator<Item = (&'a str, bool)>) -> Vec<(String, RGBColor)> {
    let mut names: Vec<_> = names.collect();
    names.sort_by_key(|&(_, ours)| !ours);
    names.iter().zip(COLOURS.iter().cycle()).map(|(&(name, _), &colour)| (name.to_owned(), colour)).collect()
}

/// Names and colours below a plot.
fn legend(area: &Area<'_>, names: &[(String, RGBColor)], top: i32) -> Drawn {
    for (at, (name, colour)) in names.iter().enumerate() {
        let (x, y) = (60 + (at as i32 % 2) * 340, top + (at as i32 / 2) * LINE);
        area.draw(&PathElement::new([(x, y + 7), (x + 22, y + 7)], colour.stroke_width(3)))?;
        area.draw(&Text::new(name.clone(), (x + 28, y), font(13)))?;
    }
    Ok(())
}

/// A name, its colour, and its points.
type Curve = (String, RGBColor, Vec<(f64, f64)>);

/// A plot with logarithmic axes, or a linear first one, and a legend.
fn lines(axes: (&str, &str), log_x: bool, curves: &[Curve], label: &dyn Fn(&f64) -> String) -> String {
    let points = || curves.iter().flat_map(|(.., points)| points.iter().copied());
    let ends = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)))
    };
    let (left, right) = ends(&mut points().map(|(x, _)| x));
    let (low, high) = ends(&mut points().map(|(_, y)| y));
    let legend_lines = curves.len().div_ceil(2) as i32;
    let names: Vec<_> = curves.iter().map(|(name, colour, _)| (name.clone(), *colour)).collect();
    let plot = 340;
    svg((plot + legend_lines * LINE + 10) as u32, |area| {
        let (above, below) = area.split_vertically(plot);
        let mut builder = ChartBuilder::on(&above);
        builder.margin(10).margin_right(34).x_label_area_size(44).y_label_area_size(86);
        let y = (low * 0.8..high * 1.3).log_scale();
        let y_label = |value: &f64| number(*value);
        macro_rules! draw_on {
            ($x:expr) => {{
                let mut chart = builder.build_cartesian_2d($x, y)?;
                let mut mesh = chart.configure_mesh();
                mesh.x_labels(5)
                    .x_desc(axes.0)
                    .y_desc(axes.1)
                    .x_label_formatter(&label)
                    .y_label_formatter(&y_label);
                mesh.light_line_style(WHITE).bold_line_style(FAINT).label_style(font(13)).draw()?;
                for (_, colour, points) in curves {
                    chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
                    chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
                }
            }};
        }
        if log_x {
            draw_on!((left * 0.9..right * 1.1).log_scale());
        } else {
            // Its whole steps are one tenth, one hundredth and so on; the labels are at these.
            draw_on!(0.0..right.round().max(1.0));
        }
        legend(&below, &names, 2)
    })
}

/// Cost against size for each contender of a series, both logarithmic.
pub(super) fn growth(growths: &[&Growth]) -> String {
    let names = colours(growths.iter().map(|growth| (growth.contender.as_str(), growth.ours)));
    let curves: Vec<_> = names
        .into_iter()
        .filter_map(|(name, colour)| {
            let growth = growths.iter().find(|growth| growth.contender == name)?;
            Some((name, colour, growth.points.iter().map(|point| (point.size, point.cost)).collect()))
        })
        .collect();
    let Some(first) = growths.first() else { return String::new() };
    lines((&first.axis, &first.unit), true, &curves, &|size| number(*size))
}

/// Latency against the share of operations that ended within it, the rarer the further right.
pub(super) fn percentiles(row: &RowReport) -> String {
    let timed = || row.contenders.iter().filter(|figure| figure.latency.is_some());
    let names = colours(timed().map(|figure| (figure.contender.as_str(), figure.ours)));
    let nines = |share: f64| -(1.0 - share).log10();
    let curves: Vec<_> = names
        .into_iter()
        .filter_map(|(name, colour)| {
            let latency = timed().find(|figure| figure.contender == name)?.latency.as_ref()?;
            let micros = |&(share, nanos): &(f64, u64)| (nines(share), (nanos as f64 / 1e3).max(0.001));
            Some((name, colour, latency.curve.iter().map(micros).collect()))
        })
        .collect();
    let label = |nines: &f64| {
        let percent = 100.0 * (1.0 - 10_f64.powf(-nines));
        format!("{}", (percent * 1e3).round() / 1e3)
    };
    lines(("per cent of the operations", "us"), false, &curves, &label)
}
