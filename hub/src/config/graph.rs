//! The pipes as a drawing: where messages come from on the left, where they go on the right.

use std::fmt::Write;

use packetboat_config::{Node, Value};

use super::HubConfig;
use super::pipes::{DestinationKind, DestinationSettings, PipeSettings};

const ROW: usize = 64;
const BOX_HEIGHT: usize = 46;
const BOX_WIDTH: usize = 250;
const COLUMNS: [usize; 3] = [20, 360, 700];
const GAP: usize = 18;

const STYLE: &str = "text{font:13px sans-serif;fill:#222}.small{font-size:11px;fill:#555}rect{stroke:#8aa;rx:6}\
.broker{fill:#e8f1fb}.pipe{fill:#fff6dd}.target{fill:#e9f7ea}.dead{fill:#fbe5e5}\
path{fill:none;stroke:#678;stroke-width:1.5}.dashed{stroke-dasharray:5 4}";

/// A pipe, ready to be drawn: what is written in each box.
struct Row {
    source: [String; 2],
    pipe: [String; 2],
    ends: Vec<(String, [String; 2])>,
}

pub(super) fn draw(config: &HubConfig) -> String {
    let rows = config.pipes.iter().map(of_subscription).chain(config.message_pipes().map(of_message));
    let (mut body, mut top) = (String::new(), 50);
    for row in rows {
        let lines = row.ends.len().max(1);
        let middle = top + (lines - 1) * ROW / 2;
        labelled(&mut body, COLUMNS[0], middle, "broker", &row.source);
        labelled(&mut body, COLUMNS[1], middle, "pipe", &row.pipe);
        arrow(&mut body, COLUMNS[0], middle, COLUMNS[1], middle, "");
        for (number, (class, text)) in row.ends.iter().enumerate() {
            let at = top + number * ROW;
            labelled(&mut body, COLUMNS[2], at, class, text);
            arrow(&mut body, COLUMNS[1], middle, COLUMNS[2], at, if class == "dead" { "dashed" } else { "" });
        }
        top += lines * ROW + GAP;
    }
    if body.is_empty() {
        let _ = writeln!(body, "<text x=\"20\" y=\"70\">There are no pipes.</text>");
        top += ROW;
    }
    let width = COLUMNS[2] + BOX_WIDTH + 20;
    let name = escaped(config.name());
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{top}\" viewBox=\"0 0 {width} {top}\" \
         role=\"img\">\n<title>Pipes of {name}</title>\n<style>{STYLE}</style>\n<defs><marker id=\"tip\" \
         viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path \
         d=\"M0,0L8,4L0,8z\" style=\"fill:#678;stroke:none\"/></marker></defs>\n<rect width=\"{width}\" \
         height=\"{top}\" style=\"fill:#fff;stroke:none\"/>\n<text x=\"20\" y=\"28\" style=\"font-size:16px\">Pipes of \
         {name}</text>\n{body}</svg>\n"
    )
}

fn of_subscription(pipe: &PipeSettings) -> Row {
    let mut notes = vec![format!("QoS {}", pipe.qos as u8)];
    notes.extend(pipe.share.as_ref().map(|group| format!("shared: {group}")));
    notes.extend(pipe.rate.map(|rate| format!("at most {rate}/s")));
    if pipe.needs_hops {
        notes.push("in a circle".to_owned());
    }
    let ends = pipe.destinations.iter().map(|destination| end(destination, ""));
    let dead = pipe.dead_letters.iter().map(|destination| {
        let (_, text) = end(destination, "dead letters: ");
        ("dead".to_owned(), text)
    });
    Row {
        source: [pipe.connection.clone(), pipe.filter.clone()],
        pipe: [pipe.name.clone(), notes.join(", ")],
        ends: ends.chain(dead).collect(),
    }
}

fn end(destination: &DestinationSettings, prefix: &str) -> (String, [String; 2]) {
    let (class, detail) = match &destination.kind {
        DestinationKind::Connection { topic, qos, .. } => {
            let qos = qos.map(|qos| format!(" (QoS {})", qos as u8)).unwrap_or_default();
            ("broker", topic.clone().unwrap_or_else(|| "same topic".to_owned()) + &qos)
        }
        DestinationKind::Target { protocol, options } => {
            ("target", format!("{protocol}: {}", detail(options)))
        }
    };
    (class.to_owned(), [format!("{prefix}{}", destination.target), detail])
}

/// A pipe of Panorama's, as it is written.
fn of_message(pipe: &Node) -> Row {
    let text = |node: &Node, key: &str| match node.key(key) {
        Some(Node { value: Value::Text(text), .. }) => text.clone(),
        _ => String::new(),
    };
    let destinations = match pipe.key("destinations") {
        Some(Node { value: Value::List(list), .. }) => list.as_slice(),
        _ => &[],
    };
    let ends = destinations.iter().map(|node| {
        let Value::Table(entries) = &node.value else { return ("target".to_owned(), Default::default()) };
        let options = entries.iter().find(|(key, _)| key.ends_with("_message_options"));
        let detail = options.map(|(_, options)| detail(options)).unwrap_or_default();
        ("target".to_owned(), [text(node, "target_name"), detail])
    });
    Row {
        source: ["publish".to_owned(), "by the program".to_owned()],
        pipe: [text(pipe, "message_id"), "message id".to_owned()],
        ends: ends.collect(),
    }
}

/// The first text among options: a topic, a file's name.
fn detail(options: &Node) -> String {
    let Value::Table(entries) = &options.value else { return String::new() };
    let texts = entries.iter().filter_map(|(_, node)| match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    });
    texts.take(1).collect()
}

fn labelled(out: &mut String, x: usize, y: usize, class: &str, text: &[String; 2]) {
    let [first, second] = text.each_ref().map(|text| escaped(&shortened(text)));
    let (left, upper, lower) = (x + 10, y + 19, y + 36);
    let _ = writeln!(
        out,
        "<g><title>{} {}</title><rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" \
         height=\"{BOX_HEIGHT}\"/><text x=\"{left}\" y=\"{upper}\">{first}</text><text class=\"small\" x=\"{left}\" \
         y=\"{lower}\">{second}</text></g>",
        escaped(&text[0]),
        escaped(&text[1])
    );
}

fn arrow(out: &mut String, from: usize, from_y: usize, to: usize, to_y: usize, class: &str) {
    let (start, from_y, to_y) = (from + BOX_WIDTH, from_y + BOX_HEIGHT / 2, to_y + BOX_HEIGHT / 2);
    let bend = usize::midpoint(start, to);
    let _ = writeln!(
        out,
        "<path class=\"{class}\" marker-end=\"url(#tip)\" d=\"M{start},{from_y}C{bend},{from_y} {bend},{to_y} {to},{to_y}\"/>"
    );
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 36;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 has no others.
            letter if letter < ' ' => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}
