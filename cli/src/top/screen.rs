//! What is on the screen, and what keys do to it.

use std::fmt::Write as _;

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::tree::{Node, Order, Tree};
use crate::plain::plain;

/// What the user has chosen.
#[derive(Debug, Default)]
pub(super) struct Screen {
    order: Order,
    /// The node, and not the row: rows move.
    selected: Option<usize>,
    /// The first row.
    top: usize,
    /// Rows there is room for.
    height: usize,
    pub(super) paused: bool,
}

/// What is to be done beyond the screen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    Nothing,
    Quit,
}

const KEYS: &str = "q quit  up/down  left/right close/open  -/+ all  s sort  p pause";

impl Screen {
    pub(super) fn key(&mut self, key: KeyEvent, tree: &mut Tree) -> Wish {
        let visible = tree.visible(self.order);
        let at = self.selected.and_then(|selected| visible.iter().position(|node| *node == selected));
        let last = visible.len().saturating_sub(1);
        let select = |row: usize| visible.get(row.min(last)).copied();
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Wish::Quit,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Wish::Quit,
            KeyCode::Char('s') => self.order = self.order.next(),
            KeyCode::Char('p') => self.paused = !self.paused,
            KeyCode::Char('-') => tree.close_all(true),
            KeyCode::Char('+') => tree.close_all(false),
            KeyCode::Down | KeyCode::Char('j') => self.selected = select(at.map_or(0, |at| at + 1)),
            KeyCode::Up | KeyCode::Char('k') => {
                self.selected = select(at.map_or(0, |at| at.saturating_sub(1)));
            }
            KeyCode::PageDown => self.selected = select(at.unwrap_or(0) + self.height.max(1)),
            KeyCode::PageUp => self.selected = select(at.unwrap_or(0).saturating_sub(self.height.max(1))),
            KeyCode::Home => self.selected = select(0),
            KeyCode::End => self.selected = select(last),
            KeyCode::Right | KeyCode::Enter => {
                if let Some(selected) = self.selected {
                    tree.close(selected, false);
                }
            }
            KeyCode::Left => self.leave(tree),
            _ => {}
        }
        Wish::Nothing
    }

    /// Close it, or go to what it is below.
    fn leave(&mut self, tree: &mut Tree) {
        let Some(selected) = self.selected else { return };
        if tree.has_children(selected) && !tree.node(selected).closed {
            tree.close(selected, true);
        } else {
            self.selected = tree.parent(selected).or(self.selected);
        }
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, tree: &Tree, state: &str) {
        let layout = Layout::vertical([Constraint::Length(2), Constraint::Min(1), Constraint::Length(2)]);
        let [head, body, foot] = layout.areas(frame.area());
        let all = tree.all();
        let mut counts = format!("{} messages, {}/s, {} topics", all.messages, rate(all), tree.topics);
        if tree.without_room > 0 {
            let _ = write!(counts, ", {} messages of topics there is no room for", tree.without_room);
        }
        let paused = if self.paused { "  PAUSED" } else { "" };
        let order = self.order.name();
        let lines = vec![
            Line::styled(format!("{}{paused}", plain(state)), Style::new().add_modifier(Modifier::BOLD)),
            Line::raw(format!("{counts}; by {order}")),
        ];
        frame.render_widget(Paragraph::new(lines), head);

        let visible = tree.visible(self.order);
        self.height = usize::from(body.height.saturating_sub(1));
        let chosen = self.selected.and_then(|selected| visible.iter().position(|node| *node == selected));
        self.scroll(chosen.unwrap_or(0), visible.len());
        let rows = visible.iter().skip(self.top).take(self.height).map(|at| {
            let row = row(tree, *at);
            if Some(*at) == self.selected { row.style(Modifier::REVERSED) } else { row }
        });
        let widths = [
            Constraint::Percentage(40),
            Constraint::Length(10),
            Constraint::Length(9),
            Constraint::Percentage(60),
        ];
        let title = Row::new(["topic", "  messages", "      /s", "last value"]).style(Modifier::UNDERLINED);
        frame.render_widget(Table::new(rows, widths).header(title), body);

        let detail = self.selected.map_or_else(String::new, |at| detail(tree, at));
        frame.render_widget(Paragraph::new(vec![Line::raw(detail), Line::raw(KEYS)]), foot);
    }

    /// The chosen row is to be seen.
    fn scroll(&mut self, chosen: usize, rows: usize) {
        let height = self.height.max(1);
        self.top = self.top.min(rows.saturating_sub(height)).min(chosen);
        self.top = self.top.max((chosen + 1).saturating_sub(height));
    }
}

fn row(tree: &Tree, at: usize) -> Row<'static> {
    let node = tree.node(at);
    let mark = match (tree.has_children(at), node.closed) {
        (false, _) => "  ",
        (true, true) => "+ ",
        (true, false) => "- ",
    };
    let name = if node.name.is_empty() { "(empty)".to_owned() } else { plain(&node.name) };
    let value = node.last.as_ref().map(super::tree::Last::preview).unwrap_or_default();
    Row::new([
        Cell::new(format!("{}{mark}{name}", "  ".repeat(node.depth.saturating_sub(1)))),
        Cell::new(format!("{:>10}", node.messages)),
        Cell::new(format!("{:>8}", rate(node))),
        Cell::new(value),
    ])
}

fn detail(tree: &Tree, at: usize) -> String {
    let topic = tree.topic(at);
    match &tree.node(at).last {
        None => topic,
        Some(last) => {
            let retained = if last.retain { ", retained" } else { "" };
            format!("{topic}: {} bytes, QoS {}{retained}", last.length, last.qos)
        }
    }
}

fn rate(node: &Node) -> String {
    if node.rate >= 10.0 { format!("{:.0}", node.rate) } else { format!("{:.2}", node.rate) }
}
