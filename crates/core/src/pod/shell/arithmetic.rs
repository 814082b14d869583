//! The arithmetic of shells: `$((DRAIN - 5))`.

/// Longer and deeper expressions are not computed.
const LONGEST: usize = 200;
const DEEPEST: u32 = 16;

/// The result of an expression of numbers, variables, `+ - * / %` and parentheses; `None` for others.
pub(super) fn evaluate<'v>(expression: &str, variable: impl Fn(&str) -> Option<&'v str>) -> Option<i64> {
    // `++` and `--` change a variable.
    if expression.len() > LONGEST || expression.contains("++") || expression.contains("--") {
        return None;
    }
    let mut parser = Parser { rest: expression, variable, depth: 0 };
    let result = parser.sum()?;
    parser.blanks();
    parser.rest.is_empty().then_some(result)
}

struct Parser<'a, V> {
    rest: &'a str,
    variable: V,
    depth: u32,
}

impl<'v, V: Fn(&str) -> Option<&'v str>> Parser<'_, V> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, operators: &[char]) -> Option<char> {
        self.blanks();
        let operator = self.rest.chars().next().filter(|char| operators.contains(char))?;
        self.rest = &self.rest[operator.len_utf8()..];
        Some(operator)
    }

    fn sum(&mut self) -> Option<i64> {
        let mut sum = self.product()?;
        while let Some(operator) = self.take(&['+', '-']) {
            let next = self.product()?;
            sum = if operator == '+' { sum.checked_add(next)? } else { sum.checked_sub(next)? };
        }
        Some(sum)
    }

    fn product(&mut self) -> Option<i64> {
        let mut product = self.operand()?;
        while let Some(operator) = self.take(&['*', '/', '%']) {
            let next = self.operand()?;
            product = match operator {
                '*' => product.checked_mul(next)?,
                '/' => product.checked_div(next)?,
                _ => product.checked_rem(next)?,
            };
        }
        Some(product)
    }

    fn operand(&mut self) -> Option<i64> {
        if self.depth == DEEPEST {
            return None;
        }
        self.depth += 1;
        let value = match self.take(&['+', '-', '(']) {
            Some('-') => self.operand()?.checked_neg(),
            Some('+') => self.operand(),
            Some(_) => {
                let value = self.sum()?;
                self.take(&[')']).map(|_| value)
            }
            None => self.value(),
        };
        self.depth -= 1;
        value
    }

    /// A number, `NAME`, `$NAME`, `${NAME}` or `${NAME:-DEFAULT}`.
    fn value(&mut self) -> Option<i64> {
        let is_marked = self.take(&['$']).is_some();
        if is_marked && self.rest.starts_with('{') {
            let (inside, rest) = self.rest[1..].split_once('}')?;
            self.rest = rest;
            let (name, default) = inside.split_once(":-").map_or((inside, None), |(name, text)| (name, Some(text)));
            return number((self.variable)(name).filter(|value| !value.is_empty()).or(default)?);
        }
        let end = self.rest.find(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let is_number = word.starts_with(|char: char| char.is_ascii_digit());
        if is_number && !is_marked { number(word) } else { number((self.variable)(word)?) }
    }
}

/// A decimal number. With a zero before it, it would be octal.
fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    let is_decimal = text == "0" || !text.trim_start_matches('-').starts_with('0');
    text.parse().ok().filter(|_| is_decimal)
}

#[cfg(test)]
mod tests {
    use super::evaluate;

    fn variable(name: &str) -> Option<&'static str> {
        match name {
            "DRAIN" => Some("15"),
            "EMPTY" => Some(""),
            "UNIT" => Some("15s"),
            _ => None,
        }
    }

    #[test]
    fn expressions_of_known_numbers_are_computed() {
        for (expression, result) in [
            ("5 + 5", 10),
            ("10", 10),
            (" DRAIN-5 ", 10),
            ("$DRAIN * 2 + 1", 31),
            ("1 + 2 * 3", 7),
            ("(1 + 2) * 3", 9),
            ("${DRAIN} / 4", 3),
            ("${OTHER:-20} % 6", 2),
            ("${EMPTY:-20}", 20),
            ("-5 + -(2)", -7),
            ("+5", 5),
            ("20 - 5 - 5", 10),
        ] {
            assert_eq!(evaluate(expression, variable), Some(result), "{expression}");
        }
    }

    #[test]
    fn other_expressions_are_unknown() {
        for expression in [
            "",
            " ",
            "OTHER",
            "$OTHER",
            "5 +",
            "(5",
            "5)",
            "5 5",
            "i++",
            "++i",
            "i = 5",
            "2 ** 3",
            "1 ? 2 : 3",
            "010",
            "0x10",
            "5 / 0",
            "5 % 0",
            "UNIT",
            "EMPTY",
            "9223372036854775807 + 1",
            "é",
            "${DRAIN",
            "1.5",
            "5 < 6",
            "-9223372036854775808",
        ] {
            assert_eq!(evaluate(expression, variable), None, "{expression}");
        }
        for expression in ["(".repeat(150), "-".repeat(2), "1+".repeat(200), "- ".repeat(90)] {
            assert_eq!(evaluate(&expression, variable), None, "{expression:.20}");
        }
    }
}
