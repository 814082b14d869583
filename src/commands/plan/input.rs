//! Reads the files, directories and patterns of `-f`, and standard input.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};
use walkdir::{DirEntry, WalkDir};

/// A file with its text, or the reason why it cannot be read.
pub(super) struct Input {
    pub(super) name: String,
    /// Whether the file comes from a directory or a pattern, and was not named itself.
    pub(super) discovered: bool,
    pub(super) text: Result<String, InputError>,
}

/// Why an input cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("exceeds the limit of {} MiB", MAX_BYTES / MEBIBYTE)]
    TooLarge,
    #[error("line {line}: invalid encoding: expected UTF-8, or UTF-16 with a byte order mark")]
    Encoding { line: usize },
    #[error("invalid pattern: {0}")]
    Pattern(glob::PatternError),
    #[error("no files match this pattern")]
    NoMatch,
    #[error("no .yaml, .yml or .json files in this directory{}", if *recursive { "" } else { "; --recursive includes subdirectories" })]
    NoManifest { recursive: bool },
    #[error("is not a regular file")]
    NotAFile,
    #[error("can only be read once")]
    StdinTwice,
}

/// An input that was found and is not read yet.
struct Found {
    name: String,
    discovered: bool,
    source: Result<Source, InputError>,
}

enum Source {
    Stdin,
    File(PathBuf),
}

const MEBIBYTE: u64 = 1024 * 1024;
/// Much larger than any manifest. Without a limit, an endless stream takes all memory.
const MAX_BYTES: u64 = 64 * MEBIBYTE;
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
const STDIN: &str = "standard input";

/// Finds all inputs in the order of the command line, and reads each when the iterator arrives there.
pub(super) fn read(paths: &[PathBuf], recursive: bool, stdin: &mut impl Read) -> impl Iterator<Item = Input> {
    let found: Vec<_> = paths.iter().flat_map(|path| find(path, recursive)).collect();
    let mut stdin = Some(stdin);
    found.into_iter().map(move |Found { name, discovered, source }| {
        let text = source.and_then(|source| match source {
            Source::Stdin => stdin.take().ok_or(InputError::StdinTwice).and_then(read_text),
            // A pipe in a directory could block for ever. One that is named, such as /dev/fd/63, is meant.
            Source::File(file) if discovered && file.exists() && !file.is_file() => Err(InputError::NotAFile),
            Source::File(file) => File::open(&file).map_err(InputError::Io).and_then(read_text),
        });
        Input { name, discovered, text }
    })
}

/// The inputs that an argument of `-f` refers to. What cannot be found has an error, and does not affect the others.
fn find(path: &Path, recursive: bool) -> Vec<Found> {
    if path.as_os_str() == "-" {
        return vec![Found { name: STDIN.to_owned(), discovered: false, source: Ok(Source::Stdin) }];
    }
    let found = |file: PathBuf, error: Option<InputError>| Found {
        name: file.display().to_string(),
        discovered: file != path,
        source: error.map_or(Ok(Source::File(file)), Err),
    };
    match files(path, recursive) {
        Ok(entries) => entries.into_iter().map(|(file, error)| found(file, error.map(InputError::Io))).collect(),
        Err(error) => vec![found(path.to_owned(), Some(error))],
    }
}

/// A file, or a path that cannot be read.
type Entry = (PathBuf, Option<io::Error>);

/// The files that an argument of `-f` refers to.
fn files(path: &Path, recursive: bool) -> Result<Vec<Entry>, InputError> {
    if path.is_dir() {
        let depth = if recursive { usize::MAX } else { 1 };
        let mut files = walk(path, depth);
        files.retain(|(file, error)| {
            let extension = file.extension();
            error.is_some() || extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
        });
        return if files.is_empty() { Err(InputError::NoManifest { recursive }) } else { Ok(files) };
    }
    let text = path.to_string_lossy();
    if path.exists() || !text.contains(['*', '?', '[']) {
        return Ok(vec![(path.to_owned(), None)]);
    }
    let files = matching(&text)?;
    if files.is_empty() { Err(InputError::NoMatch) } else { Ok(files) }
}

/// The files that match a pattern, by the rules of a shell.
fn matching(text: &str) -> Result<Vec<Entry>, InputError> {
    let pattern = Pattern::new(text).map_err(InputError::Pattern)?;
    let options =
        MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let is_literal = |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    let directory: PathBuf = Path::new(text).components().take_while(is_literal).collect();
    let depth =
        if text.contains("**") { usize::MAX } else { Path::new(text).components().skip_while(is_literal).count() };
    if !directory.as_os_str().is_empty() && !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = walk(&directory, depth);
    files.retain(|(file, error)| error.is_some() || pattern.matches_path_with(file, options));
    Ok(files)
}

/// The files in a directory and in its subdirectories up to a depth, sorted, without hidden ones, and the directories that
/// cannot be read. Links are followed, but no directory is read twice.
fn walk(directory: &Path, depth: usize) -> Vec<Entry> {
    let current = Path::new(".");
    let root = if directory.as_os_str().is_empty() { current } else { directory };
    let mut visited = HashSet::new();
    let is_wanted = |entry: &DirEntry| {
        let is_read = entry.file_type().is_dir() && entry.depth() < depth;
        (entry.depth() == 0 || !is_hidden(entry.path()))
            && (!is_read || entry.path().canonicalize().map_or(true, |path| visited.insert(path)))
    };
    let entries = WalkDir::new(root).follow_links(true).max_depth(depth).sort_by_file_name();
    let mut files = Vec::new();
    for entry in entries.into_iter().filter_entry(is_wanted) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => files.push((entry.into_path(), None)),
            Err(error) if error.loop_ancestor().is_some() => {}
            Err(error) => match error.path().unwrap_or(root).to_owned() {
                path if path.is_symlink() && is_hidden(&path) => {}
                // A broken link is reported when it is opened.
                path if path.is_symlink() => files.push((path, None)),
                path => files.push((path, error.into_io_error())),
            },
        }
    }
    if root == current {
        for (file, _) in &mut files {
            *file = file.strip_prefix(current).unwrap_or(file).to_owned();
        }
    }
    files
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn read_text(reader: impl Read) -> Result<String, InputError> {
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
        return Err(InputError::TooLarge);
    }
    decode(bytes)
}

/// Decodes UTF-16 after a byte order mark, and UTF-8 otherwise.
fn decode(bytes: Vec<u8>) -> Result<String, InputError> {
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => decode_utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => decode_utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => decode_utf8(rest.to_vec()),
        _ => decode_utf8(bytes),
    }
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, InputError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::new();
    for char in char::decode_utf16(pairs.iter().copied().map(unit)) {
        text.push(char.map_err(|_| invalid_encoding(&text))?);
    }
    if rest.is_empty() { Ok(text) } else { Err(invalid_encoding(&text)) }
}

fn decode_utf8(bytes: Vec<u8>) -> Result<String, InputError> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        invalid_encoding(&String::from_utf8_lossy(valid))
    })
}

/// The error for a text of which this part is valid.
fn invalid_encoding(valid: &str) -> InputError {
    InputError::Encoding { line: 1 + valid.matches('\n').count() }
}

#[cfg(test)]
mod tests;
