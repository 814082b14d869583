//! Tables as kubectl prints them: capitals, three spaces, `<none>`.

use std::io::{self, Write};

use super::sanitize::sanitize;

/// Between two columns.
const GAP: usize = 3;
/// What kubectl prints for an absent value.
pub(crate) const NONE: &str = "<none>";

/// The widths of the columns. Rows that are printed later, as with `-w`, keep them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns(Vec<usize>);

impl Columns {
    /// Prints rows below each other; the last cell is not padded. An empty cell is [`NONE`].
    pub(crate) fn print<Row: AsRef<[String]>>(&mut self, rows: &[Row], out: &mut impl Write) -> io::Result<()> {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.as_ref().iter().map(|cell| shown(cell)).collect()).collect();
        for row in &rows {
            self.0.resize(self.0.len().max(row.len()), 0);
            for (width, cell) in self.0.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in &rows {
            let mut line = String::new();
            for (width, cell) in self.0.iter().zip(row) {
                line.push_str(cell);
                line.push_str(&" ".repeat(width + GAP - cell.chars().count()));
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn shown(cell: &str) -> String {
    if cell.is_empty() { NONE.to_owned() } else { sanitize(cell).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::Columns;

    #[test]
    fn columns_are_three_spaces_apart_and_later_rows_keep_their_widths() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let mut columns = Columns::default();
        let mut out = Vec::new();
        columns.print(&[row(["NAME", "FITS", "AGE"]), row(["deployment/web", "", "3d"])], &mut out).unwrap();
        columns.print(&[row(["a\u{1b}", "True", "4d"])], &mut out).unwrap();
        let expected = "\
NAME             FITS     AGE
deployment/web   <none>   3d
a\u{fffd}               True     4d
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
