//! Columns of equal width, with text of any length at the end.

use super::screen::Screen;
use winddown_core::sanitize::truncated;

const GAP: &str = "  ";

/// The columns before the last text.
pub(crate) struct Grid {
    /// The columns of the terminal, if there is one.
    screen: Option<usize>,
    /// Whether a column has text, which is aligned left; numbers are aligned right.
    is_text: Vec<bool>,
    widths: Vec<usize>,
}

impl Grid {
    /// Columns that are as wide as the longest of their cells.
    pub(crate) fn of<'a>(rows: impl IntoIterator<Item = &'a Vec<String>>, is_text: Vec<bool>, screen: &Screen) -> Self {
        let mut widths = vec![0; is_text.len()];
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        Self { screen: screen.width, is_text, widths }
    }

    /// On a terminal, no line is longer than its width.
    pub(crate) fn line(&self, cells: &[String], last: &str, style: impl FnOnce(&str) -> String) -> String {
        let mut line = String::new();
        for ((cell, width), is_text) in cells.iter().zip(&self.widths).zip(&self.is_text) {
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            line.extend(if *is_text { [cell, padding.as_str(), GAP] } else { [padding.as_str(), cell, GAP] });
        }
        let Some(screen) = self.screen else {
            return if last.is_empty() { line.trim_end().to_owned() } else { line + &style(last) };
        };
        match screen.saturating_sub(line.chars().count()) {
            0 => truncated(line.trim_end(), screen).into_owned(),
            _ if last.is_empty() => line.trim_end().to_owned(),
            rest => line + &style(&truncated(last, rest)),
        }
    }
}
