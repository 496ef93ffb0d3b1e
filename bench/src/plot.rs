//! Plots as SVG, by hand: bars and curves.

use std::fmt::Write;

use crate::growth::Curve;
use crate::report::short;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 150.0;
const OURS: &str = "#1f6feb";
const PEER: &str = "#d97706";
const RAW: &str = "#9ca3af";

/// Three bars under one title.
pub struct Group {
    pub title: String,
    pub ours: f64,
    pub best: (String, f64),
    pub raw: f64,
}

fn begin(height: f64) -> String {
    // A white ground: pages may be dark.
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    )
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#111\">{words}</text>"
    );
}

/// Messages per second on a logarithmic scale from 10,000.
pub fn bars(groups: &[Group]) -> String {
    let row = 62.0;
    let mut svg = begin(40.0 + row * groups.len() as f64);
    text(
        &mut svg,
        10.0,
        20.0,
        "start",
        "Messages per second, 64-byte payloads, logarithmic scale; more is better",
    );
    for (index, group) in groups.iter().enumerate() {
        let top = 36.0 + row * index as f64;
        text(&mut svg, LEFT - 8.0, top + 28.0, "end", &group.title);
        let bars = [
            (OURS, group.ours, "Packetboat"),
            (PEER, group.best.1, group.best.0.as_str()),
            (RAW, group.raw, "raw sockets"),
        ];
        for (line, (colour, value, name)) in bars.into_iter().enumerate() {
            let y = top + 16.0 * line as f64;
            let width = (WIDTH - LEFT - RIGHT) * ((value.max(1e4).log10() - 4.0) / 4.0).min(1.0);
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"13\" fill=\"{colour}\"/>"
            );
            text(&mut svg, LEFT + width + 5.0, y + 11.0, "start", &format!("{} {name}", short(value)));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Instructions over a logarithmic axis.
pub fn curve(curve: &Curve) -> String {
    let (left, top, height) = (70.0, 40.0, 190.0);
    let mut svg = begin(top + height + 50.0);
    text(&mut svg, 10.0, 20.0, "start", &curve.title);
    let highest = curve.points.iter().map(|point| point.1).fold(1.0, f64::max) * 1.1;
    let last = curve.points.iter().map(|point| f64::from(point.0)).fold(10.0, f64::max).log10();
    let place = |size: u32, value: f64| {
        let x = left + (WIDTH - left - 40.0) * f64::from(size.max(1)).log10() / last;
        (x, top + height * (1.0 - value / highest))
    };
    let _ = writeln!(
        svg,
        "<path d=\"M{left} {top}V{:.1}H{:.1}\" fill=\"none\" stroke=\"#111\"/>",
        top + height,
        WIDTH - 40.0
    );
    for part in [0.0, 0.5, 1.0] {
        let value = highest * part;
        text(&mut svg, left - 6.0, top + height * (1.0 - part) + 4.0, "end", &format!("{value:.0}"));
    }
    let mut line = String::new();
    for (index, &(size, value)) in curve.points.iter().enumerate() {
        let (x, y) = place(size, value);
        let _ = write!(line, "{}{x:.1} {y:.1}", if index == 0 { "M" } else { "L" });
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{OURS}\"/>");
        text(&mut svg, x, y - 8.0, "middle", &format!("{value:.0}"));
        text(&mut svg, x, top + height + 18.0, "middle", &size.to_string());
    }
    let _ = writeln!(svg, "<path d=\"{line}\" fill=\"none\" stroke=\"{OURS}\" stroke-width=\"2\"/>");
    text(&mut svg, WIDTH / 2.0, top + height + 38.0, "middle", curve.axis);
    svg.push_str("</svg>\n");
    svg
}
