//! Columns of equal width: tables of workloads with text of any length at the end, and tables as kubectl prints them.

#[cfg(feature = "cluster")]
use std::io::{self, Write};

#[cfg(feature = "cluster")]
use super::sanitize::sanitize;
use super::screen::Screen;
use winddown_core::sanitize::truncated;

/// What kubectl prints for an absent value.
#[cfg(feature = "cluster")]
pub(crate) const NONE: &str = "<none>";

/// The columns, and how wide they are. Rows that are printed later, as with `-w`, keep the widths.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    /// The columns of the terminal, if lines are to be no longer.
    screen: Option<usize>,
    gap: usize,
    /// Whether a column has text, which is aligned left; numbers are aligned right. Further columns have text.
    is_text: Vec<bool>,
    widths: Vec<usize>,
}

impl Grid {
    /// Columns that are as wide as the longest of their cells.
    pub(crate) fn of<'a>(rows: impl IntoIterator<Item = &'a Vec<String>>, is_text: Vec<bool>, screen: &Screen) -> Self {
        let mut grid = Self { screen: screen.width, gap: 2, is_text, widths: Vec::new() };
        for row in rows {
            grid.fit(row);
        }
        grid
    }

    /// As kubectl prints tables: three spaces between columns of text, and lines of any length.
    #[cfg(feature = "cluster")]
    pub(crate) fn of_kubectl() -> Self {
        Self { screen: None, gap: 3, is_text: Vec::new(), widths: Vec::new() }
    }

    /// Prints rows below each other. An empty cell is [`NONE`]; control characters are replaced.
    #[cfg(feature = "cluster")]
    pub(crate) fn print<Row: AsRef<[String]>>(&mut self, rows: &[Row], out: &mut impl Write) -> io::Result<()> {
        let shown = |cell: &String| if cell.is_empty() { NONE.to_owned() } else { sanitize(cell).into_owned() };
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.as_ref().iter().map(shown).collect()).collect();
        for row in &rows {
            self.fit(row);
        }
        rows.iter().try_for_each(|row| writeln!(out, "{}", self.line(row, "", str::to_owned)))
    }

    /// Makes the columns at least as wide as these cells.
    fn fit(&mut self, cells: &[String]) {
        self.widths.resize(self.widths.len().max(cells.len()), 0);
        for (width, cell) in self.widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }

    /// The cells of a row, and text that no column follows. On a terminal, no line is longer than its width.
    pub(crate) fn line(&self, cells: &[String], last: &str, style: impl FnOnce(&str) -> String) -> String {
        let gap = " ".repeat(self.gap);
        let mut line = String::new();
        for (at, (cell, width)) in cells.iter().zip(&self.widths).enumerate() {
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            let is_text = self.is_text.get(at).is_none_or(|is_text| *is_text);
            line.extend(if is_text { [cell, padding.as_str(), &gap] } else { [padding.as_str(), cell, &gap] });
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

#[cfg(all(test, feature = "cluster"))]
mod tests {
    use super::Grid;

    #[test]
    fn columns_of_kubectl_are_three_spaces_apart_and_later_rows_keep_their_widths() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let mut grid = Grid::of_kubectl();
        let mut out = Vec::new();
        grid.print(&[row(["NAME", "FITS", "AGE"]), row(["deployment/web", "", "3d"])], &mut out).unwrap();
        grid.print(&[row(["a\u{1b}", "True", "4d"])], &mut out).unwrap();
        let expected = "\
NAME             FITS     AGE
deployment/web   <none>   3d
a\u{fffd}               True     4d
";
        assert_eq!(std::str::from_utf8(&out), Ok(expected));
    }
}
