//! The commands of a script: a recursive descent with bounded depth.

use std::rc::Rc;

use super::lexer::{Token, name_length, tokens};
use super::{DEEPEST, Dialect, Link, Node, Parsed, Part, Problem, Redirect, Simple, Word};

/// Parses a script. Takes time in proportion to its length.
pub(crate) fn parse(text: &str, dialect: Dialect) -> Parsed {
    let mut parser = Parser { tokens: tokens(text, dialect).into_iter().peekable(), dialect, depth: 0 };
    let mut lines = Vec::new();
    loop {
        parser.skip_newlines();
        if parser.peek() == Some(&Token::End) {
            return Parsed { lines, problem: None };
        }
        match parser.line() {
            Ok(line) => lines.push(line),
            Err(problem) => return Parsed { lines, problem: Some(problem) },
        }
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    dialect: Dialect,
    depth: u32,
}

type Result<T> = std::result::Result<T, Problem>;

/// Words that end a list of commands.
const CLOSING: [&str; 8] = ["then", "else", "elif", "fi", "do", "done", "esac", "}"];

impl Parser {
    fn peek(&mut self) -> Option<&Token> {
        self.tokens.peek()
    }

    /// The word at the current position, if it is plain text.
    fn keyword(&mut self) -> Option<&str> {
        match self.peek() {
            Some(Token::Word(word)) => plain(word),
            _ => None,
        }
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.keyword() == Some(keyword);
        if found {
            self.tokens.next();
        }
        found
    }

    fn take(&mut self, operator: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Operator(found)) if *found == operator);
        if found {
            self.tokens.next();
        }
        found
    }

    fn expect_keyword(&mut self, keyword: &str) -> Result<()> {
        if self.take_keyword(keyword) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The error for a token that cannot stand here.
    fn unexpected(&mut self) -> Problem {
        match self.peek() {
            Some(Token::Broken(problem)) => *problem,
            _ => Problem::Syntax,
        }
    }

    fn skip_newlines(&mut self) {
        while self.peek() == Some(&Token::Newline) {
            self.tokens.next();
        }
    }

    /// The commands up to the end of the line: a shell runs them before it reads the next line.
    fn line(&mut self) -> Result<Node> {
        let mut items = Vec::new();
        loop {
            let item = self.and_or()?;
            let separated = self.separated(item, &mut items);
            match self.peek() {
                Some(Token::Newline | Token::End) => return Ok(sequence(items)),
                _ if separated => {}
                _ => return Err(self.unexpected()),
            }
        }
    }

    /// Adds a command and takes the separator after it; returns whether there is one.
    fn separated(&mut self, item: Node, items: &mut Vec<Node>) -> bool {
        let background = self.take("&");
        items.push(if background { Node::Background(Box::new(item)) } else { item });
        background || self.take(";")
    }

    /// Commands up to a closing word or operator, at least one.
    fn list(&mut self) -> Result<Node> {
        let mut items = Vec::new();
        loop {
            self.skip_newlines();
            if self.at_end_of_list() {
                return if items.is_empty() { Err(Problem::Syntax) } else { Ok(sequence(items)) };
            }
            let item = self.and_or()?;
            if !self.separated(item, &mut items) && self.peek() != Some(&Token::Newline) {
                return if self.at_end_of_list() { Ok(sequence(items)) } else { Err(self.unexpected()) };
            }
        }
    }

    fn at_end_of_list(&mut self) -> bool {
        match self.peek() {
            Some(Token::Operator(operator)) => matches!(*operator, ")" | ";;"),
            Some(Token::Word(word)) => plain(word).is_some_and(|word| CLOSING.contains(&word)),
            _ => false,
        }
    }

    fn and_or(&mut self) -> Result<Node> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            let link = match self.peek() {
                Some(Token::Operator("&&")) => Link::And,
                Some(Token::Operator("||")) => Link::Or,
                _ if rest.is_empty() => return Ok(first),
                _ => return Ok(Node::AndOr(Box::new(first), rest)),
            };
            self.tokens.next();
            self.skip_newlines();
            rest.push((link, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Result<Node> {
        // A second `!` is an error in some shells.
        if self.take_keyword("!") {
            if self.keyword() == Some("!") {
                return Err(Problem::Unsupported);
            }
            return Ok(Node::Not(Box::new(self.pipeline()?)));
        }
        let mut parts = vec![self.command()?];
        while self.take("|") || self.take("|&") {
            self.skip_newlines();
            parts.push(self.command()?);
        }
        let only = if parts.len() == 1 { parts.pop() } else { None };
        Ok(only.unwrap_or(Node::Pipeline(parts)))
    }

    fn command(&mut self) -> Result<Node> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Problem::TooComplex);
        }
        let node = match self.compound()? {
            None => self.simple()?,
            Some(node) => {
                let mut redirects = Vec::new();
                while let Some(redirect) = self.redirect()? {
                    redirects.push(redirect);
                }
                if redirects.is_empty() { node } else { Node::Redirected(Box::new(node), redirects) }
            }
        };
        self.depth -= 1;
        Ok(node)
    }

    fn compound(&mut self) -> Result<Option<Node>> {
        if self.take("(") {
            // bash calculates in `((…))`.
            if matches!(self.peek(), Some(Token::Operator("("))) {
                return Err(Problem::Unsupported);
            }
            let body = self.list()?;
            return if self.take(")") { Ok(Some(Node::Subshell(Box::new(body)))) } else { Err(self.unexpected()) };
        }
        let dialect = self.dialect;
        let Some(keyword) = self.keyword() else { return Ok(None) };
        if CLOSING.contains(&keyword) {
            return Err(Problem::Syntax);
        }
        let until = keyword == "until";
        let node = match keyword {
            "{" => {
                self.tokens.next();
                let body = self.list()?;
                self.expect_keyword("}")?;
                body
            }
            "if" => self.branches()?,
            "while" | "until" => {
                self.tokens.next();
                let condition = Box::new(self.list()?);
                Node::While { until, condition, body: Box::new(self.body()?) }
            }
            "for" => self.for_loop()?,
            "case" => self.case()?,
            "[[" if dialect == Dialect::Posix => return Err(Problem::Unsupported),
            "function" | "select" | "coproc" => return Err(Problem::Unsupported),
            _ => return Ok(None),
        };
        Ok(Some(node))
    }

    fn branches(&mut self) -> Result<Node> {
        let mut branches = Vec::new();
        while self.take_keyword(if branches.is_empty() { "if" } else { "elif" }) {
            let condition = self.list()?;
            self.expect_keyword("then")?;
            branches.push((condition, self.list()?));
        }
        let otherwise = if self.take_keyword("else") { Some(Box::new(self.list()?)) } else { None };
        self.expect_keyword("fi")?;
        Ok(Node::If(branches, otherwise))
    }

    fn body(&mut self) -> Result<Node> {
        self.expect_keyword("do")?;
        let body = self.list()?;
        self.expect_keyword("done")?;
        Ok(body)
    }

    fn for_loop(&mut self) -> Result<Node> {
        self.tokens.next();
        let name = match self.keyword() {
            Some(name) if name_length(name) == name.len() => name.to_owned(),
            // bash has a `for` with three expressions.
            _ => return Err(Problem::Unsupported),
        };
        self.tokens.next();
        if !self.take_keyword("in") {
            return Err(Problem::Unsupported);
        }
        let mut words = Vec::new();
        while let Some(Token::Word(_)) = self.peek() {
            if let Some(Token::Word(word)) = self.tokens.next() {
                words.push(word);
            }
        }
        if !self.take(";") && self.peek() != Some(&Token::Newline) {
            return Err(self.unexpected());
        }
        self.skip_newlines();
        Ok(Node::For { name, words, body: Box::new(self.body()?) })
    }

    fn case(&mut self) -> Result<Node> {
        self.tokens.next();
        let Some(Token::Word(word)) = self.tokens.next() else { return Err(Problem::Syntax) };
        self.skip_newlines();
        self.expect_keyword("in")?;
        let mut arms = Vec::new();
        loop {
            self.skip_newlines();
            if self.take_keyword("esac") {
                return Ok(Node::Case(word, arms));
            }
            self.take("(");
            while matches!(self.peek(), Some(Token::Word(_) | Token::Operator("|"))) {
                self.tokens.next();
            }
            if !self.take(")") {
                return Err(self.unexpected());
            }
            self.skip_newlines();
            let empty = matches!(self.peek(), Some(Token::Operator(";;"))) || self.keyword() == Some("esac");
            arms.push(if empty { Node::Sequence(Vec::new()) } else { self.list()? });
            if !self.take(";;") && self.keyword() != Some("esac") {
                return Err(self.unexpected());
            }
        }
    }

    fn redirect(&mut self) -> Result<Option<Redirect>> {
        let reads = match self.peek() {
            Some(Token::Operator("<" | "<>")) => true,
            Some(Token::Operator(">" | ">>" | ">|" | ">&" | "<&" | "&>" | "&>>" | "<<" | "<<-" | "<<<")) => false,
            _ => return Ok(None),
        };
        self.tokens.next();
        match self.peek() {
            Some(Token::Word(_)) => {}
            _ => return Err(self.unexpected()),
        }
        let Some(Token::Word(target)) = self.tokens.next() else { return Err(Problem::Syntax) };
        Ok(Some(Redirect { reads, target }))
    }

    fn simple(&mut self) -> Result<Node> {
        let mut simple = Simple::default();
        loop {
            if let Some(redirect) = self.redirect()? {
                simple.redirects.push(redirect);
                continue;
            }
            let is_test = simple.words.first().and_then(|word| plain(word)) == Some("[[");
            match self.peek() {
                Some(Token::Word(_)) => {}
                // Operators are part of the expression.
                Some(Token::Operator(_) | Token::Newline) if is_test => drop(self.tokens.next()),
                Some(Token::Operator("(")) if simple.words.len() == 1 => return self.function(&simple),
                Some(Token::Broken(problem)) => return Err(*problem),
                _ if is_test => return Err(Problem::Syntax),
                _ => break,
            }
            let Some(Token::Word(_)) = self.peek() else { continue };
            let Some(Token::Word(word)) = self.tokens.next() else { break };
            let ends_test = is_test && plain(&word) == Some("]]");
            match assignment(&word) {
                Some(assignment) if simple.words.is_empty() => simple.assignments.push(assignment),
                _ => simple.words.push(word),
            }
            if ends_test {
                break;
            }
        }
        let empty = simple.words.is_empty() && simple.assignments.is_empty() && simple.redirects.is_empty();
        if empty { Err(self.unexpected()) } else { Ok(Node::Simple(simple)) }
    }

    fn function(&mut self, simple: &Simple) -> Result<Node> {
        self.tokens.next();
        let name = simple.words.first().and_then(|word| plain(word)).ok_or(Problem::Syntax)?.to_owned();
        if !self.take(")") {
            return Err(self.unexpected());
        }
        self.skip_newlines();
        Ok(Node::Function(name, Rc::new(self.command()?)))
    }
}

fn sequence(mut items: Vec<Node>) -> Node {
    let only = if items.len() == 1 { items.pop() } else { None };
    only.unwrap_or(Node::Sequence(items))
}

/// The text of a word that is only text outside quotes.
fn plain(word: &Word) -> Option<&str> {
    match word.as_slice() {
        [Part::Plain(text)] => Some(text),
        _ => None,
    }
}

/// The name and the value of a word such as `NAME=value`.
pub(super) fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some((Part::Plain(text), rest)) = word.split_first() else { return None };
    let (name, value) = text.split_once('=')?;
    if name.is_empty() || name_length(name) != name.len() {
        return None;
    }
    let value = if value.is_empty() { None } else { Some(Part::Plain(value.to_owned())) };
    Some((name.to_owned(), value.into_iter().chain(rest.iter().cloned()).collect()))
}
