//! Scripts of POSIX shells and bash: parsed, and run without running anything.
//!
//! The parser is small and total: text and nesting are bounded, and what it does not know is [`Problem::Unsupported`]. (Crates
//! that parse all of bash recurse without a limit.) The [`interpreter`] computes how long a script runs at least and at most,
//! when it stops the app, and whether it fails.

mod app;
mod arithmetic;
mod builtins;
pub(crate) mod commands;
pub(crate) mod effect;
mod expansion;
mod inline;
pub(crate) mod interpreter;
pub(crate) mod invocation;
mod lexer;
mod loops;
mod parser;
mod programs;
mod requests;
mod signals;
mod sleep;
mod state;
mod statements;
#[cfg(test)]
mod tests;
mod variables;
mod windows;
mod wrappers;

use std::rc::Rc;

pub(crate) use sleep::duration;
pub(crate) use variables::Variables;

/// The syntax of a shell, where shells differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Bash,
    /// `sh`, `ash` or `dash`: only what all of them accept.
    Posix,
    /// What any shell accepts: for a script that is read and not run.
    Any,
}

impl Dialect {
    /// The dialect of a shell.
    fn of(shell: &str) -> Self {
        if shell == "bash" { Self::Bash } else { Self::Posix }
    }
}

/// The reason why a script, or the rest of it, cannot be analysed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Every shell rejects it.
    Syntax,
    /// Shells differ, or the parser does not know it.
    Unsupported,
    /// Too long or too deeply nested.
    TooComplex,
}

/// The longest script that is parsed, in bytes.
const LONGEST: usize = 64 * 1024;
/// The deepest nesting of commands, in groups, branches, substitutions and scripts of scripts.
const DEEPEST: u32 = 24;

/// A parsed script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// The lines that the shell runs, in order.
    pub(crate) lines: Vec<Node>,
    /// Why it ends there. A shell parses line by line, so the lines before run.
    pub(crate) problem: Option<Problem>,
}

/// A command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Simple(Simple),
    Redirected(Box<Node>, Vec<Redirect>),
    Pipeline(Vec<Node>),
    Not(Box<Node>),
    /// Commands with `&&` or `||` before all but the first.
    AndOr(Box<Node>, Vec<(Link, Node)>),
    Sequence(Vec<Node>),
    Background(Box<Node>),
    Subshell(Box<Node>),
    /// Conditions with their bodies, and the body of `else`.
    If(Vec<(Node, Node)>, Option<Box<Node>>),
    While {
        until: bool,
        condition: Box<Node>,
        body: Box<Node>,
    },
    For {
        name: String,
        words: Vec<Word>,
        body: Box<Node>,
    },
    /// The word, and the bodies of the patterns.
    Case(Word, Vec<Node>),
    Function(String, Rc<Node>),
}

/// The operator between two commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    And,
    Or,
}

/// A command without structure.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Simple {
    pub(crate) assignments: Vec<(String, Word)>,
    pub(crate) words: Vec<Word>,
    pub(crate) redirects: Vec<Redirect>,
}

/// A redirection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// Whether opening it may wait: `<` of a file that may be a pipe.
    pub(crate) reads: bool,
    /// The file, the descriptor or the delimiter.
    pub(crate) target: Word,
}

/// The parts of a word.
pub(crate) type Word = Vec<Part>;

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text outside quotes.
    Plain(String),
    /// Text in quotes.
    Quoted(String),
    /// `$NAME`, `${NAME}` or `${NAME:-DEFAULT}`.
    Variable { name: String, default: Option<String>, quoted: bool },
    /// The script of `$(…)`.
    Substitution { script: String, quoted: bool },
    /// The expression of `$((…))`.
    Arithmetic(String),
    /// Any other expansion.
    Other,
}
