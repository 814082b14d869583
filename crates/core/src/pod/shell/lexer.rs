//! The tokens of a script.

use super::{Dialect, LONGEST, Part, Problem, Word};

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    Operator(&'static str),
    Newline,
    End,
    /// The rest of the text cannot be read.
    Broken(Problem),
}

/// Longer operators first.
const OPERATORS: [&str; 21] = [
    "&>>", "<<<", "<<-", "&&", "||", "|&", "&>", ";;", ">>", "<<", "<&", ">&", "<>", ">|", ";", "&", "|", "(", ")",
    "<", ">",
];

/// The tokens, with [`Token::End`] or [`Token::Broken`] as the last.
pub(super) fn tokens(text: &str, dialect: Dialect) -> Vec<Token> {
    if text.len() > LONGEST {
        return vec![Token::Broken(Problem::TooComplex)];
    }
    let mut lexer = Lexer { rest: text, dialect, documents: Vec::new() };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.token(tokens.last()).unwrap_or_else(Token::Broken);
        let last = matches!(token, Token::End | Token::Broken(_));
        tokens.push(token);
        if last {
            return tokens;
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    dialect: Dialect,
    /// The delimiters of the here-documents that start on this line, and whether their lines may be indented.
    documents: Vec<(String, bool)>,
}

impl Lexer<'_> {
    fn token(&mut self, before: Option<&Token>) -> Result<Token, Problem> {
        self.skip_blanks();
        if self.take("\n") {
            self.skip_documents();
            return Ok(Token::Newline);
        }
        if self.rest.is_empty() {
            return Ok(Token::End);
        }
        if let Some(operator) = OPERATORS.into_iter().find(|operator| self.rest.starts_with(operator)) {
            return self.operator(operator);
        }
        let word = self.word()?;
        if let Some(Token::Operator(operator @ ("<<" | "<<-"))) = before {
            self.documents.push((text_of(&word).ok_or(Problem::Unsupported)?, *operator == "<<-"));
        }
        match word.as_slice() {
            [Part::Plain(text)]
                if text.bytes().all(|byte| byte.is_ascii_digit()) && self.rest.starts_with(['<', '>']) =>
            {
                // The number of a descriptor. With two digits, dash reads it as an argument.
                let is_number = text.len() == 1 || self.dialect != Dialect::Posix;
                if is_number { self.token(before) } else { Err(Problem::Unsupported) }
            }
            _ => Ok(Token::Word(word)),
        }
    }

    fn operator(&mut self, operator: &'static str) -> Result<Token, Problem> {
        let differs = match operator {
            // dash reads `&>` as `&` and `>`, and rejects `|&` and `<<<`.
            "&>" | "&>>" | "|&" | "<<<" => self.dialect == Dialect::Posix,
            ";" => self.dialect != Dialect::Any && self.rest[1..].starts_with('&'),
            // A process substitution is a file that may block.
            "<" | ">" => self.dialect != Dialect::Any && self.rest[1..].starts_with('('),
            _ => false,
        };
        if differs {
            return Err(Problem::Unsupported);
        }
        self.rest = &self.rest[operator.len()..];
        Ok(Token::Operator(operator))
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t']);
            if self.rest.starts_with('#') {
                self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..];
            }
            if !self.take("\\\n") {
                return;
            }
        }
    }

    /// A document without its delimiter ends with the text.
    fn skip_documents(&mut self) {
        for (delimiter, indented) in std::mem::take(&mut self.documents) {
            while !self.rest.is_empty() {
                let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
                self.rest = rest;
                if (if indented { line.trim_start_matches('\t') } else { line }) == delimiter {
                    break;
                }
            }
        }
    }

    fn word(&mut self) -> Result<Word, Problem> {
        let mut word = Vec::new();
        while let Some(char) = self.rest.chars().next() {
            let after = &self.rest[char.len_utf8()..];
            match char {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\\' => {
                    let escaped = after.chars().next().map_or(0, char::len_utf8);
                    if !after.starts_with('\n') {
                        push(&mut word, true, &after[..escaped]);
                    }
                    self.rest = &after[escaped..];
                }
                '\'' => {
                    let (text, rest) = after.split_once('\'').ok_or(Problem::Syntax)?;
                    push(&mut word, true, text);
                    self.rest = rest;
                }
                '"' => {
                    self.rest = after;
                    self.quoted(&mut word)?;
                }
                '$' | '`' => self.expansion(&mut word, false)?,
                _ => {
                    let end = self.rest.find(is_special).unwrap_or(self.rest.len()).max(char.len_utf8());
                    push(&mut word, false, &self.rest[..end]);
                    self.rest = &self.rest[end..];
                }
            }
        }
        Ok(word)
    }

    /// The text up to the closing double quote.
    fn quoted(&mut self, word: &mut Word) -> Result<(), Problem> {
        push(word, true, "");
        loop {
            let end = self.rest.find(['"', '\\', '$', '`']).ok_or(Problem::Syntax)?;
            push(word, true, &self.rest[..end]);
            self.rest = &self.rest[end..];
            if self.take("\"") {
                return Ok(());
            }
            if let Some(after) = self.rest.strip_prefix('\\') {
                let escaped = after.chars().next().ok_or(Problem::Syntax)?;
                if !matches!(escaped, '"' | '\\' | '$' | '`' | '\n') {
                    push(word, true, "\\");
                }
                self.rest = &after[escaped.len_utf8()..];
                push(word, true, if escaped == '\n' { "" } else { &after[..escaped.len_utf8()] });
            } else {
                self.expansion(word, true)?;
            }
        }
    }

    /// What begins with `$` or a backtick.
    fn expansion(&mut self, word: &mut Word, quoted: bool) -> Result<(), Problem> {
        if self.take("`") {
            let mut script = String::new();
            let mut chars = self.rest.char_indices();
            loop {
                match chars.next().ok_or(Problem::Syntax)?.1 {
                    '`' => break,
                    '\\' => script.push(chars.next().ok_or(Problem::Syntax)?.1),
                    char => script.push(char),
                }
            }
            self.rest = chars.as_str();
            word.push(Part::Substitution { script, quoted });
            return Ok(());
        }
        self.take("$");
        if self.rest.starts_with("((") {
            let inside = &self.rest[1..];
            let end = closing(inside, '(', ')')?;
            self.rest = inside.get(end + 2..).ok_or(Problem::Syntax)?;
            // Otherwise it is a command in parentheses.
            let is_arithmetic = inside[end..].starts_with("))");
            word.push(if is_arithmetic { Part::Arithmetic(inside[1..end].to_owned()) } else { Part::Other });
        } else if let Some(inside) = self.rest.strip_prefix('(') {
            let end = closing(self.rest, '(', ')')?;
            // The patterns of `case` have a parenthesis that opens nowhere.
            if inside[..end - 1].contains("case") && self.dialect != Dialect::Any {
                return Err(Problem::Unsupported);
            }
            word.push(Part::Substitution { script: inside[..end - 1].to_owned(), quoted });
            self.rest = &self.rest[end + 1..];
        } else if let Some(inside) = self.rest.strip_prefix('{') {
            let end = closing(self.rest, '{', '}')?;
            word.push(parameter(&inside[..end - 1], quoted));
            self.rest = &self.rest[end + 1..];
        } else if self.rest.starts_with(['\'', '"']) && !quoted {
            if self.dialect == Dialect::Posix {
                return Err(Problem::Unsupported);
            }
            self.rest = after_quotes(self.rest).ok_or(Problem::Syntax)?;
            word.push(Part::Other);
        } else {
            let end = name_length(self.rest);
            let end = if end == 0 && self.rest.starts_with(SPECIAL_PARAMETERS) { 1 } else { end };
            if end == 0 {
                push(word, quoted, "$");
            } else {
                word.push(Part::Variable { name: self.rest[..end].to_owned(), default: None, quoted });
                self.rest = &self.rest[end..];
            }
        }
        Ok(())
    }
}

const SPECIAL_PARAMETERS: [char; 17] =
    ['@', '*', '#', '?', '-', '$', '!', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

fn is_special(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' | '\\' | '\'' | '"' | '$' | '`')
}

/// What follows `'…'` or `"…"` with backslashes.
fn after_quotes(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    let quote = chars.next()?;
    loop {
        match chars.next()? {
            '\\' => drop(chars.next()),
            char if char == quote => return Some(chars.as_str()),
            _ => {}
        }
    }
}

/// The length of the variable name at the start of a text.
pub(super) fn name_length(text: &str) -> usize {
    if text.starts_with(|char: char| char.is_ascii_digit()) {
        return 0;
    }
    text.find(|char: char| !(char.is_ascii_alphanumeric() || char == '_')).unwrap_or(text.len())
}

/// What stands between `${` and `}`.
fn parameter(text: &str, quoted: bool) -> Part {
    let is_argument = text.starts_with(|char: char| char.is_ascii_digit());
    let (name, rest) = text.split_at(if is_argument { 1 } else { name_length(text) });
    let default = rest.strip_prefix(":-").or_else(|| rest.strip_prefix(":=")).or_else(|| rest.strip_prefix('-'));
    let default = default.filter(|default| !default.contains(['$', '`', '"', '\'', '\\']));
    match (name, rest, default) {
        ("", ..) => Part::Other,
        (_, rest, _) if rest.is_empty() || rest.starts_with(":?") || rest.starts_with('?') => {
            Part::Variable { name: name.to_owned(), default: None, quoted }
        }
        (_, _, Some(default)) => Part::Variable { name: name.to_owned(), default: Some(default.to_owned()), quoted },
        _ => Part::Other,
    }
}

/// The position of the bracket that closes the one at the start of a text. Brackets in quotes do not count.
fn closing(text: &str, open: char, close: char) -> Result<usize, Problem> {
    let (mut depth, mut quote) = (0_u32, None);
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match (quote, char) {
            (Some(begin), _) if char == begin => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => drop(chars.next()),
            (None, '\'' | '"') => quote = Some(char),
            (None, _) if char == open => depth += 1,
            (None, _) if char == close => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at);
                }
            }
            _ => {}
        }
    }
    Err(Problem::Syntax)
}

/// Adds text to a word; adjacent text of the same kind is one part.
fn push(word: &mut Word, quoted: bool, text: &str) {
    match (word.last_mut(), quoted) {
        (Some(Part::Quoted(last)), true) | (Some(Part::Plain(last)), false) => last.push_str(text),
        (_, true) => word.push(Part::Quoted(text.to_owned())),
        (_, false) => word.push(Part::Plain(text.to_owned())),
    }
}

/// The text of a word without expansions.
fn text_of(word: &Word) -> Option<String> {
    let parts = word.iter().map(|part| match part {
        Part::Plain(text) | Part::Quoted(text) => Some(text.as_str()),
        _ => None,
    });
    parts.collect()
}
